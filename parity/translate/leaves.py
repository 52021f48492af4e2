"""Parameters and constants of a forward: layers that hold them, numbers and simple patterns as text."""

from typing import TYPE_CHECKING

import numpy as np

from parity.translate import layout
from parity.translate.capture import Untranslatable
from parity.translate.graph import Frame, Value, values_in
from parity.translate.layout import Layout
from parity.translate.program import Expression, Layer, Literal, Symbol, View

if TYPE_CHECKING:
    from parity.translate.builder import Builder


class Leaves:
    """Writes parameters and constants, each once in a function.

    Args:
        builder: of the program.
    """

    def __init__(self, builder: "Builder"):
        self.builder = builder
        self._whole: dict[tuple[Value, Frame], View] = {}
        self._arranged: dict[tuple[Value, int, Layout, Frame], View] = {}

    def get(self, value: Value, rank: int, order: Layout, beside: View | None) -> View:
        """Return a parameter or constant for a tensor of this rank and layout."""
        frame = self.builder.call.frame
        key = value, rank, order, frame
        if periods(value) > 1 and key not in self._arranged:
            self._arranged[key] = self._repeated(value, rank, order)
        if key not in self._arranged:
            if (value, frame) not in self._whole:
                self._whole[value, frame] = self._write(value, beside)
            self._arranged[key] = self._arrange(self._whole[value, frame], value, rank, order)
        return self._arranged[key]

    def _write(self, value: Value, beside: View | None) -> View:
        """Return a parameter or constant in PyTorch's own order."""
        symbol = self._parameter(value, beside) if value.kind == "parameter" else self._constant(value, beside)
        shape = tuple(size for size in symbol.shape if size is not None)
        return View(symbol, shape, (False,) * len(shape), layout.natural(len(shape)))

    def _arrange(self, found: View, value: Value, rank: int, order: Layout) -> View:
        """Move and insert axes of a leaf: (C, 1, 1) beside (N, H, W, C) is (C,)."""
        if found.rank == 0:
            return found
        lead = rank - found.rank
        own = tuple(axis - lead for axis in order if axis >= lead)
        natural = layout.natural(found.rank)
        if own != natural and not layout.same_order(own, natural, found.shape):
            found = self.builder.to(found, own)
        full = (1,) * lead + found.shape
        shape = tuple(full[axis] for axis in order)
        least = found.rank if rank == value.rank else 1
        while len(shape) > least and shape[0] == 1 and (len(shape) > found.rank or order != layout.natural(rank)):
            shape = shape[1:]
        if shape != tuple(found.shape[axis] for axis in found.layout):
            like = Value(shape, value.dtype, batched=(False,) * len(shape))
            text = "ops.reshape({0}, {shape})"
            found = self.builder.op(text, [found], layout=layout.natural(len(shape)), out=like, shape=shape)
        return View(found.symbol, full, (False,) * rank, order) if rank == value.rank else found

    def _parameter(self, value: Value, beside: View | None) -> Symbol:
        """Write a layer that holds a parameter; one for all places that use it."""
        builder, name = self.builder, value.name
        if name in builder.shared:
            return builder.shared[name]
        symbol = Symbol(value.shape, value.dtype, None, name.rpartition(".")[2])
        builder.weights[name] = f"{name}/value"
        trainable = builder.recording.root.module.get_parameter(name).requires_grad
        fields = {"shape": Literal(value.shape, positional=True), "trainable": Literal(trainable, True)}
        if len(builder.homes.get(name, [])) < 2:
            builder.add(Layer("Parameter", [self.anchor(beside)], [symbol], fields, name, builder.call.where))
            return symbol
        builder.shared[name] = symbol
        anchor = builder.views[builder.recording.inputs[0]].symbol
        builder.add_at_home(name, Layer("Parameter", [anchor], [symbol], fields, name))
        return symbol

    def _constant(self, value: Value, beside: View | None) -> Symbol:
        array = array_of(value)
        if array.ndim == 0 or (array.size == 1 and array.dtype.kind == "f"):
            return self._expression("{number}", array.reshape(()), array.item())
        if text := _pattern(array):
            return self._expression(text, array, None)
        builder, call = self.builder, self.builder.call
        kept = value.name in builder.state and array.shape == value.shape and value.is_float
        if kept:
            name = value.name
            builder.weights[name] = f"{name}/value"
        elif value.name:  # parity.check has no tensor of PyTorch's for it: it is named after where it is used
            name = ".".join(filter(None, [call.frame.path, f"{value.name.rpartition('.')[2]}_constant"]))
        else:
            name = ".".join(filter(None, [call.path or call.frame.path, "constant"]))
        return self._hold(name, array, beside)

    def _repeated(self, value: Value, rank: int, order: Layout) -> View:
        """Write a constant that is repeated for each example, as the masks of an image's windows are."""
        builder = self.builder
        assert value.array is not None
        if rank != value.rank:
            raise Untranslatable("a constant follows the batch size, beside a tensor of other axes")
        array = value.array[: periods(value)]
        name = ".".join(filter(None, [builder.call.frame.path, "constant"]))
        like = self._with_rows_of(value)
        held = self._hold(name, array, like)
        view = View(held, array.shape, (False,) * array.ndim, layout.natural(array.ndim))
        return builder.to(builder.layer("RepeatBatch", [view, like], {}, out=value, path=""), order)

    def _with_rows_of(self, value: Value) -> View:
        """Return a tensor with as many rows as a constant, if possible one of the current module's own.

        Raises:
            Untranslatable: there is none so far.
        """
        builder, frame = self.builder, self.builder.call.frame
        made = [each for call in builder.recording.calls if call.frame is frame for each in call.outputs]
        given = [value for each in reversed(frame.ancestors()) for value in values_in(list(each.arguments))]
        for each in (*given, *made, *builder.views):
            view = None if each.is_leaf else builder.views.get(each)
            if view and view.layout[:1] == (0,) and (each.shape[0], each.period) == (value.shape[0], value.period):
                return view
        raise Untranslatable("a constant follows the batch size, and nothing has as many rows")

    def _expression(self, text: str, array: np.ndarray, number: object) -> Symbol:
        hint = {"b": "mask", "i": "positions"}.get(array.dtype.kind, "") if array.ndim else ""
        symbol = Symbol(array.shape, str(array.dtype), self.builder.call.where, hint)
        fields = {} if number is None else {"number": Literal(number)}
        self.builder.add(Expression(text, [], [symbol], fields))
        return symbol

    def held(self, value: Value) -> View:
        """Return a constant held by a layer, also where its text would be short: a layer takes no other in a graph."""
        name = ".".join(filter(None, [self.builder.call.frame.path, "positions" if value.rank < 3 else "constant"]))
        array = array_of(value)
        symbol = self._hold(name, array, None)
        return View(symbol, array.shape, (False,) * array.ndim, layout.natural(array.ndim))

    def _hold(self, name: str, array: np.ndarray, beside: View | None) -> Symbol:
        """Write a layer that holds a constant; it does not take the name of a module, whose layer has that."""
        hint = name.rpartition(".")[2]
        if name in dict(self.builder.recording.root.module.named_modules()):
            name = f"{name}_constant"
        name = self.builder.free_name(name) or name
        self.builder.arrays[name] = array
        symbol = Symbol(array.shape, str(array.dtype), None, hint)
        fields = {"shape": Literal(array.shape, positional=True), "trainable": Literal(False, True)}
        if array.dtype.kind != "f":
            fields["dtype"] = Literal(str(array.dtype))
        self.builder.add(Layer("Parameter", [self.anchor(beside)], [symbol], fields, name, self.builder.call.where))
        return symbol

    def anchor(self, beside: View | None) -> Symbol:
        """Return a tensor of the graph that a layer without an input of its own can be called with."""
        builder = self.builder
        if beside is not None and not beside.symbol.is_constant:
            return beside.symbol
        statements = builder.blocks[builder.call.frame].statements
        made = [s for statement in statements for s in statement.outputs if not (s.is_layer or s.is_constant)]
        if made:
            return made[-1]
        around = [value for frame in reversed(builder.call.frame.ancestors()) for value in values_in(frame.arguments)]
        known = [builder.views[value].symbol for value in around if value in builder.views]
        return known[0] if known else builder.views[builder.recording.inputs[0]].symbol


def periods(value: Value) -> int:
    """Return how many rows a constant repeats for each example; 1 where it has the same row for all."""
    if value.array is None or not value.batched or not value.batched[0] or any(value.batched[1:]):
        return 1
    count = value.period
    rows = value.array.reshape(-1, count, *value.array.shape[1:]) if count and len(value.array) % count == 0 else None
    return count if rows is not None and (rows == rows[:1]).all() else 1


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


def _pattern(array: np.ndarray) -> str:
    """Return the text of an array of integers or truth values that has a short one; "" of others."""
    shape = array.shape
    numbers = array.dtype.kind in "iu" and array.ndim in (1, 2) and array.size == shape[-1]
    if numbers and np.array_equal(array.reshape(-1), np.arange(array.size)):
        return f"ops.arange({array.size})" + "[None]" * (array.ndim - 1)
    if array.dtype.kind == "b" and array.ndim >= 2 and array.size > 1:
        lower = np.broadcast_to(np.tril(np.ones(shape[-2:], bool)), shape)
        if np.array_equal(array, lower):
            return f'ops.tril(ops.ones({shape}, "bool"))'
        if np.array_equal(array, ~lower):
            return f'ops.triu(ops.ones({shape}, "bool"), 1)'
    return ""
