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


def _orders(expected: np.ndarray, actual: Value):
    """Yield the values of both, in each order that one of two layouts may have them in."""
    array = np.asarray(expected, np.float64)
    yield array.reshape(-1), actual.flat
    if array.ndim > 2:
        yield np.moveaxis(array, 1, -1).reshape(-1), actual.flat
        yield array.swapaxes(0, 1).reshape(-1), actual.flat
    if array.ndim == 2 and array.shape == actual.array.shape:  # flattened from another layout: (N, C·H·W), (N, H·W·C)
        yield np.sort(array, 1).reshape(-1), np.sort(np.asarray(actual.array, np.float64), 1).reshape(-1)
