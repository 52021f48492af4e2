"""`weights=` written by hand, an entry a line:

    "fc1": "dense"                                              a module: its layer
    "scale": "scale/gamma"                                      a tensor: a variable
    "qkv": ["query", "key", "value"]                            one module: several layers, its outputs in this order
    ("gate", "up"): "gate_up"                                   several modules: one layer
    "attn.in_proj_weight[:64]": ("query/kernel", "transpose")   some rows of a tensor, transposed
    "conv.weight": ("conv/kernel", (2, 3, 1, 0))                a tensor with its axes in this order
    "norm.weight": ("norm/scale", lambda w: 1 + w)              a function of NumPy arrays; with several tensors, of all
    "head": None                                                left alone; None: "dense" leaves Keras's alone

A value is moved, scaled and shifted, so that gradients can be compared, too. Without a form a tensor takes the layout
that the Keras layer is known to have, else none.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from keras_blitz.errors import BlitzError

Form = str | tuple[int, ...] | Callable | None  # "transpose", an order of the axes, or a function

_SLICED = re.compile(r"(?P<name>.+?)\[(?P<index>[-\d:., ]+)\]")


class Kept(dict):
    """Entries of a Keras model that has its weights already and keeps them."""


@dataclass(frozen=True)
class Entry:
    """One entry.

    Args:
        theirs: PyTorch's modules or tensors, which may have an index: "in_proj_weight[:64]". None: Keras's alone.
        ours: Keras's layers or variables. None: PyTorch's alone.
        form: what Keras's is of PyTorch's; None: as the layer has it.
    """

    theirs: tuple[str, ...]
    ours: tuple[str, ...]
    form: Form = None

    def __str__(self) -> str:
        return f"{_spell(self.theirs)}: {_spell(self.ours)}"


def parse(weights: Any) -> list[Entry]:
    """Return the entries of `weights=`, none of "auto" and "keep".

    Raises:
        BlitzError: it is written in no way that is known.
    """
    if not isinstance(weights, Mapping):
        return []
    return [_entry(theirs, ours) for theirs, ours in weights.items()]


def renamed(weights: Mapping, name_of: Callable[[str], str]) -> dict:
    """Return `weights=` with other names of Keras's layers.

    Args:
        weights: as the user wrote it.
        name_of: a name -> the new one.
    """

    def of(value: Any) -> Any:
        if isinstance(value, list):
            return [name_of(each) for each in value]
        if isinstance(value, tuple) and len(value) == 2:
            return name_of(value[0]), value[1]
        return value if value is None else name_of(value)

    for theirs, ours in weights.items():
        _entry(theirs, ours)
    kind = Kept if isinstance(weights, Kept) else dict
    return kind((theirs, of(ours)) for theirs, ours in weights.items())


def split_index(name: str) -> tuple[str, str]:
    """Return a tensor's name and its index, "" without one: "w[:64]" is "w" and ":64"."""
    found = _SLICED.fullmatch(name)
    return (found["name"], found["index"]) if found else (name, "")


def index_of(text: str, name: str, shape: tuple[int, ...]) -> tuple:
    """Return an index, "0, 1:", as NumPy takes it.

    Args:
        text: what stands between the brackets.
        name: the tensor's.
        shape: the tensor's.

    Raises:
        BlitzError: it is none, or it reaches beyond the tensor.
    """
    parts = [part.strip() for part in text.split(",")]
    if not all(re.fullmatch(r"-?\d+|(-?\d+)?(:(-?\d+)?){1,2}|\.\.\.", part) for part in parts):
        raise BlitzError(f"weights: [{text}] of {name!r} must be an index such as [:64], [64:128] or [0, 1:]")
    found = tuple(... if part == "..." else _part(part) for part in parts)
    plain = [part for part in found if part is not ...]
    if len(plain) > len(shape) or len(found) - len(plain) > 1:
        raise BlitzError(f"weights: [{text}] has {len(plain)} axes, {name!r} has shape {shape}")
    after = len(plain) - found.index(...) if ... in found else 0
    axes = [*range(len(plain) - after), *range(len(shape) - after, len(shape))]
    for part, axis in zip(plain, axes, strict=True):
        ends = [part] if isinstance(part, int) else [part.start, part.stop]
        size = shape[axis]
        outside = [end for end in ends if end is not None and not -size <= end < size + isinstance(part, slice)]
        if outside or (isinstance(part, slice) and not len(range(*part.indices(size)))):
            raise BlitzError(f"weights: [{text}] is not inside {name!r} of shape {shape}")
    return found


def _part(text: str) -> int | slice:
    if ":" not in text:
        return int(text)
    return slice(*(int(each) if each else None for each in text.split(":")))


def _entry(theirs: Any, ours: Any) -> Entry:
    form: Any = None
    if isinstance(ours, tuple) and len(ours) == 2:
        ours, form = ours
        if not (form == "transpose" or callable(form) or _is_order(form)):
            raise BlitzError(
                f'weights: {theirs!r}: the form must be "transpose", an order of axes or a function, not {form!r}; '
                "several layers are a list"
            )
    left = (theirs,) if isinstance(theirs, str) else () if theirs is None else theirs
    right = [ours] if isinstance(ours, str) else [] if ours is None else ours
    if not (_are_names(left, tuple) and _are_names(right, list)) or not (left or right):
        raise BlitzError(
            f"weights: {theirs!r}: {ours!r} must be a name or a tuple of names of PyTorch's, and of Keras's a name, a "
            'list of names, (name, "transpose"), (name, an order of axes), (name, a function), or None'
        )
    if len(left) > 1 and len(right) > 1:
        raise BlitzError(f"weights: {theirs!r}: {ours!r}: several names can be on one side only")
    return Entry(tuple(left), tuple(right), form)


def _is_order(form: Any) -> bool:
    return isinstance(form, tuple | list) and sorted(form) == list(range(len(form)))


def _are_names(names: Any, kind: Any) -> bool:
    return isinstance(names, kind) and all(isinstance(name, str) and name for name in names)


def _spell(names: tuple[str, ...]) -> str:
    return names[0] if len(names) == 1 else str(list(names) or None)
