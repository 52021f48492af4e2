"""The constants of preprocessing layers, which each side rounds to float32 in a spelling of its own.

PyTorch's module has a standard deviation in a float32 buffer where `Normalization` has a variance; it divides by 255
where `Rescaling` multiplies by 1/255. Two right models so differ in float64 by 1e-8 to 1e-7, though float64 runs
without a rounding of its own. A right port is told from a wrong one by this: there are values of Keras's constants,
each within its rounding to float32, with which everything agrees to the bound of float64, gradients and steps too.

The values solve a least-squares problem: f(c) + J·δ = PyTorch's, where f(c) is what a forward and a backward pass with
the constants c return, and J its derivative by differences. The comparison with c + δ in place is what decides.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from copy import copy
from dataclasses import dataclass, replace
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from keras_blitz import keras_internals
from parity.core.compare import Comparison, Row
from parity.core.trace import Trace, array_of, is_floating, step_of
from parity.pair.port import Port

ROUNDING = 2.0**-24  # of a number's size, at most, when it becomes a float32
# Attribute -> how many roundings it can be off PyTorch's: one of its own, one of each number that makes PyTorch's.
ROUNDINGS = {
    keras.layers.Normalization: {"mean": 2, "variance": 3},  # std² has the rounding of std twice
    keras.layers.Rescaling: {"scale": 2, "offset": 3},  # −mean / std
}
ADAPTED = 8  # roundings of sums over the data, by `Normalization.adapt`
NEAR = 1e-4  # a forward pass further off, relative to a tensor's scale, is not the rounding of a constant
CONSTANTS = 256  # values at most, because each costs a forward and a backward pass
SAMPLE = 1000  # values of a tensor, about, that decide
_DIFFERENCE = 16.0  # times the bound on a constant: the step that differences are taken over


@dataclass(frozen=True)
class Constant:
    """An array of constants that a layer holds.

    Args:
        layer: the Keras layer.
        attribute: its name there.
        value: in float64.
        bound: how far each may be moved; 0 for a zero, which float32 has exactly.
    """

    layer: Any
    attribute: str
    value: np.ndarray
    bound: np.ndarray

    def put(self, shift: np.ndarray) -> None:
        """Give the layer these constants, moved by a part of their bound."""
        value = tf.constant(self.value + shift.reshape(self.value.shape) * self.bound, tf.float64)
        keras_internals.set_untracked(self.layer, self.attribute, value)


def constants_of(model: Any) -> list[Constant]:
    """Return the constants of the preprocessing layers in a float64 model that was run."""
    layers = keras_internals.inner_layers(model, itself=True)
    return [
        _constant(layer, attribute, roundings)
        for layer in layers
        for kind, attributes in ROUNDINGS.items()
        if isinstance(layer, kind)
        for attribute, roundings in attributes.items()
    ]


def _constant(layer: Any, attribute: str, roundings: int) -> Constant:
    value = np.asarray(tf.cast(getattr(layer, attribute), tf.float64))  # a Python float passes through float32 here
    size = abs(value)
    if getattr(layer, "input_mean", value) is None:
        roundings = ADAPTED
        if attribute == "mean":
            size = np.maximum(size, np.sqrt(np.asarray(layer.variance, "float64")))  # of the data, not of their mean
    return Constant(layer, attribute, value, roundings * ROUNDING * size)


def may_explain(port: Port, comparison: Comparison) -> bool:
    """Whether constants can be why float64 differs: there are some, and the forward pass is near PyTorch's."""
    forward = [row.relative for row in comparison.rows if not row.passed and row.kind in ("activation", "output")]
    near = forward and all(relative is not None and relative < NEAR for relative in forward)
    return bool(near) and 0 < sum(each.value.size for each in constants_of(port.model)) <= CONSTANTS


@contextmanager
def fitted(port: Port, state: Mapping[str, np.ndarray], truth: Trace, comparison: Comparison) -> Iterator[str]:
    """Put into the model, for a block, those constants within their rounding with which it is nearest to PyTorch's.

    Args:
        port: the Keras model in float64.
        state: PyTorch's weights.
        truth: PyTorch's trace.
        comparison: of the model as it is, which fails.

    Yields:
        By how much they were moved, in words; "" where that is more than their rounding.
    """
    constants = constants_of(port.model)
    before = [getattr(each.layer, each.attribute) for each in constants]
    once = copy(port)
    once.options = replace(port.options, optimizer=None, steps=0)
    scales = {
        row.name: _scale(row, truth)
        for row in comparison.rows
        if row.relative is not None and is_floating(truth[row.name])
    }
    scales = {name: scale for name, scale in scales.items() if not step_of(name)}

    def residual(shift: np.ndarray) -> np.ndarray:
        _put(constants, shift)
        return _difference(truth, once.record(state, truth), scales)

    try:
        shift = _solve(residual, np.concatenate([each.bound.ravel() for each in constants]) > 0)
        _put(constants, shift)
        yield _describe(constants, shift) if abs(shift).max() <= 1.0 else ""
    finally:
        for each, value in zip(constants, before, strict=True):
            keras_internals.set_untracked(each.layer, each.attribute, value)


def _put(constants: list[Constant], shift: np.ndarray) -> None:
    sizes = np.cumsum([each.value.size for each in constants])
    for each, part in zip(constants, np.split(shift, sizes[:-1]), strict=True):
        each.put(part)


def _scale(row: Row, truth: Trace) -> float:
    """Return what a row's error was divided by, which of a sum that cancels out is not its largest value."""
    if row.relative and row.max_abs:
        return row.max_abs / row.relative
    return abs(array_of(truth, row.name)).max(initial=0.0) or 1.0


def _difference(truth: Trace, trace: Trace, scales: Mapping[str, float]) -> np.ndarray:
    """Return what two recordings differ by, a sample of each tensor, in parts of its scale."""
    parts = []
    for name, scale in scales.items():
        expected, actual = array_of(truth, name).ravel(), array_of(trace, name).ravel()
        parts.append(((actual - expected) / scale)[:: max(1, expected.size // SAMPLE)])
    return np.concatenate(parts)


def _solve(residual: Callable[[np.ndarray], np.ndarray], free: np.ndarray) -> np.ndarray:
    """Return the shift with the least residual, by Gauss-Newton with the derivative at 0; only free ones move."""
    shift = np.zeros(free.size)
    start = residual(shift)
    columns = [(residual(_DIFFERENCE * np.eye(free.size)[k]) - start) / _DIFFERENCE for k in np.flatnonzero(free)]
    if not columns:
        return shift
    inverse = np.linalg.pinv(np.stack(columns, 1), rcond=1e-8)
    for _ in range(3):  # the derivative is right to 1e-6 of itself, but where a ReLU's unit is near zero
        shift[free] -= inverse @ residual(shift)
    return shift


def _describe(constants: list[Constant], shift: np.ndarray) -> str:
    names = ", ".join(dict.fromkeys(each.layer.name for each in constants))
    bounds = np.concatenate([(each.bound / np.maximum(abs(each.value), 1e-30)).ravel() for each in constants])
    worst = abs(shift * bounds).max()
    return (
        f"the constants of {names} and of PyTorch's module are rounded to float32 in a spelling of their own: with "
        f"Keras's moved by at most {worst:.1e} of their value, within that rounding, float64 agrees"
    )
