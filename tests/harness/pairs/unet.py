"""U-Net: skips joined with what comes up; the mistake joins them in the other order."""

import keras
import torch
from keras import layers
from torch import nn

from pairs.pair import Pair, numbers


class DoubleConv(nn.Module):
    def __init__(self, into, out):
        super().__init__()
        self.double_conv = nn.Sequential(
            nn.Conv2d(into, out, 3, padding=1, bias=False), nn.BatchNorm2d(out), nn.ReLU(inplace=True),
            nn.Conv2d(out, out, 3, padding=1, bias=False), nn.BatchNorm2d(out), nn.ReLU(inplace=True),
        )  # fmt: skip

    def forward(self, x):
        return self.double_conv(x)


class UNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.inc, self.down1, self.down2 = DoubleConv(3, 4), DoubleConv(4, 6), DoubleConv(6, 8)
        self.pool = nn.MaxPool2d(2)
        self.up1, self.conv1 = nn.ConvTranspose2d(8, 6, 2, stride=2), DoubleConv(12, 6)
        self.up2, self.conv2 = nn.ConvTranspose2d(6, 4, 2, stride=2), DoubleConv(8, 4)
        self.outc = nn.Conv2d(4, 2, 1)

    def forward(self, x):
        x1 = self.inc(x)
        x2 = self.down1(self.pool(x1))
        x = self.down2(self.pool(x2))
        x = self.conv1(torch.cat([x2, self.up1(x)], 1))
        return self.outc(self.conv2(torch.cat([x1, self.up2(x)], 1)))


def double_conv(x, filters):
    for _ in range(2):
        x = layers.Conv2D(filters, 3, padding="same", use_bias=False, kernel_initializer="he_normal")(x)
        x = layers.Activation("relu")(layers.BatchNormalization(epsilon=1e-5)(x))
    return x


def unet(skip_first=True):
    image = keras.Input((12, 8, 3))
    x, skips = image, []
    for filters in (4, 6):
        x = double_conv(x, filters)
        skips.append(x)
        x = layers.MaxPooling2D()(x)
    x = double_conv(x, 8)
    for filters in (6, 4):
        x = layers.Conv2DTranspose(filters, 2, strides=2)(x)
        x = layers.Concatenate()([skips.pop(), x] if skip_first or filters == 6 else [x, skips.pop()])
        x = double_conv(x, filters)
    return keras.Model(image, layers.Conv2D(2, 1)(x))


PAIR = Pair(
    "unet", UNet, unet, numbers(2, 3, 12, 8), {"skip_first": False}, begins="activation:conv2.double_conv.0", slow=True,
)  # fmt: skip
