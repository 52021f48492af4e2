"""The values of a model's variables, put back after a run that changes them."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any


@contextmanager
def kept(variables: Sequence[Any]) -> Iterator[None]:
    """Give variables their values back after the block."""
    before = [variable.numpy() for variable in variables]
    try:
        yield
    finally:
        for variable, value in zip(variables, before, strict=True):
            variable.assign(value)
