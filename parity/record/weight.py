"""What both sides' recorders and the pairing know of a Keras model's weight: the protocol."""

from collections.abc import Callable
from typing import Any, Protocol, runtime_checkable

import numpy as np


@runtime_checkable
class Weight(Protocol):
    """One of PyTorch's tensors, and the Keras variables that hold it.

    `keras_blitz.weights.mapped.Mapped` is one.
    """

    @property
    def name(self) -> str:
        """PyTorch's name, `conv1.weight`."""

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of PyTorch's tensor."""

    @property
    def variables(self) -> tuple[Any, ...]:
        """The Keras variables that hold it."""

    @property
    def trainable(self) -> bool:
        """Whether it is a parameter, frozen or not; otherwise it is a buffer."""

    def joined(self, arrays: list[np.ndarray]) -> np.ndarray:
        """Return arrays in the layouts of `variables`, such as their gradients or slots, as PyTorch's tensor."""

    def value(self, read: Callable[[Any], np.ndarray] = ...) -> np.ndarray:
        """Return the value in PyTorch's layout; `read` returns what a variable holds, by default a copy."""

    def assign(self, array: np.ndarray) -> None:
        """Take a value in PyTorch's layout, rounded to the variables' type."""
