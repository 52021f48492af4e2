"""Twin towers with shared weights; the mistake compares by squares, not by magnitudes."""

import keras
from keras import layers, ops
from torch import nn

from pairs.pair import Pair, numbers


class Siamese(nn.Module):
    def __init__(self):
        super().__init__()
        self.cnn = nn.Sequential(nn.Conv2d(2, 4, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(4, 5, 2), nn.ReLU())
        self.embed, self.out = nn.Sequential(nn.Linear(5 * 3 * 2, 6), nn.Sigmoid()), nn.Linear(6, 1)

    def tower(self, x):
        return self.embed(self.cnn(x).flatten(1))

    def forward(self, left, right):
        return self.out((self.tower(left) - self.tower(right)).abs())


def siamese(distance=ops.abs):
    tower = keras.Sequential(
        [
            keras.Input((10, 8, 2)), layers.Conv2D(4, 3, activation="relu"), layers.MaxPooling2D(),
            layers.Conv2D(5, 2, activation="relu"), layers.Flatten(), layers.Dense(6, activation="sigmoid"),
        ],
        name="tower",
    )  # fmt: skip
    left, right = keras.Input((10, 8, 2), name="left"), keras.Input((10, 8, 2), name="right")
    apart = layers.Lambda(lambda pair: distance(pair[0] - pair[1]))([tower(left), tower(right)])
    return keras.Model([left, right], layers.Dense(1)(apart))


PAIR = Pair(
    "siamese", Siamese, siamese, (numbers(3, 2, 10, 8), numbers(3, 2, 10, 8, seed=1)), {"distance": ops.square},
    begins="activation:out",
)  # fmt: skip
