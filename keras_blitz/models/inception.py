"""N9, torchvision's Inception v3 (Szegedy et al. 2015; torchvision/models/inception.py)."""

import keras
import tensorflow as tf

from keras_blitz.initializers import Normal
from keras_blitz.layers import AdaptiveAvgPool2d, AvgPool2d, BatchNorm, Conv2d, Dropout
from keras_blitz.models.network import Network


@keras.saving.register_keras_serializable("keras_blitz")
class TransformInput(keras.layers.Layer):
    """Images normalized for torchvision's other networks as Inception's weights expect them.

    y = (x·std + mean − 0.5) / 0.5 by channel

    Shapes:
        input and output (N, H, W, 3).
    """

    SCALE = (0.229 / 0.5, 0.224 / 0.5, 0.225 / 0.5)
    SHIFT = ((0.485 - 0.5) / 0.5, (0.456 - 0.5) / 0.5, (0.406 - 0.5) / 0.5)

    def call(self, inputs):
        """Scale and shift each channel."""
        return inputs * tf.constant(self.SCALE, inputs.dtype) + tf.constant(self.SHIFT, inputs.dtype)

    def compute_output_shape(self, input_shape):
        """Return the input's shape."""
        return input_shape


@keras.saving.register_keras_serializable("keras_blitz")
class InceptionV3(Network):
    """Inception v3; 27,161,264 parameters with the auxiliary head.

    In train mode it returns (logits, aux_logits) where it has the auxiliary head, in eval mode the logits alone.

    Args:
        num_classes: size of the heads `fc` and `AuxLogits.fc`, ≥ 1.
        aux_logits: have the auxiliary head.
        transform_input: take images normalized as for torchvision's other networks; its pretrained weights want that.
        dropout: before `fc`, 0–1.
        input_shape: (H, W, C) of the images, H and W ≥ 75 (299 with the auxiliary head's 5×5 convolution).
        dtype: "float32", "float64" or None for Keras's `floatx`.

    Shapes:
        input (N, H, W, C), outputs (N, num_classes) logits.
    """

    def __init__(
        self,
        num_classes: int = 1000,
        *,
        aux_logits: bool = True,
        transform_input: bool = False,
        dropout: float = 0.5,
        input_shape: tuple[int, int, int] = (299, 299, 3),
        dtype: str | None = None,
        name: str = "inception_v3",
    ):
        blocks = _Blocks(dtype)
        inputs = keras.Input(input_shape, dtype=dtype)
        x = TransformInput(dtype=dtype, name="transform_input")(inputs) if transform_input else inputs
        x = blocks.conv(x, "Conv2d_1a_3x3", 32, 3, stride=2)  # (N, 149, 149, 32)
        x = blocks.conv(x, "Conv2d_2a_3x3", 32, 3)  # (N, 147, 147, 32)
        x = blocks.conv(x, "Conv2d_2b_3x3", 64, 3, padding=1)
        x = keras.layers.MaxPooling2D(3, strides=2, dtype=dtype, name="maxpool1")(x)  # (N, 73, 73, 64)
        x = blocks.conv(x, "Conv2d_3b_1x1", 80, 1)
        x = blocks.conv(x, "Conv2d_4a_3x3", 192, 3)  # (N, 71, 71, 192)
        x = keras.layers.MaxPooling2D(3, strides=2, dtype=dtype, name="maxpool2")(x)  # (N, 35, 35, 192)
        x = blocks.a(x, "Mixed_5b", 32)  # (N, 35, 35, 256)
        x = blocks.a(x, "Mixed_5c", 64)  # (N, 35, 35, 288)
        x = blocks.a(x, "Mixed_5d", 64)
        x = blocks.b(x, "Mixed_6a")  # (N, 17, 17, 768)
        x = blocks.c(x, "Mixed_6b", 128)
        x = blocks.c(x, "Mixed_6c", 160)
        x = blocks.c(x, "Mixed_6d", 160)
        x = blocks.c(x, "Mixed_6e", 192)
        heads = [blocks.aux(x, "AuxLogits", num_classes)] if aux_logits else []
        x = blocks.d(x, "Mixed_7a")  # (N, 8, 8, 1280)
        x = blocks.e(x, "Mixed_7b")  # (N, 8, 8, 2048)
        x = blocks.e(x, "Mixed_7c")
        x = AdaptiveAvgPool2d(1, dtype=dtype, name="avgpool")(x)  # (N, 1, 1, 2048)
        x = Dropout(dropout, dtype=dtype, name="dropout")(x)
        x = keras.layers.Flatten(dtype=dtype, name="flatten")(x)
        logits = keras.layers.Dense(num_classes, dtype=dtype, name="fc")(x)
        super().__init__(
            inputs, [logits, *heads] if heads else logits, name=name, num_classes=num_classes, aux_logits=aux_logits,
            transform_input=transform_input, dropout=dropout, input_shape=input_shape, dtype=dtype,
        )  # fmt: skip

    def initial(self, layer, shape: tuple[int, ...]) -> Normal:
        """Return torchvision's normal values; it cuts them off at ±2, twenty standard deviations away."""
        return Normal(0.001 if layer.name == "AuxLogits.fc" else 0.1)

    def call(self, inputs, training=False, mask=None):
        """Return (logits, aux_logits) in train mode, logits otherwise."""
        outputs = super().call(inputs, training=training, mask=mask)
        if not isinstance(outputs, list | tuple):  # no auxiliary head
            return outputs
        return tuple(outputs) if training else outputs[0]


