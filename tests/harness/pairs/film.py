"""FiLM: a network whose features another input scales and shifts; the mistake lacks the one in the scale."""

import keras
import torch
from keras import layers
from torch import nn

from pairs.pair import Pair, numbers


class FiLM(nn.Module):
    def __init__(self, condition, channels):
        super().__init__()
        self.to_gamma, self.to_beta = nn.Linear(condition, channels), nn.Linear(condition, channels)

    def forward(self, x, condition):
        gamma, beta = self.to_gamma(condition)[..., None, None], self.to_beta(condition)[..., None, None]
        return (1 + gamma) * x + beta


class FilmedBlock(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1, self.conv2 = nn.Conv2d(5, 5, 1), nn.Conv2d(5, 5, 3, padding=1, bias=False)
        self.norm, self.film = nn.BatchNorm2d(5, affine=False), FiLM(4, 5)

    def forward(self, x, condition):
        x = self.conv1(x).relu()
        return x + self.film(self.norm(self.conv2(x)), condition).relu()


class FilmedNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem, self.block1, self.block2 = nn.Conv2d(3, 5, 3), FilmedBlock(), FilmedBlock()
        self.head = nn.Linear(5, 3)

    def forward(self, image, condition):
        x = self.block2(self.block1(self.stem(image), condition), condition)
        return self.head(torch.amax(x, (2, 3)))


def film(x, condition, one):
    channels = x.shape[-1]
    beta = layers.Reshape((1, 1, channels))(layers.Dense(channels, name=None)(condition))
    gamma = layers.Reshape((1, 1, channels))(layers.Dense(channels)(condition))
    scaled = layers.Multiply()([x, gamma])
    return layers.Add()([x, scaled, beta] if one else [scaled, beta])


def filmed(one=True):
    image, condition = keras.Input((9, 7, 3), name="image"), keras.Input((4,), name="condition")
    x = layers.Conv2D(5, 3)(image)
    for _ in range(2):
        x = layers.Conv2D(5, 1, activation="relu")(x)
        y = layers.Conv2D(5, 3, padding="same", use_bias=False)(x)
        y = layers.BatchNormalization(epsilon=1e-5, center=False, scale=False)(y)
        x = layers.Add()([x, layers.ReLU()(film(y, condition, one))])
    return keras.Model([image, condition], layers.Dense(3)(layers.GlobalMaxPooling2D()(x)))


PAIR = Pair(
    "film", FilmedNet, filmed, (numbers(2, 3, 9, 7), numbers(2, 4, seed=1)), {"one": False},
    begins="activation:block2.conv1", slow=True,
)  # fmt: skip
