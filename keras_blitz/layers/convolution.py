"""`torch.nn.Conv1d`, `Conv2d` and `Conv3d` on channels-last tensors."""

from math import prod
from typing import Any

import keras
import tensorflow as tf

from keras_blitz.initializers import fan_in_uniform
from keras_blitz.layers import cpu
from keras_blitz.layers.padding import check_mode, pad_axes, pad_images
from keras_blitz.layers.pairs import Pair, Sizes, sizes


class _Convolution(keras.layers.Layer):
    """What the convolutions share.

    out = ⌊(n + 2·padding − dilation·(kernel − 1) − 1) / stride⌋ + 1
    """

    rank = 2

    def __init__(
        self,
        out_channels: int,
        kernel_size: Sizes,
        stride: Sizes = 1,
        padding: Sizes | str = 0,
        dilation: Sizes = 1,
        groups: int = 1,
        bias: bool = True,
        padding_mode: str = "zeros",
        **options,
    ):
        super().__init__(**options)
        if groups < 1 or out_channels < 1 or out_channels % groups:
            raise ValueError(f"out_channels must be a multiple of groups, not {out_channels} of {groups}")
        check_mode(padding_mode)
        self.out_channels, self.groups, self.use_bias, self.padding_mode = out_channels, groups, bias, padding_mode
        self.kernel_size = sizes(kernel_size, "kernel_size", 1, self.rank)
        self.stride: Any = sizes(stride, "stride", 1, self.rank)
        self.dilation: Any = sizes(dilation, "dilation", 1, self.rank)
        self.padding = padding if isinstance(padding, str) else sizes(padding, "padding", 0, self.rank)
        self._pads = self._both_sides()

    def _both_sides(self) -> tuple[tuple[int, int], ...]:
        """Return what is put before and after each axis."""
        if not isinstance(self.padding, str):
            return tuple((size, size) for size in self.padding)
        if self.padding == "valid":
            return ((0, 0),) * self.rank
        if self.padding != "same" or any(step != 1 for step in self.stride):
            raise ValueError(f'padding must be numbers, "valid", or "same" with stride 1, not {self.padding!r}')
        added = [dilation * (kernel - 1) for dilation, kernel in zip(self.dilation, self.kernel_size, strict=True)]
        return tuple((total // 2, total - total // 2) for total in added)

    def _in_groups(self, inputs, kernel):
        padding = tuple(before for before, _ in self._pads)
        if self.padding_mode != "zeros" or any(before != after for before, after in self._pads):
            inputs, padding = pad_axes(inputs, self._pads, self.padding_mode), (0,) * self.rank
        if self.groups == 1:
            return self._convolve(inputs, kernel, padding)
        if self.groups == inputs.shape[-1] and self.rank < 3 and len(set(self.stride)) == 1:
            pads = tuple((side, side) for side in padding)
            return convolve_each_channel(pad_axes(inputs, pads), spread(kernel, self.dilation), self.stride[0])
        # tf.nn.conv2d's grouped gradient has no float64 kernel on CPU.
        parts = zip(tf.split(inputs, self.groups, -1), tf.split(kernel, self.groups, -1), strict=True)
        return tf.concat([self._convolve(*part, padding) for part in parts], -1)

    def _convolve(self, inputs, kernel, padding):
        raise NotImplementedError

    def _output_sizes(self, shape, pads) -> tuple[int | None, ...]:
        geometry = zip(shape[1:-1], self.kernel_size, self.stride, pads, self.dilation, strict=True)
        return tuple(
            None if size is None else (size + before + after - dilation * (kernel - 1) - 1) // stride + 1
            for size, kernel, stride, (before, after), dilation in geometry
        )

    def compute_output_shape(self, input_shape):
        """Return (N, …, out_channels)."""
        return (input_shape[0], *self._output_sizes(input_shape, self._pads), self.out_channels)

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
            "padding_mode": self.padding_mode,
        }


class _Conv(_Convolution):
    """What those with a kernel of their own share."""

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
        outputs = self._in_groups(inputs, tf.convert_to_tensor(self.kernel))
        return outputs if self.bias is None else tf.nn.bias_add(outputs, self.bias)


@keras.saving.register_keras_serializable("keras_blitz")
class Conv1d(_Conv):
    """Convolution of sequences with PyTorch's padding: p zeros on every side, whatever the stride.

    `keras.layers.Conv1D` is exact at `padding="valid"` without groups; its "same" pads as `Conv2d`'s docstring says. A
    kernel reshaped, and not transposed, is silently wrong (gap conv1d: differs by 1.3 on unit noise).

    Args:
        out_channels, kernel_size, stride, padding, dilation, groups, bias, padding_mode: as for `Conv2d`, on one axis.

    Shapes:
        input (N, L, C), kernel (k, C/groups, out_channels), output (N, L', out_channels).

    Source: torch/nn/modules/conv.py.
    """

    rank = 1

    def _convolve(self, inputs, kernel, padding):
        rows, weights = pad_images(inputs[:, tf.newaxis], (0, *padding)), kernel[tf.newaxis]
        return _convolve_images(rows, weights, (1, *self.stride), (1, *self.dilation))[:, 0]


@keras.saving.register_keras_serializable("keras_blitz")
class Conv2d(_Conv):
    """Convolution with PyTorch's padding: p zeros on every side, whatever the stride.

    out = ⌊(n + 2·padding − dilation·(kernel − 1) − 1) / stride⌋ + 1

    Keras's `padding="same"` pads 0 before and 1 after at stride 2 on an even size where PyTorch pads 1 and 1: the same
    shape, an output that differs by 25 on unit noise (gap conv-same-stride2). It refuses stride with dilation, and its
    float64 gradients with groups or dilation have no CPU kernel.

    Args:
        out_channels: ≥ 1, a multiple of `groups`.
        kernel_size: ≥ 1, or (height, width).
        stride: ≥ 1, or (height, width).
        padding: zeros on each side, ≥ 0, or (height, width); "valid" is 0, "same" keeps the size, at stride 1.
        dilation: distance between kernel taps, ≥ 1, or (height, width).
        groups: groups of channels that are convolved apart, ≥ 1.
        bias: add a learned bias.
        padding_mode: "zeros", "reflect", "replicate" or "circular".
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
        padding: Pair | str = 0,
        dilation: Pair = 1,
        groups: int = 1,
        bias: bool = True,
        padding_mode: str = "zeros",
        *,
        banded: bool = False,
        **options,
    ):
        super().__init__(out_channels, kernel_size, stride, padding, dilation, groups, bias, padding_mode, **options)
        self.banded = banded
        if banded and (self.stride, self.dilation, groups) != ((1, 1), (1, 1), 1):
            raise ValueError(
                f"banded needs stride, dilation and groups 1, not {self.stride}, {self.dilation} and {groups}"
            )

    def _convolve(self, inputs, kernel, padding):
        size: Any = self._output_sizes(inputs.shape, [(side, side) for side in padding])
        outputs = cpu.convolve(inputs, kernel, size, self.stride, padding, self.dilation, self.banded)
        if outputs is not None:
            return outputs
        # Not by conv2d's own explicit padding: its gradient is slow on a CPU, ResNet18 on 16 images 584 ms, not 131.
        return _convolve_images(pad_images(inputs, padding), kernel, self.stride, self.dilation)

    def get_config(self) -> dict:
        """Return the constructor's arguments."""
        return {**super().get_config(), "banded": self.banded}


@keras.saving.register_keras_serializable("keras_blitz")
class Conv3d(_Conv):
    """Convolution of volumes with PyTorch's padding: p zeros on every side, whatever the stride.

    `keras.layers.Conv3D` is exact at `padding="valid"` (gap conv3d-f64); its "same" pads as `Conv2d`'s docstring says,
    and it has no CPU kernel with groups or dilation.

    Args:
        out_channels, kernel_size, stride, padding, dilation, groups, bias, padding_mode: as for `Conv2d`, on three
            axes.

    Shapes:
        input (N, D, H, W, C), kernel (kd, kh, kw, C/groups, out_channels), output (N, D', H', W', out_channels).

    Source: torch/nn/modules/conv.py.
    """

    rank = 3

    def _convolve(self, inputs, kernel, padding):
        padded = pad_axes(inputs, tuple((side, side) for side in padding))
        return tf.nn.conv3d(padded, spread(kernel, self.dilation), (1, *self.stride, 1), "VALID")


def convolve_each_channel(padded: tf.Tensor, kernel: tf.Tensor, stride: int) -> tf.Tensor:
    """Return the convolution with as many groups as channels, in one operation.

    As a convolution for each channel, 768 channels of 4 images of 11 × 11, a 7 × 7 kernel: forward and gradients take
    27 ms for 141 in float64, 22 for 288 in float32, where the kernel's gradient has 1.0 × PyTorch's error for 3.1 ×.

    Args:
        padded: (N, …, C), with one or two axes of positions.
        kernel: (…, 1, C·m).
        stride: of every axis.
    """
    if padded.shape.rank == 3:
        return convolve_each_channel(padded[:, tf.newaxis], kernel[tf.newaxis], stride)[:, 0]
    channels = padded.shape[-1]
    apart = tf.reshape(kernel, (*kernel.shape[:2], channels, kernel.shape[-1] // channels))
    return tf.nn.depthwise_conv2d(padded, apart, (1, stride, stride, 1), "VALID")


def overruns(kernel: tf.Tensor, stride: tuple[int, ...]) -> bool:
    """Return whether TensorFlow's kernel gradient of this convolution may write beyond its memory on a CPU.

    In float32 oneDNN gathers the places that a 1 × 1 kernel with a stride reads in a buffer of n · C values, and writes
    n · 16 (AVX-512) or n · 8 (AVX2): https://github.com/uxlfoundation/oneDNN/issues/6035. At fewer channels the process
    dies later at another place, or the gradient is wrong. The slice that avoids it takes 2 to 3 times as long at 64
    channels.

    Args:
        kernel: (kh, kw, C, C').
        stride: of both axes.
    """
    rows, columns, channels, _ = kernel.shape
    return rows == columns == 1 and max(stride) > 1 and channels < 16


def _convolve_images(padded, kernel, stride, dilation):
    if dilation == (1, 1):
        if overruns(kernel, stride):
            return tf.nn.conv2d(padded[:, :: stride[0], :: stride[1]], kernel, 1, "VALID")
        return tf.nn.conv2d(padded, kernel, stride, "VALID")
    # A dilated tf.nn.conv2d has no float64 gradient on CPU; tf.nn.convolution has, at stride 1.
    down, across = stride
    return tf.nn.convolution(padded, kernel, padding="VALID", dilations=dilation)[:, ::down, ::across]


def spread(kernel: tf.Tensor, dilation: tuple[int, ...]) -> tf.Tensor:
    """Return a kernel with dilation − 1 zeros between its taps, for operations that have no dilation on a CPU."""
    for axis, distance in enumerate(dilation):
        if distance > 1:
            shape = kernel.shape
            apart = tf.expand_dims(kernel, axis + 1)
            apart = tf.pad(apart, [[0, distance - 1 if k == axis + 1 else 0] for k in range(len(shape) + 1)])
            longer = tf.reshape(apart, [*shape[:axis], shape[axis] * distance, *shape[axis + 1 :]])
            kernel = longer[(slice(None),) * axis + (slice(0, distance * (shape[axis] - 1) + 1),)]
    return kernel
