"""A row of the catalogue: three small functions that should do the same, PyTorch's, the naive and the exact port."""

import inspect
import textwrap
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import Enum
from types import CodeType
from typing import Any

import numpy as np

from keras_blitz.errors import BlitzError


class Takes(Enum):
    """What the functions are given, and what is compared."""

    TENSORS = "tensors; outputs and the gradients of every floating-point input"
    OUTPUTS = "tensors; outputs"
    ARRAYS = "arrays; what is returned: a tensor, a number, a text, a dictionary of them"


@dataclass(frozen=True)
class Gap:
    """One semantic difference.

    Args:
        id: its name in the catalogue.
        section: the module it is written in.
        affects: O outputs, G gradients, T training.
        behavior: what PyTorch does.
        naive_spelling: the obvious port, and what it does instead.
        exact_spelling: what is exact.
        pytorch, naive, exact: the three functions; they take the same inputs.
        inputs: by name a shape (of normal noise), a value, or a function of a RandomState.
        takes: what the functions are given.
    """

    id: str
    section: str
    affects: str
    behavior: str
    naive_spelling: str
    exact_spelling: str
    pytorch: Callable[..., Any]
    naive: Callable[..., Any]
    exact: Callable[..., Any]
    inputs: dict[str, Any]
    takes: Takes

    def arrays(self) -> dict[str, Any]:
        """Return the inputs; each row's own seeded stream, the same on every machine."""
        stream = np.random.RandomState(0)
        return {name: _made(value, stream) for name, value in self.inputs.items()}

    def code(self, side: str) -> str:
        """Return the source of a function ("pytorch", "naive", "exact")."""
        return _source(getattr(self, side))

    def helpers(self) -> list[str]:
        """Return the sources of the catalogue's own functions that the three functions call, each once."""
        found: dict[str, Callable[..., Any]] = {}
        waiting = [self.pytorch, self.naive, self.exact]
        while waiting:
            function = waiting.pop()
            for name in _names(function.__code__):
                used = function.__globals__.get(name)
                if inspect.isfunction(used) and used.__module__.startswith("parity.gaps.") and name not in found:
                    found[name] = used
                    waiting.append(used)
        return [_source(function) for function in found.values()]


def _source(function: Callable[..., Any]) -> str:
    return textwrap.dedent(inspect.getsource(function)).rstrip()


def _names(code: CodeType) -> Iterator[str]:
    """Yield the global names that a function, and the functions inside of it, may use."""
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _names(constant)


def _made(value: Any, stream: np.random.RandomState) -> Any:
    if isinstance(value, tuple):
        return stream.standard_normal(value)
    return value(stream) if callable(value) else value


CATALOGUE: dict[str, Gap] = {}

Enter = Callable[[type], type]  # a decorator of a row's class


def gap(
    id: str, affects: str, behavior: str, naive: str, exact: str, /, takes: Takes = Takes.TENSORS, **inputs: Any
) -> Enter:
    """Enter a class with the functions `pytorch`, `naive` and `exact` into the catalogue; the texts are those of `Gap`.

    Raises:
        BlitzError: the id is taken.
    """

    def enter(cls: type) -> type:
        if id in CATALOGUE:
            raise BlitzError(f"two gaps are called {id}")
        functions = {side: vars(cls)[side] for side in ("pytorch", "naive", "exact")}
        section = cls.__module__.rpartition(".")[2]
        CATALOGUE[id] = Gap(id, section, affects, behavior, naive, exact, **functions, inputs=inputs, takes=takes)
        return cls

    return enter


def output_gap(id: str, affects: str, behavior: str, naive: str, exact: str, /, **inputs: Any) -> Enter:
    """Enter a row whose functions take tensors, and whose outputs alone are compared."""
    return gap(id, affects, behavior, naive, exact, takes=Takes.OUTPUTS, **inputs)


def array_gap(id: str, affects: str, behavior: str, naive: str, exact: str, /, **inputs: Any) -> Enter:
    """Enter a row whose functions take the arrays as they are."""
    return gap(id, affects, behavior, naive, exact, takes=Takes.ARRAYS, **inputs)
