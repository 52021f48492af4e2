"""WaveNet: dilated causal convolutions, gates, skips; the mistake pads one of them on both sides."""

import keras
from keras import layers
from torch import nn

from pairs.pair import Pair, numbers


class ResidualBlock(nn.Module):
    def __init__(self, dilation):
        super().__init__()
        self.pad = nn.ConstantPad1d((dilation, 0), 0.0)
        self.filter_conv, self.gate_conv = (nn.Conv1d(4, 6, 2, dilation=dilation) for _ in range(2))
        self.residual_conv, self.skip_conv = nn.Conv1d(6, 4, 1), nn.Conv1d(6, 5, 1)

    def forward(self, x):
        padded = self.pad(x)
        y = self.filter_conv(padded).tanh() * self.gate_conv(padded).sigmoid()
        return x + self.residual_conv(y), self.skip_conv(y)


class WaveNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.start_conv = nn.Conv1d(3, 4, 1)
        self.blocks = nn.ModuleList(ResidualBlock(2**k) for k in range(3))
        self.end_conv_1, self.end_conv_2 = nn.Conv1d(5, 7, 1), nn.Conv1d(7, 8, 1)

    def forward(self, x):
        x, total = self.start_conv(x), 0
        for block in self.blocks:
            x, skip = block(x)
            total = total + skip
        return self.end_conv_2(self.end_conv_1(total.relu()).relu())


def residual_block(x, dilation, padding):
    gate = layers.Conv1D(6, 2, dilation_rate=dilation, padding=padding, activation="sigmoid")(x)
    wave = layers.Conv1D(6, 2, dilation_rate=dilation, padding=padding, activation="tanh")(x)
    z = layers.Multiply()([wave, gate])
    skip = layers.Conv1D(5, 1)(z)
    return layers.Add()([layers.Conv1D(4, 1)(z), x]), skip


def wavenet(padding="causal"):
    wave = keras.Input((19, 3))
    x, skips = layers.Conv1D(4, 1)(wave), []
    for k in range(3):
        x, skip = residual_block(x, 2**k, padding if k == 1 else "causal")
        skips.append(skip)
    x = layers.Activation("relu")(layers.Add()(skips))
    x = layers.Conv1D(7, 1, activation="relu")(x)
    return keras.Model(wave, layers.Conv1D(8, 1)(x))


PAIR = Pair(
    "wavenet",
    WaveNet,
    wavenet,
    numbers(2, 3, 19),
    {"padding": "same"},
    begins="activation:blocks.1.filter_conv",
    slow=True,
)
