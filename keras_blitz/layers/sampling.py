"""`torch.nn.functional.grid_sample` and `affine_grid` on channels-last tensors, as spatial transformers use them."""

from collections.abc import Iterator, Sequence
from itertools import product

import keras
import numpy as np
import tensorflow as tf

MODES = ("bilinear", "nearest", "bicubic")
PADDING = ("zeros", "border", "reflection")
CUBIC = -0.75  # a of PyTorch's cubic convolution; Keras's and TensorFlow's have −0.5


def affine_grid(theta: tf.Tensor, size: Sequence[int], align_corners: bool = False) -> tf.Tensor:
    """Return the places in [−1, 1] that affine maps send the values of an image or volume to.

    place = θ · (x, y, 1)        x = −1 … 1 along the width, y along the height

    Args:
        theta: (N, 2, 3) for images, (N, 3, 4) for volumes.
        size: of the outputs, (N, H, W, C) or (N, D, H, W, C); PyTorch has the channels on axis 1.
        align_corners: −1 and 1 are the centers of the outermost values, not their outer edges.

    Returns:
        (N, H, W, 2), the place along the width first; or (N, D, H, W, 3).

    Raises:
        ValueError: the shape of theta does not fit the size.

    Source: ATen's AffineGridGenerator.cpp.
    """
    sizes = tuple(size)[1:-1]
    rank = len(sizes)
    if rank not in (2, 3) or not theta.shape.is_compatible_with((size[0], rank, rank + 1)):
        raise ValueError(
            f"affine_grid: theta {theta.shape} and size {tuple(size)} must be (N, 2, 3) and (N, H, W, C), or (N, 3, 4) "
            "and (N, D, H, W, C)"
        )
    axes = [_places(n, align_corners) for n in sizes]
    points = np.stack([*reversed(np.meshgrid(*axes, indexing="ij")), np.ones(sizes)], -1)
    flat = tf.constant(points.reshape(-1, rank + 1), theta.dtype)
    return tf.reshape(tf.matmul(flat, theta, transpose_b=True), (-1, *sizes, rank))


def _places(count: int, align_corners: bool) -> np.ndarray:
    if count == 1:
        return np.zeros(1)
    return np.linspace(-1, 1, count) * (1 if align_corners else (count - 1) / count)


def grid_sample(
    inputs: tf.Tensor,
    grid: tf.Tensor,
    mode: str = "bilinear",
    padding_mode: str = "zeros",
    align_corners: bool | None = None,
) -> tf.Tensor:
    """Return the values of images or volumes at places between their values.

    place p along n values: ((p + 1) · n − 1) / 2        (p + 1) / 2 · (n − 1) with `align_corners`

    Keras has no such function. Its nearest, `keras.ops.image.map_coordinates`, takes places in pixels, one image at a
    time, with orders 0 and 1; the older convention `align_corners=True` is 1.6 off (gap grid-sample).

    Args:
        inputs: (N, H, W, C), or (N, D, H, W, C), whose sizes are known.
        grid: (N, …, 2) or (N, …, 3), places in [−1, 1], that along the width first. NaN is taken for −1.
        mode: "bilinear", of volumes trilinear; "nearest"; "bicubic" of images alone.
        padding_mode: what is outside: "zeros", the value of the "border", or the "reflection" of the image.
        align_corners: −1 and 1 are the centers of the outermost values, not their outer edges. None: False.

    Returns:
        (N, …, C), a value for each place.

    Raises:
        ValueError: an argument out of range, shapes that do not fit each other, or sizes that are not known.

    Source: torch/nn/functional.py, ATen's GridSampler.h and GridSamplerKernel.cpp.
    """
    sizes = tuple(inputs.shape[1:-1])
    _check(inputs, grid, mode, padding_mode)
    grid = tf.where(tf.math.is_nan(grid), tf.constant(-1, grid.dtype), grid)
    aligned = bool(align_corners)
    # The grid has the place along the width first, the sizes have it last.
    places = [_in_pixels(grid[..., axis], n, aligned) for axis, n in enumerate(reversed(sizes))][::-1]
    if mode != "bicubic":
        places = [_padded(p, n, padding_mode, aligned) for p, n in zip(places, sizes, strict=True)]
    total = None
    for corner, weight in _corners(places, mode):
        if mode == "bicubic":
            corner = [_padded(p, n, padding_mode, aligned) for p, n in zip(corner, sizes, strict=True)]
        values = _values_at(inputs, corner, sizes)
        part = values if weight is None else values * weight[..., tf.newaxis]
        total = part if total is None else total + part
    # Where places decide nothing, as among the nearest, PyTorch's gradient is zero, not absent.
    return tf.where(True, total, grid[..., :1])


