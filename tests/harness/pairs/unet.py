"""U-Net: skips joined with what comes up; the mistake joins them in the other order."""

import keras
from keras import layers
from nets_to_translate import UNet

from pairs.pair import Pair, numbers


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
