"""ConvNeXt: LayerNorm2d, depthwise 7 × 7, layer scale; the mistake is the approximate gelu."""

import keras
import torch
from keras import layers
from torch import nn

from pairs.pair import Pair, numbers


class LayerNorm2d(nn.LayerNorm):
    def forward(self, x):
        return super().forward(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


class Block(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.conv_dw = nn.Conv2d(width, width, 7, padding=3, groups=width)
        self.norm = nn.LayerNorm(width, eps=1e-6)
        self.fc1, self.act, self.fc2 = nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width)
        self.gamma = nn.Parameter(torch.full((width,), 0.5))

    def forward(self, x):
        y = self.norm(self.conv_dw(x).permute(0, 2, 3, 1))
        return x + (self.gamma * self.fc2(self.act(self.fc1(y)))).permute(0, 3, 1, 2)


class ConvNeXt(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 6, 2, stride=2), LayerNorm2d(6, eps=1e-6))
        self.stages = nn.Sequential(Block(6), LayerNorm2d(6, eps=1e-6), nn.Conv2d(6, 8, 2, stride=2), Block(8))
        self.norm, self.head = nn.LayerNorm(8, eps=1e-6), nn.Linear(8, 5)

    def forward(self, x):
        return self.head(self.norm(self.stages(self.stem(x)).mean((2, 3))))


class LayerScale(layers.Layer):
    """As in keras.applications."""

    def build(self, shape):
        self.gamma = self.add_weight(shape=(shape[-1],), initializer="ones", name="gamma")

    def call(self, x):
        return x * self.gamma


def block(x, width, name, gelu):
    y = layers.Conv2D(width, 7, padding="same", groups=width, name=f"{name}_depthwise_conv")(x)
    y = layers.LayerNormalization(epsilon=1e-6, name=f"{name}_layernorm")(y)
    y = layers.Dense(4 * width, name=f"{name}_pointwise_conv_1")(y)
    y = layers.Activation(gelu, name=f"{name}_gelu")(y)
    y = layers.Dense(width, name=f"{name}_pointwise_conv_2")(y)
    return layers.Add()([LayerScale(name=f"{name}_layer_scale")(y), x])


def tanh_gelu(x):
    return keras.activations.gelu(x, approximate=True)


def convnext(gelu="gelu"):
    image = keras.Input((20, 12, 3))
    x = layers.Conv2D(6, 2, strides=2, name="stem_conv")(image)
    x = layers.LayerNormalization(epsilon=1e-6, name="stem_layernorm")(x)
    x = block(x, 6, "stage_0", gelu)
    x = layers.LayerNormalization(epsilon=1e-6, name="downsampling_layernorm")(x)
    x = layers.Conv2D(8, 2, strides=2, name="downsampling_conv")(x)
    x = block(x, 8, "stage_1", gelu)
    x = layers.GlobalAveragePooling2D()(x)
    x = layers.LayerNormalization(epsilon=1e-6, name="head_layernorm")(x)
    return keras.Model(image, layers.Dense(5, name="head_dense")(x))


PAIR = Pair(
    "convnext",
    ConvNeXt,
    convnext,
    numbers(2, 3, 20, 12),
    {"gelu": tanh_gelu},
    begins="activation:stages.0.act",
    slow=True,
)
