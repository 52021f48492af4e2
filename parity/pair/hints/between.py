"""Reasons why a layer's input differs that no layer of Keras's returns: an operation between two layers."""

from collections.abc import Iterator

import numpy as np

from parity.core.difference import measure
from parity.core.tolerance import SAME_VALUE
from parity.pair.hints.activations import values_of


def of_sum(actual: np.ndarray, expected: np.ndarray, earlier: dict[str, np.ndarray]) -> str:
    """Say that one side adds an earlier tensor and the other does not, "" where neither does.

    Args:
        actual: what Keras's layer was given, in PyTorch's layout.
        expected: what PyTorch's module was given.
        earlier: the tensors before it by their names in the trace, PyTorch's values.
    """
    if actual.shape != expected.shape:
        return ""
    difference = expected - actual
    if not np.abs(difference).max(initial=0.0) > SAME_VALUE * np.abs(expected).max(initial=0.0):
        return ""
    for name, value in reversed(list(earlier.items())):
        if value.shape == difference.shape and value.dtype.kind == "f":
            if measure(difference, value).relative < SAME_VALUE:
                return f"PyTorch adds {name} here, and Keras does not"
            if measure(-difference, value).relative < SAME_VALUE:
                return f"Keras adds {name} here, and PyTorch does not"
    return ""


def of_activation(
    name: str, given: np.ndarray, result: np.ndarray, actual: np.ndarray, expected: np.ndarray
) -> str:  # fmt: skip
    """Name the activation that Keras has in place of a PyTorch module without a counterpart, "" where none fits.

    What follows is the module's result, or its product with another tensor, as of a gate: actual · result is then
    expected · activation(given).

    Args:
        name: of PyTorch's module, with its class.
        given: what it was given.
        result: what it returned.
        actual: what Keras's next layer was given, in PyTorch's layout.
        expected: what PyTorch's next module was given.
    """
    if not actual.ndim == expected.ndim == given.ndim or given.shape != result.shape or not result.any():
        return ""
    for activation, value in _others(given, result):
        straight = value.shape == actual.shape and measure(actual, value).relative < SAME_VALUE
        if straight or _is_gate(value, result, actual, expected):
            return f"Keras has {activation} in place of PyTorch's {name}"
    return ""


def _others(given: np.ndarray, result: np.ndarray) -> Iterator[tuple[str, np.ndarray]]:
    """Return the activations whose values are not the result."""
    for activation, value in values_of(given):
        if measure(result, value).relative > SAME_VALUE:
            yield activation, value


def _is_gate(value: np.ndarray, result: np.ndarray, actual: np.ndarray, expected: np.ndarray) -> bool:
    if actual.shape != expected.shape or any(g not in (1, n) for g, n in zip(value.shape, actual.shape, strict=True)):
        return False
    return measure(actual * result, expected * value).relative < SAME_VALUE
