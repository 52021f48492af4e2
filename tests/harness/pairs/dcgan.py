"""DCGAN's generator; the mistake paints by a sigmoid, and not by a tanh."""

import keras
from keras import layers
from torch import nn

from pairs.pair import Pair, numbers


class Generator(nn.Module):
    def __init__(self):
        super().__init__()
        self.main = nn.Sequential(
            nn.ConvTranspose2d(7, 6, 3, 1, 0, bias=False), nn.BatchNorm2d(6), nn.ReLU(True),
            nn.ConvTranspose2d(6, 4, 4, 2, 1, bias=False), nn.BatchNorm2d(4), nn.ReLU(True),
            nn.ConvTranspose2d(4, 3, 4, 2, 1, bias=False), nn.Tanh(),
        )  # fmt: skip

    def forward(self, z):
        return self.main(z[:, :, None, None])


def generator(paint="tanh"):
    return keras.Sequential(
        [
            keras.Input((7,)),
            layers.Reshape((1, 1, 7)),
            layers.Conv2DTranspose(6, 3, use_bias=False),
            layers.BatchNormalization(momentum=0.9, epsilon=1e-5),
            layers.ReLU(),
            layers.Conv2DTranspose(4, 4, strides=2, padding="same", use_bias=False),
            layers.BatchNormalization(momentum=0.9, epsilon=1e-5),
            layers.ReLU(),
            layers.Conv2DTranspose(3, 4, strides=2, padding="same", use_bias=False, activation=paint),
        ]
    )


PAIR = Pair("dcgan", Generator, generator, numbers(5, 7), {"paint": "sigmoid"}, begins="activation:main.7")
