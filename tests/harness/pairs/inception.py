"""An Inception block; the mistake is its average pooling, whose border Keras does not count."""

import keras
import torch
from keras import layers
from torch import nn

from pairs.pair import Pair, numbers


class BasicConv2d(nn.Module):
    def __init__(self, into, out, **kwargs):
        super().__init__()
        self.conv, self.bn = nn.Conv2d(into, out, bias=False, **kwargs), nn.BatchNorm2d(out, eps=0.001)

    def forward(self, x):
        return nn.functional.relu(self.bn(self.conv(x)), inplace=True)


class InceptionA(nn.Module):
    def __init__(self, into):
        super().__init__()
        self.branch1x1 = BasicConv2d(into, 4, kernel_size=1)
        self.branch5x5_1, self.branch5x5_2 = (
            BasicConv2d(into, 3, kernel_size=1), BasicConv2d(3, 4, kernel_size=5, padding=2)
        )  # fmt: skip
        self.branch3x3_1, self.branch3x3_2 = (
            BasicConv2d(into, 3, kernel_size=1), BasicConv2d(3, 5, kernel_size=(1, 3), padding=(0, 1))
        )  # fmt: skip
        self.avg_pool, self.branch_pool = nn.AvgPool2d(3, 1, 1), BasicConv2d(into, 4, kernel_size=1)

    def forward(self, x):
        branches = [
            self.branch1x1(x), self.branch5x5_2(self.branch5x5_1(x)), self.branch3x3_2(self.branch3x3_1(x)),
            self.branch_pool(self.avg_pool(x)),
        ]  # fmt: skip
        return torch.cat(branches, 1)


class Inception(nn.Module):
    def __init__(self):
        super().__init__()
        self.mixed, self.fc = InceptionA(6), nn.Linear(17, 5)

    def forward(self, x):
        return self.fc(self.mixed(x).mean((2, 3)))


def conv2d_bn(x, filters, rows, columns):
    x = layers.Conv2D(filters, (rows, columns), padding="same", use_bias=False)(x)
    return layers.Activation("relu")(layers.BatchNormalization(epsilon=1e-3)(x))


def inception(counts_border=True):
    image = keras.Input((9, 7, 6))
    pooled = layers.ZeroPadding2D(1)(image) if counts_border else image
    pooled = layers.AveragePooling2D(3, strides=1, padding="valid" if counts_border else "same")(pooled)
    pool = conv2d_bn(pooled, 4, 1, 1)
    three = conv2d_bn(conv2d_bn(image, 3, 1, 1), 5, 1, 3)
    five = conv2d_bn(conv2d_bn(image, 3, 1, 1), 4, 5, 5)
    one = conv2d_bn(image, 4, 1, 1)
    x = layers.Concatenate(name="mixed0")([one, five, three, pool])
    return keras.Model(image, layers.Dense(5)(layers.GlobalAveragePooling2D()(x)))


PAIR = Pair(
    "inception", Inception, inception, numbers(2, 6, 9, 7), {"counts_border": False},
    begins="activation:mixed.avg_pool", slow=True,
)  # fmt: skip
