"""Tensors of PyTorch's and variables of Keras's that are linked by hand: each value of a variable is one of a tensor's.

    variable[j] = scale[j] · tensor[index[j]] + shift[j]

is found by trying what the user wrote on a few arrays, so that it can be undone, and gradients, d tensor[index[j]] +=
scale[j] · d variable[j], go the same way.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np

from keras_blitz.errors import BlitzError, one_line
from keras_blitz.weights.mapped import Mapped
from parity.pair.byhand import Form, index_of

EXACT = 1e-9  # relative; the functions are tried in float64


@dataclass(frozen=True)
class Part:
    """Some values of a tensor of PyTorch's.

    Args:
        tensor: its name.
        places: their places in the flat tensor, in the shape of the part.
    """

    tensor: str
    places: np.ndarray


@dataclass(frozen=True)
class Link:
    """A variable of Keras's, whose values are those of one or more parts.

    Args:
        variable: Keras's.
        tensors: for each value of the variable, flat, the number of the part that it is from.
        index: likewise its place in that part's tensor.
        scale: likewise.
        shift: likewise.
        parts: names of PyTorch's tensors.
    """

    variable: Any
    tensors: np.ndarray
    index: np.ndarray
    scale: np.ndarray
    shift: np.ndarray
    parts: tuple[str, ...]


def part_of(name: str, index: str, shape: tuple[int, ...]) -> Part:
    """Return the part of a tensor that an index names, "" for all of it."""
    places = np.arange(prod(shape)).reshape(shape)
    return Part(name, places[index_of(index, name, shape)] if index else places)


def link(parts: Sequence[Part], variable: Any, form: Form, known: Callable | None, said: str) -> Link:
    """Return how a variable's values follow from parts of tensors.

    Args:
        parts: PyTorch's.
        variable: Keras's.
        form: what the user wrote.
        known: one array in PyTorch's layout -> the variable's, where none is written and the layer has one.
        said: the entry, for messages.

    Raises:
        BlitzError: it raises, it makes another shape, or it does more than move, scale and shift values.
    """
    function = _function(form, known)
    shape, shapes = tuple(variable.shape), [part.places.shape for part in parts]

    def of(values: np.ndarray) -> np.ndarray:
        arrays = [each.reshape(s) for each, s in zip(np.split(values, ends[:-1]), shapes, strict=True)]
        try:
            made = np.asarray(function(*arrays), np.float64)
        except Exception as error:  # a user's own function may raise anything
            raise BlitzError(f"weights: {said}: given {_list(shapes)} it raises {one_line(error)}") from None
        if (made.shape != shape and not (form is None or form == "transpose")) or not _is_regrouped(made.shape, shape):
            raise BlitzError(
                f"weights: {said}: {_list(shapes)} in PyTorch makes {made.shape}, but the variable has shape "
                f'{shape}; give (name, "transpose"), (name, an order of axes) or (name, a function)'
            )
        return made.reshape(-1)

    ends = np.cumsum([prod(s) for s in shapes])
    shift = of(np.zeros(ends[-1]))
    scale = of(np.ones(ends[-1])) - shift
    with np.errstate(all="ignore"):
        index = (of(np.arange(1.0, ends[-1] + 1)) - shift) / scale - 1
    random = np.random.RandomState(0).uniform(0.5, 2.0, int(ends[-1]))
    places = np.nan_to_num(index, nan=-1, posinf=-1, neginf=-1).round().astype(int)
    inside = bool(np.all((places >= 0) & (places < ends[-1])))
    if not inside or not np.allclose(of(random), scale * random[places] + shift, EXACT, EXACT):
        raise BlitzError(
            f"weights: {said}: the function does more than move, scale and shift values, so that it cannot be undone "
            "for gradients"
        )
    tensors = np.searchsorted(ends, places, side="right")
    flat = np.concatenate([part.places.reshape(-1) for part in parts])
    return Link(variable, tensors, flat[places], scale, shift, tuple(part.tensor for part in parts))


def weights_of(links: Sequence[Link], shapes: Mapping[str, tuple[int, ...]], parameters: set[str]) -> list[Mapped]:
    """Return Keras's weights by PyTorch's names, each tensor that a link names as a whole.

    Args:
        links: all.
        shapes: PyTorch's tensor -> its shape.
        parameters: names of those that are not buffers.
    """
    names = dict.fromkeys(name for each in links for name in each.parts)
    return [_map(name, shapes[name], links, name in parameters) for name in names]


def _map(name: str, shape: tuple[int, ...], links: Sequence[Link], trainable: bool) -> Mapped:
    own = [(each, np.flatnonzero(np.isin(each.tensors, _numbers(each, name)))) for each in links if name in each.parts]
    rest = np.zeros(prod(shape))  # of a tensor that is not linked as a whole, what it was given last

    def join(arrays: list[np.ndarray]) -> np.ndarray:
        whole = np.zeros(prod(shape), arrays[0].dtype)
        for array, (each, at) in zip(arrays, own, strict=True):
            np.add.at(whole, each.index[at], (each.scale[at] * array.reshape(-1)[at]).astype(whole.dtype))
        return whole.reshape(shape)

    def read(arrays: list[np.ndarray]) -> np.ndarray:
        whole = rest.astype(arrays[0].dtype)
        for array, (each, at) in zip(arrays, own, strict=True):
            whole[each.index[at]] = (array.reshape(-1)[at] - each.shift[at]) / each.scale[at]
        return whole.reshape(shape)

    def part(array: np.ndarray) -> list[np.ndarray]:
        rest[:] = array.reshape(-1)
        return [_fill(each, at, array.reshape(-1)) for each, at in own]

    variables = tuple(each.variable for each, _ in own)
    return Mapped(name, shape, variables, trainable, join, part, read=read)


def _fill(each: Link, at: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Return a variable's value with those that are a tensor's replaced."""
    whole = np.array(each.variable.numpy(), np.float64).reshape(-1)
    whole[at] = each.scale[at] * values[each.index[at]] + each.shift[at]
    return whole.reshape(tuple(each.variable.shape))


def _numbers(each: Link, name: str) -> list[int]:
    return [number for number, part in enumerate(each.parts) if part == name]


def _function(form: Form, known: Callable | None) -> Callable:
    if callable(form):
        return form
    if isinstance(form, str):  # "transpose"
        return np.transpose
    if form is not None:
        order = tuple(form)
        return lambda array: np.transpose(array, order)
    return known or (lambda array: array)


def _is_regrouped(made: tuple[int, ...], shape: tuple[int, ...]) -> bool:
    """Return whether one shape is the other but for axes that are split, merged or of size 1: (8, 8) of (8, 2, 4)."""
    ends = [np.cumprod([size for size in each if size != 1]).tolist() for each in (made, shape)]
    return prod(made) == prod(shape) and (set(ends[0]) <= set(ends[1]) or set(ends[1]) <= set(ends[0]))


def _list(shapes: Sequence[tuple[int, ...]]) -> str:
    return " and ".join(map(str, shapes))
