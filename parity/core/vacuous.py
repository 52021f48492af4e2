"""Evidence that proves nothing, flagged: what a mistake could leave as it is."""

from collections.abc import Iterable
from enum import StrEnum

import numpy as np

from parity.core import tolerance
from parity.core.fingerprint import Fingerprint, Tensor
from parity.core.trace import Absent, Value, kind_of, step_of

NOT_FINITE = "NaN or infinite on both sides: nothing can be seen there"


class Content(StrEnum):
    """What a tensor holds, as far as it matters to what its agreement proves."""

    VARIED = "varied"
    REPEATED = "the same for every example"  # of inputs and outputs alone
    UNMOVED = "as before the first step"  # of parameters after a step
    ZERO = "zero"
    NOT_FINITE = "NaN or infinite"
    EMPTY = "empty"
    OTHER = "not floating-point"  # and not an input
    ABSENT = "absent"


def content_of(name: str, value: Value | None, initial: Value | None = None) -> Content:
    """Say what a tensor holds.

    Args:
        name: its name in the trace.
        value: the port's.
        initial: for a parameter after a step, its value before the first one.
    """
    if value is None or isinstance(value, Absent):
        return Content.ABSENT
    if isinstance(value, Fingerprint):
        return Content.VARIED if value.peak else Content.ZERO
    if not value.size:
        return Content.EMPTY
    counted = value.dtype.kind != "f"  # a zero among tokens or classes is as good as any
    if counted and kind_of(name) != "input":
        return Content.OTHER
    finite = np.isfinite(value)
    if not finite.all():
        value = np.where(finite, value, 0)
        return Content.VARIED if value.any() else Content.NOT_FINITE
    if isinstance(initial, np.ndarray) and np.array_equal(initial, value):
        return Content.UNMOVED
    if not counted and not value.any():
        return Content.ZERO
    batched = kind_of(name) in ("input", "output") and value.ndim and len(value) > 1
    return Content.REPEATED if batched and (value == value[:1]).all() else Content.VARIED


def count_warnings(pairs: Iterable[tuple[str, str]]) -> list[tuple[str, int, str]]:
    """Return (warning, in how many tensors, the first of them) from pairs (tensor, warning), each counted once."""
    tensors: dict[str, dict[str, None]] = {}
    for tensor, warning in pairs:
        tensors.setdefault(warning, {})[tensor] = None
    return [(warning, len(names), next(iter(names))) for warning, names in tensors.items()]


def warnings_for(name: str, array: Tensor, initial: Value | None) -> tuple[str, ...]:
    """Say why the agreement of a tensor may mean little.

    Args:
        name: the tensor's name in the trace.
        array: the port's value, which agreed with the reference; of a fingerprint little can be said.
        initial: for a parameter after a step, its value before the first one.
    """
    if isinstance(array, Fingerprint):
        return () if array.peak else ("all zero: a lost factor or a dead ReLU would not be seen",)
    if array.dtype.kind != "f" or not array.size:
        return ()
    if not np.isfinite(array).all():
        return (NOT_FINITE,)
    if array.size < 2:
        return ()
    found = []
    if kind_of(name) != "buffer" and not array.any():
        found.append("all zero: a lost factor or a dead ReLU would not be seen")
    elif (array == array.flat[0]).all():
        found.append("constant: a changed order would not be seen")
    elif kind_of(name) == "activation" and _dead_channels(array) > tolerance.DEAD_SHARE:
        found.append("most channels are all zero: dead ReLUs hide what follows them")
    elif kind_of(name) in ("input", "activation") and _symmetric(array):
        found.append("equal to its own transpose: swapped H and W would not be seen")
    if step_of(name) and isinstance(initial, np.ndarray) and np.array_equal(initial, array):
        found.append("did not move: the update was not tested")
    if name.endswith(".running_mean") and not array.any():
        found.append("untouched: BatchNorm's running statistics were not tested")
    return tuple(found)


def _dead_channels(array: np.ndarray) -> float:
    """Return the share of channels (axis 1) that are zero in the whole batch."""
    if array.ndim < 2:
        return 0.0
    axes = tuple(axis for axis in range(array.ndim) if axis != 1)
    if array.size < tolerance.DEAD_OF * array.shape[1]:
        return 0.0  # too few values a channel to call it dead
    return float(np.mean(~array.any(axis=axes)))


def _symmetric(array: np.ndarray) -> bool:
    return array.ndim == 4 and array.shape[2] == array.shape[3] > 1 and np.array_equal(array, array.swapaxes(2, 3))
