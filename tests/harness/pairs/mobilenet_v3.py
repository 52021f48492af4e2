"""MobileNetV3: hard swish, hard sigmoid in its squeeze-and-excitation; the mistake is the smooth swish."""

import keras
from keras import layers
from torch import nn

from pairs.pair import Pair, numbers


class SqueezeExcitation(nn.Module):
    def __init__(self, width, reduced):
        super().__init__()
        self.avgpool, self.fc1, self.relu = nn.AdaptiveAvgPool2d(1), nn.Conv2d(width, reduced, 1), nn.ReLU()
        self.fc2, self.scale_activation = nn.Conv2d(reduced, width, 1), nn.Hardsigmoid()

    def forward(self, x):
        return self.scale_activation(self.fc2(self.relu(self.fc1(self.avgpool(x))))) * x


def conv(into, out, kernel, stride=1, groups=1, activation=nn.Hardswish):
    inner = [
        nn.Conv2d(into, out, kernel, stride, (kernel - 1) // 2, groups=groups, bias=False),
        nn.BatchNorm2d(out, eps=1e-3, momentum=0.01),
    ]
    return nn.Sequential(*inner, *([activation(inplace=True)] if activation else []))


class InvertedResidual(nn.Module):
    def __init__(self, width, inner, activation):
        super().__init__()
        self.block = nn.Sequential(
            conv(width, inner, 1, activation=activation), conv(inner, inner, 5, 1, inner, activation),
            SqueezeExcitation(inner, 3), conv(inner, width, 1, activation=None),
        )  # fmt: skip

    def forward(self, x):
        return x + self.block(x)


class MobileNetV3(nn.Module):
    def __init__(self):
        super().__init__()
        self.features = nn.Sequential(
            conv(3, 4, 3, 2), InvertedResidual(4, 6, nn.ReLU), InvertedResidual(4, 8, nn.Hardswish), conv(4, 10, 1)
        )
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.classifier = nn.Sequential(
            nn.Linear(10, 12), nn.Hardswish(inplace=True), nn.Dropout(0.2), nn.Linear(12, 5)
        )

    def forward(self, x):
        return self.classifier(self.avgpool(self.features(x)).flatten(1))


def batch_norm(x):
    return layers.BatchNormalization(epsilon=1e-3, momentum=0.99)(x)


def residual(x, inner, activation):
    y = batch_norm(layers.Conv2D(inner, 1, use_bias=False)(x))
    y = layers.Activation(activation)(y)
    y = batch_norm(layers.DepthwiseConv2D(5, padding="same", use_bias=False)(y))
    y = layers.Activation(activation)(y)
    se = layers.GlobalAveragePooling2D(keepdims=True)(y)
    se = layers.Conv2D(3, 1, activation="relu")(se)
    se = layers.Conv2D(inner, 1, activation="hard_sigmoid")(se)
    y = layers.Multiply()([y, se])
    return layers.Add()([x, batch_norm(layers.Conv2D(x.shape[-1], 1, use_bias=False)(y))])


def mobilenet_v3(swish="hard_swish"):
    image = keras.Input((14, 10, 3))
    x = layers.ZeroPadding2D(1)(image)
    x = batch_norm(layers.Conv2D(4, 3, strides=2, use_bias=False)(x))
    x = layers.Activation("hard_swish")(x)
    x = residual(residual(x, 6, "relu"), 8, swish)
    x = layers.Activation("hard_swish")(batch_norm(layers.Conv2D(10, 1, use_bias=False)(x)))
    x = layers.GlobalAveragePooling2D()(x)
    x = layers.Dropout(0.2)(layers.Dense(12, activation="hard_swish")(x))
    return keras.Model(image, layers.Dense(5)(x))


PAIR = Pair(
    "mobilenet-v3", MobileNetV3, mobilenet_v3, numbers(2, 3, 14, 10), {"swish": "swish"},
    begins="activation:features.2.block.0.2", slow=True,
)  # fmt: skip
