"""T5's encoder: relative position bias, no scale, no biases; the mistake scales the scores."""

import keras
import numpy as np
import torch
from keras import layers, ops
from torch import nn

from pairs.pair import Pair, tokens

WIDTH, HEADS, SIZE, BUCKETS = 10, 2, 3, 8


def buckets(length):
    """Return the bucket of each distance, (length, length): half for each direction, the far ones by logarithm."""
    distance = np.arange(length)[None] - np.arange(length)[:, None]
    half, exact = BUCKETS // 2, BUCKETS // 4
    far = exact + (np.log(np.maximum(abs(distance), 1) / exact) / np.log(16 / exact) * (half - exact)).astype(int)
    near = np.where(abs(distance) < exact, abs(distance), np.minimum(far, half - 1))
    return near + half * (distance > 0)


class T5LayerNorm(nn.Module):
    def __init__(self):
        super().__init__()
        self.weight, self.variance_epsilon = nn.Parameter(torch.ones(WIDTH)), 1e-6

    def forward(self, x):
        return self.weight * x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + self.variance_epsilon)


class T5Attention(nn.Module):
    def __init__(self, has_bias):
        super().__init__()
        self.q, self.k, self.v = (nn.Linear(WIDTH, HEADS * SIZE, bias=False) for _ in range(3))
        self.o = nn.Linear(HEADS * SIZE, WIDTH, bias=False)
        if has_bias:
            self.relative_attention_bias = nn.Embedding(BUCKETS, HEADS)

    def forward(self, x, bias):
        if bias is None:
            bias = self.relative_attention_bias(torch.from_numpy(buckets(x.shape[1]))).permute(2, 0, 1)[None]
        q, k, v = (p(x).view(*x.shape[:2], HEADS, SIZE).transpose(1, 2) for p in (self.q, self.k, self.v))
        y = (q @ k.transpose(-1, -2) + bias).softmax(-1) @ v
        return self.o(y.transpose(1, 2).flatten(2)), bias


class T5Block(nn.Module):
    def __init__(self, has_bias):
        super().__init__()
        self.SelfAttention, self.layer_norm = T5Attention(has_bias), T5LayerNorm()
        self.wi, self.wo, self.ff_norm = (
            nn.Linear(WIDTH, 14, bias=False),
            nn.Linear(14, WIDTH, bias=False),
            T5LayerNorm(),
        )

    def forward(self, x, bias):
        y, bias = self.SelfAttention(self.layer_norm(x), bias)
        x = x + y
        return x + self.wo(self.wi(self.ff_norm(x)).relu()), bias


class T5Encoder(nn.Module):
    def __init__(self):
        super().__init__()
        self.shared = nn.Embedding(30, WIDTH)
        self.block = nn.ModuleList(T5Block(k == 0) for k in range(2))
        self.final_layer_norm = T5LayerNorm()

    def forward(self, input_ids):
        x, bias = self.shared(input_ids), None
        for block in self.block:
            x, bias = block(x, bias)
        return self.final_layer_norm(x)


class RelativeBias(layers.Layer):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.table = layers.Embedding(BUCKETS, HEADS, name="table")

    def call(self, x):
        return ops.transpose(self.table(ops.convert_to_tensor(buckets(x.shape[1]))), (2, 0, 1))[None]


class Attention(layers.Layer):
    def __init__(self, scale, **kwargs):
        super().__init__(**kwargs)
        self.scale = scale
        self.to_out = layers.Dense(WIDTH, use_bias=False)
        self.to_qkv = [layers.Dense(HEADS * SIZE, use_bias=False, name=name) for name in ("query", "key", "value")]

    def call(self, x, bias):
        t = x.shape[1]
        q, k, v = (ops.transpose(ops.reshape(p(x), (-1, t, HEADS, SIZE)), (0, 2, 1, 3)) for p in self.to_qkv)
        scores = self.scale * ops.matmul(q, ops.swapaxes(k, -1, -2)) + bias
        y = ops.transpose(ops.matmul(ops.softmax(scores), v), (0, 2, 1, 3))
        return self.to_out(ops.reshape(y, (-1, t, HEADS * SIZE)))


class Encoder(keras.Model):
    def __init__(self, scale=1.0):
        super().__init__()
        self.relative = RelativeBias()
        self.norms = [layers.RMSNormalization(epsilon=1e-6) for _ in range(5)]
        self.attentions = [Attention(scale) for _ in range(2)]
        self.feed_forwards = [
            keras.Sequential([layers.Dense(14, "relu", use_bias=False), layers.Dense(WIDTH, use_bias=False)])
            for _ in range(2)
        ]
        self.embedding = layers.Embedding(30, WIDTH)

    def call(self, ids):
        x = self.embedding(ids)
        bias = self.relative(x)
        for k in range(2):
            x = x + self.attentions[k](self.norms[2 * k](x), bias)
            x = x + self.feed_forwards[k](self.norms[2 * k + 1](x))
        return self.norms[4](x)


PAIR = Pair(
    "t5",
    T5Encoder,
    Encoder,
    tokens(2, 9),
    {"scale": SIZE**-0.5},
    begins="activation:block.0.SelfAttention.o",
    slow=True,
)
