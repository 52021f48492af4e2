"""A convolutional autoencoder; the mistake interpolates where PyTorch repeats the nearest."""

import keras
from keras import layers
from torch import nn

from pairs.pair import Pair, numbers


class Autoencoder(nn.Module):
    def __init__(self):
        super().__init__()
        self.encoder = nn.Sequential(
            nn.Conv2d(3, 6, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
            nn.Conv2d(6, 4, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
        )  # fmt: skip
        self.code, self.back = nn.Linear(4 * 3 * 2, 5), nn.Linear(5, 4 * 3 * 2)
        self.decoder = nn.Sequential(
            nn.Upsample(scale_factor=2), nn.Conv2d(4, 6, 3, padding=1), nn.ReLU(),
            nn.Upsample(scale_factor=2), nn.Conv2d(6, 3, 3, padding=1), nn.Sigmoid(),
        )  # fmt: skip

    def forward(self, x):
        y = self.back(self.code(self.encoder(x).flatten(1))).relu()
        return self.decoder(y.view(-1, 4, 3, 2))


def autoencoder(interpolation="nearest"):
    image = keras.Input((12, 8, 3))
    x = layers.MaxPooling2D((2, 2))(layers.Conv2D(6, (3, 3), activation="relu", padding="same")(image))
    x = layers.MaxPooling2D((2, 2))(layers.Conv2D(4, (3, 3), activation="relu", padding="same")(x))
    code = layers.Dense(5, name="code")(layers.Flatten()(layers.Permute((3, 1, 2))(x)))
    x = layers.Reshape((4, 3, 2))(layers.Dense(24, activation="relu")(code))
    x = layers.UpSampling2D((2, 2))(layers.Permute((2, 3, 1))(x))
    x = layers.Conv2D(6, (3, 3), activation="relu", padding="same")(x)
    x = layers.UpSampling2D((2, 2), interpolation=interpolation)(x)
    return keras.Model(image, layers.Conv2D(3, (3, 3), activation="sigmoid", padding="same")(x))


PAIR = Pair(
    "autoencoder", Autoencoder, autoencoder, numbers(2, 3, 12, 8), {"interpolation": "bilinear"},
    begins="activation:decoder.3",
)  # fmt: skip
