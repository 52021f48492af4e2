"""`torch.nn.Conv2d` on channels-last images."""

from math import prod

import keras
import tensorflow as tf

from keras_blitz.initializers import fan_in_uniform
from keras_blitz.layers import cpu
from keras_blitz.layers.padding import pad_images
from keras_blitz.layers.pairs import Pair, pair


@keras.saving.register_keras_serializable("keras_blitz")
class Conv2d(keras.layers.Layer):
    """Convolution with PyTorch's padding: p zeros on every side, whatever the stride.

    out = ⌊(n + 2·padding − dilation·(kernel − 1) − 1) / stride⌋ + 1

    Keras's `padding="same"` pads 0 before and 1 behind at stride 2 on an even size where PyTorch pads 1 and 1: the same
    shape, an output that differs by 25 on unit noise (gap conv-same-stride2). It refuses stride with dilation, and its
    float64 gradients with groups or dilation have no CPU kernel.

    Args:
        out_channels: ≥ 1, a multiple of `groups`.
        kernel_size: ≥ 1, or (height, width).
        stride: ≥ 1, or (height, width).
        padding: zeros on each side, ≥ 0, or (height, width).
        dilation: distance between kernel taps, ≥ 1, or (height, width).
        groups: groups of channels that are convolved apart, ≥ 1.
        bias: add a learned bias.
        banded: take the inputs' gradient as that of a convolution of whole rows (`convolve_by_rows` in cpu.py): on a
            CPU a third less time for tens of small images of few channels; longer for few or wide images, and its
            memory grows with the square of the width. Without effect where height or width is unknown.

    Shapes:
        input (N, H, W, C), kernel (kh, kw, C/groups, out_channels), output (N, H', W', out_channels).

    Raises:
        ValueError: an argument out of range, channels that `groups` does not divide, or `banded` with another
            stride, dilation or groups than 1.

    Source: torch/nn/modules/conv.py.
    """

    def __init__(
        self,
        out_channels: int,
        kernel_size: Pair,
        stride: Pair = 1,
        padding: Pair = 0,
        dilation: Pair = 1,
        groups: int = 1,
        bias: bool = True,
        *,
        banded: bool = False,
        **options,
    ):
        super().__init__(**options)
        if groups < 1 or out_channels < 1 or out_channels % groups:
            raise ValueError(f"out_channels must be a multiple of groups, not {out_channels} of {groups}")
        self.out_channels, self.groups, self.use_bias, self.banded = out_channels, groups, bias, banded
        self.kernel_size = pair(kernel_size, "kernel_size", 1)
        self.stride = pair(stride, "stride", 1)
        self.padding = pair(padding, "padding", 0)
        self.dilation = pair(dilation, "dilation", 1)
        if banded and (self.stride, self.dilation, groups) != ((1, 1), (1, 1), 1):
            raise ValueError(
                f"banded needs stride, dilation and groups 1, not {self.stride}, {self.dilation} and {groups}"
            )

    def build(self, input_shape):
        """Make kernel and bias."""
        channels = input_shape[-1]
        if channels % self.groups:
            raise ValueError(f"{self.name}: {channels} input channels are not a multiple of groups={self.groups}")
        shape = (*self.kernel_size, channels // self.groups, self.out_channels)
        fan_in = prod(shape[:-1])
        self.kernel = self.add_weight(name="kernel", shape=shape, initializer=fan_in_uniform(fan_in))
        self.bias = None
        if self.use_bias:
            self.bias = self.add_weight(name="bias", shape=shape[-1:], initializer=fan_in_uniform(fan_in))

    def call(self, inputs):
        """Convolve each group and add the bias."""
        kernel = tf.convert_to_tensor(self.kernel)
        if self.groups == 1:
            outputs = self._convolve(inputs, kernel)
        else:  # tf.nn.conv2d's grouped gradient has no float64 kernel on CPU
            parts = zip(tf.split(inputs, self.groups, -1), tf.split(kernel, self.groups, -1), strict=True)
            outputs = tf.concat([self._convolve(*part) for part in parts], -1)
        return outputs if self.bias is None else tf.nn.bias_add(outputs, self.bias)

    def _convolve(self, inputs, kernel):
        size = self.compute_output_shape(inputs.shape)[1:3]
        outputs = cpu.convolve(inputs, kernel, size, self.stride, self.padding, self.dilation, self.banded)
        if outputs is not None:
            return outputs
        # Not by conv2d's own explicit padding: its gradient is slow on a CPU, ResNet18 on 16 images 584 ms, not 131.
        padded = pad_images(inputs, self.padding)
        if self.dilation == (1, 1):
            return tf.nn.conv2d(padded, kernel, self.stride, "VALID")
        # A dilated tf.nn.conv2d has no float64 gradient on CPU; tf.nn.convolution has, at stride 1.
        down, across = self.stride
        return tf.nn.convolution(padded, kernel, padding="VALID", dilations=self.dilation)[:, ::down, ::across]

    def compute_output_shape(self, input_shape):
        """Return (N, H', W', out_channels)."""
        sizes = zip(input_shape[1:3], self.kernel_size, self.stride, self.padding, self.dilation, strict=True)
        return (input_shape[0], *(_output_size(*size) for size in sizes), self.out_channels)

    def get_config(self) -> dict:
        """Return the constructor's arguments."""
        return {
            **super().get_config(),
            "out_channels": self.out_channels,
            "kernel_size": self.kernel_size,
            "stride": self.stride,
            "padding": self.padding,
            "dilation": self.dilation,
            "groups": self.groups,
            "bias": self.use_bias,
            "banded": self.banded,
        }


def _output_size(size: int | None, kernel: int, stride: int, padding: int, dilation: int) -> int | None:
    return None if size is None else (size + 2 * padding - dilation * (kernel - 1) - 1) // stride + 1
