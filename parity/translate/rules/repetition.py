"""Broadcasts and repetitions, also over the batch."""

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from parity.translate import layout
from parity.translate.capture import Untranslatable
from parity.translate.graph import Call, Value, values_in
from parity.translate.leaves import array_of
from parity.translate.program import View, sizes
from parity.translate.registry import function

if TYPE_CHECKING:
    from parity.translate.builder import Builder, Operand

ARITHMETIC = frozenset(["add", "iadd", "radd", "sub", "rsub", "mul", "imul", "rmul", "div", "truediv", "rtruediv"])


def repeat_batch(builder: "Builder", x: View, like: View) -> View:
    """Write the repetition of a tensor (1, …) for each sample."""
    out = Value((like.shape[0], *x.shape[1:]), x.dtype, batched=(True, *x.batched[1:]))
    return builder.layer("RepeatBatch", [x, like], {}, out=out, path="")


@function("expand", "broadcast_to", "expand_as")
def expand(builder: "Builder", x: "Operand", *_: Any, **__: Any) -> View:
    """Write a broadcast; over the batch, as RepeatBatch."""
    out = builder.out
    if out.shape == x.shape and tuple(out.batched) == tuple(x.batched):
        return builder.any(x)
    lead = out.rank - x.rank
    if not lead and _broadcasts_anyway(builder):
        return builder.view(x)
    found = builder.natural(x) if lead or (out.batched[0] and not x.batched[0]) else builder.view(x)
    if lead:
        full = Value((1,) * lead + found.shape, found.dtype, batched=(False,) * lead + found.batched)
        order = layout.natural(out.rank)
        found = builder.op("ops.reshape({0}, {shape})", [found], layout=order, out=full, shape=sizes(full, order))
    axes = [axis for axis in range(out.rank) if out.batched[axis] and not found.batched[axis]]
    if len(axes) > 1:
        raise Untranslatable("an expand along two axes that follow the batch has no translation")
    if axes:
        found = over_batch(builder, found, axes[0], out.shape[axes[0]])
    if any(out.batched):
        axes = [axis for axis in range(out.rank) if found.shape[axis] != out.shape[axis]]
        if len(axes) > 1:
            counts = tuple(out.shape[axis] if axis in axes else 1 for axis in found.layout)
            return builder.op("ops.tile({0}, {counts})", [found], counts=counts)
        for axis in axes:
            count, place = out.shape[axis], found.layout.index(axis)
            found = builder.op("ops.repeat({0}, {count}, {axis})", [found], count=count, axis=place)
        return found
    shape = tuple(out.shape[axis] for axis in found.layout)
    return builder.op("ops.broadcast_to({0}, {shape})", [found], shape=shape)


@function("broadcast_tensors")
def broadcast_tensors(builder: "Builder", *tensors: "Operand") -> list[View]:
    """Write a broadcast of each tensor to the shape of all."""
    call, found = builder.call, []
    for x, value in zip(tensors, call.outputs, strict=True):
        builder.call = replace(call, outputs=[value])
        found.append(expand(builder, x))
    builder.call = call
    return found


def repeat_heads(builder: "Builder", x: "Operand", heads: int) -> View:
    """Write each head as many times in a row as makes this number of heads."""
    found = builder.view(x)
    axis = found.rank - 3
    shape = tuple(heads if n == axis else size for n, size in enumerate(found.shape))
    out = Value(shape, found.dtype, batched=found.batched)
    count = heads // found.shape[axis]
    return builder.op("ops.repeat({0}, {count}, {axis})", [found], out=out, count=count, axis=found.axis(axis))


@function("repeat", "tile")
def repeat(builder: "Builder", x: "Operand", *counts: Any) -> View:
    """Write a tiling."""
    numbers = counts[0] if isinstance(counts[0], (tuple, list)) else counts
    found = builder.natural(x)
    if any(builder.out.batched) and not any(found.batched):
        return _tile_batch(builder, found, numbers)
    order = layout.natural(builder.out.rank)
    return builder.op("ops.tile({0}, {counts})", [found], layout=order, counts=tuple(numbers))