def _check(inputs: tf.Tensor, grid: tf.Tensor, mode: str, padding_mode: str) -> None:
    if mode not in MODES:
        raise ValueError(f"grid_sample: mode must be one of {', '.join(MODES)}, not {mode!r}")
    if padding_mode not in PADDING:
        raise ValueError(f"grid_sample: padding_mode must be one of {', '.join(PADDING)}, not {padding_mode!r}")
    rank = len(inputs.shape) - 2
    if rank not in (2, 3) or len(grid.shape) != rank + 2 or grid.shape[-1] != rank:
        raise ValueError(
            f"grid_sample: inputs {inputs.shape} and grid {grid.shape} must be (N, H, W, C) and (N, …, …, 2), or "
            "(N, D, H, W, C) and (N, …, …, …, 3)"
        )
    if not inputs.shape[:1].is_compatible_with(grid.shape[:1]):
        raise ValueError(f"grid_sample: inputs {inputs.shape} and grid {grid.shape} have different batch sizes")
    if mode == "bicubic" and rank != 2:
        raise ValueError(f"grid_sample: mode 'bicubic' is for images, not for inputs {inputs.shape}")
    if None in tuple(inputs.shape[1:-1]) or 0 in tuple(inputs.shape[1:]):
        raise ValueError(f"grid_sample: the sizes of the inputs must be known and not 0, not {inputs.shape}")


def _in_pixels(place: tf.Tensor, size: int, align_corners: bool) -> tf.Tensor:
    return (place + 1) / 2 * (size - 1) if align_corners else ((place + 1) * size - 1) / 2


def _padded(place: tf.Tensor, size: int, padding_mode: str, align_corners: bool) -> tf.Tensor:
    """Return places inside of an axis; for zeros just beside it, where there is no value either."""
    if padding_mode == "zeros":
        return _clip(place, -2, size + 1)
    if padding_mode == "reflection":
        place = _reflect(place, 0, size - 1) if align_corners else _reflect(place, -0.5, size - 0.5)
    return _clip(place, 0, size - 1)


def _clip(place: tf.Tensor, low: float, high: float) -> tf.Tensor:
    """Clip with PyTorch's gradient, which is 0 at the ends, too."""
    return tf.where((place > low) & (place < high), place, tf.stop_gradient(tf.clip_by_value(place, low, high)))


def _reflect(place: tf.Tensor, low: float, high: float) -> tf.Tensor:
    """Reflect at both ends as often as it takes."""
    span = high - low
    if not span:
        return tf.zeros_like(place)
    beyond = tf.where(place < low, low - place, place - low)
    rest = tf.math.floormod(beyond, tf.constant(span, place.dtype))
    flipped = tf.math.floormod(tf.floor(beyond / span), 2) == 1
    return low + tf.where(flipped, span - rest, rest)


