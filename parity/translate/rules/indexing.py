"""Slices, splits and joins."""

from collections.abc import Sequence
from itertools import accumulate
from typing import TYPE_CHECKING, Any

import numpy as np

from parity.translate import layout
from parity.translate.capture import Untranslatable
from parity.translate.graph import Value
from parity.translate.layout import Layout
from parity.translate.leaves import array_of
from parity.translate.program import View, sizes
from parity.translate.registry import function
from parity.translate.rules.arithmetic import add, scaled
from parity.translate.rules.by_name import along, write
from parity.translate.rules.repetition import repeat_batch

if TYPE_CHECKING:
    from parity.translate.builder import Builder, Operand


@function("cat", "concat", "concatenate")
def concatenate(builder: "Builder", tensors: Sequence["Operand"], dim: int = 0, **options: Any) -> View:
    """Write a join along one axis, in the layout of the largest part."""
    dim = options.get("axis", dim)
    tensors = [x for x in tensors if x.shape != (0,) and x.shape[dim]] or tensors[:1]
    order = _common_layout(builder, tensors)
    parts = [_repeated(builder, x, order, tensors) for x in tensors]
    if len(parts) == 1 and isinstance(builder.list_of(parts), tuple):  # a given list may grow
        return parts[0]
    axis = order.index(dim % builder.out.rank)
    return builder.op(
        "ops.concatenate({0}, {axis})", [parts], layout=order, axis=-1 if axis == len(order) - 1 else axis
    )


def _repeated(builder: "Builder", x: "Operand", order: Layout, beside: Sequence["Operand"]) -> View:
    """Return a part; a parameter, once for each sample where the others follow the batch."""
    found = builder.to(x, order)
    like = next((builder.any(each) for each in beside if any(each.batched) and not _is_leaf(each)), None)
    if not builder.out.batched[0] or found.batched[0] or like is None or (found.shape[0] != 1 and not _is_leaf(x)):
        return found
    return repeat_batch(builder, found, like)


def _is_leaf(x: "Operand") -> bool:
    return isinstance(x, Value) and x.is_leaf


def _common_layout(builder: "Builder", tensors: Sequence["Operand"]) -> Layout:
    moving = [builder.view(x) for x in tensors if not _is_leaf(x)]
    if not moving:
        return layout.natural(tensors[0].rank)
    return max(moving, key=lambda view: (sum(view.shape), view.layout == layout.natural(view.rank))).layout


# Function -> the axes of its result at least, the axis of the join, and where a vector's axis goes among them.
JOINS = {
    "vstack": (2, 0, 1),
    "row_stack": (2, 0, 1),
    "hstack": (1, 1, 0),
    "dstack": (3, 2, 1),
    "column_stack": (2, 1, 0),
}


@function(*JOINS)
def join_along(builder: "Builder", tensors: Sequence["Operand"]) -> View:
    """Write a join along axis 0, 1 or 2; tensors with too few axes get new ones."""
    least, axis, place = JOINS[builder.call.target]
    joined = [_with_axes(builder, x, least, place) for x in tensors]
    return concatenate(builder, joined, min(axis, joined[0].rank - 1))


def _with_axes(builder: "Builder", x: "Operand", least: int, place: int) -> "Operand":
    """Return a tensor with at least so many axes: a vector's own stands at `place`, a matrix gets a last one."""
    if x.rank >= least:
        return x
    before = place if x.rank == 1 else 0
    new = (*range(before), *range(before + x.rank, least))
    shape, batched = list(x.shape), list(x.batched or [False] * x.rank)
    for axis in new:
        shape.insert(axis, 1)
        batched.insert(axis, False)
    out, order = Value(tuple(shape), x.dtype, batched=tuple(batched)), layout.natural(least)
    axes = new if new[1:] else new[0]
    return builder.op("ops.expand_dims({0}, {axis})", [builder.natural(x)], layout=order, out=out, axis=axes)


@function("stack")
def stack(builder: "Builder", tensors: Sequence["Operand"], dim: int = 0) -> View:
    """Write a join along a new axis."""
    rank = builder.out.rank
    dim %= rank
    inner = _common_layout(builder, tensors)
    parts = [builder.to(x, inner) for x in tensors]
    order = [axis + (axis >= dim) for axis in inner]
    place = min(dim, rank - 1)
    order.insert(place, dim)
    axis = -1 if place == rank - 1 else place
    return builder.op("ops.stack({0}, {axis})", [parts], layout=tuple(order), axis=axis)


