"""ShuffleNet: grouped 1 × 1 convolutions and a channel shuffle; the mistake shuffles the other way round."""

import keras
from keras import layers, ops
from torch import nn

from pairs.pair import Pair, numbers

GROUPS = 3


def channel_shuffle(x):
    n, c, h, w = x.shape
    return x.view(n, GROUPS, c // GROUPS, h, w).transpose(1, 2).reshape(n, c, h, w)


class ShuffleUnit(nn.Module):
    def __init__(self, width):
        super().__init__()
        inner = 6
        self.g_conv_1, self.bn1 = nn.Conv2d(width, inner, 1, groups=GROUPS, bias=False), nn.BatchNorm2d(inner)
        self.depthwise, self.bn2 = (
            nn.Conv2d(inner, inner, 3, padding=1, groups=inner, bias=False),
            nn.BatchNorm2d(inner),
        )
        self.g_conv_2, self.bn3 = nn.Conv2d(inner, width, 1, groups=GROUPS, bias=False), nn.BatchNorm2d(width)

    def forward(self, x):
        y = channel_shuffle(self.bn1(self.g_conv_1(x)).relu())
        return (x + self.bn3(self.g_conv_2(self.bn2(self.depthwise(y))))).relu()


class ShuffleNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.stage, self.fc = nn.Sequential(ShuffleUnit(9), ShuffleUnit(9)), nn.Linear(9, 4)

    def forward(self, x):
        return self.fc(self.stage(x).mean((2, 3)))


class ChannelShuffle(layers.Layer):
    def __init__(self, split, **kwargs):
        super().__init__(**kwargs)
        self.split = split

    def call(self, x):
        _, h, w, c = x.shape
        y = ops.reshape(x, (-1, h, w, self.split, c // self.split))
        return ops.reshape(ops.transpose(y, (0, 1, 2, 4, 3)), (-1, h, w, c))


def shuffle_unit(x, split):
    y = layers.Conv2D(6, 1, groups=GROUPS, use_bias=False)(x)
    y = layers.Activation("relu")(layers.BatchNormalization(epsilon=1e-5)(y))
    y = ChannelShuffle(split)(y)
    y = layers.DepthwiseConv2D(3, padding="same", use_bias=False)(y)
    y = layers.BatchNormalization(epsilon=1e-5)(y)
    y = layers.Conv2D(x.shape[-1], 1, groups=GROUPS, use_bias=False)(y)
    y = layers.BatchNormalization(epsilon=1e-5)(y)
    return layers.Activation("relu")(layers.Add()([y, x]))


def shufflenet(split=GROUPS):
    image = keras.Input((7, 5, 9))
    x = shuffle_unit(shuffle_unit(image, split), split)
    return keras.Model(image, layers.Dense(4)(layers.GlobalAveragePooling2D()(x)))


PAIR = Pair(
    "shufflenet",
    ShuffleNet,
    shufflenet,
    numbers(2, 9, 7, 5),
    {"split": 2},
    begins="activation:stage.0.depthwise",
    slow=True,
)
