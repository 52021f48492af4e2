"""A radiance field with encoded positions; the mistake encodes sine and cosine in another order."""

import keras
import numpy as np
import torch
from keras import layers, ops
from torch import nn

from pairs.pair import Pair, numbers


def encode(x, frequencies):
    parts = [x]
    for k in range(frequencies):
        parts += [torch.sin(2.0**k * x), torch.cos(2.0**k * x)]
    return torch.cat(parts, -1)


class NeRF(nn.Module):
    def __init__(self):
        super().__init__()
        self.pts_linears = nn.ModuleList([nn.Linear(21, 8), nn.Linear(8, 8), nn.Linear(29, 8)])
        self.alpha_linear, self.feature_linear = nn.Linear(8, 1), nn.Linear(8, 8)
        self.views_linear, self.rgb_linear = nn.Linear(17, 5), nn.Linear(5, 3)

    def forward(self, points, views):
        points, views = encode(points, 3), encode(views, 1)
        h = points
        for k, layer in enumerate(self.pts_linears):
            h = layer(torch.cat([points, h], -1) if k == 2 else h).relu()
        alpha, feature = self.alpha_linear(h), self.feature_linear(h)
        rgb = self.rgb_linear(self.views_linear(torch.cat([feature, views], -1)).relu())
        return torch.cat([rgb.sigmoid(), alpha.relu()], -1)


class PositionalEncoding(layers.Layer):
    def __init__(self, frequencies, interleaved, **kwargs):
        super().__init__(**kwargs)
        self.frequencies, self.interleaved = frequencies, interleaved

    def call(self, x):
        scaled = [2.0**k * x for k in range(self.frequencies)]
        if self.interleaved:
            waves = [wave(y) for y in scaled for wave in (ops.sin, ops.cos)]
        else:
            waves = [wave(y) for wave in (ops.sin, ops.cos) for y in scaled]
        return ops.concatenate([x, *waves], axis=-1)


def nerf(interleaved=True):
    points, views = keras.Input((None, 3), name="points"), keras.Input((None, 3), name="directions")
    encoded = PositionalEncoding(3, interleaved)(points)
    x = layers.Dense(8, activation="relu")(encoded)
    x = layers.Dense(8, activation="relu")(x)
    x = layers.Dense(8, activation="relu")(layers.Concatenate()([encoded, x]))
    bottleneck, sigma = layers.Dense(8, name="bottleneck")(x), layers.Dense(1, activation="relu", name="sigma")(x)
    y = layers.Concatenate()([bottleneck, PositionalEncoding(1, interleaved)(views)])
    color = layers.Dense(3, activation="sigmoid", name="rgb")(layers.Dense(5, activation="relu")(y))
    return keras.Model([points, views], layers.Concatenate()([color, sigma]))


POINTS = np.random.RandomState(0).uniform(-1, 1, (2, 6, 3))
PAIR = Pair("nerf", NeRF, nerf, (POINTS, numbers(2, 6, 3)), {"interleaved": False}, begins="activation:pts_linears.0")
