"""`torch.nn.functional.grid_sample` and `affine_grid` on channels-last images."""

from itertools import product

import keras
import numpy as np
import tensorflow as tf

PADDINGS = ("zeros", "border", "reflection")


@keras.saving.register_keras_serializable("keras_blitz")
class GridSample(keras.layers.Layer):
    """The values of images at places of a grid, from −1 (left, top) to 1 (right, bottom).

    x = ((g + 1)·W − 1)/2, with align_corners (g + 1)·(W − 1)/2

    Keras has `map_coordinates`, which has no gradient of the places and no reflection as PyTorch's.

    Args:
        mode: "bilinear" or "nearest".
        padding_mode: what is outside: "zeros", the nearest edge ("border"), the image mirrored ("reflection").
        align_corners: −1 and 1 are the centers of the outermost pixels, not their outer edges.

    Shapes:
        inputs (N, H, W, C) with H and W known, and (N, H', W', 2), the grid's (x, y); output (N, H', W', C).

    Source: ATen's GridSamplerKernel.cpp.
    """

    def __init__(self, mode: str = "bilinear", padding_mode: str = "zeros", align_corners: bool = False, **options):
        super().__init__(**options)
        if mode not in ("bilinear", "nearest"):
            raise ValueError(f'mode must be "bilinear" or "nearest", not {mode!r}')
        if padding_mode not in PADDINGS:
            raise ValueError(f"padding_mode must be one of {', '.join(PADDINGS)}, not {padding_mode!r}")
        self.mode, self.padding_mode, self.align_corners = mode, padding_mode, align_corners

    def call(self, images, grid):
        """Sample."""
        sizes = images.shape[2], images.shape[1]
        x, y = (self._places(grid[..., axis], size) for axis, size in enumerate(sizes))
        if self.mode == "nearest":
            return _values(images, tf.round(x), tf.round(y))
        left, top = tf.floor(x), tf.floor(y)
        total = tf.zeros_like(grid[..., :1])
        for right, below in product((0, 1), (0, 1)):
            width = x - left if right else left + 1 - x
            height = y - top if below else top + 1 - y
            total += _values(images, left + right, top + below) * (width * height)[..., tf.newaxis]
        return total

    def _places(self, grid, size: int):
        """Return the places in pixels, those outside moved into the image unless they are zeros."""
        places = (grid + 1) * ((size - 1) / 2) if self.align_corners else ((grid + 1) * size - 1) / 2
        if self.padding_mode == "reflection":
            places = _mirrored(places, 0 if self.align_corners else -0.5, size - (1 if self.align_corners else 0))
        if self.padding_mode == "zeros":
            return places
        inside = (places > 0) & (places < size - 1)  # PyTorch's gradient is 0 at the edges
        return tf.where(inside, places, tf.stop_gradient(tf.clip_by_value(places, 0, size - 1)))

    def compute_output_shape(self, images_shape, grid_shape):
        """Return (N, H', W', C)."""
        return (*grid_shape[:-1], images_shape[-1])

    def get_config(self) -> dict:
        """Return the constructor's arguments."""
        own = {"mode": self.mode, "padding_mode": self.padding_mode, "align_corners": self.align_corners}
        return {**super().get_config(), **own}


def _mirrored(places, low: float, span: float):
    """Return places mirrored at low and low + span as often as it takes."""
    if span == 0:
        return tf.zeros_like(places)
    away = tf.abs(places - low)
    times = tf.stop_gradient(tf.floor(away / span))
    extra = away - times * span
    return tf.where(tf.math.floormod(times, 2) == 0, extra + low, span - extra + low)


def _values(images, x, y):
    """Return the pixels at whole places, 0 outside of the image."""
    height, width, channels = images.shape[1:]
    inside = (x >= 0) & (x < width) & (y >= 0) & (y < height)
    rows, columns = (
        tf.cast(tf.clip_by_value(places, 0, size - 1), tf.int32) for places, size in ((y, height), (x, width))
    )
    flat = tf.reshape(images, (-1, height * width, channels))
    found = tf.gather(flat, rows * width + columns, batch_dims=1)
    return tf.where(inside[..., tf.newaxis], found, tf.zeros_like(found))


@keras.saving.register_keras_serializable("keras_blitz")
class AffineGrid(keras.layers.Layer):
    """The grid for `GridSample` of an affine map: (x', y') = θ·(x, y, 1) for each pixel (x, y) of the output.

    Args:
        height, width: of the output.
        align_corners: see `GridSample`.

    Shapes:
        input (N, 2, 3), output (N, height, width, 2).

    Source: ATen's AffineGridGenerator.cpp.
    """

    def __init__(self, height: int, width: int, align_corners: bool = False, **options):
        super().__init__(**options)
        self.height, self.width, self.align_corners = height, width, align_corners

    def call(self, theta):
        """Map each place."""
        x, y = (self._line(size) for size in (self.width, self.height))
        ones = np.ones((self.height, self.width))
        places = np.stack([ones * x, ones * y[:, np.newaxis], ones], -1)  # (H, W, 3)
        return tf.einsum("hwk,njk->nhwj", tf.constant(places, theta.dtype), theta)

    def _line(self, size: int) -> np.ndarray:
        if size == 1:
            return np.zeros(1)
        line = np.linspace(-1, 1, size)
        return line if self.align_corners else line * (size - 1) / size

    def compute_output_shape(self, input_shape):
        """Return (N, height, width, 2)."""
        return (input_shape[0], self.height, self.width, 2)

    def get_config(self) -> dict:
        """Return the constructor's arguments."""
        own = {"height": self.height, "width": self.width, "align_corners": self.align_corners}
        return {**super().get_config(), **own}
