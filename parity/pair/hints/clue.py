"""What is known of the place where a difference begins, and how a likely reason is tried on it."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf

from keras_blitz import keras_internals
from keras_blitz.weights.layout import Layout
from parity.core.difference import measure
from parity.core.ranks import regrouped
from parity.core.tolerance import SAME_VALUE

VANISHED = 1e-3  # of the difference: what a reason may leave over where it is not within the bound itself


@dataclass(frozen=True)
class Clue:
    """The layer that differs though its input does not.

    Args:
        module: PyTorch's; None where a function of PyTorch's does it.
        call: Keras's call.
        given: Keras's input.
        actual: what Keras's layer returned, in PyTorch's layout.
        expected: what PyTorch's module returned.
        layout: of the output.
        train: train mode.
        bound: within which a value is PyTorch's, relative.
        fed: what PyTorch's module was given, in its layout; None where it is not known.
    """

    module: Any
    call: Any
    given: np.ndarray
    actual: np.ndarray
    expected: np.ndarray
    layout: Layout
    train: bool
    bound: float = SAME_VALUE
    fed: np.ndarray | None = None

    @property
    def layer(self) -> Any:
        """Keras's layer."""
        return self.call.layer

    def agrees(self, value: Any) -> bool:
        """Whether a Keras value is what PyTorch has."""
        return self.is_expected(self.layout.to_torch(np.asarray(value)))

    def is_expected(self, found: np.ndarray) -> bool:
        """Whether a value in PyTorch's layout is what PyTorch has, its leading axes merged or apart."""
        found = regrouped(found, self.expected.shape)
        if found.shape != self.expected.shape:
            return False
        same_shape = self.actual.shape == self.expected.shape
        before = measure(self.expected, self.actual).relative if same_shape else np.inf
        return vanishes(measure(self.expected, found).relative, before, self.bound)

    def is_actual(self, found: np.ndarray) -> bool:
        """Whether a value in PyTorch's layout is what Keras's layer returned."""
        return found.shape == self.actual.shape and measure(self.actual, found).relative < SAME_VALUE


def vanishes(error: float, before: float, bound: float) -> bool:
    """Whether a reason explains a difference: it leaves nothing over, or but rounding of a far larger difference."""
    return error <= bound or error <= min(SAME_VALUE, VANISHED * before)


@dataclass(frozen=True)
class Hint:
    """A likely reason.

    Args:
        gap: its row of the gap catalogue, "" where there is none.
        explain: clue -> what was changed to agree, in words; "" where it is not the reason.
    """

    gap: str
    explain: Callable[[Any], str]


def explanations(hints: Iterable[Hint], clue: Any) -> Iterator[str]:
    """Return the reasons that hold when they are tried, one after the other."""
    for hint in hints:
        try:
            said = hint.explain(clue)
        except Exception:  # a user's own layer may raise anything when it is run with other settings
            continue
        if said:
            yield f"{see(hint.gap)}; {said}" if hint.gap else said


def see(gap: str) -> str:
    """Refer to a row of the gap catalogue."""
    return f"looks like {gap}: see `parity gaps {gap}`"


def called_with(layer: Any, given: np.ndarray, **settings: Any) -> np.ndarray:
    """Call a layer with other settings, and give it its own back."""
    before = {name: getattr(layer, name) for name in settings if hasattr(layer, name)}
    try:
        for name in before:
            keras_internals.set_untracked(layer, name, settings[name])
        return np.asarray(layer.call(tf.constant(given)))
    finally:
        for name, value in before.items():
            keras_internals.set_untracked(layer, name, value)


def called(layer: Any, given: np.ndarray, train: bool) -> np.ndarray:
    """Call a layer, in a mode if it has any, and give it its running statistics back."""
    before = [(variable, variable.numpy()) for variable in layer.non_trainable_variables]
    mode = {"training": train} if keras_internals.takes_training(layer) else {}
    try:
        return np.asarray(layer(tf.constant(given), **mode))
    finally:
        for variable, value in before:
            variable.assign(value)
