"""`torch.nn`'s pooling with fixed windows on channels-last tensors: maxima, means and p-norms."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from math import prod

import keras
import numpy as np
import tensorflow as tf

from keras_blitz.layers.padding import repeat_edges
from keras_blitz.layers.pairs import Sizes, sizes

_pads_by_edges = ContextVar("pads_by_edges", default=False)


@contextmanager
def pad_by_edges() -> Iterator[None]:
    """Let maxima that are called inside the block pad with the values on the inputs' edge instead of −∞.

    The maxima are the same: each window that reaches into the padding has the edge, because padding is at most half of
    the window. It is slower, and for files of 8 bits, where a range that has −∞ leaves no step for the others.
    """
    before = _pads_by_edges.set(True)
    try:
        yield
    finally:
        _pads_by_edges.reset(before)


class _Pool(keras.layers.Layer):
    """What the pools share: the windows' places.

    out = ⌊(n + 2·padding − dilation·(kernel − 1) − 1) / stride⌋ + 1, with ⌈⌉ under `ceil_mode`, less one where the last
    window would start in the padding on the right.
    """

    rank = 2

    def __init__(
        self, kernel_size: Sizes, stride: Sizes | None, padding: Sizes, dilation: Sizes, ceil_mode: bool, **options
    ):
        super().__init__(**options)
        self.kernel_size = sizes(kernel_size, "kernel_size", 1, self.rank)
        self.stride = self.kernel_size if stride is None else sizes(stride, "stride", 1, self.rank)
        self.padding = sizes(padding, "padding", 0, self.rank)
        self.dilation = sizes(dilation, "dilation", 1, self.rank)
        self.ceil_mode = ceil_mode
        if any(2 * p > k for p, k in zip(self.padding, self.kernel_size, strict=True)):
            raise ValueError(f"padding must be at most half of kernel_size, not {self.padding} of {self.kernel_size}")

    def _sizes(self, shape) -> list[tuple[int | None, int]]:
        """Return (output size, places to add after) for each axis."""
        geometry = zip(shape[1:-1], self.kernel_size, self.stride, self.padding, self.dilation, strict=True)
        return [self._size(*axis) for axis in geometry]

    def _size(self, size, kernel, stride, padding, dilation) -> tuple[int | None, int]:
        reach = dilation * (kernel - 1) + 1
        if size is None:
            if self.ceil_mode:
                raise ValueError(f"{self.name}: ceil_mode needs the sizes of the inputs to be known")
            return None, padding
        room = size + 2 * padding - reach
        if not self.ceil_mode:
            return room // stride + 1, padding
        outputs = -(-room // stride) + 1
        if (outputs - 1) * stride >= size + padding:
            outputs -= 1
        return outputs, max(padding, (outputs - 1) * stride + reach - size - padding)

    def _pads(self, shape) -> list[list[int]]:
        added = [places for _, places in self._sizes(shape)]
        return [[0, 0], *([before, after] for before, after in zip(self.padding, added, strict=True)), [0, 0]]

    def compute_output_shape(self, input_shape):
        """Return (N, …, C)."""
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


class _MaxPool(_Pool):
    """What the maxima share; arguments in PyTorch's order."""

    def __init__(
        self,
        kernel_size: Sizes,
        stride: Sizes | None = None,
        padding: Sizes = 0,
        dilation: Sizes = 1,
        ceil_mode: bool = False,
        **options,
    ):
        super().__init__(kernel_size, stride, padding, dilation, ceil_mode, **options)

    def call(self, inputs):
        """Return the maximum of each window."""
        pads = self._pads(inputs.shape)
        if np.any(pads) and _pads_by_edges.get() and set(self.dilation) == {1}:
            inputs = repeat_edges(inputs, pads)
        elif np.any(pads):
            inputs = tf.pad(inputs, pads, constant_values=-np.inf)
        return _by_planes(_maxima, inputs, self.kernel_size, self.stride, self.dilation)

    def get_config(self) -> dict:
        """Return the constructor's arguments."""
        return {**super().get_config(), "dilation": self.dilation}


@keras.saving.register_keras_serializable("keras_blitz")
class MaxPool1d(_MaxPool):
    """Max pooling of sequences that pads with −∞, see `MaxPool2d`.

    Shapes:
        input (N, L, C), output (N, L', C).

    Source: torch/nn/modules/pooling.py.
    """

    rank = 1


