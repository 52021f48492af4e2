"""ResNet's bottleneck, the shortcut first; the mistake is Keras's stride, in the 1 × 1 and not the 3 × 3."""

import keras
from keras import layers
from torch import nn

from pairs.pair import Pair, numbers


class Bottleneck(nn.Module):
    def __init__(self, into, width, stride):
        super().__init__()
        out = 4 * width
        self.conv1, self.bn1 = nn.Conv2d(into, width, 1, bias=False), nn.BatchNorm2d(width)
        self.conv2, self.bn2 = nn.Conv2d(width, width, 3, stride, 1, bias=False), nn.BatchNorm2d(width)
        self.conv3, self.bn3 = nn.Conv2d(width, out, 1, bias=False), nn.BatchNorm2d(out)
        self.relu = nn.ReLU(inplace=True)
        self.downsample = None
        if stride > 1 or into != out:
            self.downsample = nn.Sequential(nn.Conv2d(into, out, 1, stride, bias=False), nn.BatchNorm2d(out))

    def forward(self, x):
        y = self.relu(self.bn1(self.conv1(x)))
        y = self.bn3(self.conv3(self.relu(self.bn2(self.conv2(y)))))
        return self.relu(y + (self.downsample(x) if self.downsample else x))


class ResNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer1 = nn.Sequential(Bottleneck(8, 2, 1), Bottleneck(8, 2, 1))
        self.layer2, self.fc = nn.Sequential(Bottleneck(8, 3, 2)), nn.Linear(12, 5)

    def forward(self, x):
        return self.fc(self.layer2(self.layer1(x)).mean((2, 3)))


def norm(x, name):
    return layers.BatchNormalization(axis=3, epsilon=1e-5, name=name)(x)


def block(x, filters, stride, name, stride_first):
    shortcut = x
    if stride > 1 or x.shape[-1] != 4 * filters:
        shortcut = layers.Conv2D(4 * filters, 1, strides=stride, use_bias=False, name=name + "_0_conv")(x)
        shortcut = norm(shortcut, name + "_0_bn")
    first = stride if stride_first else 1
    x = layers.Conv2D(filters, 1, strides=first, use_bias=False, name=name + "_1_conv")(x)
    x = layers.Activation("relu", name=name + "_1_relu")(norm(x, name + "_1_bn"))
    if stride > 1 and not stride_first:
        x = layers.ZeroPadding2D(1)(x)
        x = layers.Conv2D(filters, 3, strides=stride, use_bias=False, name=name + "_2_conv")(x)
    else:
        x = layers.Conv2D(filters, 3, padding="same", use_bias=False, name=name + "_2_conv")(x)
    x = layers.Activation("relu", name=name + "_2_relu")(norm(x, name + "_2_bn"))
    x = norm(layers.Conv2D(4 * filters, 1, use_bias=False, name=name + "_3_conv")(x), name + "_3_bn")
    return layers.Activation("relu", name=name + "_out")(layers.Add(name=name + "_add")([shortcut, x]))


def resnet(stride_first=False):
    image = keras.Input((8, 6, 8))
    x = block(image, 2, 1, "conv2_block1", stride_first)
    x = block(x, 2, 1, "conv2_block2", stride_first)
    x = block(x, 3, 2, "conv3_block1", stride_first)
    return keras.Model(image, layers.Dense(5, name="predictions")(layers.GlobalAveragePooling2D(name="avg_pool")(x)))


PAIR = Pair(
    "resnet-bottleneck", ResNet, resnet, numbers(2, 8, 8, 6), {"stride_first": True},
    begins="activation:layer2.0.conv1", slow=True,
)  # fmt: skip
