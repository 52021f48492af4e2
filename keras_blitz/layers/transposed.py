"""`torch.nn.ConvTranspose1d`, `ConvTranspose2d` and `ConvTranspose3d` on channels-last tensors."""

from math import prod

import keras
import tensorflow as tf

from keras_blitz.initializers import fan_in_uniform
from keras_blitz.layers.convolution import overruns, spread
from keras_blitz.layers.padding import pad_axes
from keras_blitz.layers.pairs import Sizes, sizes


class _ConvTranspose(keras.layers.Layer):
    """What the transposed convolutions share; arguments in PyTorch's order."""

    rank = 2

    def __init__(
        self,
        out_channels: int,
        kernel_size: Sizes,
        stride: Sizes = 1,
        padding: Sizes = 0,
        output_padding: Sizes = 0,
        groups: int = 1,
        bias: bool = True,
        dilation: Sizes = 1,
        **options,
    ):
        super().__init__(**options)
        if groups < 1 or out_channels < 1 or out_channels % groups:
            raise ValueError(f"out_channels must be a multiple of groups, not {out_channels} of {groups}")
        self.out_channels, self.groups, self.use_bias = out_channels, groups, bias
        self.kernel_size = sizes(kernel_size, "kernel_size", 1, self.rank)
        self.stride = sizes(stride, "stride", 1, self.rank)
        self.padding = sizes(padding, "padding", 0, self.rank)
        self.output_padding = sizes(output_padding, "output_padding", 0, self.rank)
        self.dilation = sizes(dilation, "dilation", 1, self.rank)
        for added, *larger in zip(self.output_padding, self.stride, self.dilation, strict=True):
            if added >= max(larger):
                raise ValueError(f"output_padding must be less than stride or dilation, not {self.output_padding}")

    def build(self, input_shape):
        """Make kernel and bias."""
        channels = input_shape[-1]
        if channels % self.groups:
            raise ValueError(f"{self.name}: {channels} input channels are not a multiple of groups={self.groups}")
        shape = (*self.kernel_size, self.out_channels // self.groups, channels)
        fan_in = prod(shape[:-1])  # as PyTorch takes it, of the weight's axis 1
        self.kernel = self.add_weight(name="kernel", shape=shape, initializer=fan_in_uniform(fan_in))
        self.bias = None
        if self.use_bias:
            self.bias = self.add_weight(name="bias", shape=(self.out_channels,), initializer=fan_in_uniform(fan_in))

    def call(self, inputs):
        """Spread each input over its taps, group by group, and add the bias."""
        return self._spread(inputs, tf.convert_to_tensor(self.kernel), self.bias)

    def _spread(self, inputs, kernel, bias):
        kernel = spread(kernel, self.dilation)
        parts = zip(tf.split(inputs, self.groups, -1), tf.split(kernel, self.groups, -1), strict=True)
        outputs = tf.concat([self._whole(*part) for part in parts], -1)
        added = [(-p, more - p) for p, more in zip(self.padding, self.output_padding, strict=True)]
        outputs = pad_axes(outputs, tuple(added))
        return outputs if bias is None else tf.nn.bias_add(outputs, bias)

    def _whole(self, inputs, kernel):
        """Return the transposed convolution without padding: (n − 1)·stride + taps on each axis."""
        if self.rank == 1:
            return self._transpose(inputs[:, tf.newaxis], kernel[tf.newaxis], (1, *self.stride))[:, 0]
        return self._transpose(inputs, kernel, self.stride)

    @staticmethod
    def _transpose(inputs, kernel, stride):
        shape, taps = tf.shape(inputs), kernel.shape[: len(stride)]
        places = [(shape[k + 1] - 1) * stride[k] + taps[k] for k in range(len(stride))]
        size, steps = tf.stack([shape[0], *places, kernel.shape[-2]]), (1, *stride, 1)
        if len(stride) == 3:
            return tf.nn.conv3d_transpose(inputs, kernel, size, steps, "VALID")
        if overruns(kernel, stride):  # its kernel's gradient is that of a convolution of what it returns
            dense = tf.nn.conv2d(inputs, tf.transpose(kernel, (0, 1, 3, 2)), 1, "VALID")
            return tf.raw_ops.StridedSliceGrad(shape=size, begin=[0] * 4, end=size, strides=steps, dy=dense)
        return tf.nn.conv2d_transpose(inputs, kernel, size, steps, "VALID")

    def compute_output_shape(self, input_shape):
        """Return (N, …, out_channels)."""
        geometry = zip(
            input_shape[1:-1], self.kernel_size, self.stride, self.padding, self.output_padding, self.dilation,
            strict=True,
        )  # fmt: skip
        places = (
            None if n is None else (n - 1) * stride - 2 * padding + dilation * (kernel - 1) + added + 1
            for n, kernel, stride, padding, added, dilation in geometry
        )
        return (input_shape[0], *places, self.out_channels)

    def get_config(self) -> dict:
        """Return the constructor's arguments."""
        return {
            **super().get_config(),
            "out_channels": self.out_channels,
            "kernel_size": self.kernel_size,
            "stride": self.stride,
            "padding": self.padding,
            "output_padding": self.output_padding,
            "groups": self.groups,
            "bias": self.use_bias,
            "dilation": self.dilation,
        }


@keras.saving.register_keras_serializable("keras_blitz")
class ConvTranspose1d(_ConvTranspose):
    """Transposed convolution of sequences, see `ConvTranspose2d`.

    Shapes:
        input (N, L, C), kernel (k, out_channels/groups, C), output (N, L', out_channels).

    Source: torch/nn/modules/conv.py.
    """

    rank = 1


@keras.saving.register_keras_serializable("keras_blitz")
class ConvTranspose2d(_ConvTranspose):
    """Transposed convolution with PyTorch's padding: p places taken from both sides of the whole output.

    out = (n − 1)·stride − 2·padding + dilation·(kernel − 1) + output_padding + 1

    `keras.layers.Conv2DTranspose` with "same" takes its places from other sides: at kernel 3, stride 2, the same shape,
    an output that differs by 1.3 of the largest value (gap convtranspose-same). It has no groups and no padding in
    numbers, and at stride > 1 no dilation.

    Args:
        out_channels: ≥ 1, a multiple of `groups`.
        kernel_size: ≥ 1, or one for each axis, as all that follows.
        stride: ≥ 1.
        padding: what is taken from both sides, ≥ 0.
        output_padding: what one side gets back, ≥ 0, less than stride or dilation.
        groups: groups of channels that are convolved apart, ≥ 1.
        bias: add a learned bias.
        dilation: distance between kernel taps, ≥ 1.

    Shapes:
        input (N, H, W, C), kernel (kh, kw, out_channels/groups, C), output (N, H', W', out_channels).

    Raises:
        ValueError: an argument out of range, or channels that `groups` does not divide.

    Source: torch/nn/modules/conv.py.
    """


@keras.saving.register_keras_serializable("keras_blitz")
class ConvTranspose3d(_ConvTranspose):
    """Transposed convolution of volumes, see `ConvTranspose2d`.

    Shapes:
        input (N, D, H, W, C), kernel (kd, kh, kw, out_channels/groups, C), output (N, D', H', W', out_channels).

    Source: torch/nn/modules/conv.py.
    """

    rank = 3
