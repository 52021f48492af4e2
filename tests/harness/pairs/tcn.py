"""A temporal convolutional network, padded on both sides and chomped; the mistake forgets a dilation."""

import keras
from keras import layers
from torch import nn

from pairs.pair import Pair, numbers


class Chomp1d(nn.Module):
    def __init__(self, size):
        super().__init__()
        self.size = size

    def forward(self, x):
        return x[:, :, : -self.size].contiguous()


class TemporalBlock(nn.Module):
    def __init__(self, into, out, dilation):
        super().__init__()
        pad = 2 * dilation
        self.net = nn.Sequential(
            nn.Conv1d(into, out, 3, padding=pad, dilation=dilation), Chomp1d(pad), nn.ReLU(), nn.Dropout(0.2),
            nn.Conv1d(out, out, 3, padding=pad, dilation=dilation), Chomp1d(pad), nn.ReLU(), nn.Dropout(0.2),
        )  # fmt: skip
        self.downsample = nn.Conv1d(into, out, 1) if into != out else None
        self.relu = nn.ReLU()

    def forward(self, x):
        return self.relu(self.net(x) + (x if self.downsample is None else self.downsample(x)))


class TCN(nn.Module):
    def __init__(self):
        super().__init__()
        self.network = nn.Sequential(TemporalBlock(3, 5, 1), TemporalBlock(5, 5, 2), TemporalBlock(5, 4, 4))
        self.linear = nn.Linear(4, 6)

    def forward(self, x):
        return self.linear(self.network(x)[:, :, -1])


class ResidualBlock(layers.Layer):
    def __init__(self, filters, dilation, **kwargs):
        super().__init__(**kwargs)
        self.filters = filters
        options = {"padding": "causal", "dilation_rate": dilation, "activation": "relu"}
        self.convs = [layers.Conv1D(filters, 3, **options) for _ in range(2)]
        self.drops = [layers.SpatialDropout1D(0.2) for _ in range(2)]
        self.matching = layers.Conv1D(filters, 1, name="matching")

    def build(self, shape):
        inner = (*shape[:-1], self.filters)
        for layer, given in zip(self.convs, (shape, inner), strict=True):
            layer.build(given)
        self.matches = shape[-1] != self.filters
        if self.matches:
            self.matching.build(shape)

    def call(self, x):
        shortcut = self.matching(x) if self.matches else x
        for conv, drop in zip(self.convs, self.drops, strict=True):
            x = drop(conv(x))
        return keras.activations.relu(shortcut + x)


def tcn(dilations=(1, 2, 4)):
    sequence = keras.Input((25, 3))
    x = sequence
    for filters, dilation in zip((5, 5, 4), dilations, strict=True):
        x = ResidualBlock(filters, dilation)(x)
    return keras.Model(sequence, layers.Dense(6)(x[:, -1]))


PAIR = Pair(
    "tcn", TCN, tcn, numbers(2, 3, 25), {"dilations": (1, 2, 3)}, begins="activation:network.2.net.0", slow=True
)