def _tile_batch(builder: "Builder", x: View, counts: Sequence[int]) -> View:
    """Write a tiling over the batch, as `repeat(batch, 1, 1)` of the rows of all heads."""
    out = builder.out
    order, axis = layout.natural(out.rank), out.batched.index(True)
    if not axis and out.shape[1:] == x.shape[1:] and out.period == x.shape[0] and set(counts[1:]) <= {1}:
        one = Value((1, *x.shape), x.dtype, batched=(False, *x.batched))
        row = builder.op("ops.reshape({0}, {shape})", [x], layout=layout.natural(one.rank), out=one, shape=one.shape)
        each = repeat_batch(builder, row, builder.views[builder.recording.inputs[0]])
        return builder.op("ops.reshape({0}, {shape})", [each], layout=order, shape=sizes(out, order))
    full = (1,) * (out.rank - x.rank) + x.shape
    if x.rank < out.rank:
        one = Value(full, x.dtype, batched=(False,) * out.rank)
        x = builder.op("ops.reshape({0}, {shape})", [x], layout=order, out=one, shape=full)
    others = tuple(1 if n == axis else count for n, count in enumerate(counts))
    if set(others) != {1}:
        tiled = tuple(size * count for size, count in zip(full, others, strict=True))
        x = builder.op("ops.tile({0}, {counts})", [x], out=Value(tiled, x.dtype, batched=x.batched), counts=others)
    return over_batch(builder, x, axis, out.shape[axis])


def over_batch(builder: "Builder", x: View, axis: int, count: int) -> View:
    """Write the repetition of a tensor for each example along an axis of size 1, which is Keras's first then.

    Raises:
        Untranslatable: the axis has not one entry, or it is not repeated as many times as there are examples.
    """
    like = next((each for each in builder.recording.inputs if each.batched and each.batched[0]), None)
    if like is None or x.shape[axis] != 1 or count != like.shape[0] or sum(x.batched):
        raise Untranslatable("a repetition by other than the number of examples has no translation")
    order = (axis, *(each for each in x.layout if each != axis))
    shape, batched = list(x.shape), [False] * x.rank
    shape[axis], batched[axis] = count, True
    out = Value(tuple(shape), x.dtype, batched=tuple(batched))
    return builder.layer("RepeatBatch", [builder.to(x, order), builder.views[like]], {}, layout=order, out=out, path="")


def _broadcasts_anyway(builder: "Builder") -> bool:
    """Return whether the result is only combined with tensors of its own shape, which broadcasts without being told."""
    out, readers = (
        builder.out,
        [call for call in builder.recording.calls if builder.out in values_in((call.args, call.kwargs))],
    )
    return (
        bool(readers)
        and out not in values_in(builder.recording.outputs)
        and all(_combines(call, out) for call in readers)
    )


def _combines(call: Call, out: Value) -> bool:
    """Return whether a call is arithmetic of a value and another tensor of that shape."""
    others = [each for each in call.args if each is not out]
    return (
        isinstance(call.target, str)
        and call.target.strip("_") in ARITHMETIC
        and len(others) == 1
        and isinstance(others[0], Value)
        and not others[0].is_leaf
        and others[0].shape == out.shape
    )


@function("repeat_interleave")
def repeat_interleave(builder: "Builder", x: "Operand", repeats: Any, dim: int | None = None, **_: Any) -> View:
    """Write each part along an axis so many times in a row."""
    found = builder.view(x)
    if isinstance(repeats, Value) and repeats.kind == "constant" and dim is not None and not found.batched[dim]:
        places = np.repeat(np.arange(found.shape[dim]), array_of(repeats)).tolist()
        return builder.op("ops.take({0}, {places}, {axis})", [found], places=places, axis=found.axis(dim))
    if dim is None or not isinstance(repeats, int) or tuple(builder.out.batched) != tuple(found.batched):
        raise Untranslatable("repeat_interleave by other than a number, along an axis, has no translation")
    return builder.op("ops.repeat({0}, {count}, {axis})", [found], count=repeats, axis=found.axis(dim))
