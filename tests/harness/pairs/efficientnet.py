"""EfficientNet: MBConv with squeeze-and-excitation; the mistake is Keras's "same" where a stride follows."""

import keras
from keras import layers
from torch import nn

from pairs.pair import Pair, numbers


def norm(width):
    return nn.BatchNorm2d(width, eps=1e-3, momentum=0.01)


class SqueezeExcite(nn.Module):
    def __init__(self, width, reduced):
        super().__init__()
        self.conv_reduce, self.conv_expand = nn.Conv2d(width, reduced, 1), nn.Conv2d(reduced, width, 1)
        self.act = nn.SiLU()

    def forward(self, x):
        return x * self.conv_expand(self.act(self.conv_reduce(x.mean((2, 3), keepdim=True)))).sigmoid()


class MBConv(nn.Module):
    def __init__(self, into, out, stride):
        super().__init__()
        inner = 3 * into
        self.conv_pw, self.bn1, self.act1 = nn.Conv2d(into, inner, 1, bias=False), norm(inner), nn.SiLU()
        self.conv_dw = nn.Conv2d(inner, inner, 3, stride, 1, groups=inner, bias=False)
        self.bn2, self.act2 = norm(inner), nn.SiLU()
        self.se, self.conv_pwl, self.bn3 = SqueezeExcite(inner, 2), nn.Conv2d(inner, out, 1, bias=False), norm(out)
        self.skip = stride == 1 and into == out

    def forward(self, x):
        y = self.act1(self.bn1(self.conv_pw(x)))
        y = self.bn3(self.conv_pwl(self.se(self.act2(self.bn2(self.conv_dw(y))))))
        return x + y if self.skip else y


class EfficientNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv_stem, self.bn1, self.act1 = nn.Conv2d(3, 4, 3, 2, 1, bias=False), norm(4), nn.SiLU()
        self.blocks = nn.Sequential(MBConv(4, 5, 2), MBConv(5, 5, 1))
        self.conv_head, self.bn2, self.act2 = nn.Conv2d(5, 9, 1, bias=False), norm(9), nn.SiLU()
        self.classifier = nn.Linear(9, 7)

    def forward(self, x):
        x = self.blocks(self.act1(self.bn1(self.conv_stem(x))))
        return self.classifier(self.act2(self.bn2(self.conv_head(x))).mean((2, 3)))


def batch_norm(x, name):
    return layers.BatchNormalization(momentum=0.99, epsilon=1e-3, name=name)(x)


def mbconv(x, out, stride, name, pads):
    into, inner = x.shape[-1], 3 * x.shape[-1]
    y = layers.Conv2D(inner, 1, use_bias=False, name=f"{name}_expand_conv")(x)
    y = layers.Activation("swish", name=f"{name}_expand_activation")(batch_norm(y, f"{name}_expand_bn"))
    if stride == 2 and pads:
        y = layers.ZeroPadding2D(1, name=f"{name}_dwconv_pad")(y)
    padding = "valid" if stride == 2 and pads else "same"
    y = layers.DepthwiseConv2D(3, stride, padding, use_bias=False, name=f"{name}_dwconv")(y)
    y = layers.Activation("swish", name=f"{name}_activation")(batch_norm(y, f"{name}_bn"))
    se = layers.GlobalAveragePooling2D(keepdims=True, name=f"{name}_se_squeeze")(y)
    se = layers.Conv2D(2, 1, activation="swish", name=f"{name}_se_reduce")(se)
    se = layers.Conv2D(inner, 1, activation="sigmoid", name=f"{name}_se_expand")(se)
    y = layers.Multiply(name=f"{name}_se_excite")([y, se])
    y = batch_norm(layers.Conv2D(out, 1, use_bias=False, name=f"{name}_project_conv")(y), f"{name}_project_bn")
    return layers.Add(name=f"{name}_add")([y, x]) if stride == 1 and into == out else y


def efficientnet(pads=True):
    image = keras.Input((16, 12, 3))
    x = layers.ZeroPadding2D(1, name="stem_pad")(image)
    x = layers.Conv2D(4, 3, 2, use_bias=False, name="stem_conv")(x)
    x = layers.Activation("swish", name="stem_activation")(batch_norm(x, "stem_bn"))
    x = mbconv(mbconv(x, 5, 2, "block1a", pads), 5, 1, "block1b", pads)
    x = batch_norm(layers.Conv2D(9, 1, use_bias=False, name="top_conv")(x), "top_bn")
    x = layers.GlobalAveragePooling2D(name="avg_pool")(layers.Activation("swish", name="top_activation")(x))
    return keras.Model(image, layers.Dense(7, name="predictions")(x))


PAIR = Pair(
    "efficientnet", EfficientNet, efficientnet, numbers(2, 3, 16, 12), {"pads": False},
    begins="activation:blocks.0.conv_dw", slow=True,
)  # fmt: skip
