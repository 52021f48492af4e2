"""Swin's shifted windows, with position bias, mask and patch merging; the mistake rolls the windows the other way."""

import keras
import numpy as np
import torch
from keras import layers, ops
from torch import nn

from pairs.pair import Pair, numbers

WIDTH, HEADS, WINDOW = 6, 2, 2
HEIGHT, BREADTH = 4, 6


def relative_index():
    y, x = np.divmod(np.arange(WINDOW**2), WINDOW)
    return (y[:, None] - y + WINDOW - 1) * (2 * WINDOW - 1) + x[:, None] - x + WINDOW - 1


def shift_mask():
    """Return −100 between places that only the roll made neighbors, (windows, 4, 4)."""
    slices = (slice(0, -WINDOW), slice(-WINDOW, -1), slice(-1, None))
    regions = np.zeros((HEIGHT, BREADTH))
    for k in range(9):
        regions[slices[k // 3], slices[k % 3]] = k
    regions = regions.reshape(HEIGHT // WINDOW, WINDOW, BREADTH // WINDOW, WINDOW).transpose(0, 2, 1, 3)
    regions = regions.reshape(-1, WINDOW**2)
    return np.where(regions[:, None] == regions[:, :, None], 0.0, -100.0).astype("float32")


class WindowAttention(nn.Module):
    def __init__(self):
        super().__init__()
        self.relative_position_bias_table = nn.Parameter(torch.randn((2 * WINDOW - 1) ** 2, HEADS) * 0.3)
        self.register_buffer("relative_position_index", torch.from_numpy(relative_index()))
        self.qkv, self.proj = nn.Linear(WIDTH, 3 * WIDTH), nn.Linear(WIDTH, WIDTH)

    def forward(self, x, mask):
        b, n, _ = x.shape
        q, k, v = self.qkv(x).reshape(b, n, 3, HEADS, -1).permute(2, 0, 3, 1, 4)
        bias = self.relative_position_bias_table[self.relative_position_index.view(-1)].view(n, n, -1).permute(2, 0, 1)
        scores = q * (WIDTH // HEADS) ** -0.5 @ k.transpose(-2, -1) + bias
        if mask is not None:
            scores = (scores.view(-1, len(mask), HEADS, n, n) + mask[:, None]).view(-1, HEADS, n, n)
        return self.proj((scores.softmax(-1) @ v).transpose(1, 2).reshape(b, n, WIDTH))


class SwinBlock(nn.Module):
    def __init__(self, shift):
        super().__init__()
        self.shift, self.norm1, self.norm2 = shift, nn.LayerNorm(WIDTH), nn.LayerNorm(WIDTH)
        self.attn = WindowAttention()
        self.mlp = nn.Sequential(nn.Linear(WIDTH, 10), nn.GELU(), nn.Linear(10, WIDTH))
        self.register_buffer("attn_mask", torch.from_numpy(shift_mask()) if shift else None)

    def forward(self, x):
        y = torch.roll(self.norm1(x), (-self.shift, -self.shift), (1, 2))
        n, h, w, c = y.shape
        y = y.view(n, h // WINDOW, WINDOW, w // WINDOW, WINDOW, c).permute(0, 1, 3, 2, 4, 5).reshape(-1, WINDOW**2, c)
        y = self.attn(y, self.attn_mask)
        y = y.view(n, h // WINDOW, w // WINDOW, WINDOW, WINDOW, c).permute(0, 1, 3, 2, 4, 5).reshape(n, h, w, c)
        x = x + torch.roll(y, (self.shift, self.shift), (1, 2))
        return x + self.mlp(self.norm2(x))


class PatchMerging(nn.Module):
    def __init__(self):
        super().__init__()
        self.norm, self.reduction = nn.LayerNorm(4 * WIDTH), nn.Linear(4 * WIDTH, 2 * WIDTH, bias=False)

    def forward(self, x):
        parts = [x[:, 0::2, 0::2], x[:, 1::2, 0::2], x[:, 0::2, 1::2], x[:, 1::2, 1::2]]
        return self.reduction(self.norm(torch.cat(parts, -1)))


class Swin(nn.Module):
    def __init__(self):
        super().__init__()
        self.patch_embed, self.patch_norm = nn.Conv2d(3, WIDTH, 2, stride=2), nn.LayerNorm(WIDTH)
        self.layers, self.downsample = nn.Sequential(SwinBlock(0), SwinBlock(1)), PatchMerging()
        self.norm, self.head = nn.LayerNorm(2 * WIDTH), nn.Linear(2 * WIDTH, 5)

    def forward(self, x):
        x = self.patch_norm(self.patch_embed(x).permute(0, 2, 3, 1))
        return self.head(self.norm(self.downsample(self.layers(x))).mean((1, 2)))


class WindowedAttention(layers.Layer):
    def __init__(self, shift, **kwargs):
        super().__init__(**kwargs)
        self.shift = shift
        self.projection = layers.Dense(WIDTH, name="projection")
        self.qkv = layers.Dense(3 * WIDTH, name="qkv")

    def build(self, shape):
        size = ((2 * WINDOW - 1) ** 2, HEADS)
        self.bias_table = self.add_weight(shape=size, initializer="random_normal", name="position_bias")
        self.qkv.build((None, WINDOW**2, WIDTH))
        self.projection.build((None, WINDOW**2, WIDTH))

    def call(self, x):
        windows = self.qkv(x)
        q, k, v = ops.split(ops.reshape(windows, (-1, WINDOW**2, 3 * HEADS, WIDTH // HEADS)), 3, axis=2)
        scores = ops.einsum("nqhd,nkhd->nhqk", q, k) * (WIDTH // HEADS) ** -0.5
        bias = ops.reshape(ops.take(self.bias_table, relative_index().ravel(), axis=0), (WINDOW**2, WINDOW**2, HEADS))
        scores = scores + ops.transpose(bias, (2, 0, 1))
        if self.shift:
            mask = shift_mask()
            scores = ops.reshape(scores, (-1, len(mask), HEADS, WINDOW**2, WINDOW**2))
            scores = scores + ops.cast(mask[:, None], scores.dtype)
            scores = ops.reshape(scores, (-1, HEADS, WINDOW**2, WINDOW**2))
        y = ops.einsum("nhqk,nkhd->nqhd", ops.softmax(scores), v)
        return self.projection(ops.reshape(y, (-1, WINDOW**2, WIDTH)))


class Shifted(layers.Layer):
    """A block: windows are cut, attended to, and put together again."""

    def __init__(self, shift, sign, **kwargs):
        super().__init__(**kwargs)
        self.shift, self.sign = shift, sign
        self.mlp = keras.Sequential([layers.Dense(10, activation="gelu"), layers.Dense(WIDTH)])
        self.attention = WindowedAttention(shift)
        self.mlp_norm, self.attention_norm = (layers.LayerNormalization(epsilon=1e-5) for _ in range(2))

    def build(self, shape):
        self.attention_norm.build(shape)
        self.mlp_norm.build(shape)
        self.mlp.build(shape)
        self.attention.build(None)

    def call(self, x):
        back = self.sign * self.shift
        y = ops.roll(self.attention_norm(x), (-back, -back), (1, 2))
        cut = (-1, HEIGHT // WINDOW, WINDOW, BREADTH // WINDOW, WINDOW, WIDTH)
        y = ops.reshape(ops.transpose(ops.reshape(y, cut), (0, 1, 3, 2, 4, 5)), (-1, WINDOW**2, WIDTH))
        y = ops.reshape(self.attention(y), (-1, HEIGHT // WINDOW, BREADTH // WINDOW, WINDOW, WINDOW, WIDTH))
        y = ops.reshape(ops.transpose(y, (0, 1, 3, 2, 4, 5)), (-1, HEIGHT, BREADTH, WIDTH))
        x = x + ops.roll(y, (back, back), (1, 2))
        return x + self.mlp(self.mlp_norm(x))


def swin(sign=1):
    image = keras.Input((2 * HEIGHT, 2 * BREADTH, 3))
    x = layers.Conv2D(WIDTH, 2, strides=2, name="patches")(image)
    x = layers.LayerNormalization(epsilon=1e-5)(x)
    x = Shifted(1, sign)(Shifted(0, sign)(x))
    x = layers.Concatenate()([x[:, 0::2, 0::2], x[:, 1::2, 0::2], x[:, 0::2, 1::2], x[:, 1::2, 1::2]])
    x = layers.Dense(2 * WIDTH, use_bias=False)(layers.LayerNormalization(epsilon=1e-5)(x))
    x = layers.GlobalAveragePooling2D()(layers.LayerNormalization(epsilon=1e-5)(x))
    return keras.Model(image, layers.Dense(5, name="predictions")(x))


PAIR = Pair(
    "swin",
    Swin,
    swin,
    numbers(2, 3, 2 * HEIGHT, 2 * BREADTH),
    {"sign": -1},
    begins="activation:layers.1.attn.qkv",
    slow=True,
)
