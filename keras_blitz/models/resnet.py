"""N6, torchvision's ResNet family (He et al. 2015; torchvision/models/resnet.py)."""

from dataclasses import dataclass

import keras

from keras_blitz.initializers import Normal, kaiming_fan_out
from keras_blitz.layers import AdaptiveAvgPool2d, BatchNorm, Conv2d, MaxPool2d
from keras_blitz.models.network import Network


@dataclass(frozen=True)
class ResNetConfig:
    """One member of the family."""

    # blocks in each of the four stages
    blocks: tuple[int, int, int, int]
    # 1×1, 3×3, 1×1 with four times the channels at the end, instead of two 3×3
    bottleneck: bool


CONFIGS = {
    "resnet18": ResNetConfig((2, 2, 2, 2), bottleneck=False),
    "resnet34": ResNetConfig((3, 4, 6, 3), bottleneck=False),
    "resnet50": ResNetConfig((3, 4, 6, 3), bottleneck=True),
    "resnet101": ResNetConfig((3, 4, 23, 3), bottleneck=True),
    "resnet152": ResNetConfig((3, 8, 36, 3), bottleneck=True),
}


@keras.saving.register_keras_serializable("keras_blitz")
class ResNet(Network):
    """A residual network; resnet18 has 11,689,512 parameters.

    Args:
        variant: a key of `CONFIGS`, "resnet18" … "resnet152".
        num_classes: size of the head `fc`, ≥ 1.
        input_shape: (H, W, C) of the images; torchvision's weights are for C = 3.
        dtype: "float32", "float64" or None for Keras's `floatx`.

    Shapes:
        input (N, H, W, C), output (N, num_classes) logits.
    """

    takes_any_size = True

    def __init__(
        self,
        variant: str = "resnet18",
        num_classes: int = 1000,
        *,
        input_shape: tuple[int, int, int] = (224, 224, 3),
        dtype: str | None = None,
        name: str | None = None,
    ):
        config = CONFIGS[variant]
        block = _bottleneck if config.bottleneck else _basic_block
        inputs = keras.Input(input_shape, dtype=dtype)
        x = Conv2d(64, 7, stride=2, padding=3, bias=False, dtype=dtype, name="conv1")(inputs)  # (N, H/2, W/2, 64)
        x = BatchNorm(dtype=dtype, name="bn1")(x)
        x = keras.layers.ReLU(dtype=dtype, name="relu")(x)
        x = MaxPool2d(3, stride=2, padding=1, dtype=dtype, name="maxpool")(x)  # (N, H/4, W/4, 64)
        for stage, count in enumerate(config.blocks):
            for index in range(count):
                stride = 2 if stage and not index else 1
                x = block(x, f"layer{stage + 1}.{index}", 64 * 2**stage, stride, dtype)
        x = AdaptiveAvgPool2d(1, dtype=dtype, name="avgpool")(x)  # (N, 1, 1, 512), or 2048 of bottlenecks
        x = keras.layers.Flatten(dtype=dtype, name="flatten")(x)
        outputs = keras.layers.Dense(num_classes, dtype=dtype, name="fc")(x)
        super().__init__(
            inputs, outputs, name=name or variant, variant=variant, num_classes=num_classes, input_shape=input_shape,
            dtype=dtype,
        )  # fmt: skip

    def initial(self, layer, shape: tuple[int, ...]) -> Normal | None:
        """Return Kaiming's fan-out for the convolutions."""
        return Normal(kaiming_fan_out(shape)) if isinstance(layer, Conv2d) else None


def _basic_block(x, path: str, width: int, stride: int, dtype):
    """Two 3×3 convolutions beside the identity."""
    relu = keras.layers.ReLU(dtype=dtype, name=f"{path}.relu")
    y = Conv2d(width, 3, stride, 1, bias=False, dtype=dtype, name=f"{path}.conv1")(x)
    y = relu(BatchNorm(dtype=dtype, name=f"{path}.bn1")(y))
    y = Conv2d(width, 3, padding=1, bias=False, dtype=dtype, name=f"{path}.conv2")(y)
    y = BatchNorm(dtype=dtype, name=f"{path}.bn2")(y)
    return relu(y + _shortcut(x, path, width, stride, dtype))


def _bottleneck(x, path: str, width: int, stride: int, dtype):
    """1×1, 3×3, 1×1 beside the identity; the stride is on the 3×3, as torchvision has it (ResNet v1.5)."""
    relu = keras.layers.ReLU(dtype=dtype, name=f"{path}.relu")
    y = Conv2d(width, 1, bias=False, dtype=dtype, name=f"{path}.conv1")(x)
    y = relu(BatchNorm(dtype=dtype, name=f"{path}.bn1")(y))
    y = Conv2d(width, 3, stride, 1, bias=False, dtype=dtype, name=f"{path}.conv2")(y)
    y = relu(BatchNorm(dtype=dtype, name=f"{path}.bn2")(y))
    y = Conv2d(4 * width, 1, bias=False, dtype=dtype, name=f"{path}.conv3")(y)
    y = BatchNorm(dtype=dtype, name=f"{path}.bn3")(y)
    return relu(y + _shortcut(x, path, 4 * width, stride, dtype))


def _shortcut(x, path: str, channels: int, stride: int, dtype):
    """The identity, or a 1×1 convolution where the shape changes."""
    if stride == 1 and x.shape[-1] == channels:
        return x
    x = Conv2d(channels, 1, stride, bias=False, dtype=dtype, name=f"{path}.downsample.0")(x)
    return BatchNorm(dtype=dtype, name=f"{path}.downsample.1")(x)
