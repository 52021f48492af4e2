"""Two towers of a recommender, the items' words in an EmbeddingBag; the mistake sums them."""

import keras
from keras import layers
from torch import nn

from pairs.pair import Pair, tokens


class TwoTower(nn.Module):
    def __init__(self):
        super().__init__()
        self.user_embedding, self.item_words = nn.Embedding(20, 6), nn.EmbeddingBag(30, 5, mode="mean")
        self.user_mlp = nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 4))
        self.item_mlp = nn.Sequential(nn.Linear(5, 8), nn.ReLU(), nn.Linear(8, 4))

    def forward(self, user, words):
        user = nn.functional.normalize(self.user_mlp(self.user_embedding(user)), dim=-1)
        item = nn.functional.normalize(self.item_mlp(self.item_words(words)), dim=-1)
        return (user * item).sum(-1)


def tower(x, name):
    x = layers.Dense(8, activation="relu", name=f"{name}_hidden")(x)
    return layers.UnitNormalization(name=f"{name}_norm")(layers.Dense(4, name=f"{name}_vector")(x))


def two_tower(sums=False):
    user, words = keras.Input((), dtype="int32", name="user_id"), keras.Input((7,), dtype="int32", name="title")
    item = layers.Embedding(30, 5, name="words")(words)
    item = keras.ops.sum(item, axis=1) if sums else layers.GlobalAveragePooling1D(name="bag")(item)
    item = tower(item, "candidate")
    query = tower(layers.Embedding(20, 6, name="users")(user), "query")
    score = layers.Lambda(lambda x: keras.ops.squeeze(x, -1))(layers.Dot(axes=1)([query, item]))
    return keras.Model([user, words], score)


PAIR = Pair(
    "two-tower", TwoTower, two_tower, (tokens(5, below=20), tokens(5, 7)), {"sums": True},
    begins="activation:item_mlp.0",
)  # fmt: skip