class _Blocks:
    """The blocks of the paper, each under its PyTorch path."""

    def __init__(self, dtype):
        self.dtype = dtype

    def conv(self, x, path: str, channels: int, kernel, stride=1, padding=0):
        """BasicConv2d: convolution, batch normalization, ReLU."""
        x = Conv2d(channels, kernel, stride, padding, bias=False, dtype=self.dtype, name=f"{path}.conv")(x)
        x = BatchNorm(eps=0.001, dtype=self.dtype, name=f"{path}.bn")(x)
        return keras.layers.ReLU(dtype=self.dtype, name=f"{path}.relu")(x)

    def join(self, *branches):
        """Concatenate along the channels."""
        return keras.ops.concatenate(branches, axis=-1)

    def average(self, x, path: str, kernel: int, stride: int, padding: int = 0):
        """The blocks' functional average pooling; it has a name of the port's own."""
        return AvgPool2d(kernel, stride, padding, dtype=self.dtype, name=f"{path}.avg_pool")(x)

    def maximum(self, x, path: str):
        """The blocks' functional max pooling, likewise."""
        return keras.layers.MaxPooling2D(3, strides=2, dtype=self.dtype, name=f"{path}.max_pool")(x)

    def a(self, x, path: str, pool_features: int):
        """InceptionA."""
        one = self.conv(x, f"{path}.branch1x1", 64, 1)
        five = self.conv(x, f"{path}.branch5x5_1", 48, 1)
        five = self.conv(five, f"{path}.branch5x5_2", 64, 5, padding=2)
        three = self.conv(x, f"{path}.branch3x3dbl_1", 64, 1)
        three = self.conv(three, f"{path}.branch3x3dbl_2", 96, 3, padding=1)
        three = self.conv(three, f"{path}.branch3x3dbl_3", 96, 3, padding=1)
        pool = self.conv(self.average(x, path, 3, 1, 1), f"{path}.branch_pool", pool_features, 1)
        return self.join(one, five, three, pool)

    def b(self, x, path: str):
        """InceptionB."""
        three = self.conv(x, f"{path}.branch3x3", 384, 3, stride=2)
        double = self.conv(x, f"{path}.branch3x3dbl_1", 64, 1)
        double = self.conv(double, f"{path}.branch3x3dbl_2", 96, 3, padding=1)
        double = self.conv(double, f"{path}.branch3x3dbl_3", 96, 3, stride=2)
        return self.join(three, double, self.maximum(x, path))

    def c(self, x, path: str, width: int):
        """InceptionC."""
        row, column = {"kernel": (1, 7), "padding": (0, 3)}, {"kernel": (7, 1), "padding": (3, 0)}
        one = self.conv(x, f"{path}.branch1x1", 192, 1)
        seven = self.conv(x, f"{path}.branch7x7_1", width, 1)
        seven = self.conv(seven, f"{path}.branch7x7_2", width, **row)
        seven = self.conv(seven, f"{path}.branch7x7_3", 192, **column)
        double = self.conv(x, f"{path}.branch7x7dbl_1", width, 1)
        double = self.conv(double, f"{path}.branch7x7dbl_2", width, **column)
        double = self.conv(double, f"{path}.branch7x7dbl_3", width, **row)
        double = self.conv(double, f"{path}.branch7x7dbl_4", width, **column)
        double = self.conv(double, f"{path}.branch7x7dbl_5", 192, **row)
        pool = self.conv(self.average(x, path, 3, 1, 1), f"{path}.branch_pool", 192, 1)
        return self.join(one, seven, double, pool)

    def d(self, x, path: str):
        """InceptionD."""
        three = self.conv(x, f"{path}.branch3x3_1", 192, 1)
        three = self.conv(three, f"{path}.branch3x3_2", 320, 3, stride=2)
        seven = self.conv(x, f"{path}.branch7x7x3_1", 192, 1)
        seven = self.conv(seven, f"{path}.branch7x7x3_2", 192, (1, 7), padding=(0, 3))
        seven = self.conv(seven, f"{path}.branch7x7x3_3", 192, (7, 1), padding=(3, 0))
        seven = self.conv(seven, f"{path}.branch7x7x3_4", 192, 3, stride=2)
        return self.join(three, seven, self.maximum(x, path))

    def e(self, x, path: str):
        """InceptionE."""
        one = self.conv(x, f"{path}.branch1x1", 320, 1)
        three = self.conv(x, f"{path}.branch3x3_1", 384, 1)
        three = self.fork(three, f"{path}.branch3x3_2")
        double = self.conv(x, f"{path}.branch3x3dbl_1", 448, 1)
        double = self.conv(double, f"{path}.branch3x3dbl_2", 384, 3, padding=1)
        double = self.fork(double, f"{path}.branch3x3dbl_3")
        pool = self.conv(self.average(x, path, 3, 1, 1), f"{path}.branch_pool", 192, 1)
        return self.join(one, three, double, pool)

    def fork(self, x, path: str):
        """A row and a column convolution of the same input, side by side."""
        row = self.conv(x, f"{path}a", 384, (1, 3), padding=(0, 1))
        return self.join(row, self.conv(x, f"{path}b", 384, (3, 1), padding=(1, 0)))

    def aux(self, x, path: str, num_classes: int):
        """InceptionAux: the auxiliary head."""
        x = self.average(x, path, 5, 3)  # (N, 5, 5, 768)
        x = self.conv(x, f"{path}.conv0", 128, 1)
        x = self.conv(x, f"{path}.conv1", 768, 5)  # (N, 1, 1, 768)
        x = AdaptiveAvgPool2d(1, dtype=self.dtype, name=f"{path}.avgpool")(x)
        x = keras.layers.Flatten(dtype=self.dtype, name=f"{path}.flatten")(x)
        return keras.layers.Dense(num_classes, dtype=self.dtype, name=f"{path}.fc")(x)