@keras.saving.register_keras_serializable("keras_blitz")
class MaxPool2d(_MaxPool):
    """Max pooling that pads with −∞, as PyTorch does.

    Keras pads with `padding="same"` only, whose windows start elsewhere; zeros before `MaxPooling2D` win over
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


@keras.saving.register_keras_serializable("keras_blitz")
class MaxPool3d(_MaxPool):
    """Max pooling of volumes that pads with −∞, see `MaxPool2d`.

    `keras.layers.MaxPooling3D` has no float64 kernel on a CPU (gap maxpool3d-f64).

    Shapes:
        input (N, D, H, W, C), output (N, D', H', W', C).

    Source: torch/nn/modules/pooling.py.
    """

    rank = 3


class _AvgPool(_Pool):
    """What the means share; arguments in PyTorch's order."""

    def __init__(
        self,
        kernel_size: Sizes,
        stride: Sizes | None = None,
        padding: Sizes = 0,
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
        if self.divisor_override:
            return means * prod(self.kernel_size) / self.divisor_override
        if not self._uncounted(pads):
            return means
        return means / self._counted_share(inputs, pads)

    def _counted_share(self, inputs, pads):
        """Return the share of each window that counts: the mean over ones where it does, zeros where it does not."""
        counted = tf.ones_like(inputs[:1, ..., :1])
        if self.count_include_pad:
            own = [[0, 0], *([p, p] for p in self.padding), [0, 0]]
            counted = tf.pad(counted, own, constant_values=1)
            pads = [[p - q for p, q in zip(*axis, strict=True)] for axis in zip(pads, own, strict=True)]
        return self._pool(tf.pad(counted, pads))

    def _uncounted(self, pads) -> bool:
        """Whether some window holds places that do not count."""
        if not self.count_include_pad:
            return bool(np.any(pads))
        return any(after > padding for (_, after), padding in zip(pads[1:-1], self.padding, strict=True))

    def _pool(self, images):
        return _by_planes(_means, images, self.kernel_size, self.stride, self.dilation)

    def get_config(self) -> dict:
        """Return the constructor's arguments."""
        return {
            **super().get_config(),
            "count_include_pad": self.count_include_pad,
            "divisor_override": self.divisor_override,
        }


@keras.saving.register_keras_serializable("keras_blitz")
class AvgPool1d(_AvgPool):
    """Average pooling of sequences that counts padding as PyTorch does, see `AvgPool2d`; it has no `divisor_override`.

    Shapes:
        input (N, L, C), output (N, L', C).

    Source: torch/nn/modules/pooling.py.
    """

    rank = 1

    def __init__(
        self,
        kernel_size: Sizes,
        stride: Sizes | None = None,
        padding: Sizes = 0,
        ceil_mode: bool = False,
        count_include_pad: bool = True,
        **options,
    ):
        super().__init__(kernel_size, stride, padding, ceil_mode, count_include_pad, **options)

    def get_config(self) -> dict:
        """Return the constructor's arguments."""
        return {name: value for name, value in super().get_config().items() if name != "divisor_override"}


@keras.saving.register_keras_serializable("keras_blitz")
class AvgPool2d(_AvgPool):
    """Average pooling that counts padding as PyTorch does.

    `count_include_pad` divides by the part of a window within image and padding, otherwise by the part within the
    image; what `ceil_mode` adds after the padding never counts. Keras's `padding="same"` never counts padding and
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


@keras.saving.register_keras_serializable("keras_blitz")
class AvgPool3d(_AvgPool):
    """Average pooling of volumes that counts padding as PyTorch does, see `AvgPool2d`.

    `keras.layers.AveragePooling3D` has no float64 kernel on a CPU (gap avgpool3d-f64).

    Shapes:
        input (N, D, H, W, C), output (N, D', H', W', C).

    Source: torch/nn/modules/pooling.py.
    """

    rank = 3


class _LPPool(_Pool):
    """What the p-norms share; arguments in PyTorch's order."""

    def __init__(
        self, norm_type: float, kernel_size: Sizes, stride: Sizes | None = None, ceil_mode: bool = False, **options
    ):
        super().__init__(kernel_size, stride, 0, 1, ceil_mode, **options)
        self.norm_type = float(norm_type)

    def call(self, inputs):
        """Return the norm of each window."""
        count = prod(self.kernel_size)
        power = tf.pow(inputs, tf.constant(self.norm_type, inputs.dtype))
        pads = self._pads(inputs.shape)
        means = _by_planes(_means, tf.pad(power, pads) if np.any(pads) else power, self.kernel_size, self.stride)
        if np.any(pads):  # PyTorch takes the mean of what is there, times the whole window's size
            ones = tf.pad(tf.ones_like(inputs[:1, ..., :1]), pads)
            means /= _by_planes(_means, ones, self.kernel_size, self.stride)
        # sign and relu are PyTorch's: no norm of a negative sum, and no gradient.
        sums = tf.sign(means) * tf.nn.relu(tf.abs(means)) * count
        return tf.pow(sums, tf.constant(1 / self.norm_type, inputs.dtype))

    def get_config(self) -> dict:
        """Return the constructor's arguments."""
        config = {name: value for name, value in super().get_config().items() if name != "padding"}
        return {**config, "norm_type": self.norm_type}


@keras.saving.register_keras_serializable("keras_blitz")
class LPPool1d(_LPPool):
    """The p-norm of each window of sequences (N, L, C), see `LPPool2d`.

    Source: torch/nn/modules/pooling.py.
    """

    rank = 1


@keras.saving.register_keras_serializable("keras_blitz")
class LPPool2d(_LPPool):
    """The p-norm of each window: (Σ x^p)^(1/p).

    Keras has no such layer; average pooling of the powers, the usual port, is the norm over the window's size to the
    power 1/p (gap lppool: differs by 0.4 of the largest value). A negative x with a p that is odd, or no whole number,
    gives NaN or a negative sum, as in PyTorch.

    Args:
        norm_type: p, ≠ 0.
        kernel_size: ≥ 1, or one for each axis.
        stride: ≥ 1, or one for each axis; None: `kernel_size`.
        ceil_mode: keep the last window where it is not complete, as if it were filled up with its mean.

    Shapes:
        input (N, H, W, C), output (N, H', W', C).

    Source: torch/nn/modules/pooling.py.
    """


@keras.saving.register_keras_serializable("keras_blitz")
class LPPool3d(_LPPool):
    """The p-norm of each window of volumes (N, D, H, W, C), see `LPPool2d`.

    Source: torch/nn/modules/pooling.py.
    """

    rank = 3


def _by_planes(pool, inputs, kernel, stride, dilation=None):
    """Pool over one to three axes by images: a sequence is an image of one row, a volume goes plane by plane first.

    Of equal maxima in a volume the first in row-major order has the gradient, as in PyTorch: over depth the first plane
    wins, and within it the first place.
    """
    dilation = dilation or (1,) * len(kernel)
    if len(kernel) == 1:
        return pool(inputs[:, tf.newaxis], (1, *kernel), (1, *stride), (1, *dilation))[:, 0]
    if len(kernel) == 2:
        return pool(inputs, kernel, stride, dilation)
    shape, channels = tf.shape(inputs), inputs.shape[-1]
    planes = tf.reshape(inputs, (-1, *_static(inputs, 2, 4), channels))
    planes = pool(planes, kernel[1:], stride[1:], dilation[1:])
    sides = tf.shape(planes)[1:3]
    columns = tf.reshape(planes, (shape[0], shape[1], -1, channels))
    pooled = pool(columns, (kernel[0], 1), (stride[0], 1), (dilation[0], 1))
    volumes = tf.reshape(pooled, (shape[0], tf.shape(pooled)[1], sides[0], sides[1], channels))
    volumes.set_shape((inputs.shape[0], pooled.shape[1], *planes.shape[1:3], channels))
    return volumes


def _static(tensor, first, last):
    """Return sizes of a tensor, as numbers where they are known."""
    return [tf.shape(tensor)[axis] if tensor.shape[axis] is None else tensor.shape[axis] for axis in range(first, last)]


def _maxima(images, kernel, stride, dilation):
    if dilation == (1, 1):
        return tf.nn.max_pool2d(images, kernel, stride, "VALID")
    down, across = stride
    return tf.nn.pool(images, kernel, "MAX", padding="VALID", dilations=dilation)[:, ::down, ::across]


def _means(images, kernel, stride, _):
    return tf.nn.avg_pool2d(images, kernel, stride, "VALID")
