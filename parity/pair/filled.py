"""Which of PyTorch's tensors each Keras weight has, and in which layout: what `parity.transfer` says that it filled.

The layout is read off what is done to a tensor: its values' numbers go the way that the values go.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import permutations
from math import prod
from typing import Any

import numpy as np

from keras_blitz.weights.layout import Layout
from keras_blitz.weights.mapped import Mapped
from parity.pair.pairing import Pairing
from parity.pair.units import RECURRENT

SINGLY = 12  # layers with a line each; of more, those that are filled alike share one
LINES = 24  # of a table
LISTED = 3  # layers that such a line names
COUNTABLE = {"float64": 1 << 53, "float32": 1 << 24, "float16": 1 << 11, "bfloat16": 1 << 8}  # as they have numbers
REORDERED = "reordered"


@dataclass(frozen=True)
class Filled:
    """A Keras weight, or a part of one, and what it has of PyTorch.

    Args:
        weight: its path in the Keras model, "conv/kernel"; of a part with its place, "gru/bias[0]".
        tensors: PyTorch's name of the tensor that it has, "qkv.weight[0:8]" of some rows; of two, their sum.
        how: what is done to PyTorch's layout, such as "transposed"; "" where every value keeps its place.
    """

    weight: str
    tensors: tuple[str, ...]
    how: str = ""


def filled_rows(pairing: Pairing) -> list[Filled]:
    """Return a row for each Keras weight, or part of one, that has a counterpart."""
    twins = {id(weight.variable): weight.name for weight in pairing.weights if weight.twin}
    gated = {
        id(variable)
        for _, other, _ in pairing.units
        if other.kind in RECURRENT
        for weight in other.weights.values()
        for variable in weight.variables
    }
    return [row for weight in pairing.weights if not weight.twin for row in _rows(weight, twins, gated)]


def _rows(weight: Mapped, twins: dict[int, str], gated: set[int]) -> Iterator[Filled]:
    for number, variable in enumerate(weight.variables):
        part, source, how = _place(weight, number)
        if id(variable) in gated and how.endswith(REORDERED):
            how = how.replace(REORDERED, "gates reordered")
        second = [twins[id(variable)]] if id(variable) in twins else []
        yield Filled(variable.path + part, (weight.name + source, *second), how)


def _place(weight: Mapped, number: int) -> tuple[str, str, str]:
    """Return which part of a variable has which rows of the tensor, and in which layout.

    Args:
        weight: PyTorch's tensor.
        number: of the variable, among those that hold the tensor.
    """
    if weight.layout is not None:
        return "", "", _find_declared(weight.layout)
    if prod(weight.shape) > COUNTABLE.get(weight.dtype, 0):
        return "", "", REORDERED
    numbers = np.arange(1, prod(weight.shape) + 1).reshape(weight.shape)
    filled, negative = weight.part(numbers)[number], weight.part(np.negative(numbers))[number]
    region = _region(filled != negative)  # the rest of the variable is as it was
    place, block, size = _spell(region, filled.shape), filled[region].astype(np.int64), prod(weight.shape[1:])
    start, stop = (int(block.min()) - 1) // size, (int(block.max()) - 1) // size + 1
    if block.size != (stop - start) * size:  # rows from here and there, such as those of some heads
        return place, "", REORDERED
    source = numbers[start:stop] if numbers.ndim else numbers
    return place, "" if block.size == numbers.size else f"[{start}:{stop}]", _moved(source, block)


def _find_declared(layout: Layout) -> str:
    if layout.permutation is None:
        return ""
    inverse = tuple(map(int, np.argsort(layout.permutation)))
    if layout.split is None:
        return _turn(inverse)
    return f"{'transposed, ' if len(inverse) > len(layout.split[1]) else ''}from the order (C, H, W) to (H, W, C)"


def _turn(order: Sequence[int]) -> str:
    return "transposed" if tuple(order) == (1, 0) else f"axes {tuple(order)}"


def _region(touched: np.ndarray) -> tuple[slice, ...]:
    """Return the box of an array in which something is true."""
    places = np.nonzero(touched) if np.ndim(touched) else ()
    return tuple(slice(int(axis.min()), int(axis.max()) + 1) for axis in places)


def _spell(region: Sequence[slice], shape: Sequence[int]) -> str:
    """Return a part of an array as NumPy's index, "" for all of it."""
    partial = [each.stop - each.start < size for each, size in zip(region, shape, strict=True)]
    if not any(partial):
        return ""
    last = len(partial) - partial[::-1].index(True)
    return f"[{', '.join(map(_index, region[:last], partial[:last]))}]"


def _index(part: slice, partial: bool) -> str:
    if not partial:
        return ":"
    return str(part.start) if part.stop == part.start + 1 else f"{part.start}:{part.stop}"


def _moved(source: np.ndarray, block: np.ndarray) -> str:
    """Say what makes one array of the other."""
    for order in permutations(range(source.ndim)):
        moved = source.transpose(order)
        if np.array_equal(moved.ravel(), block.ravel()):
            same = [size for size in moved.shape if size > 1] == [size for size in block.shape if size > 1]
            steps = [] if order == tuple(range(source.ndim)) else [_turn(order)]
            steps += [] if same else [f"reshaped to {block.shape}"]
            return ", ".join(steps)
    if source.ndim == block.ndim == 2 and source.shape == block.shape[::-1] != block.shape:
        return f"transposed, {REORDERED}"
    return REORDERED


def filled_lines(table: Sequence[Filled], reverse: bool) -> list[str]:
    """Return a table as text: a line for each layer, or for all that are filled alike where there are many.

    Args:
        table: of `filled_rows`.
        reverse: PyTorch was filled.
    """
    arrow = "→" if reverse else "←"
    layers: dict[str, list[str]] = {}
    for row in table:
        layer, _, leaf = row.weight.rpartition("/")
        modules, names = zip(*(name.rpartition(".")[::2] for name in row.tensors), strict=True)
        how = f" ({row.how})" if row.how else ""
        tensor = f"{names[0]}, {names[1]} zero" if reverse and names[1:] else " + ".join(names)
        layers.setdefault(f"{layer or 'the model'} {arrow} {modules[0] or 'the module'}", []).append(
            f"{leaf} {arrow} {tensor}{how}"
        )
    alike: dict[str, list[str]] = {}
    for layer, filled in layers.items():
        alike.setdefault(", ".join(filled), []).append(layer)
    if len(layers) <= SINGLY:
        text = [f"{layer}: {', '.join(filled)}" for layer, filled in layers.items()]
    else:
        text = [f"{_some(each)}: {filled}" for filled, each in alike.items()]
    more = [f"and {len(text) - LINES} more lines: .rows has all"] if len(text) > LINES else []
    head = f"Keras's weight {arrow} PyTorch's tensor (what is done to PyTorch's layout):"
    return [head, *(f"  {line}" for line in (*text[:LINES], *more))]


def _some(layers: Sequence[Any]) -> str:
    """Name some of the layers that are filled alike."""
    if len(layers) == 1:
        return layers[0]
    more = f" and {len(layers) - LISTED} more" if len(layers) > LISTED else ""
    return f"{len(layers)} × {', '.join(layers[:LISTED])}{more}"