@function("hsplit", "vsplit", "dsplit")
def split_along(builder: "Builder", x: "Operand", *_: Any, **__: Any) -> list[View]:
    """Write a split along axis 0, 1 or 2."""
    axis = {"vsplit": 0, "hsplit": 1, "dsplit": 2}[builder.call.target]
    return split(builder, x, 0, dim=min(axis, x.rank - 1))


@function("split", "chunk", "tensor_split", "split_with_sizes", "unsafe_split", "unsafe_chunk")
def split(builder: "Builder", x: "Operand", *_: Any, dim: int = 0, **__: Any) -> list[View]:
    """Write a split into as many parts as PyTorch made."""
    given = [each for each in _ if isinstance(each, int)]
    dim = (given[-1] if len(_) > 1 else dim) % x.rank
    found = builder.view(x)
    lengths = [value.shape[dim] for value in builder.call.outputs]
    parts: Any = len(lengths) if len(set(lengths)) == 1 else list(accumulate(lengths))[:-1]
    return builder.several("ops.split({0}, {parts}, {axis})", [found], found.layout, parts=parts, axis=found.axis(dim))


@function("unbind")
def unbind(builder: "Builder", x: "Operand", dim: int = 0) -> list[View]:
    """Write a split that leaves the axis out."""
    found = builder.view(x)
    order = layout.without(found.layout, [dim % x.rank])
    return builder.several("ops.unstack({0}, axis={axis})", [found], order, axis=found.axis(dim))


@function("getitem", "narrow", "select")
def getitem(builder: "Builder", x: "Operand", index: Any, *more: Any) -> View:
    """Write a slice, or a take along one axis."""
    if builder.call.target == "narrow":
        index = (*[slice(None)] * (index % x.rank), slice(more[0], more[0] + more[1]))
    elif builder.call.target == "select":
        index = (*[slice(None)] * (index % x.rank), more[0])
    index = list(index) if isinstance(index, tuple) else [index]
    index = [list(each) if isinstance(each, range) else each for each in index]
    index = [_as_places(each) for each in index]
    index = [_as_slice(each) if isinstance(each, list) else each for each in index]
    if any(isinstance(each, (Value, list)) for each in index):
        return _take(builder, x, index if _has_new_axis(index) else complete(index, x.rank))
    found = builder.view(x)
    index = complete(index, x.rank)
    real = [each for each in index if each is not None]
    real = [
        slice(None) if _is_whole(each, size, batched) else each
        for each, size, batched in zip(real, x.shape, x.batched, strict=True)
    ]
    sliced = slice_of(builder, found, real) if any(each != slice(None) for each in real) else found
    if None not in index:
        return sliced
    return _insert_axes(builder, sliced, index)


def _is_whole(index: Any, size: int, batched: bool) -> bool:
    """Return whether an index leaves an axis as it is, whatever the batch size."""
    if not isinstance(index, slice) or (batched and index.stop is not None):
        return False
    return index.indices(size) == (0, size, 1)


def _as_places(index: Any) -> Any:
    """Return the list of places that a constant row of truth values chooses; others as they are."""
    if isinstance(index, Value) and index.kind == "constant" and index.dtype == "bool" and index.rank == 1:
        return np.flatnonzero(array_of(index)).tolist() if not any(index.batched) else index
    return index


def _as_slice(places: list[int]) -> slice | list[int]:
    """Return a slice for consecutive places; others as they are."""
    first, stop = places[0], places[-1] + 1
    if places == list(range(first, stop)) and (first >= 0 or places[-1] < 0):
        return slice(first, stop or None)
    return places


def complete(index: list[Any], rank: int) -> list[Any]:
    """Return an index with a slice for every axis it leaves out."""
    count = sum(each is not None and each is not Ellipsis for each in index)
    if Ellipsis in index:
        place = index.index(Ellipsis)
        return [*index[:place], *[slice(None)] * (rank - count), *index[place + 1 :]]
    return [*index, *[slice(None)] * (rank - count)]


