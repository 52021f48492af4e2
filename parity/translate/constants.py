"""Constants of a module's forward: numbers and simple patterns as text, everything else held by a layer."""

from typing import TYPE_CHECKING

import numpy as np

from parity.translate.capture import Untranslatable
from parity.translate.graph import Value
from parity.translate.program import Expression, Literal, Symbol, View

if TYPE_CHECKING:
    from parity.translate.builder import Builder


def array_of(value: Value) -> np.ndarray:
    """Return the values of a constant, with one entry along an axis that follows the batch.

    Raises:
        Untranslatable: they differ along such an axis.
    """
    assert value.array is not None
    array = value.array
    for axis, batched in enumerate(value.batched):
        if batched:
            first = array.take([0], axis)
            if not (array == first).all():
                raise Untranslatable("a constant follows the batch size")
            array = first
    return array


def write(builder: "Builder", value: Value, beside: View | None) -> Symbol:
    """Write a constant and return its symbol."""
    array = array_of(value)
    if array.ndim == 0 or (array.size == 1 and array.dtype.kind == "f"):
        return _expression(builder, "{number}", array.reshape(()), number=array.item())
    text = _pattern(array)
    if text:
        return _expression(builder, *text[:1], array, **text[1])
    name = value.name or f"{builder.call.path or builder.call.frame.path or 'network'}.constant".removeprefix(
        "network."
    )
    if value.name and array.shape == value.shape:
        builder.weights[value.name] = f"{value.name}/value"
    return builder.hold(name, array, beside)


def _expression(builder: "Builder", text: str, array: np.ndarray, **literals: object) -> Symbol:
    symbol = Symbol(array.shape, str(array.dtype), builder.call.where)
    builder.add(Expression(text, [], [symbol], {name: Literal(value) for name, value in literals.items()}))
    return symbol


def _pattern(array: np.ndarray) -> tuple[str, dict[str, object]] | None:
    """Return the text of an array of integers or truth values that has a short one."""
    if array.dtype.kind in "iu" and array.ndim == 1 and np.array_equal(array, np.arange(array.size)):
        return "ops.arange({size})", {"size": array.size}
    if array.dtype.kind in "iu" and array.shape == (1, array.size) and np.array_equal(array[0], np.arange(array.size)):
        return "ops.arange({size})[None]", {"size": array.size}
    if array.dtype.kind == "b" and array.ndim >= 2 and array.size > 1:
        shape = array.shape
        lower = np.broadcast_to(np.tri(*shape[-2:], dtype=bool), shape)
        if np.array_equal(array, lower):
            return "ops.tril(ops.ones({shape}, 'bool'))", {"shape": shape}
        if np.array_equal(array, ~lower):
            return "ops.triu(ops.ones({shape}, 'bool'), 1)", {"shape": shape}
    return None
