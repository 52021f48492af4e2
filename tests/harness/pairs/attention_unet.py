"""A U-Net whose skips pass through gates; the mistake forgets the ReLU in the gates."""

import keras
import torch
from keras import layers
from torch import nn

from pairs.pair import Pair, numbers


def conv(into, out):
    return nn.Sequential(nn.Conv2d(into, out, 3, padding=1), nn.BatchNorm2d(out), nn.ReLU(inplace=True))


class AttentionGate(nn.Module):
    def __init__(self, width, inner):
        super().__init__()
        self.W_g = nn.Sequential(nn.Conv2d(width, inner, 1), nn.BatchNorm2d(inner))
        self.W_x = nn.Sequential(nn.Conv2d(width, inner, 1), nn.BatchNorm2d(inner))
        self.psi = nn.Sequential(nn.Conv2d(inner, 1, 1), nn.BatchNorm2d(1), nn.Sigmoid())
        self.relu = nn.ReLU()

    def forward(self, g, x):
        return x * self.psi(self.relu(self.W_g(g) + self.W_x(x)))


class AttentionUNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.Conv1, self.Conv2, self.Maxpool = conv(3, 4), conv(4, 6), nn.MaxPool2d(2, 2)
        self.Up = nn.Sequential(nn.Upsample(scale_factor=2), *conv(6, 4))
        self.Att, self.Up_conv, self.final = AttentionGate(4, 3), conv(8, 4), nn.Conv2d(4, 2, 1)

    def forward(self, x):
        x1 = self.Conv1(x)
        d = self.Up(self.Conv2(self.Maxpool(x1)))
        return self.final(self.Up_conv(torch.cat((self.Att(d, x1), d), 1)))


def conv_block(x, filters):
    x = layers.Conv2D(filters, 3, padding="same")(x)
    return layers.ReLU()(layers.BatchNormalization(epsilon=1e-5)(x))


def gate(x, g, inner, relu):
    theta = layers.BatchNormalization(epsilon=1e-5)(layers.Conv2D(inner, 1)(x))
    phi = layers.BatchNormalization(epsilon=1e-5)(layers.Conv2D(inner, 1)(g))
    f = layers.Add()([phi, theta])
    f = layers.Activation("relu")(f) if relu else f
    psi = layers.BatchNormalization(epsilon=1e-5)(layers.Conv2D(1, 1)(f))
    return layers.Multiply()([x, layers.Activation("sigmoid")(psi)])


def attention_unet(relu=True):
    image = keras.Input((10, 6, 3))
    skip = conv_block(image, 4)
    x = conv_block(layers.MaxPooling2D()(skip), 6)
    up = conv_block(layers.UpSampling2D()(x), 4)
    x = conv_block(layers.Concatenate()([gate(skip, up, 3, relu), up]), 4)
    return keras.Model(image, layers.Conv2D(2, 1)(x))


PAIR = Pair(
    "attention-unet", AttentionUNet, attention_unet, numbers(2, 3, 10, 6), {"relu": False},
    begins="activation:Att.psi.0", slow=True,
)  # fmt: skip
