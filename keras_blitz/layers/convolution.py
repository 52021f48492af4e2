"""`torch.nn.Conv2d` on channels-last images."""

from math import prod

import keras
import numpy as np
import tensorflow as tf

from keras_blitz.initializers import fan_in_uniform
from keras_blitz.layers.pairs import Pair, pair

# Of so few outputs a product of matrices is faster on a CPU: ResNet18 on a 64×64 image takes a sixth less than with 4.
FEW = 16
# Of so many weights a product for one image takes as long as reading them from memory, which two operations do faster
# than one, of a thread each.
MANY = 100_000


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
        banded: take the inputs' gradient as that of a convolution of whole rows (see `_banded`): on a CPU a third less
            time for tens of small images of few channels; longer for few or wide images, and its memory grows with the
            square of the width. Without effect where height or width is unknown.

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
        (top, left), (down, across) = self.padding, self.stride
        height, width = self.compute_output_shape(inputs.shape)[1:3]
        if self.banded and height and width:
            return _banded(self._padded(inputs), kernel)
        if self.dilation == (1, 1):
            if height and width and min(height, width) > 0 and height * width <= FEW:
                return self._multiply(inputs, kernel, height, width)
            if self.stride == (1, 1) and self.kernel_size == (2 * top + 1, 2 * left + 1):
                return tf.nn.conv2d(inputs, kernel, 1, "SAME")  # the same zeros here
            # The gradient of conv2d's own explicit padding is slow on a CPU: ResNet18 on 16 images 584 ms, not 131.
            return tf.nn.conv2d(self._padded(inputs), kernel, self.stride, "VALID")
        # A dilated tf.nn.conv2d has no float64 gradient on CPU; tf.nn.convolution has, at stride 1.
        outputs = tf.nn.convolution(self._padded(inputs), kernel, padding="VALID", dilations=self.dilation)
        return outputs[:, ::down, ::across]

    def _multiply(self, inputs, kernel, height: int, width: int):
        """Return the convolution as one product of matrices."""
        (down, across), (rows, columns), padded = self.stride, self.kernel_size, self._padded(inputs)
        positions = np.arange(prod(padded.shape[1:3])).reshape(padded.shape[1:3])
        windows = np.lib.stride_tricks.sliding_window_view(positions, (rows, columns))
        windows = windows[: down * height : down, : across * width : across]  # (H', W', kh, kw)
        channels = padded.shape[-1]
        taps = tf.gather(tf.reshape(padded, (-1, positions.size, channels)), windows.ravel(), axis=1)
        taps = tf.reshape(taps, (-1, rows * columns * channels))
        matrix = tf.reshape(kernel, (-1, kernel.shape[-1]))
        # Where an operation has threads of its own, the halves would wait for each other's.
        alone = tf.config.threading.get_intra_op_parallelism_threads() == 1
        product = _halved if alone and inputs.shape[0] == 1 and matrix.shape.num_elements() >= MANY else tf.matmul
        outputs = product(taps, matrix)
        return tf.reshape(outputs, (-1, height, width, kernel.shape[-1]))

    def _padded(self, inputs):
        top, left = self.padding
        return tf.pad(inputs, [[0, 0], [top, top], [left, left], [0, 0]]) if top or left else inputs

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


@tf.custom_gradient
def _banded(inputs: tf.Tensor, kernel: tf.Tensor):
    """Return the convolution without padding; its inputs' gradient is that of a convolution of whole rows.

    B[h, (v, c), (w, k)] = K[h, v − w, c, k], 0 outside of K: a kernel (kh, 1, W·C, W'·C') for images (N, H, 1, W·C)

    with h a row of the kernel, v a column of the inputs, w one of the outputs, c and k their channels. Few channels
    fill a part of a CPU's vector registers, a row fills them; that outweighs the zeros beside the band.
    """
    (height, width, channels), (rows, columns, _, features) = inputs.shape[1:], kernel.shape
    out_height, out_width = height - rows + 1, width - columns + 1

    def gradient(upstream):
        h, v, c, w = np.indices((rows, width, channels, out_width))
        taps = (h * columns + v - w) * channels + c
        zeros = rows * columns * channels  # the place of a row of zeros behind the kernel's
        taps = np.where((v - w >= 0) & (v - w < columns), taps, zeros)
        band = tf.gather(tf.pad(tf.reshape(kernel, (-1, features)), [[0, 1], [0, 0]]), taps.ravel())
        of_inputs = tf.nn.conv2d_transpose(
            tf.reshape(upstream, (-1, out_height, 1, out_width * features)),
            tf.reshape(band, (rows, 1, width * channels, out_width * features)),
            tf.stack([tf.shape(inputs)[0], height, 1, width * channels]), 1, "VALID",
        )  # fmt: skip
        of_kernel = tf.raw_ops.Conv2DBackpropFilter(
            input=inputs, filter_sizes=kernel.shape, out_backprop=upstream, strides=[1, 1, 1, 1], padding="VALID"
        )
        return tf.reshape(of_inputs, (-1, height, width, channels)), of_kernel

    return tf.nn.conv2d(inputs, kernel, 1, "VALID"), gradient


@tf.custom_gradient
def _halved(rows: tf.Tensor, matrix: tf.Tensor):
    """Return rows · matrix as two products that can run at the same time; the gradient is the whole product's.

    rows[:, :h] · matrix[:h] + rows[:, h:] · matrix[h:]
    """

    def gradient(upstream):
        return tf.matmul(upstream, matrix, transpose_b=True), tf.matmul(rows, upstream, transpose_a=True)

    sizes = [matrix.shape[0] // 2, -(-matrix.shape[0] // 2)]
    (left, right), (upper, lower) = tf.split(rows, sizes, 1), tf.split(matrix, sizes)
    return tf.matmul(left, upper) + tf.matmul(right, lower), gradient


def _output_size(size: int | None, kernel: int, stride: int, padding: int, dilation: int) -> int | None:
    return None if size is None else (size + 2 * padding - dilation * (kernel - 1) - 1) // stride + 1
