"""N7, torchvision's VGG family (Simonyan, Zisserman 2014; torchvision/models/vgg.py)."""

from itertools import count

import keras

from keras_blitz.initializers import Normal, kaiming_fan_out
from keras_blitz.layers import AdaptiveAvgPool2d, BatchNorm, Conv2d, Dropout
from keras_blitz.models.network import Network

# channels of each 3×3 convolution; "M" is a max pooling
CONFIGS = {
    "vgg11": (64, "M", 128, "M", 256, 256, "M", 512, 512, "M", 512, 512, "M"),
    "vgg13": (64, 64, "M", 128, 128, "M", 256, 256, "M", 512, 512, "M", 512, 512, "M"),
    "vgg16": (64, 64, "M", 128, 128, "M", 256, 256, 256, "M", 512, 512, 512, "M", 512, 512, 512, "M"),
    "vgg19": (64, 64, "M", 128, 128, "M", *[256] * 4, "M", *[512] * 4, "M", *[512] * 4, "M"),
}


@keras.saving.register_keras_serializable("keras_blitz")
class VGG(Network):
    """Convolutions 3×3 with max pooling, three dense layers; vgg16 has 138,357,544 parameters.

    Args:
        variant: a key of `CONFIGS`, or one followed by `_bn`: batch normalization after each convolution.
        num_classes: size of the head `classifier.6`, ≥ 1.
        dropout: of the classifier, 0–1.
        input_shape: (H, W, C) of the images, H and W ≥ 32.
        dtype: "float32", "float64" or None for Keras's `floatx`.

    Shapes:
        input (N, H, W, C), output (N, num_classes) logits.
    """

    takes_any_size = True

    def __init__(
        self,
        variant: str = "vgg16",
        num_classes: int = 1000,
        *,
        dropout: float = 0.5,
        input_shape: tuple[int, int, int] = (224, 224, 3),
        dtype: str | None = None,
        name: str | None = None,
    ):
        inputs = keras.Input(input_shape, dtype=dtype)
        x = _features(inputs, CONFIGS[variant.removesuffix("_bn")], variant.endswith("_bn"), dtype)
        x = AdaptiveAvgPool2d(7, dtype=dtype, name="avgpool")(x)  # (N, 7, 7, 512)
        x = keras.layers.Flatten(dtype=dtype, name="flatten")(x)  # (N, 25088)
        x = keras.layers.Dense(4096, dtype=dtype, name="classifier.0")(x)
        x = keras.layers.ReLU(dtype=dtype, name="classifier.1")(x)
        x = Dropout(dropout, dtype=dtype, name="classifier.2")(x)
        x = keras.layers.Dense(4096, dtype=dtype, name="classifier.3")(x)
        x = keras.layers.ReLU(dtype=dtype, name="classifier.4")(x)
        x = Dropout(dropout, dtype=dtype, name="classifier.5")(x)
        outputs = keras.layers.Dense(num_classes, dtype=dtype, name="classifier.6")(x)
        super().__init__(
            inputs, outputs, name=name or variant, variant=variant, num_classes=num_classes, dropout=dropout,
            input_shape=input_shape, dtype=dtype,
        )  # fmt: skip

    def initial(self, layer, shape: tuple[int, ...]) -> Normal:
        """Return Kaiming's fan-out for the convolutions, 0.01 for the dense layers, and 0 for all biases."""
        return Normal(kaiming_fan_out(shape) if isinstance(layer, Conv2d) else 0.01, zero_bias=True)


def _features(x, channels: tuple, batch_norm: bool, dtype):
    """The convolutions; the numbers in the names count every layer, as in PyTorch's Sequential."""
    number = count()
    for step in channels:
        if step == "M":
            x = keras.layers.MaxPooling2D(2, dtype=dtype, name=f"features.{next(number)}")(x)
            continue
        x = Conv2d(step, 3, padding=1, dtype=dtype, name=f"features.{next(number)}")(x)
        if batch_norm:
            x = BatchNorm(dtype=dtype, name=f"features.{next(number)}")(x)
        x = keras.layers.ReLU(dtype=dtype, name=f"features.{next(number)}")(x)
    return x
