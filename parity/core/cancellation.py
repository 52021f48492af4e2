"""Sums that are zero but for rounding: their error is that of their terms, not of the little that is left."""

from collections.abc import Mapping
from math import isfinite

from parity.core import tolerance
from parity.core.difference import Difference
from parity.core.trace import step_of

# What an optimizer keeps of a gradient, by PyTorch's key -> the power of the gradient.
POWERS = {
    **dict.fromkeys(("exp_avg", "momentum_buffer", "grad_avg", "exp_inf"), 1),
    **dict.fromkeys(("exp_avg_sq", "max_exp_avg_sq", "square_avg", "sum"), 2),
}


def cancelled(measured: Mapping[str, Difference], terms: Mapping[str, float]) -> dict[str, float]:
    """Return the sums that are zero but for rounding, and the size of their terms: the scale of their error.

    A bias before a BatchNorm in train mode has such a gradient: PyTorch differs from itself there by as much as its
    value when the batch is permuted. A loss with terms is the weighted sum of the outputs, each judged by itself: it
    may be small by chance, and its few digits are then no mistake. Terms that are NaN or infinite give no scale.
    """
    sums = {
        name: total
        for name, total in terms.items()
        if name in measured
        and isfinite(total)
        and (name == "loss" or (name.startswith("grad:") and measured[name].scale < tolerance.CANCELLED * total))
    }
    averages = {}  # the optimizer's, of such a gradient or of its square
    for name in measured:
        key, parameter = _slot(name)
        if f"grad:{parameter}" in sums and key in POWERS:
            averages[name] = max(measured[name].scale, sums[f"grad:{parameter}"] ** POWERS[key])
    return sums | averages


def terms_of(name: str, terms: Mapping[str, float]) -> float:
    """Return the size of the terms that a tensor is summed of; 0 where they are not known.

    A running mean after some steps is a mean of means, so its rounding is at most that of one of these.
    """
    return terms.get(name.partition(":")[2] if step_of(name) else name, 0.0)


def _slot(name: str) -> tuple[str, str]:
    """Return the key and the parameter of an optimizer's slot, "" and "" for what is none."""
    key, _, parameter = name.partition(":slot:")[2].partition(":")
    return key, parameter
