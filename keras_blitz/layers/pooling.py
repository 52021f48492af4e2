"""`torch.nn`'s pooling on channels-last images, where Keras has no exact layer.

`AdaptiveAvgPool2d` has one: `keras.layers.AdaptiveAveragePooling2D` agreed with PyTorch for every pair of sizes from 1
to 16 (gap adaptive-avgpool).
"""

import keras
import numpy as np
import tensorflow as tf

from keras_blitz.layers import cpu
from keras_blitz.layers.pairs import Pair, pair


class _Pool2d(keras.layers.Layer):
    """What both pools share: the windows' places.

    out = ⌊(n + 2·padding − dilation·(kernel − 1) − 1) / stride⌋ + 1, with ⌈⌉ under `ceil_mode`, less one where the last
    window would start in the padding on the right.
    """

    def __init__(
        self, kernel_size: Pair, stride: Pair | None, padding: Pair, dilation: Pair, ceil_mode: bool, **options
    ):
        super().__init__(**options)
        self.kernel_size = pair(kernel_size, "kernel_size", 1)
        self.stride = self.kernel_size if stride is None else pair(stride, "stride", 1)
        self.padding = pair(padding, "padding", 0)
        self.dilation = pair(dilation, "dilation", 1)
        self.ceil_mode = ceil_mode
        if any(2 * p > k for p, k in zip(self.padding, self.kernel_size, strict=True)):
            raise ValueError(f"padding must be at most half of kernel_size, not {self.padding} of {self.kernel_size}")

    def _sizes(self, shape) -> list[tuple[int | None, int]]:
        """Return (output size, pixels to add behind) for height and width."""
        geometry = zip(shape[1:3], self.kernel_size, self.stride, self.padding, self.dilation, strict=True)
        return [self._size(*axis) for axis in geometry]

    def _size(self, size, kernel, stride, padding, dilation) -> tuple[int | None, int]:
        reach = dilation * (kernel - 1) + 1
        if size is None:
            if self.ceil_mode:
                raise ValueError(f"{self.name}: ceil_mode needs the images' height and width to be known")
            return None, padding
        room = size + 2 * padding - reach
        if not self.ceil_mode:
            return room // stride + 1, padding
        outputs = -(-room // stride) + 1
        if (outputs - 1) * stride >= size + padding:
            outputs -= 1
        return outputs, max(padding, (outputs - 1) * stride + reach - size - padding)

    def _pads(self, shape) -> list[list[int]]:
        behind = [pixels for _, pixels in self._sizes(shape)]
        return [[0, 0], *([before, after] for before, after in zip(self.padding, behind, strict=True)), [0, 0]]

    def compute_output_shape(self, input_shape):
        """Return (N, H', W', C)."""
        return (input_shape[0], *(outputs for outputs, _ in self._sizes(input_shape)), input_shape[-1])

    def get_config(self) -> dict:
        """Return the constructor's arguments."""
        return {
            **super().get_config(),
            "kernel_size": self.kernel_size,
            "stride": self.stride,
            "padding": self.padding,
            "ceil_mode": self.ceil_mode,
        }


@keras.saving.register_keras_serializable("keras_blitz")
class MaxPool2d(_Pool2d):
    """Max pooling that pads with −∞, as PyTorch does.

    Keras pads with `padding="same"` only, whose windows lie elsewhere; zeros in front of `MaxPooling2D` win over
    negative values (gap maxpool-pad-zero: differs by 1.0 on unit noise), and it drops the last, incomplete window that
    `ceil_mode` keeps.

    Args:
        kernel_size: ≥ 1, or (height, width).
        stride: ≥ 1, or (height, width); None: `kernel_size`.
        padding: on each side, at most half of `kernel_size`.
        dilation: distance between the values of a window, ≥ 1.
        ceil_mode: keep the last window where it is not complete.

    Shapes:
        input (N, H, W, C), output (N, H', W', C).

    Source: torch/nn/modules/pooling.py.
    """

    def __init__(
        self,
        kernel_size: Pair,
        stride: Pair | None = None,
        padding: Pair = 0,
        dilation: Pair = 1,
        ceil_mode: bool = False,
        **options,
    ):
        super().__init__(kernel_size, stride, padding, dilation, ceil_mode, **options)

    def call(self, inputs):
        """Return the maximum of each window."""
        pads = self._pads(inputs.shape)
        if np.any(pads):
            inputs = tf.pad(inputs, pads, constant_values=-np.inf)
        if self.dilation == (1, 1):
            return tf.nn.max_pool2d(inputs, self.kernel_size, self.stride, "VALID")
        down, across = self.stride
        outputs = tf.nn.pool(inputs, self.kernel_size, "MAX", padding="VALID", dilations=self.dilation)
        return outputs[:, ::down, ::across]

    def get_config(self) -> dict:
        """Return the constructor's arguments."""
        return {**super().get_config(), "dilation": self.dilation}


@keras.saving.register_keras_serializable("keras_blitz")
class AvgPool2d(_Pool2d):
    """Average pooling that counts padding as PyTorch does.

    `count_include_pad` divides by the part of a window within image and padding, otherwise by the part within the
    image; what `ceil_mode` adds behind the padding never counts. Keras's `padding="same"` never counts padding and
    places the windows elsewhere (gap avgpool-count-include-pad: differs by 1.2 on unit noise).

    Args:
        kernel_size: ≥ 1, or (height, width).
        stride: ≥ 1, or (height, width); None: `kernel_size`.
        padding: zeros on each side, at most half of `kernel_size`.
        ceil_mode: keep the last window where it is not complete.
        count_include_pad: count the padding's zeros.
        divisor_override: divide the window's sum by this instead, ≠ 0.

    Shapes:
        input (N, H, W, C), output (N, H', W', C).

    Source: torch/nn/modules/pooling.py.
    """

    def __init__(
        self,
        kernel_size: Pair,
        stride: Pair | None = None,
        padding: Pair = 0,
        ceil_mode: bool = False,
        count_include_pad: bool = True,
        divisor_override: int | None = None,
        **options,
    ):
        super().__init__(kernel_size, stride, padding, 1, ceil_mode, **options)
        if divisor_override == 0:
            raise ValueError("divisor_override must not be zero")
        self.count_include_pad, self.divisor_override = count_include_pad, divisor_override

    def call(self, inputs):
        """Return the mean of each window."""
        pads = self._pads(inputs.shape)
        means = self._pool(tf.pad(inputs, pads) if np.any(pads) else inputs)
        area = self.kernel_size[0] * self.kernel_size[1]
        if self.divisor_override:
            return means * area / self.divisor_override
        if not self._uncounted(pads):
            return means
        return means / self._counted_share(inputs, pads)

    def _counted_share(self, inputs, pads):
        """Return the share of each window that counts: the mean over ones where it does, zeros where it does not."""
        counted = tf.ones_like(inputs[:1, :, :, :1])
        if self.count_include_pad:
            own = [[0, 0], *([p, p] for p in self.padding), [0, 0]]
            counted = tf.pad(counted, own, constant_values=1)
            pads = [[p - q for p, q in zip(*axis, strict=True)] for axis in zip(pads, own, strict=True)]
        return self._pool(tf.pad(counted, pads))

    def _uncounted(self, pads) -> bool:
        """Whether some window holds pixels that do not count."""
        if not self.count_include_pad:
            return bool(np.any(pads))
        return any(after > padding for (_, after), padding in zip(pads[1:3], self.padding, strict=True))

    def _pool(self, images):
        return tf.nn.avg_pool2d(images, self.kernel_size, self.stride, "VALID")

    def get_config(self) -> dict:
        """Return the constructor's arguments."""
        return {
            **super().get_config(),
            "count_include_pad": self.count_include_pad,
            "divisor_override": self.divisor_override,
        }


class _AdaptivePool2d(keras.layers.Layer):
    """What both adaptive pools share: window i of o over n pixels is ⌊i·n/o⌋ … ⌈(i+1)·n/o⌉."""

    def __init__(self, output_size: Pair, **options):
        super().__init__(**options)
        self.output_size = pair(output_size, "output_size", 1)

    def compute_output_shape(self, input_shape):
        """Return (N, height, width, C)."""
        return (input_shape[0], *self.output_size, input_shape[-1])

    def get_config(self) -> dict:
        """Return the constructor's arguments."""
        return {**super().get_config(), "output_size": self.output_size}


@keras.saving.register_keras_serializable("keras_blitz")
class AdaptiveAvgPool2d(_AdaptivePool2d):
    """Average pooling to a given size: window i of o over n pixels is ⌊i·n/o⌋ … ⌈(i+1)·n/o⌉.

    `keras.layers.AdaptiveAveragePooling2D` gives the same numbers in eager mode, but in Keras 3.15 raises a ValueError
    inside `tf.function` and XLA.

    Args:
        output_size: ≥ 1, or (height, width).

    Shapes:
        input (N, H, W, C) with H and W known, or an output_size of 1; output (N, height, width, C).

    Source: torch/nn/modules/pooling.py.
    """

    def call(self, inputs):
        """Return the mean of each window."""
        if self.output_size == (1, 1):  # of a map whose size need not be known
            return tf.reduce_mean(inputs, (1, 2), keepdims=True)
        outputs = cpu.average_equal_windows(inputs, self.output_size)
        if outputs is not None:
            return outputs
        rows, columns = (
            tf.constant(_averaging(*axis), inputs.dtype)
            for axis in zip(inputs.shape[1:3], self.output_size, strict=True)
        )
        return tf.einsum("oh,nhwc,pw->nopc", rows, inputs, columns)


@keras.saving.register_keras_serializable("keras_blitz")
class AdaptiveMaxPool2d(_AdaptivePool2d):
    """Max pooling to a given size: window i of o over n pixels is ⌊i·n/o⌋ … ⌈(i+1)·n/o⌉.

    `keras.layers.AdaptiveMaxPooling2D` gives the same output, but where values tie its gradient goes to another of them
    than PyTorch's first in row-major order (gap adaptive-maxpool: differs by 2.4).

    Args:
        output_size: ≥ 1, or (height, width).

    Shapes:
        input (N, H, W, C) with H and W known, output (N, height, width, C).

    Source: torch/nn/modules/pooling.py.
    """

    def call(self, inputs):
        """Return the maximum of each window."""
        rows, columns = map(_windows, inputs.shape[1:3], self.output_size)
        maxima = [
            [_first_maximum(inputs[:, top:bottom, left:right]) for left, right in columns] for top, bottom in rows
        ]
        return tf.stack([tf.stack(row, 1) for row in maxima], 1)


def _averaging(size: int, outputs: int) -> np.ndarray:
    """Return the matrix (outputs, size) that takes the mean of each window."""
    matrix = np.zeros((outputs, size))
    for row, (start, end) in zip(matrix, _windows(size, outputs), strict=True):
        row[start:end] = 1 / (end - start)
    return matrix


def _windows(size: int, outputs: int) -> list[tuple[int, int]]:
    return [(i * size // outputs, -(-(i + 1) * size // outputs)) for i in range(outputs)]


def _first_maximum(window):
    """Return the maximum (N, C) of a window (N, h, w, C); its gradient goes to the first place that has it."""
    _, height, width, channels = window.shape
    flat = tf.reshape(window, (-1, height * width, channels))
    chosen = tf.one_hot(tf.argmax(flat, 1), height * width, axis=1, dtype=flat.dtype)
    return tf.reduce_sum(tf.where(chosen > 0, flat, tf.zeros_like(flat)), 1)
