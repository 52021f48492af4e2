"""Grouped queries beside Keras's GroupQueryAttention; the mistake groups by turns (0, 1, 0, 1)."""

import keras
import torch
from keras import layers, ops
from torch import nn

from pairs.pair import Pair, numbers

WIDTH, HEADS, GROUPS, SIZE = 10, 4, 2, 3


class Attention(nn.Module):
    def __init__(self):
        super().__init__()
        self.wq, self.wo = nn.Linear(WIDTH, HEADS * SIZE), nn.Linear(HEADS * SIZE, WIDTH)
        self.wk, self.wv = nn.Linear(WIDTH, GROUPS * SIZE), nn.Linear(WIDTH, GROUPS * SIZE)

    def forward(self, x):
        n, t, _ = x.shape
        q, k, v = (p(x).view(n, t, -1, SIZE).transpose(1, 2) for p in (self.wq, self.wk, self.wv))
        k, v = (torch.repeat_interleave(y, HEADS // GROUPS, 1) for y in (k, v))
        y = (q @ k.transpose(2, 3) / SIZE**0.5).softmax(-1) @ v
        return self.wo(y.transpose(1, 2).reshape(n, t, -1))


class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.norm, self.attention, self.head = nn.LayerNorm(WIDTH), Attention(), nn.Linear(WIDTH, 3)

    def forward(self, x):
        return self.head(x + self.attention(self.norm(x)))


class ByTurns(layers.GroupQueryAttention):
    """Repeats the keys and values (0, 1, 0, 1) and not (0, 0, 1, 1)."""

    def _compute_attention(self, query, key, value, *args, **kwargs):
        turns = ops.reshape(ops.transpose(ops.reshape(ops.arange(HEADS), (GROUPS, -1))), (-1,))
        key, value = (ops.take(y, turns, axis=2) for y in (key, value))
        return super()._compute_attention(query, key, value, *args, **kwargs)


def grouped_query(attention=layers.GroupQueryAttention):
    x = keras.Input((7, WIDTH))
    y = layers.LayerNormalization(epsilon=1e-5)(x)
    y = attention(head_dim=SIZE, num_query_heads=HEADS, num_key_value_heads=GROUPS)(y, y)
    return keras.Model(x, layers.Dense(3)(layers.Add()([x, y])))


PAIR = Pair(
    "grouped-query", Block, grouped_query, numbers(2, 7, WIDTH), {"attention": ByTurns},
    begins="activation:attention.wo",
)  # fmt: skip
