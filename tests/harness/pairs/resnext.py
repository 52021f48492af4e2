"""ResNeXt: grouped convolutions; the mistake puts the last ReLU before the sum."""

import keras
from keras import layers
from torch import nn

from pairs.pair import Pair, numbers


class Block(nn.Module):
    def __init__(self, into, width, out, stride):
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(into, width, 1, bias=False), nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, stride, 1, groups=3, bias=False)
        self.bn2, self.conv3, self.bn3 = (
            nn.BatchNorm2d(width),
            nn.Conv2d(width, out, 1, bias=False),
            nn.BatchNorm2d(out),
        )
        self.shortcut = nn.Sequential(nn.Conv2d(into, out, 1, stride, bias=False), nn.BatchNorm2d(out))
        self.relu1, self.relu2, self.relu3 = nn.ReLU(), nn.ReLU(), nn.ReLU()

    def forward(self, x):
        y = self.relu2(self.bn2(self.conv2(self.relu1(self.bn1(self.conv1(x))))))
        return self.relu3(self.bn3(self.conv3(y)) + self.shortcut(x))


class ResNeXt(nn.Module):
    def __init__(self):
        super().__init__()
        self.blocks, self.fc = nn.Sequential(Block(3, 6, 8, 1), Block(8, 9, 10, 2)), nn.Linear(10, 4)

    def forward(self, x):
        return self.fc(self.blocks(x).mean((2, 3)))


class ResidualBlock(layers.Layer):
    """A layer of layers, each in its attribute."""

    def __init__(self, width, out, stride, relu_first, **kwargs):
        super().__init__(**kwargs)
        self.relu_first = relu_first
        self.project = keras.Sequential(
            [layers.Conv2D(out, 1, strides=stride, use_bias=False), layers.BatchNormalization(epsilon=1e-5)]
        )
        self.main = keras.Sequential(
            [
                layers.Conv2D(width, 1, use_bias=False), layers.BatchNormalization(epsilon=1e-5), layers.ReLU(),
                layers.ZeroPadding2D(1), layers.Conv2D(width, 3, strides=stride, groups=3, use_bias=False),
                layers.BatchNormalization(epsilon=1e-5), layers.ReLU(),
                layers.Conv2D(out, 1, use_bias=False), layers.BatchNormalization(epsilon=1e-5),
            ]
        )  # fmt: skip
        self.relu = layers.ReLU()

    def call(self, x):
        if self.relu_first:
            return self.project(x) + self.relu(self.main(x))
        return self.relu(self.project(x) + self.main(x))


class Classifier(keras.Model):
    def __init__(self, relu_first=False):
        super().__init__()
        self.body = keras.Sequential([ResidualBlock(6, 8, 1, relu_first), ResidualBlock(9, 10, 2, relu_first)])
        self.pool, self.head = layers.GlobalAveragePooling2D(), layers.Dense(4)

    def call(self, x):
        return self.head(self.pool(self.body(x)))


PAIR = Pair(
    "resnext",
    ResNeXt,
    Classifier,
    numbers(2, 3, 8, 6),
    {"relu_first": True},
    begins="activation:blocks.0.relu3",
    slow=True,
)