def slice_of(builder: "Builder", found: View, index: list[Any]) -> View:
    """Write a slice; numbers in the index leave axes out."""
    kept = [axis for axis, each in enumerate(index) if isinstance(each, slice)]
    order = layout.without(found.layout, [axis for axis in range(found.rank) if axis not in kept])
    shape = [len(range(*index[axis].indices(found.shape[axis]))) for axis in kept]
    batched = [found.batched[axis] and index[axis] == slice(None) for axis in kept]
    if any(found.batched[axis] and index[axis] != slice(None) for axis in range(found.rank)):
        raise Untranslatable("a slice of the batch axis has no translation")
    own = [index[axis] for axis in found.layout]
    while own and own[-1] == slice(None):
        own.pop()
    literals: dict[str, Any] = {}
    text = ", ".join(_spell(each, axis, literals) for axis, each in enumerate(own))
    text += ", ..." if len(own) == 1 and isinstance(own[0], slice) else ""  # Keras takes no bare slice
    out = Value(tuple(shape), found.dtype, batched=tuple(batched), where=builder.call.where)
    return builder.op(f"{{0}}[{text}]", [found], layout=order, out=out, **literals)


def _spell(index: Any, axis: int, literals: dict[str, Any]) -> str:
    """Return an index as text, its numbers as literals: blocks may differ in them."""
    parts = {"index": index}
    if isinstance(index, slice):
        parts = {"start": index.start, "stop": index.stop, "step": None if index.step == 1 else index.step}
    literals.update({f"{name}{axis}": part for name, part in parts.items() if part is not None})
    texts = [f"{{{name}{axis}}}" if part is not None else "" for name, part in parts.items()]
    return ":".join(texts[:2] if texts[2:] == [""] else texts)


def _insert_axes(builder: "Builder", found: View, index: list[Any]) -> View:
    from parity.translate.rules.shape import reshape

    return reshape(builder, found) if any(each is None for each in index) else found


def _take(builder: "Builder", x: "Operand", index: list[Any]) -> View:
    places = [n for n, each in enumerate(index) if each != slice(None)] if not _has_values(index) else [
        n for n, each in enumerate(index) if isinstance(each, (Value, list)) or each != slice(None)
    ]  # fmt: skip
    if len(places) == 2 and (found := _one_of_each(builder, x, index) or _pairs_at(builder, x, index, places[0])):
        return found
    if len(places) != 1 or (isinstance(index[places[0]], Value) and index[places[0]].dtype == "bool"):
        raise Untranslatable("indexing with several tensors, or with truth values, has no translation")
    axis = places[0]
    found, where = builder.natural(x), index[axis]
    if isinstance(where, list):
        return builder.op("ops.take({0}, {indices}, {axis})", [found], layout=layout.natural(builder.out.rank),
                          indices=where, axis=axis)  # fmt: skip
    taken = builder.natural(where)
    return builder.op("ops.take({0}, {1}, {axis})", [found, taken], layout=layout.natural(builder.out.rank), axis=axis)


def _one_of_each(builder: "Builder", x: "Operand", index: list[Any]) -> View | None:
    """Write `x[arange(len(x)), places]`, a row of each sample; None of another index."""
    rows, places = index[:2]
    if not isinstance(rows, Value) or rows.kind != "constant" or not isinstance(places, Value) or rows.rank != 1:
        return None
    if rows.array is None or not rows.batched[0] or rows.array.tolist() != list(range(x.shape[0])):
        return None
    ones = "[:, None" + ", None" * (x.rank - 2) + "]"
    text = f"ops.squeeze(ops.take_along_axis({{0}}, {{1}}{ones}, 1), 1)"
    order = layout.natural(builder.out.rank)
    return builder.op(text, [builder.natural(x), builder.natural(places)], layout=order)


def _pairs_at(builder: "Builder", x: "Operand", index: list[Any], axis: int) -> View | None:
    """Write `x[:, rows, columns]` of two constant lists, as of a triangle; None of another index."""
    lists = [_whole_numbers(each) for each in index[axis : axis + 2]]
    if len(lists) < 2 or None in lists or any(x.batched[axis : axis + 2]):
        return None
    rows, columns = (np.asarray(each) % x.shape[axis + n] for n, each in enumerate(lists))
    height, width = x.shape[axis : axis + 2]
    flat = Value(
        (*x.shape[:axis], height * width, *x.shape[axis + 2 :]), x.dtype,
        batched=(*x.batched[:axis], False, *x.batched[axis + 2 :]),
    )  # fmt: skip
    order = layout.natural(flat.rank)
    shape = sizes(flat, order)
    merged = builder.op("ops.reshape({0}, {shape})", [builder.natural(x)], layout=order, out=flat, shape=shape)
    places = (rows * width + columns).tolist()
    return builder.op("ops.take({0}, {places}, {axis})", [merged], layout=order, places=places, axis=axis)


