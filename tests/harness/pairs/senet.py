"""A squeeze-and-excitation residual block; the mistake squeezes by the maximum."""

import keras
from keras import layers
from torch import nn

from pairs.pair import Pair, numbers


class SELayer(nn.Module):
    def __init__(self, channels, reduction):
        super().__init__()
        self.avg_pool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Sequential(
            nn.Linear(channels, channels // reduction, bias=False), nn.ReLU(inplace=True),
            nn.Linear(channels // reduction, channels, bias=False), nn.Sigmoid(),
        )  # fmt: skip

    def forward(self, x):
        n, c, _, _ = x.shape
        return x * self.fc(self.avg_pool(x).view(n, c)).view(n, c, 1, 1)


class SEBasicBlock(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(width, width, 3, padding=1, bias=False), nn.BatchNorm2d(width)
        self.conv2, self.bn2 = nn.Conv2d(width, width, 3, padding=1, bias=False), nn.BatchNorm2d(width)
        self.relu, self.se = nn.ReLU(inplace=True), SELayer(width, 3)

    def forward(self, x):
        y = self.bn2(self.conv2(self.relu(self.bn1(self.conv1(x)))))
        return self.relu(self.se(y) + x)


class SENet(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem, self.layers = nn.Conv2d(3, 6, 3), nn.Sequential(SEBasicBlock(6), SEBasicBlock(6))
        self.fc = nn.Linear(6, 4)

    def forward(self, x):
        return self.fc(self.layers(self.stem(x)).mean((2, 3)))


def squeeze_excite(x, pool, ratio=3):
    filters = x.shape[-1]
    se = layers.Reshape((1, 1, filters))(pool()(x))
    se = layers.Dense(filters // ratio, activation="relu", use_bias=False)(se)
    return layers.Multiply()([x, layers.Dense(filters, activation="sigmoid", use_bias=False)(se)])


def senet(pool=layers.GlobalAveragePooling2D):
    image = keras.Input((9, 7, 3))
    x = layers.Conv2D(6, 3)(image)
    for _ in range(2):
        y = layers.Conv2D(6, 3, padding="same", use_bias=False)(x)
        y = layers.ReLU()(layers.BatchNormalization(epsilon=1e-5)(y))
        y = layers.Conv2D(6, 3, padding="same", use_bias=False)(y)
        y = squeeze_excite(layers.BatchNormalization(epsilon=1e-5)(y), pool)
        x = layers.ReLU()(layers.Add()([y, x]))
    return keras.Model(image, layers.Dense(4)(layers.GlobalAveragePooling2D()(x)))


PAIR = Pair(
    "senet", SENet, senet, numbers(2, 3, 9, 7), {"pool": layers.GlobalMaxPooling2D},
    begins="activation:layers.0.se.avg_pool", slow=True,
)  # fmt: skip
