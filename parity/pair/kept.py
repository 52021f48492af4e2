"""The values of a model's variables, put back after a run that changes them."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from parity.record.memory import held


@contextmanager
def kept(variables: Sequence[Any]) -> Iterator[None]:
    """Give variables their values back after the block."""
    before = [held(variable) for variable in variables]
    try:
        yield
    finally:
        for variable, value in zip(variables, before, strict=True):
            variable.assign(value)