def _whole_numbers(index: Any) -> Any:
    """Return a list of whole numbers, or a constant one, as a list; None of another index."""
    if isinstance(index, Value) and index.kind == "constant" and index.rank == 1 and "int" in index.dtype:
        return array_of(index).tolist() if not any(index.batched) else None
    return index if isinstance(index, list) else None


def _has_new_axis(index: list[Any]) -> bool:
    return any(each is None for each in index)


def _has_values(index: list[Any]) -> bool:
    return any(isinstance(each, Value) for each in index)


@function("gather")
def gather(builder: "Builder", x: "Operand", dim: int, index: "Operand", **_: Any) -> View | list[View]:
    """Write a take along one axis by a tensor of places; of fewer rows than the tensor has, by the layer Function."""
    found, order = builder.natural(x), layout.natural(x.rank)
    if any(size != x.shape[axis] for axis, size in enumerate(index.shape) if axis != dim % x.rank):
        return write(builder, "gather", x, dim, index)
    text = "ops.take_along_axis({0}, {1}, {axis})"
    return builder.op(text, [found, builder.natural(index)], layout=order, axis=found.axis(dim))


@function("take_along_dim")
def take_along_dim(builder: "Builder", x: "Operand", index: "Operand", dim: int | None = None) -> Any:
    """Write a gather."""
    if dim is None:
        raise Untranslatable("take_along_dim of flattened values has no translation")
    return gather(builder, x, dim, index)


@function("index_select")
def index_select(builder: "Builder", x: "Operand", dim: int, index: "Operand") -> View:
    """Write a take along one axis."""
    found, taken = builder.view(x), builder.natural(index)
    return builder.op("ops.take({0}, {1}, {axis})", [found, taken], axis=found.axis(dim))


@function("index_add")
def index_add(
    builder: "Builder", x: "Operand", dim: int, index: "Operand", source: "Operand", alpha: float = 1
) -> View | list[View]:  # fmt: skip
    """Write sums of the rows that go to one place; along another axis by the layer Function."""
    if dim % x.rank or x.batched[0] or index.batched[0]:
        return write(builder, "index_add", x, dim, index, source, alpha)
    order, count = layout.natural(x.rank), x.shape[0]
    rows = builder.natural(scaled(builder, source, alpha))
    text = "ops.segment_sum({0}, {1}, num_segments={count})"
    total = builder.op(text, [rows, builder.natural(index)], layout=order, count=count)
    return total if _is_zero(x) else add(builder, x, total)


def _is_zero(x: "Operand") -> bool:
    return isinstance(x, Value) and x.array is not None and not x.array.any()


@function("flip")
def flip(builder: "Builder", x: "Operand", *dims: Any) -> View:
    """Write a reversal along axes."""
    found = builder.view(x)
    named = dims[0] if dims and isinstance(dims[0], (tuple, list)) else dims
    axes = tuple(sorted(found.axis(dim) for dim in named))
    if any(found.batched[dim] for dim in named):
        raise Untranslatable("a flip of the batch has no translation")
    return builder.op("ops.flip({0}, {axis})", [found], axis=axes if axes[1:] else axes[0])


@function("fliplr", "flipud")
def flip_one(builder: "Builder", x: "Operand") -> View:
    """Write a reversal along axis 1 or 0."""
    return flip(builder, x, 1 if builder.call.target == "fliplr" else 0)


@function("topk")
def topk(builder: "Builder", x: "Operand", k: int, dim: int = -1, largest: bool = True, **_: Any) -> list[View]:
    """Write the k largest values of the last axis and their places, in falling order; others by the layer Function."""
    if dim % x.rank != x.rank - 1 or not largest:
        return along("topk")(builder, x, k, dim, largest)
    found, order = builder.natural(x), layout.natural(x.rank)
    values, places = builder.call.outputs
    best = builder.op("ops.top_k({0}, {k})[0]", [found], layout=order, out=values, k=k)
    if not builder.is_used(places):
        return [best]
    return [best, builder.op("ops.top_k({0}, {k})[1]", [found], layout=order, out=places, k=k)]


@function("roll")
def roll(builder: "Builder", x: "Operand", shifts: Any, dims: Any = None) -> View:
    """Write a roll along axes."""
    found = builder.view(x)
    if dims is None:
        raise Untranslatable("a roll of flattened values has no translation")
    dims = [dims] if isinstance(dims, int) else list(dims)
    shifts = [shifts] if isinstance(shifts, int) else list(shifts)
    axes = tuple(found.layout.index(axis % found.rank) for axis in dims)
    return builder.op("ops.roll({0}, {shift}, {axis})", [found], shift=tuple(shifts), axis=axes)
