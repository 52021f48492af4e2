"""DenseNet: each layer sees all before it; the mistake concatenates the new features first."""

import keras
import torch
from keras import layers
from torch import nn

from pairs.pair import Pair, numbers


class DenseLayer(nn.Module):
    def __init__(self, into):
        super().__init__()
        self.norm1, self.relu1, self.conv1 = nn.BatchNorm2d(into), nn.ReLU(), nn.Conv2d(into, 6, 1, bias=False)
        self.norm2, self.relu2, self.conv2 = nn.BatchNorm2d(6), nn.ReLU(), nn.Conv2d(6, 3, 3, padding=1, bias=False)

    def forward(self, features):
        x = self.conv1(self.relu1(self.norm1(torch.cat(features, 1))))
        return self.conv2(self.relu2(self.norm2(x)))


class DenseBlock(nn.ModuleDict):
    def __init__(self, into):
        super().__init__({f"denselayer{k + 1}": DenseLayer(into + 3 * k) for k in range(3)})

    def forward(self, x):
        features = [x]
        for layer in self.values():
            features.append(layer(features))
        return torch.cat(features, 1)


class DenseNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.features = nn.Sequential()
        self.features.add_module("conv0", nn.Conv2d(3, 4, 3, padding=1, bias=False))
        self.features.add_module("denseblock1", DenseBlock(4))
        self.features.add_module("transition_norm", nn.BatchNorm2d(13))
        self.features.add_module("transition_relu", nn.ReLU())
        self.features.add_module("transition_conv", nn.Conv2d(13, 6, 1, bias=False))
        self.features.add_module("transition_pool", nn.AvgPool2d(2))
        self.classifier = nn.Linear(6, 5)

    def forward(self, x):
        return self.classifier(self.features(x).mean((2, 3)))


def conv_block(x, name, newest_first):
    y = layers.BatchNormalization(epsilon=1e-5, name=name + "_0_bn")(x)
    y = layers.Conv2D(6, 1, use_bias=False, name=name + "_1_conv")(layers.Activation("relu", name=name + "_0_relu")(y))
    y = layers.BatchNormalization(epsilon=1e-5, name=name + "_1_bn")(y)
    y = layers.Activation("relu", name=name + "_1_relu")(y)
    y = layers.Conv2D(3, 3, padding="same", use_bias=False, name=name + "_2_conv")(y)
    return layers.Concatenate(name=name + "_concat")([y, x] if newest_first else [x, y])


def densenet(newest_first=False):
    image = keras.Input((10, 6, 3))
    x = layers.Conv2D(4, 3, padding="same", use_bias=False, name="conv1_conv")(image)
    for k in range(3):
        x = conv_block(x, f"conv2_block{k + 1}", newest_first)
    x = layers.BatchNormalization(epsilon=1e-5, name="pool2_bn")(x)
    x = layers.Activation("relu", name="pool2_relu")(x)
    x = layers.Conv2D(6, 1, use_bias=False, name="pool2_conv")(x)
    x = layers.AveragePooling2D(2, name="pool2_pool")(x)
    x = layers.GlobalAveragePooling2D(name="avg_pool")(x)
    return keras.Model(image, layers.Dense(5, name="predictions")(x))


PAIR = Pair(
    "densenet", DenseNet, densenet, numbers(2, 3, 10, 6), {"newest_first": True},
    begins="activation:features.denseblock1.denselayer2.norm1", slow=True,
)  # fmt: skip
