"""The values and weights that make up each value of a resized axis, as PyTorch and Pillow choose them."""

from dataclasses import dataclass

import numpy as np

from keras_blitz.boxmuller import fma


@dataclass(frozen=True)
class Taps:
    """The values that make up each output along an axis: output i is Σ_t weights[i, t] · x[indices[i, t]]."""

    indices: np.ndarray
    weights: np.ndarray


def find_taps(
    before: int,
    after: int,
    factor: float | None = None,
    mode: str = "bilinear",
    align_corners: bool = False,
    antialias: bool = False,
    dtype: str = "float64",
) -> Taps:
    """Return the taps that resize an axis.

    Args:
        before: size of the inputs, ≥ 1.
        after: size of the outputs, ≥ 1.
        factor: outputs ÷ inputs where it was given and is not after ÷ before.
        mode: "nearest", "nearest-exact", "area", "linear", "bilinear", "bicubic", "trilinear".
        align_corners: the first and last values of both grids are at the same place.
        antialias: widen the filter where the result is smaller.
        dtype: "float64" or "float32": that of the tensor, in which PyTorch computes places and weights, too. For 130
            values, those of float32 make results that are up to 1e-5 from those of float64.

    Source: ATen's UpSampleKernel.cpp, Pillow's Resample.c.
    """
    kind = np.dtype(dtype).type
    scale = kind(before) / kind(after) if factor is None else kind(1 / factor)
    if mode.startswith("nearest"):
        return _nearest(before, after, scale, exact=mode == "nearest-exact")
    if mode == "area":
        return _area(before, after)
    cubic = mode == "bicubic"
    if align_corners:
        scale = kind(before - 1) / kind(after - 1) if after > 1 else kind(0)
    if antialias:
        return _antialiased(before, after, scale, cubic)
    steps = np.arange(after, dtype=kind)
    places = steps * scale if align_corners else fma(steps + kind(0.5), float(scale), -0.5)
    return _cubic_taps(before, places) if cubic else _linear_taps(before, places)


def _linear_taps(before: int, places: np.ndarray) -> Taps:
    places = np.maximum(places, 0)
    low = np.minimum(np.floor(places).astype(int), before - 1)
    share = np.minimum(places - low.astype(places.dtype), 1) if before > 1 else np.zeros_like(places)
    high = np.minimum(low + 1, before - 1)
    return Taps(np.stack([low, high], 1), np.stack([1 - share, share], 1))


def _cubic_taps(before: int, places: np.ndarray) -> Taps:
    low = np.floor(places)
    distances = (places - low)[:, np.newaxis] - np.arange(-1, 3, dtype=places.dtype)
    near = low.astype(int)[:, np.newaxis] + np.arange(-1, 3)
    return Taps(np.clip(near, 0, before - 1), _cubic(distances, -0.75))


def _nearest(before: int, after: int, scale: np.floating, exact: bool) -> Taps:
    places: np.ndarray
    if exact:
        kind = type(scale)
        places = np.maximum(fma(np.arange(after, dtype=kind) + kind(0.5), float(scale), -0.5), 0) + 0.5
    else:  # PyTorch computes the place in float32, whatever the tensor's type
        places = np.arange(after, dtype=np.float32) * np.float32(scale)
    indices = np.floor(places.astype(np.float32)).astype(int)
    return Taps(np.minimum(indices, before - 1)[:, np.newaxis], np.ones((after, 1)))


def _area(before: int, after: int) -> Taps:
    """Return the windows of adaptive average pooling."""
    starts, ends = np.arange(after) * before // after, -(-(np.arange(after) + 1) * before // after)
    offsets = np.arange((ends - starts).max())
    inside = offsets < (ends - starts)[:, np.newaxis]
    return Taps(np.minimum(starts[:, np.newaxis] + offsets, before - 1), inside / (ends - starts)[:, np.newaxis])


def _antialiased(before: int, after: int, scale: np.floating, cubic: bool) -> Taps:
    """Return the taps of a filter that is as wide as a step of the outputs, as Pillow has it."""
    kind = type(scale)
    wide = max(scale, kind(1))
    support = kind(2 if cubic else 1) * wide
    centers = (np.arange(after, dtype=kind) + kind(0.5)) * scale
    starts = np.maximum((centers - support + kind(0.5)).astype(int), 0)
    ends = np.minimum((centers + support + kind(0.5)).astype(int), before)
    offsets = np.arange((ends - starts).max())
    places = starts[:, np.newaxis] + offsets
    distances = (places.astype(kind) - centers[:, np.newaxis] + kind(0.5)) * (kind(1) / wide)
    weights = _cubic(distances, -0.5) if cubic else np.maximum(1 - np.abs(distances), 0)
    weights = np.where(places < ends[:, np.newaxis], weights, 0)
    totals = np.cumsum(weights, axis=1)[:, -1:]  # one after the other, to the bit of Pillow's sums
    return Taps(np.minimum(places, before - 1), weights / totals)


def _cubic(distances: np.ndarray, a: float) -> np.ndarray:
    """Return the cubic convolution kernel at these distances (Keys, 1981)."""
    x = np.abs(distances)
    near = ((a + 2) * x - (a + 3)) * x * x + 1
    far = ((a * x - 5 * a) * x + 8 * a) * x - 4 * a
    return np.where(x <= 1, near, np.where(x < 2, far, 0))
