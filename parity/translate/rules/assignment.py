"""Assignments to parts of a tensor: PyTorch writes in place, Keras joins what is left with what comes in."""

from collections.abc import Callable
from math import prod
from typing import TYPE_CHECKING, Any

from parity.translate import layout
from parity.translate.capture import Untranslatable
from parity.translate.graph import Value
from parity.translate.program import View, sizes
from parity.translate.registry import function
from parity.translate.rules.arithmetic import masked_fill
from parity.translate.rules.indexing import complete, slice_of
from parity.translate.rules.repetition import over_batch

if TYPE_CHECKING:
    from parity.translate.builder import Builder, Operand

INSTEAD = "has no translation; use torch.cat or torch.where"


@function("setitem")
def setitem(builder: "Builder", x: "Operand", index: Any, value: Any) -> View:
    """Write an assignment to a box of a tensor as a join along each axis that is cut, or as a where for a mask."""
    if isinstance(index, Value) and index.dtype == "bool":
        return _masked(builder, x, index, value)
    full = complete(list(index) if isinstance(index, tuple) else [index], x.rank)
    if any(not (type(each) is int or (isinstance(each, slice) and each.step in (None, 1))) for each in full):
        raise Untranslatable(f"an assignment to other than numbers and slices of axes {INSTEAD}")
    bounds = [_bounds(each, size) for each, size in zip(full, x.shape, strict=True)]
    cuts = [(axis, *pair) for axis, pair in enumerate(bounds) if pair != (0, x.shape[axis])]
    if any(x.batched[axis] for axis, *_ in cuts) or any(
        type(full[axis]) is int and x.batched[axis] for axis in range(x.rank)
    ):
        raise Untranslatable(f"an assignment to a part of the batch {INSTEAD}")
    picked = [axis for axis, each in enumerate(full) if type(each) is int]
    return _join(builder, _of_the_batch(builder, x), cuts, lambda piece: _as_piece(builder, piece, value, picked))


@function("slice_scatter")
def slice_scatter(
    builder: "Builder", x: "Operand", src: "Operand", dim: int = 0, start: int | None = None, end: int | None = None,
    step: int = 1,
) -> View:  # fmt: skip
    """Write an assignment to a slice of one axis."""
    return setitem(builder, x, (*[slice(None)] * (dim % x.rank), slice(start, end, step)), src)


@function("copy")
def copy(builder: "Builder", x: "Operand", source: "Operand", *_: Any, **__: Any) -> View:
    """Write the new values alone."""
    return setitem(builder, x, Ellipsis, source)


@function("fill")
def fill(builder: "Builder", x: "Operand", value: Any) -> View:
    """Write a tensor of one number."""
    return setitem(builder, x, Ellipsis, value)


@function("zero")
def zero(builder: "Builder", x: "Operand") -> View:
    """Write zeros."""
    return setitem(builder, x, Ellipsis, 0)


def _masked(builder: "Builder", x: "Operand", mask: Value, value: Any) -> View:
    """Write `x[mask] = number`."""
    if isinstance(value, (Value, View)) and prod(value.shape) != 1:
        raise Untranslatable(f"an assignment of several values where a mask is true {INSTEAD}")
    found: Operand = mask
    if mask.rank < x.rank:
        view = builder.natural(mask)
        more = x.rank - mask.rank
        full = Value((*view.shape, *[1] * more), "bool", batched=(*view.batched, *[False] * more))
        order = layout.natural(x.rank)
        found = builder.op("ops.reshape({0}, {shape})", [view], layout=order, out=full, shape=sizes(full, order))
    return masked_fill(builder, _of_the_batch(builder, x), found, value)


def _bounds(index: Any, size: int) -> tuple[int, int]:
    if isinstance(index, slice):
        return index.indices(size)[:2]
    return index % size, index % size + 1


def _of_the_batch(builder: "Builder", x: "Operand") -> View:
    """Return a tensor; a constant with the same row for each example, such as zeros, has as many rows as the batch."""
    found = builder.view(x)
    axes = [axis for axis in range(x.rank) if x.batched[axis] and not found.batched[axis]] if found.rank else []
    return over_batch(builder, found, axes[0], x.shape[axes[0]]) if len(axes) == 1 else found


def _join(builder: "Builder", x: View, cuts: list[tuple[int, int, int]], make: Callable[[View], View]) -> View:
    """Write a tensor with a new box, which is made beside the old one.

    Args:
        builder: of the program.
        x: the tensor.
        cuts: axis, first and last place of the box.
        make: the old box -> the new one.
    """
    if not cuts:
        return make(x)
    (cut, start, stop), *rest = cuts
    index = [
        slice(start or None, stop if stop < x.shape[cut] else None) if n == cut else slice(None) for n in range(x.rank)
    ]
    box = _join(builder, slice_of(builder, x, index), rest, make)
    axis = x.layout.index(cut)
    before = f"{{0}}[{':, ' * axis}:{{start}}, ...], " if start else ""
    after = f", {{0}}[{':, ' * axis}{{stop}}:, ...]" if stop < x.shape[cut] else ""
    text = f"ops.concatenate([{before}{{1}}{after}], {{axis}})"
    return builder.op(text, [x, builder.to(box, x.layout)], out=x, axis=axis, start=start, stop=stop)


def _as_piece(builder: "Builder", piece: View, value: Any, picked: list[int]) -> View:
    """Return what is assigned with the shape of what it replaces.

    Args:
        builder: of the program.
        piece: what it replaces.
        value: a number, or a tensor that broadcasts.
        picked: axes that the index has a number for, which the value lacks.
    """
    if not isinstance(value, (Value, View)):
        return builder.op("ops.full_like({0}, {number})", [piece], out=piece, number=value)
    found = builder.natural(value)
    if "float" in found.dtype and "float" not in piece.dtype:
        raise Untranslatable("an assignment of floating-point numbers to whole numbers has no translation")
    if "float" in piece.dtype and "float" not in found.dtype:
        found = builder.op("ops.cast({0}, keras.config.floatx())", [found], out=found)
    missing = piece.rank - len(picked) - found.rank
    own = iter([*[(1, False)] * missing, *zip(found.shape, found.batched, strict=True)][max(0, -missing) :])
    pairs = [(1, False) if axis in picked else next(own) for axis in range(piece.rank)]
    shape, batched = tuple(size for size, _ in pairs), tuple(each for _, each in pairs)
    if shape != found.shape:
        full = Value(shape, piece.dtype, batched=batched)
        order = layout.natural(piece.rank)
        found = builder.op("ops.reshape({0}, {shape})", [found], layout=order, out=full, shape=sizes(full, order))
    if shape == piece.shape and batched == piece.batched:
        return found
    return builder.op("ops.zeros_like({0}) + {1}", [piece, builder.to(found, piece.layout)], out=piece)
