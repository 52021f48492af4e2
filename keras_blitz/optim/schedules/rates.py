"""The learning rates of an optimizer as Python floats, whatever dtype its variables have.

PyTorch keeps a learning rate as a double, also where the parameters are float32, and its schedules compute each rate
from the one before. A rate read back from a float32 variable would be 6e-8 off and stay so; it is remembered instead.
"""

from dataclasses import dataclass, field
from typing import Any, TypeVar
from weakref import WeakKeyDictionary

import numpy as np

from keras_blitz.errors import BlitzError

T = TypeVar("T")


@dataclass
class _Memory:
    """What PyTorch keeps in the parameter groups."""

    # PyTorch's `initial_lr`: what the first schedule of this optimizer found, one a group
    initial: list[float]
    # what was written last, exact, and what the optimizer then showed of it
    written: list[float] = field(default_factory=list)
    shown: list[float] = field(default_factory=list)


# optimizer -> _Memory; several schedules of one optimizer share it
_MEMORIES: WeakKeyDictionary[Any, _Memory] = WeakKeyDictionary()


class FixedRates:
    """Rates without an optimizer, for a schedule that only makes a table."""

    def __init__(self, rates: list[float]):
        self.param_lrs = rates

    def set_lrs(self, rates: list[float]) -> None:
        """Replace the rates."""
        self.param_lrs = list(rates)


class KerasRates:
    """A Keras optimizer: one learning rate."""

    def __init__(self, optimizer: Any):
        if not hasattr(getattr(optimizer, "learning_rate", None), "assign"):
            raise BlitzError(f"{type(optimizer).__name__} has no learning rate to set (a Keras schedule sets it?)")
        self.optimizer = optimizer

    @property
    def param_lrs(self) -> list[float]:
        """The rate; of a float32 variable the shortest decimal that rounds to it, so 0.1 and not 0.10000000149."""
        return [float(str(self.optimizer.learning_rate.numpy()))]

    def set_lrs(self, rates: list[float]) -> None:
        """Assign the rate."""
        # np.float64: Keras would pass a Python float through float32.
        self.optimizer.learning_rate.assign(np.float64(rates[0]))


class Rates:
    """The rates of one optimizer, read and written exactly.

    Args:
        optimizer: has `param_lrs` (a list of floats, one a parameter group) and `set_lrs`; or is a Keras optimizer with
            one `learning_rate`; or is not an optimizer but the rate itself, or a list of them.

    Raises:
        BlitzError: an optimizer without a rate that can be set.
    """

    def __init__(self, optimizer: Any):
        if isinstance(optimizer, (float, int)):
            optimizer = [optimizer]
        if isinstance(optimizer, (list, tuple)):
            optimizer = FixedRates([float(rate) for rate in optimizer])
        self.optimizer = optimizer
        self._door = optimizer if hasattr(optimizer, "set_lrs") else KerasRates(optimizer)
        self._memory = _MEMORIES.setdefault(optimizer, _Memory(initial=list(self._door.param_lrs)))

    @property
    def initial(self) -> list[float]:
        """The rates before the first schedule, which every schedule starts from."""
        return list(self._memory.initial)

    @initial.setter
    def initial(self, rates: list[float]) -> None:
        self._memory.initial = list(rates)

    def start(self, rates: list[float]) -> None:
        """Set the rates; no schedule having been before, they are the initial ones too."""
        if not self._memory.written:
            self._memory.initial = list(rates)
        self.write(rates)

    def read(self) -> list[float]:
        """Return the rates: those written last, but where the user has set another since, that one."""
        shown = self._door.param_lrs
        if shown == self._memory.shown:
            return list(self._memory.written)
        return list(shown)

    def write(self, rates: list[float]) -> None:
        """Set the rates."""
        self._door.set_lrs(rates)
        self._memory.written, self._memory.shown = list(rates), list(self._door.param_lrs)

    def one_each(self, argument: str, value: T | list[T]) -> list[T]:
        """Return a value for each parameter group.

        Raises:
            BlitzError: a list of another length.
        """
        groups = len(self._memory.initial)
        values = list(value) if isinstance(value, (list, tuple)) else [value] * groups
        if len(values) != groups:
            raise BlitzError(f"{argument} has {len(values)} values for {groups} parameter groups")
        return values
