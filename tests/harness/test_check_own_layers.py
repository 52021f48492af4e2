"""`parity.check` on keras_blitz's own layers: their weights are paired, right ports pass, a wrong setting does not."""

import keras
import numpy as np
import pytest

import parity
from keras_blitz import layers

pytestmark = [pytest.mark.torch, pytest.mark.covers("L5")]

torch = pytest.importorskip("torch", reason="needs PyTorch: pip install 'keras-blitz[torch]'")
nn, kl = torch.nn, keras.layers


def noise(*shape):
    return np.random.RandomState(0).randn(*shape)


class Outputs(nn.Module):
    """A recurrent module whose output alone is handed on."""

    def __init__(self, net, classes=3):
        super().__init__()
        self.net, self.fc = net, nn.LazyLinear(classes)

    def forward(self, x):
        return self.fc(self.net(x)[0])


class Attending(nn.Module):
    """Attention of a sequence to itself, whose output alone is handed on."""

    def __init__(self):
        super().__init__()
        self.fc, self.net = nn.Linear(3, 6), nn.MultiheadAttention(6, 2, batch_first=True)

    def forward(self, x):
        x = self.fc(x)
        return self.net(x, x, x)[0]


def model(shape, *layers_):
    x = inputs = keras.Input(shape)
    for layer in layers_:
        x = layer(x)
        x = x[0] if isinstance(x, tuple | list) else x
    return keras.Model(inputs, x)


def recurrent(kind, size, **options):
    made = Outputs(getattr(nn, kind)(3, size, 2, batch_first=True, **options))
    made(torch.zeros(2, 5, 3))
    return made


def bags(*inner):
    x = inputs = keras.Input((5,), dtype="int64")
    for layer in (*inner, kl.Dense(2)):
        x = layer(x)
    return keras.Model(inputs, x)


def upsampled(mode):
    up = layers.ConvTranspose2d(4, 3, 2, 1, 1)
    return model((5, 4, 2), up, layers.Upsample(None, 2, mode), layers.AvgPool2d(3))


# PyTorch's module, the right port, a port with one thing wrong, an input in PyTorch's layout
PAIRS = {
    "group-norm": (
        lambda: nn.Sequential(nn.Conv2d(2, 6, 3), nn.GroupNorm(3, 6)),
        lambda: model((8, 9, 2), kl.Conv2D(6, 3), layers.GroupNorm(3)),
        lambda: model((8, 9, 2), kl.Conv2D(6, 3), layers.GroupNorm(2)),
        noise(2, 2, 8, 9),
    ),
    "instance-norm": (
        lambda: nn.Sequential(nn.Conv2d(2, 6, 3), nn.InstanceNorm2d(6, affine=True)),
        lambda: model((8, 9, 2), kl.Conv2D(6, 3), layers.InstanceNorm(affine=True)),
        lambda: model((8, 9, 2), kl.Conv2D(6, 3), layers.InstanceNorm(1e-2, affine=True)),
        noise(2, 2, 8, 9),
    ),
    "layer-norm": (
        lambda: nn.Sequential(nn.Linear(3, 6), nn.LayerNorm(6), nn.Linear(6, 4), nn.RMSNorm(4)),
        lambda: model((5, 3), kl.Dense(6), layers.LayerNorm(6), kl.Dense(4), layers.RMSNorm(4)),
        lambda: model((5, 3), kl.Dense(6), layers.LayerNorm(6), kl.Dense(4), layers.RMSNorm(4, 1e-2)),
        noise(2, 5, 3),
    ),
    "lstm": (
        lambda: recurrent("LSTM", 4, bidirectional=True),
        lambda: model((5, 3), layers.LSTM(4, 2, bidirectional=True), kl.Dense(3)),
        lambda: model((5, 3), layers.LSTM(4, 2, bidirectional=True, batch_first=False), kl.Dense(3)),
        noise(2, 5, 3),
    ),
    "gru": (
        lambda: recurrent("GRU", 4),
        lambda: model((5, 3), layers.GRU(4, 2), kl.Dense(3)),
        lambda: model((5, 3), layers.GRU(4, 2, batch_first=False), kl.Dense(3)),
        noise(2, 5, 3),
    ),
    "attention": (
        Attending,
        lambda: model((5, 3), kl.Dense(6), layers.MultiheadAttention(6, 2)),
        lambda: model((5, 3), kl.Dense(6), layers.MultiheadAttention(6, 3)),
        noise(2, 5, 3),
    ),
    "upsampled": (
        lambda: nn.Sequential(nn.ConvTranspose2d(2, 4, 3, 2, 1, 1), nn.Upsample(None, 2, "bicubic"), nn.AvgPool2d(3)),
        lambda: upsampled("bicubic"),
        lambda: upsampled("bilinear"),
        noise(2, 2, 5, 4),
    ),
    "embedding-bag": (
        lambda: nn.Sequential(nn.EmbeddingBag(7, 4), nn.Linear(4, 2)),
        lambda: bags(layers.EmbeddingBag(7, 4)),
        lambda: bags(layers.EmbeddingBag(7, 4, mode="sum")),
        np.random.RandomState(0).randint(0, 7, (3, 5)),
    ),
    "embedding-bag-of-keras": (
        lambda: nn.Sequential(nn.EmbeddingBag(7, 4), nn.Linear(4, 2)),
        lambda: bags(kl.Embedding(7, 4), kl.GlobalAveragePooling1D()),
        lambda: bags(kl.Embedding(7, 4), kl.GlobalMaxPooling1D()),
        np.random.RandomState(0).randint(0, 7, (3, 5)),
    ),
    "cells": (
        lambda: nn.Sequential(nn.Linear(3, 4), nn.GRUCell(4, 5), nn.RNNCell(5, 2)),
        lambda: model((3,), kl.Dense(4), layers.GRUCell(5), layers.RNNCell(2)),
        lambda: model((3,), kl.Dense(4), layers.GRUCell(5), layers.RNNCell(2, nonlinearity="relu")),
        noise(3, 3),
    ),
}


@pytest.mark.parametrize("name", PAIRS)
def test_a_right_port_passes_and_a_wrong_one_does_not(name):
    module, right, wrong, given = PAIRS[name]
    report = parity.check(
        module(), right(), given, dtypes=("float64",) if name != "group-norm" else ("float64", "float32")
    )
    assert report.passed, str(report)
    assert not parity.check(module(), wrong(), given, dtypes=("float64",)).passed
