"""`torch.nn`'s pooling to a given size on channels-last tensors: window i of o over n is ⌊i·n/o⌋ … ⌈(i+1)·n/o⌉."""

from itertools import product
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from keras_blitz.layers import cpu
from keras_blitz.layers.pairs import Sizes


class _AdaptivePool(keras.layers.Layer):
    """What the adaptive pools share."""

    rank = 2

    def __init__(self, output_size: Sizes | tuple[int | None, ...] | None, **options):
        super().__init__(**options)
        single = output_size is None or isinstance(output_size, int)
        given: Any = (output_size,) * self.rank if single else output_size
        self.output_size = tuple(given)
        right = [size is None or (isinstance(size, int) and size >= 1) for size in self.output_size]
        if len(right) != self.rank or not all(right):
            raise ValueError(
                f"output_size must be a whole number ≥ 1, or {self.rank} of them or None, not {output_size!r}"
            )

    def _outputs(self, shape) -> Any:
        """Return the size of each axis; where the layer has None for it, that of the input."""
        return tuple(n if size is None else size for n, size in zip(shape[1:-1], self.output_size, strict=True))

    def compute_output_shape(self, input_shape):
        """Return (N, …, C)."""
        return (input_shape[0], *self._outputs(input_shape), input_shape[-1])

    def get_config(self) -> dict:
        """Return the constructor's arguments."""
        return {**super().get_config(), "output_size": self.output_size}


class _AdaptiveAvgPool(_AdaptivePool):
    def call(self, inputs):
        """Return the mean of each window."""
        outputs, axes = self._outputs(inputs.shape), tuple(range(1, 1 + self.rank))
        if all(size == 1 for size in outputs):  # of a map whose size need not be known
            return tf.reduce_mean(inputs, axes, keepdims=True)
        fast = cpu.average_equal_windows(inputs, outputs) if self.rank == 2 else None
        if fast is not None:
            return fast
        for axis, size in zip(axes, outputs, strict=True):
            matrix = tf.constant(_averaging(inputs.shape[axis], size), inputs.dtype)
            letters = "abcdefg"[: self.rank + 2]
            result = letters.replace(letters[axis], "z")
            inputs = tf.einsum(f"z{letters[axis]},{letters}->{result}", matrix, inputs)
        return inputs


@keras.saving.register_keras_serializable("keras_blitz")
class AdaptiveAvgPool1d(_AdaptiveAvgPool):
    """Average pooling of sequences (N, L, C) to a given length, see `AdaptiveAvgPool2d`.

    Source: torch/nn/modules/pooling.py.
    """

    rank = 1


@keras.saving.register_keras_serializable("keras_blitz")
class AdaptiveAvgPool2d(_AdaptiveAvgPool):
    """Average pooling to a given size: window i of o over n pixels is ⌊i·n/o⌋ … ⌈(i+1)·n/o⌉.

    `keras.layers.AdaptiveAveragePooling2D` gives the same numbers in eager mode, for every pair of sizes from 1 to 16
    (gap adaptive-avgpool), but in Keras 3.15 raises a ValueError inside `tf.function` and XLA.

    Args:
        output_size: ≥ 1, or (height, width); None, or None for an axis, keeps its size.

    Shapes:
        input (N, H, W, C) with H and W known, or an output_size of 1; output (N, height, width, C).

    Source: torch/nn/modules/pooling.py.
    """


@keras.saving.register_keras_serializable("keras_blitz")
class AdaptiveAvgPool3d(_AdaptiveAvgPool):
    """Average pooling of volumes (N, D, H, W, C) to a given size, see `AdaptiveAvgPool2d`.

    Source: torch/nn/modules/pooling.py.
    """

    rank = 3


class _AdaptiveMaxPool(_AdaptivePool):
    def call(self, inputs):
        """Return the maximum of each window."""
        outputs = self._outputs(inputs.shape)
        windows = map(_windows, inputs.shape[1:-1], outputs)
        maxima = [
            _first_maximum(inputs[(slice(None), *(slice(*ends) for ends in window))]) for window in product(*windows)
        ]
        return tf.reshape(tf.stack(maxima, 1), (-1, *outputs, inputs.shape[-1]))


@keras.saving.register_keras_serializable("keras_blitz")
class AdaptiveMaxPool1d(_AdaptiveMaxPool):
    """Max pooling of sequences (N, L, C) to a given length, see `AdaptiveMaxPool2d`.

    Source: torch/nn/modules/pooling.py.
    """

    rank = 1


@keras.saving.register_keras_serializable("keras_blitz")
class AdaptiveMaxPool2d(_AdaptiveMaxPool):
    """Max pooling to a given size: window i of o over n pixels is ⌊i·n/o⌋ … ⌈(i+1)·n/o⌉.

    `keras.layers.AdaptiveMaxPooling2D` gives the same output, but where values tie its gradient goes to another of them
    than PyTorch's first in row-major order (gap adaptive-maxpool: differs by 2.4).

    Args:
        output_size: ≥ 1, or (height, width); None, or None for an axis, keeps its size.

    Shapes:
        input (N, H, W, C) with H and W known, output (N, height, width, C).

    Source: torch/nn/modules/pooling.py.
    """


@keras.saving.register_keras_serializable("keras_blitz")
class AdaptiveMaxPool3d(_AdaptiveMaxPool):
    """Max pooling of volumes (N, D, H, W, C) to a given size, see `AdaptiveMaxPool2d`.

    Source: torch/nn/modules/pooling.py.
    """

    rank = 3


def _averaging(size: int, outputs: int) -> np.ndarray:
    """Return the matrix (outputs, size) that takes the mean of each window."""
    matrix = np.zeros((outputs, size))
    for row, (start, end) in zip(matrix, _windows(size, outputs), strict=True):
        row[start:end] = 1 / (end - start)
    return matrix


def _windows(size: int, outputs: int) -> list[tuple[int, int]]:
    return [(i * size // outputs, -(-(i + 1) * size // outputs)) for i in range(outputs)]


def _first_maximum(window):
    """Return the maximum (N, C) of a window (N, …, C); its gradient goes to the first place that has it."""
    count, channels = window.shape[1:-1].num_elements(), window.shape[-1]
    flat = tf.reshape(window, (-1, count, channels))
    chosen = tf.one_hot(tf.argmax(flat, 1), count, axis=1, dtype=flat.dtype)
    return tf.reduce_sum(tf.where(chosen > 0, flat, tf.zeros_like(flat)), 1)
