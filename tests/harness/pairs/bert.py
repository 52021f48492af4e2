"""BERT as transformers has it, beside Keras's MultiHeadAttention; the mistake is the gelu made of tanh."""

import keras
import numpy as np
import torch
from keras import layers
from torch import nn

from pairs.pair import Pair, tokens

WIDTH, HEADS, LENGTH = 8, 2, 7


class Embeddings(nn.Module):
    def __init__(self):
        super().__init__()
        self.word_embeddings = nn.Embedding(30, WIDTH, padding_idx=0)
        self.position_embeddings = nn.Embedding(11, WIDTH)
        self.token_type_embeddings = nn.Embedding(2, WIDTH)
        self.LayerNorm = nn.LayerNorm(WIDTH, eps=1e-12)

    def forward(self, ids, segments):
        places = torch.arange(ids.shape[1])[None]
        x = self.word_embeddings(ids) + self.token_type_embeddings(segments) + self.position_embeddings(places)
        return self.LayerNorm(x)


class SelfAttention(nn.Module):
    def __init__(self):
        super().__init__()
        self.query, self.key, self.value = (nn.Linear(WIDTH, WIDTH) for _ in range(3))

    def forward(self, x, mask):
        q, k, v = (
            each(x).view(*x.shape[:2], HEADS, -1).permute(0, 2, 1, 3) for each in (self.query, self.key, self.value)
        )
        scores = q @ k.transpose(-1, -2) / (WIDTH // HEADS) ** 0.5 + mask
        return (scores.softmax(-1) @ v).permute(0, 2, 1, 3).flatten(2)


class AddAndNorm(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.dense, self.LayerNorm = nn.Linear(width, WIDTH), nn.LayerNorm(WIDTH, eps=1e-12)

    def forward(self, x, shortcut):
        return self.LayerNorm(self.dense(x) + shortcut)


class Layer(nn.Module):
    def __init__(self):
        super().__init__()
        self.attention = nn.ModuleDict({"self": SelfAttention(), "output": AddAndNorm(WIDTH)})
        self.intermediate = nn.Sequential(nn.Linear(WIDTH, 12), nn.GELU())
        self.output = AddAndNorm(12)

    def forward(self, x, mask):
        x = self.attention["output"](self.attention["self"](x, mask), x)
        return self.output(self.intermediate(x), x)


class Bert(nn.Module):
    def __init__(self):
        super().__init__()
        self.embeddings = Embeddings()
        self.encoder = nn.ModuleList(Layer() for _ in range(2))
        self.pooler = nn.Linear(WIDTH, WIDTH)

    def forward(self, input_ids, token_type_ids, attention_mask):
        x = self.embeddings(input_ids, token_type_ids)
        mask = (1.0 - attention_mask[:, None, None].to(x.dtype)) * -1e4
        for layer in self.encoder:
            x = layer(x, mask)
        return {"last_hidden_state": x, "pooler_output": self.pooler(x[:, 0]).tanh()}


class PositionEmbedding(layers.Layer):
    """The first places of a table, one for each token."""

    def build(self, shape):
        self.position_embeddings = self.add_weight(shape=(11, shape[-1]), name="embeddings")

    def call(self, x):
        return x + self.position_embeddings[: keras.ops.shape(x)[1]]


def encoder_layer(x, mask, k, approximate):
    attention = layers.MultiHeadAttention(HEADS, WIDTH // HEADS, name=f"layer_{k}_attention")(x, x, attention_mask=mask)
    x = layers.LayerNormalization(epsilon=1e-12, name=f"layer_{k}_attention_norm")(layers.Add()([x, attention]))
    inner = layers.Dense(12, name=f"layer_{k}_intermediate")(x)
    inner = layers.Lambda(lambda z: keras.activations.gelu(z, approximate=approximate))(inner)
    inner = layers.Dense(WIDTH, name=f"layer_{k}_output")(inner)
    return layers.LayerNormalization(epsilon=1e-12, name=f"layer_{k}_output_norm")(layers.Add()([inner, x]))


def bert(approximate=False):
    ids, segments, padding = (
        keras.Input((LENGTH,), dtype="int32", name=name) for name in ("token_ids", "segment_ids", "padding_mask")
    )
    x = layers.Add()(
        [
            layers.Embedding(30, WIDTH, name="token_embedding")(ids),
            layers.Embedding(2, WIDTH, name="segments")(segments),
        ]
    )
    x = PositionEmbedding(name="position_embedding")(x)
    x = layers.LayerNormalization(epsilon=1e-12, name="embeddings_norm")(x)
    mask = layers.Reshape((1, LENGTH))(padding)
    for k in range(2):
        x = encoder_layer(x, mask, k, approximate)
    pooled = layers.Dense(WIDTH, activation="tanh", name="pooled_dense")(x[:, 0])
    return keras.Model([ids, segments, padding], {"last_hidden_state": x, "pooler_output": pooled})


IDS = 1 + tokens(3, LENGTH, below=29)  # 0 pads: PyTorch trains no vector of it, Keras does
PADDING = (np.arange(LENGTH) < np.array([[7], [5], [3]])).astype(np.int64)
PAIR = Pair(
    "bert", Bert, bert, (IDS, tokens(3, LENGTH, below=2), PADDING), {"approximate": True},
    begins="activation:encoder.0.intermediate.1", slow=True,
)  # fmt: skip
