"""Which output is which: by name where both sides have names, else by value, else by position.

A Keras model returns a dict where PyTorch returns a tuple, or one output more: neither the order of a dict nor the
number says then which are meant, but the values do, where the models agree.
"""

from collections.abc import Callable, Iterator, Mapping
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
