"""Whether two tensors hold the same values, up to their layouts: what a layer was given in PyTorch and in Keras."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np


@dataclass(frozen=True, eq=False)
class Value:
    """A tensor with the sums that tell most others from it at once."""

    array: np.ndarray

    @cached_property
    def flat(self) -> np.ndarray:
        """The values in float64, in the tensor's own order."""
        return np.asarray(self.array, np.float64).reshape(-1)

    @cached_property
    def scale(self) -> float:
        """The largest magnitude."""
        return float(np.abs(self.flat).max(initial=0))

    @cached_property
    def sums(self) -> tuple[float, float]:
        """The sum of the values and of their magnitudes, which no transpose changes."""
        return float(self.flat.sum()), float(np.abs(self.flat).sum())


def distance(expected: Value, actual: Value, bound: float) -> float:
    """Return max|actual − expected| / max|expected| in the layout that brings them nearest; infinite beyond a bound.

    Args:
        expected: PyTorch's.
        actual: Keras's: in the same order, channels last, the first two axes exchanged, flattened, or with merged axes.
        bound: the distance from which two tensors are not the same; it lets most pairs be told apart by their sums.
    """
    allowed = bound * expected.scale
    if expected.flat.size != actual.flat.size or not np.isfinite([expected.scale, actual.scale]).all():
        return np.inf
    slack = (allowed + 1e-12 * expected.scale) * expected.flat.size  # the sums themselves are rounded
    if any(abs(a - b) > slack for a, b in zip(expected.sums, actual.sums, strict=True)):
        return np.inf
    nearest = np.inf
    for flat, other in _orders(expected.array, actual):
        apart = float(np.abs(flat - other).max(initial=0))
        nearest = min(nearest, apart)
        if nearest <= allowed:
            return nearest / expected.scale if expected.scale else 0.0
    return np.inf


def distance_padded(expected: Value, actual: Value, bound: float) -> float:
    """Return the distance of two tensors of which one has zeros around the other; infinite where that is not so.

    A convolution that pads by itself is given the value without them, one after a ZeroPadding2D with them.

    Args:
        expected: PyTorch's.
        actual: Keras's, in the same order or channels last; zeros are around either, as many on both sides of an axis.
        bound: as of `distance`.
    """
    if expected.array.ndim != actual.array.ndim or actual.array.ndim < 3 or expected.flat.size == actual.flat.size:
        return np.inf
    nearest = np.inf
    for array in (np.moveaxis(expected.array, 1, -1), expected.array):
        margins = np.subtract(actual.array.shape, array.shape)
        if margins[0] or not ((margins >= 0).all() or (margins <= 0).all()):
            continue
        small, large = sorted((Value(array), actual), key=lambda value: value.flat.size)
        middle = Value(large.array[tuple(map(_middle, abs(margins), small.array.shape))])
        if large.sums[1] - middle.sums[1] <= (bound + 1e-12) * large.scale:
            pair = (middle, actual) if small is actual else (small, middle)
            nearest = min(nearest, distance(*pair, bound))
    return nearest


def _middle(margin: int, size: int) -> slice:
    """Return the place of a tensor with a margin around it; of an odd one, the larger half comes after it."""
    return slice(margin // 2, margin // 2 + size)


def apart(expected: Value, actual: Value) -> float:
    """Return max|actual − expected| / max|expected| in the order that both are in; infinite where shapes differ."""
    if expected.array.shape != actual.array.shape:
        return np.inf
    return float(np.abs(actual.flat - expected.flat).max(initial=0)) / max(expected.scale, np.finfo(np.float64).tiny)


def _orders(expected: np.ndarray, actual: Value):
    """Yield the values of both, in each order that one of two layouts may have them in."""
    array = np.asarray(expected, np.float64)
    yield array.reshape(-1), actual.flat
    if array.ndim > 2:
        yield np.moveaxis(array, 1, -1).reshape(-1), actual.flat
        yield array.swapaxes(0, 1).reshape(-1), actual.flat
    if array.ndim == 2 and array.shape == actual.array.shape:  # flattened from another layout: (N, C·H·W), (N, H·W·C)
        yield np.sort(array, 1).reshape(-1), np.sort(np.asarray(actual.array, np.float64), 1).reshape(-1)
