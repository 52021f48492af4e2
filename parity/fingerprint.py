"""A tensor too large to keep, kept as a count sketch and a strided sample.

The sketch is linear: b_k = Σ s(i)·x(i) over the i that fall into bucket k, with seeded signs s(i) = ±1. For two tensors
x and y, Σ_k (b_k(x) − b_k(y))² estimates Σ_i (x_i − y_i)² without bias, with a relative standard deviation of
√(2/256) = 9 % (Charikar, Chen, Farach-Colton 2002). One pass, whatever the size.
"""

from dataclasses import dataclass
from math import prod

import numpy as np

BUCKETS = 256
SAMPLES = 64

_CHUNK = 1 << 20  # values hashed at a time: 8 MB of indices


@dataclass(frozen=True)
class Fingerprint:
    """What is kept of a tensor.

    Args:
        shape: the tensor's shape.
        dtype: its NumPy type's name.
        peak: its largest magnitude.
        buckets: the sketch (256,) float64.
        sample: every n-th value in C order (64,) float64.
    """

    shape: tuple[int, ...]
    dtype: str
    peak: float
    buckets: np.ndarray
    sample: np.ndarray

    @property
    def size(self) -> int:
        """The number of values in the tensor."""
        return prod(self.shape)


def fingerprint(array: np.ndarray) -> Fingerprint:
    """Take the fingerprint of a finite floating-point array of at least one value."""
    flat = array.reshape(-1)
    return Fingerprint(
        tuple(array.shape), str(array.dtype), float(np.abs(flat).max()), sketch(flat), strided_sample(flat)
    )


def sketch(flat: np.ndarray) -> np.ndarray:
    """Return the count sketch (256,) of a flat array."""
    buckets = np.zeros(BUCKETS)
    for start in range(0, flat.size, _CHUNK):
        chunk = flat[start : start + _CHUNK].astype(np.float64)
        hashed = _hash(np.arange(start, start + chunk.size, dtype=np.uint64))
        signed = np.where(hashed & np.uint64(256), chunk, -chunk)
        buckets += np.bincount((hashed & np.uint64(255)).astype(np.intp), weights=signed, minlength=BUCKETS)
    return buckets


def strided_sample(flat: np.ndarray) -> np.ndarray:
    """Return 64 values spread evenly over a flat array, the first and the last among them."""
    return flat[sampled_places(flat.size)].astype(np.float64)


def sampled_places(size: int) -> np.ndarray:
    """Return the 64 flat indices that a sample of so many values is taken at."""
    return np.linspace(0, size - 1, SAMPLES).astype(np.intp)


def condensed(array: np.ndarray, keep: int) -> "np.ndarray | Fingerprint":
    """Return the fingerprint of a finite floating-point array of more than `keep` values, any other as it is."""
    large = array.dtype.kind == "f" and array.size > keep and np.isfinite(array).all()
    return fingerprint(array) if large else array


def _hash(index: np.ndarray) -> np.ndarray:
    """Mix 64-bit indices (two rounds of splitmix64's finaliser); the same on every machine and NumPy version."""
    with np.errstate(over="ignore"):
        index = (index + np.uint64(0x9E3779B97F4A7C15)) * np.uint64(0xBF58476D1CE4E5B9)
        index = (index ^ (index >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return index ^ (index >> np.uint64(31))
