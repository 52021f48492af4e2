"""Sums that cancel, wholly or in part: their rounding is that of their terms, not of the little that is left."""

from collections.abc import Iterator, Mapping

import numpy as np

from parity.core import tolerance
from parity.core.difference import Difference
from parity.core.trace import Value

# What an optimizer keeps of a gradient, by PyTorch's key -> the power of the gradient: d(g²)/g² = 2 dg/g.
POWERS = {
    **dict.fromkeys(("exp_avg", "momentum_buffer", "grad_avg", "exp_inf"), 1),
    **dict.fromkeys(("exp_avg_sq", "max_exp_avg_sq", "square_avg", "sum"), 2),
}


def cancelled(measured: Mapping[str, Difference], terms: Mapping[str, float]) -> dict[str, float]:
    """Return the sums that are zero but for rounding, and the size of their terms: the scale of their error.

    A bias before a BatchNorm in train mode has such a gradient: PyTorch differs from itself there by as much as its
    value when the batch is permuted. A loss with terms is the weighted sum of the outputs, each judged by itself: it
    may be small by chance, and its few digits are then no mistake.
    """
    sums = {
        name: total
        for name, total in terms.items()
        if name in measured and (name == "loss" or measured[name].scale < tolerance.CANCELLED * total)
    }
    averages = {}  # the optimizer's, of such a gradient or of its square
    for name in measured:
        key, parameter = _slot(name)
        if f"grad:{parameter}" in sums and key in POWERS:
            averages[name] = max(measured[name].scale, sums[f"grad:{parameter}"] ** POWERS[key])
    return sums | averages


def scales(
    measured: Mapping[str, Difference], terms: Mapping[str, float], truth: Mapping[str, Value]
) -> Iterator[tuple[str, float]]:
    """Yield the float64 scale of a gradient that cancels in part, and of what an optimizer makes of it.

    The gradient of an output's bias, Σ(output − target), may be a thousandth of its terms: then it has lost three of
    their digits, and so has the optimizer's average of it, and a parameter that began as zero and was moved by it.

    Args:
        measured: the errors, by name.
        terms: a gradient's name -> Σ|term|.
        truth: PyTorch's trace.
    """
    lost = {
        name.removeprefix("grad:"): max(1.0, tolerance.TERMS * total / measured[name].scale)
        for name, total in terms.items()
        if name.startswith("grad:") and name in measured and measured[name].scale
    }
    for name, each in measured.items():
        (key, slot_of), parameter = _slot(name), name.partition(":param:")[2]
        if key in POWERS:
            yield name, each.scale * POWERS[key] * lost.get(slot_of, 1.0)
        elif parameter in lost:
            yield name, max(each.scale, lost[parameter] * _moved(name, truth))
        elif name.removeprefix("grad:") in lost:
            yield name, each.scale * lost[name.removeprefix("grad:")]


def _slot(name: str) -> tuple[str, str]:
    """Return the key and the parameter of an optimizer's slot, "" and "" for what is none."""
    key, _, parameter = name.partition(":slot:")[2].partition(":")
    return key, parameter


def _moved(name: str, truth: Mapping[str, Value]) -> float:
    """Return the largest change of a parameter since before the first step; 0 where its values are not kept."""
    before, after = truth.get(name.partition(":")[2]), truth.get(name)
    if not isinstance(before, np.ndarray) or not isinstance(after, np.ndarray):
        return 0.0
    return float(np.abs(after - before).max(initial=0.0))
