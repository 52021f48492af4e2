"""One tensor in one framework that is several in the other: a packed query, key and value beside three layers.

A linear map that no unit of the other side fits, and several that together have its outputs and its inputs: it is cut
into pieces, which are paired like any other unit. Which piece is which is decided as for all that are given one value.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

import numpy as np

from keras_blitz.weights.mapped import Mapped, rows_of, scattered
from parity.pair.units import Unit

Fits = Callable[[Unit, Unit], bool]


def opened(unit: Unit, others: Sequence[Unit], fits: Fits) -> list[Unit]:
    """Return PyTorch's attention as the two linear maps in it where the Keras model has no such layer.

    Args:
        unit: any unit of PyTorch's.
        others: Keras's.
        fits: whether a Keras unit can hold a PyTorch unit's weights.
    """
    if unit.kind != "attention" or "in_proj_weight" not in unit.shapes or any(fits(unit, other) for other in others):
        return [unit]
    names = {
        "in_proj": {"weight": "in_proj_weight", "bias": "in_proj_bias"},
        "out_proj": {"weight": "out_proj.weight", "bias": "out_proj.bias"},
    }
    found = []
    for part, leaves in names.items():
        own = {leaf: name for leaf, name in leaves.items() if name in unit.shapes}
        shapes = {leaf: unit.shapes[name] for leaf, name in own.items()}
        rows = np.arange(shapes["weight"][0]) if part == "in_proj" else None
        found.append(replace(unit, name=f"{unit.name}[{part}]", kind="linear", shapes=shapes, numbered=own, rows=rows))
    return found


def cut(units: Sequence[Unit], others: Sequence[Unit], fits: Fits) -> list[Unit]:
    """Return one side's units, those cut that the other side has in pieces.

    Args:
        units: of either side.
        others: the other side's.
        fits: whether a unit of this side and one of the other can hold the same weights.
    """
    surplus = Counter(_size(other) for other in others if other.kind == "linear")
    surplus.subtract(_size(unit) for unit in units if unit.kind == "linear")
    found: list[Unit] = []
    for unit in units:
        counts: list[int] = []
        if unit.kind == "linear" and not any(fits(unit, other) for other in others):
            counts = next((each for each in _counts(unit, surplus) if _suffices(unit, each, surplus)), [])
        surplus.subtract((count, *_size(unit)[1:]) for count in counts)
        found += _pieces(unit, counts) if counts else [unit]
    return found


def merged(weights: Sequence[Mapped], rows: Sequence[np.ndarray | None]) -> list[Mapped]:
    """Return weights with those of one name, which have some of a tensor's rows each, as one.

    Args:
        weights: Keras's, by PyTorch's names.
        rows: which rows of PyTorch's tensor each has; None where it has all of them.
    """
    found: dict[str, list[tuple[Mapped, np.ndarray | None]]] = {}
    for weight, own in zip(weights, rows, strict=True):
        found.setdefault(weight.name, []).append((weight, own))
    whole = {name: [(weight, own) for weight, own in pieces if own is not None] for name, pieces in found.items()}
    return [pieces[0][0] if len(pieces) == 1 else scattered(whole[name]) for name, pieces in found.items()]


def _size(unit: Unit) -> tuple[int, int, bool]:
    """Return a linear map's outputs and inputs, and whether it has a bias."""
    weight = unit.shapes["weight"]
    return weight[0], weight[1], "bias" in unit.shapes


def _counts(unit: Unit, surplus: Counter) -> Iterator[list[int]]:
    """Yield the outputs that the pieces of a linear map may have: equal ones, or a query's and twice a key's."""
    outputs, inputs, bias = _size(unit)
    for number in (3, 2, 4):
        if outputs % number == 0:
            yield [outputs // number] * number
    for count, of, has_bias in surplus:
        rest = outputs - count
        if of == inputs and has_bias == bias and rest > 0 and rest % 2 == 0 and rest // 2 < count:
            yield [count, rest // 2, rest // 2]


def _suffices(unit: Unit, counts: Sequence[int], surplus: Counter) -> bool:
    needed = Counter((count, *_size(unit)[1:]) for count in counts)
    return all(surplus[size] >= number for size, number in needed.items())


def arrangements(split: Sequence[int], counts: Sequence[int]) -> list[list[np.ndarray]]:
    """Return the rows of each piece, in each way in which they may be arranged, the likeliest first.

    Rows may be piece after piece, or all pieces head by head, as GPT-NeoX and BLOOM have them; what PyTorch does with
    the outputs tells: split into (heads, 3, dim), the axis of 3 is that of the pieces; (groups, n + 2, dim) are n
    queries, a key and a value. An axis of as many as there are pieces is likelier than one that can be divided.

    Args:
        split: the axes, () where they are not known.
        counts: the rows of each piece.
    """
    dims = tuple(split) or (sum(counts),)
    found = []
    for axis in range(len(dims)):
        each = [count * dims[axis] / sum(counts) for count in counts]  # of this axis
        if sum(counts) == np.prod(dims) and all(size == int(size) for size in each):
            places = np.moveaxis(np.arange(sum(counts)).reshape(dims), axis, 0)
            parts = np.split(places, np.cumsum(each).astype(int)[:-1])
            rows = [np.moveaxis(part, 0, axis).reshape(-1) for part in parts]
            found.append((dims[axis] != len(counts), axis, rows))
    return [rows for *_, rows in sorted(found, key=lambda each: each[:2])]


def is_by_head(unit: Unit) -> bool:
    """Return whether three pieces of the same size would not be one below the other in PyTorch's tensor."""
    outputs = unit.shapes["weight"][0] if unit.kind == "linear" else 1
    likely = arrangements(unit.split, [outputs // 3] * 3) if unit.split and outputs % 3 == 0 else []
    return bool(likely) and not np.array_equal(likely[0][0], np.arange(outputs // 3))


def _pieces(unit: Unit, counts: Sequence[int]) -> list[Unit]:
    first = unit.rows if unit.rows is not None else np.arange(_size(unit)[0])
    likely = arrangements(unit.split, counts) or arrangements((), counts)
    found = []
    for number, rows in enumerate(likely[min(unit.arranged, len(likely) - 1)]):
        shapes = {leaf: (len(rows), *shape[1:]) for leaf, shape in unit.shapes.items()}
        held, plain = (
            {leaf: rows_of(weight, rows) for leaf, weight in weights.items()} for weights in (unit.weights, unit.plain)
        )
        piece = replace(unit, name=f"{unit.name}[{number}]", shapes=shapes, weights=held, plain=plain, number=number)
        found.append(replace(piece, rows=None if unit.weights else first[rows]))
    return found
