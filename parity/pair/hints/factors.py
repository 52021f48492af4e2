"""The reason that all values differ by one factor, as where pixels are divided by 255 on one side alone."""

import numpy as np

from parity.core.difference import measure
from parity.pair.hints.clue import Clue, Hint, vanishes


def of_factor(actual: np.ndarray, expected: np.ndarray, bound: float, *, shifted: bool = False) -> str:
    """Say by which factor two arrays differ, "" where there is none.

    Args:
        actual: Keras's.
        expected: PyTorch's.
        bound: within which a value is PyTorch's, relative.
        shifted: a constant may be added, too.
    """
    if actual.shape != expected.shape or actual.size < 2 or expected.dtype.kind != "f" or not np.ptp(actual):
        return ""
    if not (np.isfinite(actual).all() and np.isfinite(expected).all()):
        return ""
    x, y = (np.asarray(each, np.float64).ravel() for each in (actual, expected))
    columns = np.stack([x, np.ones_like(x)], 1)[:, : 2 if shifted else 1]
    factor, *rest = np.linalg.lstsq(columns, y, rcond=None)[0]
    shift = rest[0] if rest and abs(rest[0]) > bound * abs(y).max() else 0.0
    before, error = measure(y, x).relative, measure(y, factor * x + shift).relative
    if not factor or not vanishes(error, before, bound):
        return ""
    if shift:
        return f"PyTorch's is {factor:.6g} × Keras's {'+' if shift > 0 else '−'} {abs(shift):.6g}"
    if abs(factor) < 1:
        return f"Keras's is {1 / factor:.6g} × PyTorch's"
    return f"PyTorch's is {factor:.6g} × Keras's"


def _scale(clue: Clue) -> str:
    if clue.layer.weights:  # of a layer with weights it is their values that may be wrong
        return ""
    said = of_factor(clue.actual, clue.expected, clue.bound)
    return f"all values differ by one factor: {said}" if said else ""


HINTS = (Hint("", _scale),)
