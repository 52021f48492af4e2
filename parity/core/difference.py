"""How far one tensor is from another, in numbers."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from math import sqrt

import numpy as np

from parity.core.fingerprint import BUCKETS, Fingerprint, Tensor, fingerprint, sampled_places, strided_sample

BINS = 41  # of a histogram: odd, so that the middle one is about zero
COUNTED = 1_000_000  # errors that a histogram counts, about
CHUNK = 1 << 18  # values measured at once: of BERT's embedding in float64 as a whole the arithmetic would take 0.8 GB


@dataclass(frozen=True)
class Difference:
    """The error of a tensor against the expected one.

    Args:
        max_abs: the largest |actual − expected|.
        rms: √mean((actual − expected)²).
        scale: the largest |expected|.
        estimated: one of the tensors was a fingerprint; `rms` is good to 9 %, `max_abs` is the largest error at 64
            sampled places, or `rms` where that is larger.
    """

    max_abs: float
    rms: float
    scale: float
    estimated: bool = False

    @property
    def finite(self) -> bool:
        """Whether there is a number for it."""
        return bool(np.isfinite(self.max_abs) and np.isfinite(self.rms))

    @property
    def relative(self) -> float:
        """`max_abs` by `scale`; `max_abs` itself where all that was expected is zero."""
        return self.max_abs / self.scale if self.scale else self.max_abs


@dataclass(frozen=True)
class Entry:
    """One value of a tensor: its index, what was expected there, and what came."""

    index: tuple[int, ...]
    expected: float
    actual: float


@dataclass(frozen=True)
class Histogram:
    """How the errors of a tensor, actual − expected, are spread.

    Args:
        tensor: its name.
        counts: how many are in each of `BINS` equal bins from −`reach` to `reach`.
        reach: the largest |error|.
        own: PyTorch's own float32 error, where it is known.
    """

    tensor: str
    counts: tuple[int, ...]
    reach: float
    own: Difference | None = None


def measure(expected: Tensor, actual: Tensor) -> Difference:
    """Measure the error of `actual`; the shapes are equal, and what is not finite is equal on both sides."""
    if isinstance(expected, Fingerprint) or isinstance(actual, Fingerprint):
        return _between_fingerprints(*map(_fingerprint_of, (expected, actual)))
    if not expected.size:
        return Difference(0.0, 0.0, 0.0)
    parts = [_measure_part(values, error) for _, values, error in _chunks(expected, actual)]
    largest, squares, scales = (np.array(each) for each in zip(*parts, strict=True))
    return Difference(float(largest.max()), float(np.sqrt(squares.sum() / expected.size)), float(scales.max()))


def _chunks(expected: np.ndarray, actual: np.ndarray) -> Iterator[tuple[int, np.ndarray, np.ndarray]]:
    """Yield two arrays of one shape in parts: the part's first flat index, what was expected, and the errors."""
    flat, results = expected.reshape(-1), actual.reshape(-1)
    for start in range(0, flat.size, CHUNK):
        yield start, *_errors(flat[start : start + CHUNK], results[start : start + CHUNK])


def _measure_part(expected: np.ndarray, error: np.ndarray) -> tuple[float, float, float]:
    """Return the largest error of a part, the sum of its squares, and the part's scale."""
    finite = np.where(np.isfinite(expected), expected, 0.0)
    with np.errstate(over="ignore"):  # a port gone wild may differ by 1e308; infinite is how far that is
        return float(np.abs(error).max()), float(np.sum(error**2)), float(np.abs(finite).max())


def largest(errors: Iterable[Difference]) -> Difference:
    """Return the largest of several errors of one tensor; NaN where one of them is."""
    errors = list(errors)
    return replace(
        errors[0], max_abs=float(np.max([e.max_abs for e in errors])), rms=float(np.max([e.rms for e in errors]))
    )


def _rms(error: np.ndarray) -> float:
    with np.errstate(over="ignore"):  # a port gone wild may differ by 1e308; infinite is how far that is
        return float(np.sqrt(np.mean(error**2)))


def _errors(expected: np.ndarray, actual: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    expected, actual = np.asarray(expected, np.float64), np.asarray(actual, np.float64)
    with np.errstate(invalid="ignore", over="ignore"):
        return expected, np.where(np.isfinite(expected), actual - expected, 0.0)


def _fingerprint_of(value: Tensor) -> Fingerprint:
    return value if isinstance(value, Fingerprint) else fingerprint(value)


def _between_fingerprints(expected: Fingerprint, actual: Fingerprint) -> Difference:
    rms = _rms(actual.buckets - expected.buckets) * sqrt(BUCKETS / expected.size)
    sampled = float(np.abs(actual.sample - expected.sample).max())
    return Difference(max(sampled, rms), rms, expected.peak, estimated=True)


def worst_entries(expected: Tensor, actual: Tensor, count: int = 3) -> tuple[Entry, ...]:
    """Return the places of the largest errors, worst first; of a fingerprint, among those it has kept."""
    if isinstance(expected, Fingerprint) or isinstance(actual, Fingerprint):
        flat = sampled_places(expected.size)
        values, results = (_sample_of(value) for value in (expected, actual))
    else:
        flat, values, results = None, expected.reshape(-1), actual.reshape(-1)
    best: list[tuple[float, int]] = []
    for start, _, error in _chunks(values, results):
        size = np.nan_to_num(np.abs(error), nan=np.inf)
        largest = np.argpartition(-size, count)[:count] if size.size > count else np.arange(size.size)
        best = sorted([*best, *((-float(size[k]), start + int(k)) for k in largest)])[:count]
    places = [(at if flat is None else flat[at], at) for _, at in best]
    return tuple(
        Entry(tuple(int(i) for i in np.unravel_index(place, actual.shape)), float(values[at]), float(results[at]))
        for place, at in places
    )


def count_beyond(expected: Tensor, actual: Tensor, bound: float) -> int | None:
    """Return how many values have |actual − expected| above a bound; None for a fingerprint, which keeps only some."""
    if isinstance(expected, Fingerprint) or isinstance(actual, Fingerprint):
        return None
    return sum(int(np.count_nonzero(~(np.abs(error) <= bound))) for _, _, error in _chunks(expected, actual))


def histogram(tensor: str, expected: Tensor, actual: Tensor, own: Difference | None = None) -> Histogram | None:
    """Count a tensor's errors; of a large one every n-th, of a fingerprint those it has kept. None: there are none."""
    if isinstance(expected, Fingerprint) or isinstance(actual, Fingerprint):
        expected, actual = _sample_of(expected), _sample_of(actual)
    every = max(1, expected.size // COUNTED)
    _, error = _errors(expected.reshape(-1)[::every], actual.reshape(-1)[::every])
    error = error[np.isfinite(error)]
    reach = float(np.abs(error).max(initial=0.0))
    if not 0 < reach < np.finfo(np.float64).max / 2:
        return None
    counts, _ = np.histogram(error, BINS, (-reach, reach))
    return Histogram(tensor, tuple(counts.tolist()), reach, own)


def _sample_of(value: Tensor) -> np.ndarray:
    return value.sample if isinstance(value, Fingerprint) else strided_sample(value.reshape(-1))
