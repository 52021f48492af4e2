"""Which output is which: by name where both sides have names, else by value, else by position.

A Keras model returns a dict where PyTorch returns a tuple, or one output more: neither the order of a dict nor the
number says then which are meant, but the values do, where the models agree.
"""

from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Any

import numpy as np

from parity.core.tolerance import GIVEN
from parity.pair.alike import Value, distance


def paired(
    theirs: Mapping[str, np.ndarray], ours: Mapping[str, Any], values: Callable[[], Mapping[str, np.ndarray]]
) -> dict[str, str]:
    """Return Keras's name of each output that PyTorch has, too -> PyTorch's.

    Args:
        theirs: PyTorch's outputs by their names in a trace.
        ours: Keras's.
        values: () -> Keras's outputs, of PyTorch's weights; called where names do not tell.
    """
    named = {name: name for name in ours if name in theirs}
    if len(named) == len(ours) == len(theirs):
        return named
    positions = dict(zip(ours, theirs, strict=False)) if len(ours) == len(theirs) else {}
    if positions and not _has_names(ours) and not _has_names(theirs):
        return positions
    alike = dict(_alike(theirs, values()))
    if len(alike) == min(len(ours), len(theirs)):
        return alike
    return positions or named or alike


def of_other_mode(
    renamed: Mapping[str, str], ours: Mapping[str, Any], returned: int, otherwise: Callable[[], int]
) -> list[str]:
    """Return Keras's outputs that PyTorch's module returns in the other mode alone, such as an auxiliary head's.

    Any other that Keras alone returns is a difference, and so are all where one of PyTorch's has no counterpart.

    Args:
        renamed: Keras's name -> PyTorch's, of those that both have.
        ours: Keras's outputs.
        returned: how many PyTorch returns.
        otherwise: () -> how many it returns in the other mode.
    """
    more = [name for name in ours if name not in renamed]
    return more if more and len(renamed) == returned and otherwise() >= len(ours) else []


def names_of_rest(renamed: Mapping[str, str], ours: Mapping[str, Any], left_out: Collection[str]) -> dict[str, str]:
    """Return a name for each output that Keras alone returns, where PyTorch may have another by its own."""
    taken = {name for own, name in renamed.items() if own != name}
    rest = [name for name in ours if name not in renamed and name not in left_out]
    return {name: f"output:keras:{name.partition(':')[2]}" for name in rest if taken}


def counts(theirs: int, ours: int) -> str:
    """Say that the models return different numbers of outputs, "" where they do not."""
    return f". PyTorch returns {theirs} output{'s' * (theirs > 1)}, Keras {ours}" if theirs != ours else ""


def _has_names(outputs: Mapping[str, Any]) -> bool:
    """Whether outputs have names of their own, and not numbers."""
    return any(not part.isdigit() for name in outputs for part in name.split(":")[1:])


def _alike(theirs: Mapping[str, np.ndarray], ours: Mapping[str, np.ndarray]) -> Iterator[tuple[str, str]]:
    """Yield the outputs of the same values, the nearest first."""
    expected, actual = ({name: Value(array) for name, array in each.items()} for each in (theirs, ours))
    bound = GIVEN["float32"]
    found = [(distance(v, other, bound), name, own) for name, v in expected.items() for own, other in actual.items()]
    taken: set[str] = set()
    for apart, name, own in sorted(found, key=lambda each: each[0]):
        if apart <= bound and name not in taken and own not in taken:
            taken |= {name, own}
            yield own, name