def _corners(places: list[tf.Tensor], mode: str) -> Iterator[tuple[list[tf.Tensor], tf.Tensor | None]]:
    """Yield the whole places around places, and the weight of each; None: 1."""
    if mode == "nearest":
        yield [tf.round(place) for place in places], None
        return
    floors = [tf.floor(place) for place in places]
    shares = [place - floor for place, floor in zip(places, floors, strict=True)]
    weights = [_cubic(share) if mode == "bicubic" else {0: 1 - share, 1: share} for share in shares]
    for offsets in product(*weights):
        weight = None
        for of_axis, offset in zip(weights, offsets, strict=True):
            weight = of_axis[offset] if weight is None else weight * of_axis[offset]
        yield [floor + offset for floor, offset in zip(floors, offsets, strict=True)], weight


def _cubic(share: tf.Tensor) -> dict[int, tf.Tensor]:
    """Return the weights of four values, by their place relative to the one before: cubic convolution."""

    def near(x: tf.Tensor) -> tf.Tensor:
        return ((CUBIC + 2) * x - (CUBIC + 3)) * x * x + 1

    def far(x: tf.Tensor) -> tf.Tensor:
        return ((CUBIC * x - 5 * CUBIC) * x + 8 * CUBIC) * x - 4 * CUBIC

    return {-1: far(share + 1), 0: near(share), 1: near(1 - share), 2: far(2 - share)}


def _values_at(inputs: tf.Tensor, places: list[tf.Tensor], sizes: tuple[int, ...]) -> tf.Tensor:
    """Return the values at whole places, (N, …, C); 0 outside."""
    inside, index = tf.constant(True), 0
    for place, size in zip(places, sizes, strict=True):
        inside &= (place >= 0) & (place <= size - 1)
        index = index * size + tf.cast(tf.clip_by_value(place, 0, size - 1), tf.int32)
    flat = tf.reshape(inputs, (-1, int(np.prod(sizes)), inputs.shape[-1]))
    values = tf.gather(flat, index, batch_dims=1)
    return tf.where(inside[..., tf.newaxis], values, tf.zeros_like(values))


@keras.saving.register_keras_serializable("keras_blitz")
class GridSample(keras.layers.Layer):
    """`grid_sample` as a layer of two inputs: the images, and the places in them.

    Args:
        mode, padding_mode, align_corners: see `grid_sample`.

    Shapes:
        inputs (N, H, W, C) with H and W known, and (N, H', W', 2); output (N, H', W', C). Volumes have one axis more.
    """

    def __init__(self, mode: str = "bilinear", padding_mode: str = "zeros", align_corners: bool = False, **options):
        super().__init__(**options)
        self.mode, self.padding_mode, self.align_corners = mode, padding_mode, align_corners

    def call(self, images, grid):
        """Sample."""
        return grid_sample(images, grid, self.mode, self.padding_mode, self.align_corners)

    def compute_output_shape(self, images_shape, grid_shape):
        """Return (N, H', W', C)."""
        return (*grid_shape[:-1], images_shape[-1])

    def get_config(self) -> dict:
        """Return the constructor's arguments."""
        own = {"mode": self.mode, "padding_mode": self.padding_mode, "align_corners": self.align_corners}
        return {**super().get_config(), **own}


@keras.saving.register_keras_serializable("keras_blitz")
class AffineGrid(keras.layers.Layer):
    """`affine_grid` as a layer: the grid for `GridSample` of an affine map.

    Args:
        height, width: of the output.
        align_corners: see `affine_grid`.

    Shapes:
        input (N, 2, 3), output (N, height, width, 2).
    """

    def __init__(self, height: int, width: int, align_corners: bool = False, **options):
        super().__init__(**options)
        self.height, self.width, self.align_corners = height, width, align_corners

    def call(self, theta):
        """Map each place."""
        return affine_grid(theta, (theta.shape[0], self.height, self.width, 1), self.align_corners)

    def compute_output_shape(self, input_shape):
        """Return (N, height, width, 2)."""
        return (input_shape[0], self.height, self.width, 2)

    def get_config(self) -> dict:
        """Return the constructor's arguments."""
        own = {"height": self.height, "width": self.width, "align_corners": self.align_corners}
        return {**super().get_config(), **own}
