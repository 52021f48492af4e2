"""nn.Transformer beside Keras's attention; the mistake lets the decoder see what follows."""

import keras
from keras import layers
from torch import nn

from pairs.pair import Pair, numbers

WIDTH, HEADS = 8, 2


class Translator(nn.Module):
    def __init__(self):
        super().__init__()
        self.transformer = nn.Transformer(WIDTH, HEADS, 1, 1, 12, dropout=0.1, batch_first=True)
        self.generator = nn.Linear(WIDTH, 5)

    def forward(self, source, target):
        mask = nn.Transformer.generate_square_subsequent_mask(target.shape[1], dtype=target.dtype)
        return self.generator(self.transformer(source, target, tgt_mask=mask))


def norm(x):
    return layers.LayerNormalization(epsilon=1e-5)(x)


def attention():
    return layers.MultiHeadAttention(num_heads=HEADS, key_dim=WIDTH // HEADS, dropout=0.1)


def feed_forward(x):
    y = layers.Dropout(0.1)(layers.Dense(12, activation="relu")(x))
    return norm(layers.Add()([x, layers.Dropout(0.1)(layers.Dense(WIDTH)(y))]))


def translator(causal=True):
    source, target = keras.Input((9, WIDTH), name="source"), keras.Input((7, WIDTH), name="target")
    memory = norm(layers.Add()([source, layers.Dropout(0.1)(attention()(source, source))]))
    memory = norm(feed_forward(memory))
    x = attention()(target, target, use_causal_mask=causal)
    x = norm(layers.Add()([target, layers.Dropout(0.1)(x)]))
    x = norm(layers.Add()([x, layers.Dropout(0.1)(attention()(x, memory))]))
    return keras.Model([source, target], layers.Dense(5)(norm(feed_forward(x))))


PAIR = Pair(
    "translator", Translator, translator, (numbers(2, 9, WIDTH), numbers(2, 7, WIDTH, seed=1)), {"causal": False},
    begins="activation:transformer.decoder.layers.0.self_attn", slow=True,
)  # fmt: skip
