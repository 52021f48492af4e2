"""Tensors that share memory: a view that was changed in place changes its base, and the base's other views."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch

from parity.translate.graph import Call, Value

# Functions whose result is a view, by how a change of the view is put back into its base.
SLICES = frozenset(["__getitem__", "narrow", "select"])
RESHAPES = frozenset(
    ["view", "reshape", "flatten", "unflatten", "squeeze", "unsqueeze", "view_as", "reshape_as", "_unsafe_view"]
)
PERMUTATIONS = frozenset(
    ["permute", "transpose", "swapaxes", "swapdims", "movedim", "moveaxis", "t", "T", "mT"]
)  # fmt: skip
OPERATORS = ("add", "sub", "mul", "truediv", "floordiv", "mod", "pow", "and", "or", "xor", "lshift", "rshift")
UPDATES = frozenset(f"__i{name}__" for name in OPERATORS)


@dataclass(frozen=True)
class Made:
    """How a view was made.

    Args:
        base: the tensor that it is of.
        call: what made it.
        axes: of a permutation, the base's axis of each of the view's.
    """

    base: torch.Tensor
    call: Call
    axes: tuple[int, ...] = ()


def changed_by(name: str, args: tuple, kwargs: dict) -> torch.Tensor | None:
    """Return the tensor that a function changes in place; None of another function."""
    if isinstance(kwargs.get("out"), torch.Tensor):
        return kwargs["out"]
    method = name.endswith("_") and not name.endswith("__")
    changes = name in UPDATES or name == "__setitem__" or method or kwargs.get("inplace") is True
    return args[0] if changes else None


def share_memory(one: torch.Tensor, other: torch.Tensor) -> bool:
    """Return whether two tensors hold their values in the same memory."""
    return one.untyped_storage().data_ptr() == other.untyped_storage().data_ptr()


def is_same_values(one: Any, other: Any) -> bool:
    """Return whether two values are tensors of one shape in the same memory."""
    if not isinstance(one, torch.Tensor) or not isinstance(other, torch.Tensor):
        return False
    return one.shape == other.shape and share_memory(one, other)


def view_of(name: str, function: Callable, call: Call, args: tuple, kwargs: dict, output: Any) -> Made | None:
    """Return how a result was made, where it is a view whose changes can be put back; else None."""
    if name not in SLICES | RESHAPES | PERMUTATIONS or not isinstance(output, torch.Tensor) or not args:
        return None
    base = args[0]
    if output is base or not share_memory(output, base):
        return None
    axes: tuple[int, ...] = ()
    if name in PERMUTATIONS:  # sizes that tell the axes apart
        axes = tuple(
            size - 1 for size in function(base.new_empty([*range(1, 1 + base.dim())]), *args[1:], **kwargs).shape
        )
    return Made(base, call, axes)


def write_back(made: Made, base: Value, view: Value) -> tuple[str, tuple]:
    """Return the function, and its arguments, whose result is the base with a changed view."""
    name, more = made.call.target, (*made.call.args[1:], *made.call.kwargs.values())
    if name in RESHAPES:
        return "reshape", (view, base.shape)
    if name in PERMUTATIONS:
        return "permute", (view, tuple(made.axes.index(axis) for axis in range(base.rank)))
    if name == "__getitem__":
        return "__setitem__", (base, more[0], view)
    dim, start, *length = more
    index = slice(start, start + length[0]) if length else start
    return "__setitem__", (base, (*[slice(None)] * (dim % base.rank), index), view)
