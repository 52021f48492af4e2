"""MobileViT: patches unfolded for a transformer and folded again; the mistake folds by neighbors, not by patches."""

import keras
import torch
from keras import layers, ops
from torch import nn

from pairs.pair import Pair, numbers

WIDTH, HEADS, PATCH = 8, 2, 2
HEIGHT, BREADTH = 8, 6


def conv(into, out, kernel):
    return nn.Sequential(nn.Conv2d(into, out, kernel, padding=kernel // 2, bias=False), nn.BatchNorm2d(out), nn.SiLU())


class Transformer(nn.Module):
    def __init__(self):
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(WIDTH), nn.LayerNorm(WIDTH)
        self.attn = nn.MultiheadAttention(WIDTH, HEADS, batch_first=True)
        self.fc1, self.fc2 = nn.Linear(WIDTH, 12), nn.Linear(12, WIDTH)

    def forward(self, x):
        y = self.norm1(x)
        x = x + self.attn(y, y, y, need_weights=False)[0]
        return x + self.fc2(nn.functional.silu(self.fc1(self.norm2(x))))


class MobileVitBlock(nn.Module):
    def __init__(self, into):
        super().__init__()
        self.conv_kxk, self.conv_1x1 = conv(into, into, 3), nn.Conv2d(into, WIDTH, 1, bias=False)
        self.transformer, self.norm = nn.Sequential(Transformer()), nn.LayerNorm(WIDTH)
        self.conv_proj, self.conv_fusion = conv(WIDTH, into, 1), conv(2 * into, into, 3)

    def forward(self, x):
        y = self.conv_1x1(self.conv_kxk(x))
        n, c, h, w = y.shape
        rows, columns = h // PATCH, w // PATCH
        y = y.reshape(n * c * rows, PATCH, columns, PATCH).transpose(1, 2)
        y = y.reshape(n, c, rows * columns, PATCH**2).transpose(1, 3).reshape(n * PATCH**2, rows * columns, c)
        y = self.norm(self.transformer(y))
        y = y.reshape(n, PATCH**2, rows * columns, c).transpose(1, 3).reshape(n * c * rows, columns, PATCH, PATCH)
        y = y.transpose(1, 2).reshape(n, c, h, w)
        return self.conv_fusion(torch.cat((x, self.conv_proj(y)), 1))


class MobileViT(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem, self.block, self.head = conv(3, 5, 3), MobileVitBlock(5), nn.Linear(5, 4)

    def forward(self, x):
        return self.head(self.block(self.stem(x)).mean((2, 3)))


def conv_block(x, filters, kernel):
    x = layers.Conv2D(filters, kernel, padding="same", use_bias=False)(x)
    return layers.Activation("swish")(layers.BatchNormalization(epsilon=1e-5)(x))


class Unfold(layers.Layer):
    """(N, H, W, C) to (N · 4, H/2 · W/2, C): the sequence goes over the patches."""

    def call(self, x):
        y = ops.reshape(x, (-1, HEIGHT // PATCH, PATCH, BREADTH // PATCH, PATCH, WIDTH))
        return ops.reshape(ops.transpose(y, (0, 2, 4, 1, 3, 5)), (-1, HEIGHT * BREADTH // PATCH**2, WIDTH))


class Fold(layers.Layer):
    def __init__(self, order, **kwargs):
        super().__init__(**kwargs)
        self.order = order

    def call(self, x):
        y = ops.reshape(x, (-1, PATCH, PATCH, HEIGHT // PATCH, BREADTH // PATCH, WIDTH))
        return ops.reshape(ops.transpose(y, self.order), (-1, HEIGHT, BREADTH, WIDTH))


def transformer_block(x):
    y = layers.LayerNormalization(epsilon=1e-5)(x)
    x = layers.Add()([layers.MultiHeadAttention(num_heads=HEADS, key_dim=WIDTH // HEADS)(y, y), x])
    y = layers.LayerNormalization(epsilon=1e-5)(x)
    return layers.Add()([layers.Dense(WIDTH)(layers.Dense(12, activation="swish")(y)), x])


def mobilevit(order=(0, 3, 1, 4, 2, 5)):
    image = keras.Input((HEIGHT, BREADTH, 3))
    stem = conv_block(image, 5, 3)
    local = layers.Conv2D(WIDTH, 1, use_bias=False)(conv_block(stem, 5, 3))
    y = layers.LayerNormalization(epsilon=1e-5)(transformer_block(Unfold()(local)))
    y = conv_block(Fold(order)(y), 5, 1)
    y = conv_block(layers.Concatenate()([stem, y]), 5, 3)
    return keras.Model(image, layers.Dense(4)(layers.GlobalAveragePooling2D()(y)))


PAIR = Pair(
    "mobilevit", MobileViT, mobilevit, numbers(2, 3, HEIGHT, BREADTH), {"order": (0, 1, 3, 2, 4, 5)},
    begins="activation:block.conv_proj.0", slow=True,
)  # fmt: skip
