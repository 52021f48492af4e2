"""Two runs of one model with the same weights and inputs: where they differ."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from parity.core.trace import kind_of


@dataclass(frozen=True)
class Split:
    """The first value that differs between two runs.

    Args:
        name: its name in a trace: "fed:fc2", "activation:fc2", "output".
        before: the last call that returned the same in both runs; "" where it is the first.
        size: the largest difference relative to the largest value; infinite where the runs call other modules.
    """

    name: str
    before: str
    size: float

    @property
    def inside(self) -> str:
        """The call that was given the same and returned something else; "" where the difference is not in one."""
        return self.name.partition(":")[2] if kind_of(self.name) == "activation" else ""

    def place(self) -> str:
        """Say where it is."""
        size = f" (by {self.size:.1g} of its scale)" if np.isfinite(self.size) else ""
        if self.inside:
            return f"in {self.inside}{size}"
        if kind_of(self.name) == "fed":
            return f"between {self.before or 'the input'} and {self.name.partition(':')[2]}{size}"
        return f"after {self.before or 'the input'}{size}"


def first_split(one: Mapping[str, Any], other: Mapping[str, Any], bound: float) -> Split | None:
    """Return the first value that differs by more than `bound` times its largest magnitude; None where none does.

    Args:
        one: the values of a run by their names in a trace, in the order they were computed.
        other: those of the other run.
        bound: 0 takes every bit.
    """
    before = ""
    others = iter(other.items())
    for name, value in one.items():
        its_name, its_value = next(others, ("", value))
        if name != its_name:
            return Split(name, before, np.inf)
        size = _difference(value, its_value)
        if size > bound:
            return Split(name, before, size)
        if kind_of(name) == "activation":
            before = name.partition(":")[2]
    return None


def _difference(one: np.ndarray, other: np.ndarray) -> float:
    """Return the largest difference relative to the largest value; infinite where shapes or NaNs differ."""
    if one.shape != other.shape:
        return np.inf
    if np.array_equal(one, other, equal_nan=one.dtype.kind == "f"):
        return 0.0
    a, b = (np.asarray(value, "float64") for value in (one, other))
    known = np.isfinite(a) & np.isfinite(b)
    if not np.array_equal(a[~known], b[~known], equal_nan=True):
        return np.inf
    return float(np.abs(a - b, where=known, out=np.zeros(a.shape)).max() / np.abs(a[known]).max(initial=1e-300))
