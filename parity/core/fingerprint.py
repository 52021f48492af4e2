"""A tensor too large to keep, kept as a count sketch and a strided sample.

The sketch is linear: b_k = Σ s(i)·x(i) over the i that fall into bucket k, with seeded signs s(i) = ±1. For two tensors
x and y, Σ_k (b_k(x) − b_k(y))² estimates Σ_i (x_i − y_i)² without bias, with a relative standard deviation of
√(2/256) = 9 % (Charikar, Chen, Farach-Colton 2002); 12 % was measured where every block of 65,536 values holds the same
error. One pass, whatever the size: a place within its block has a hashed bucket and sign, the same in every block, and
each block has its own shift of the buckets and its own sign.
"""

from dataclasses import dataclass
from functools import cache
from math import prod

import numpy as np

BUCKETS = 256
SAMPLES = 64

_BLOCK = 1 << 16  # values


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


Tensor = np.ndarray | Fingerprint  # a tensor as it is, or what is kept of it


def fingerprint(array: np.ndarray) -> Fingerprint:
    """Take the fingerprint of a finite floating-point array of at least one value."""
    flat = array.reshape(-1)
    return Fingerprint(tuple(array.shape), str(array.dtype), _peak(flat), sketch(flat), strided_sample(flat))


def _peak(flat: np.ndarray) -> float:
    return max(float(flat.max()), -float(flat.min()))


def sketch(flat: np.ndarray) -> np.ndarray:
    """Return the count sketch (256,) of a flat array."""
    buckets = np.zeros(BUCKETS)
    blocks = range(0, flat.size, _BLOCK)
    turns = _hash(np.arange(_BLOCK, _BLOCK + len(blocks), dtype=np.uint64))
    for start, turn in zip(blocks, turns, strict=True):
        block = flat[start : start + _BLOCK]
        signed = np.bincount(_places()[: block.size], weights=block, minlength=2 * BUCKETS)
        shift, sign = int(turn) % BUCKETS, 1 if int(turn) & BUCKETS else -1
        with np.errstate(over="ignore", invalid="ignore"):  # of a port gone wild; infinite is how far that is
            buckets += sign * np.roll(signed[BUCKETS:] - signed[:BUCKETS], shift)
    return buckets


@cache
def _places() -> np.ndarray:
    """Return the bucket of each place of a block, plus 256 where its sign is positive (65536,)."""
    return (_hash(np.arange(_BLOCK, dtype=np.uint64)) % np.uint64(2 * BUCKETS)).astype(np.intp)


def strided_sample(flat: np.ndarray) -> np.ndarray:
    """Return 64 values spread evenly over a flat array, the first and the last among them."""
    return flat[sampled_places(flat.size)].astype(np.float64)


def sampled_places(size: int) -> np.ndarray:
    """Return the 64 flat indices that a sample of so many values is taken at."""
    return np.linspace(0, size - 1, SAMPLES).astype(np.intp)


def condensed(array: np.ndarray, keep: int) -> Tensor:
    """Return the fingerprint of a finite floating-point array of more than `keep` values, any other as it is."""
    large = array.dtype.kind == "f" and array.size > keep
    return fingerprint(array) if large and np.isfinite(_peak(array)) else array


def _hash(index: np.ndarray) -> np.ndarray:
    """Mix 64-bit indices (two rounds of splitmix64's finaliser); the same on every machine and NumPy version."""
    with np.errstate(over="ignore"):
        index = (index + np.uint64(0x9E3779B97F4A7C15)) * np.uint64(0xBF58476D1CE4E5B9)
        index = (index ^ (index >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return index ^ (index >> np.uint64(31))
