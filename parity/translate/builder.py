"""From a recording to a program: each call's rule writes Keras's statements, and layouts are followed on the way."""

from collections.abc import Mapping, Sequence
from math import prod
from typing import Any

import numpy as np

from parity.translate import layout, names, registry
from parity.translate.capture import Untranslatable, at
from parity.translate.graph import Call, Frame, Recording, Value, common, homes, values_in
from parity.translate.layout import Layout
from parity.translate.leaves import Leaves
from parity.translate.program import (
    Block,
    BlockCall,
    Expression,
    Layer,
    LayerCall,
    Literal,
    Statement,
    Symbol,
    View,
    literals_of,
    sizes,
)

Operand = Value | View


class Builder:
    """Translates the calls of a recording, and offers rules what they need.

    Args:
        recording: of a module.
        partial: write a stub where a call has no rule.

    Attributes:
        blocks: frame -> what it does.
        weights: name of one of PyTorch's tensors -> name of the Keras weight that holds it, where the two differ.
        arrays: layer's name -> the constant that it holds.
        flats: layer's name -> (H, W, C) where its input was flattened from these.
        stubs: name of a stub -> what it stands for.
    """

    def __init__(self, recording: Recording, partial: bool = False):
        self.recording, self.partial = recording, partial
        self.blocks: dict[Frame, Block] = {recording.root: Block(recording.root)}
        self.views: dict[Value, View] = {}
        self.weights: dict[str, str] = {}
        self.arrays: dict[str, np.ndarray] = {}
        self.flats: dict[str, tuple[int, ...]] = {}
        self.stubs: dict[str, str] = {}
        self.shared: dict[str, Symbol] = {}
        self.state = set(recording.root.module.state_dict())
        self.leaves = Leaves(self)
        self._lists: dict[tuple[Frame, int], Symbol] = {}
        self._moved: dict[tuple, View] = {}
        self._taken: set[str] = set()
        self.call = recording.calls[0] if recording.calls else Call("", recording.root, (), {}, None)
        self.homes = homes(recording.calls, recording.tied)
        for value in recording.inputs:
            self.views[value] = self._input(value)

    def run(self) -> Block:
        """Translate every call and return the outermost block.

        Raises:
            Untranslatable: what has no rule, or what a rule cannot do, with the user's line.
        """
        missing = [call for call in self.recording.calls if registry.of_call(call) is None]
        if missing and not self.partial:
            raise Untranslatable(registry.describe_missing(missing))
        for call in self.recording.calls:
            self.call = call
            self._enter(call.frame)
            try:
                self._translate(call)
            except Untranslatable as error:
                raise Untranslatable(f"{error}{at(call.where)}") from None
        return self.blocks[self.recording.root]

    def outputs(self) -> list[View]:
        """Return what the network returns: images channels last, everything else in PyTorch's order."""
        self.call = Call("", self.recording.root, (), {}, None)
        found = []
        for value in values_in(self.recording.outputs):
            self.call.outputs = [value]
            view = self.view(value)
            last = layout.channels_last(view.rank)
            view = view if view.layout == last else self.natural(view)
            self.views[value] = view
            found.append(view)
        return found

    def _translate(self, call: Call) -> None:
        rule = registry.of_call(call)
        results = self._stub(call) if rule is None else registry.apply(rule, self, call)
        results = results if isinstance(results, (tuple, list)) else [results]
        for value, view in zip(call.outputs, results, strict=False):
            if call.detached and value.is_float:
                view = self.op("ops.stop_gradient({0})", [view], layout=view.layout, out=value, flat=view.flat)
            self.views[value] = view

    def _stub(self, call: Call) -> list[View]:
        name = call.target.strip("_") if isinstance(call.target, str) else type(call.target).__name__.lower()
        name = f"missing_{name}"
        self.stubs[name] = f"no translation of {call.title}{at(call.where)}"
        given = [self.view(value) for value in values_in((call.args, call.kwargs))]
        slots = ", ".join(f"{{{n}}}" for n in range(len(given)))
        outputs = [self._symbol(value, layout.natural(value.rank)) for value in call.outputs]
        self.add(Expression(f"{name}({slots})", [view.symbol for view in given], outputs, where=call.where))
        return [
            View(symbol, value.shape, value.batched, layout.natural(value.rank))
            for symbol, value in zip(outputs, call.outputs, strict=True)
        ]

    def _input(self, value: Value) -> View:
        wants_last = value.is_float and (value.rank > 3 or (value.rank == 3 and self._is_sequence_of_channels(value)))
        order = layout.channels_last(value.rank) if wants_last else layout.natural(value.rank)
        return View(self._symbol(value, order), value.shape, value.batched, order)

    def _is_sequence_of_channels(self, value: Value) -> bool:
        """Whether PyTorch convolves over axis 2 of a three-dimensional input."""
        takers = [call for call in self.recording.calls if value in values_in(call.args)]
        return any(type(call.target).__name__ in ("Conv1d", "BatchNorm1d", "ConvTranspose1d") for call in takers)

    # What a rule asks of a tensor.

    @property
    def out(self) -> Value:
        """What the call returned first."""
        return self.call.outputs[0]

    def any(self, x: Operand) -> View:
        """Return a tensor in whatever layout it has, also with features in Keras's order after a flatten."""
        if isinstance(x, View):
            return x
        return self.leaf(x) if x.is_leaf else self.views[x]

    def view(self, x: Operand) -> View:
        """Return a tensor in whatever layout it has, its features in PyTorch's order."""
        found = self.any(x)
        if found.flat is None:
            return found
        sizes = found.flat
        text = "ops.reshape(ops.transpose(ops.reshape({0}, (-1, *{sizes})), {axes}), (-1, {size}))"
        last = len(sizes)
        return self.op(
            text,
            [found],
            layout=found.layout,
            out=found,
            sizes=sizes,
            axes=(0, last, *range(1, last)),
            size=prod(sizes),
        )

    def to(self, x: Operand, order: Layout) -> View:
        """Return a tensor in this layout; a transpose is written only where it moves something."""
        if isinstance(x, Value) and x.is_leaf:
            return self.leaf(x, order=order)
        found = self.view(x)
        if found.layout == order:
            return found
        key = found.symbol, found.layout, found.shape, order, self.call.frame
        if key not in self._moved:
            if layout.same_order(found.layout, order, found.shape):
                moved = self.op(
                    "ops.reshape({0}, {shape})", [found], layout=order, out=found, shape=sizes(found, order)
                )
            else:
                axes = layout.moves(found.layout, order)
                moved = self.op("ops.transpose({0}, {axes})", [found], layout=order, out=found, axes=axes)
            self._moved[key] = moved
        return self._moved[key]

    def natural(self, x: Operand) -> View:
        """Return a tensor in PyTorch's own order of axes."""
        return self.to(x, layout.natural(x.rank))

    def channels_last(self, x: Operand) -> View:
        """Return a tensor (N, C, H, W) as Keras's (N, H, W, C)."""
        return self.to(x, layout.channels_last(x.rank))

    def last(self, x: Operand, count: int = 1) -> View:
        """Return a tensor whose last axes are Keras's last, too."""
        found = self.view(x)
        tail = tuple(range(found.rank - count, found.rank))
        if found.layout[found.rank - count :] == tail:
            return found
        return self.to(found, (*(axis for axis in found.layout if axis not in tail), *tail))

    # What a rule writes.

    def op(
        self, text: str, inputs: Sequence[Any], *, layout: Layout | None = None, out: Operand | None = None,
        flat: tuple[int, ...] | None = None, **literals: Any,
    ) -> View:  # fmt: skip
        """Write an expression.

        Args:
            text: Python, with {0}, {1} for the inputs and the literals by name.
            inputs: tensors, and lists of them.
            layout: of the result; that of the first input if None.
            out: what has the result's shape; what the call returned if None.
            flat: see `View`.
            literals: values for the text.
        """
        given = [[self.any(y) for y in x] if isinstance(x, (list, tuple)) else self.any(x) for x in inputs]
        out = self.out if out is None else out
        order = layout if layout is not None else given[0].layout  # type: ignore[union-attr]
        symbol = self._symbol(out, order)
        fields = {name: value if isinstance(value, Literal) else Literal(value) for name, value in literals.items()}
        symbols = [self.list_of(x) if isinstance(x, list) else x.symbol for x in given]
        self.add(Expression(text, symbols, [symbol], fields, where=self.call.where))
        return View(symbol, tuple(out.shape), tuple(out.batched), order, flat)

    def list_of(self, views: Sequence[View]) -> Symbol | tuple[Symbol, ...]:
        """Return the list that the current module was given, where it holds just these; else the symbols."""
        frame, symbols = self.call.frame, tuple(view.symbol for view in views)
        for place, argument in enumerate(frame.arguments):
            if not isinstance(argument, (list, tuple)) or not all(isinstance(each, Value) for each in argument):
                continue
            if tuple(self.views[each].symbol for each in argument if each in self.views) == symbols:
                name = [*names.given(frame), *["tensors"] * (place + 1)][place]
                found = Symbol((), "", None, name, members=symbols, owner=frame)
                return self._lists.setdefault((frame, place), found)
        return symbols

    def layer(
        self, name: str, inputs: Sequence[View], arguments: Mapping[str, Any], *, layout: Layout | None = None,
        out: Operand | None = None, flat: tuple[int, ...] | None = None, path: str | None = None,
    ) -> View:  # fmt: skip
        """Write a layer that is made and called.

        Args:
            name: the class as the program has it, "Conv2d", "layers.Dense".
            inputs: what it is called with.
            arguments: of the constructor; those by `optional` are left out where they have their default value.
            layout: of the result; that of the first input if None.
            out: what has the result's shape; what the call returned if None.
            flat: see `View`.
            path: the layer's name; that of the call's module if None, and none if "".
        """
        out = self.out if out is None else out
        order = layout if layout is not None else inputs[0].layout
        symbol = self._symbol(out, order)
        path = (self.call.path if path is None else path) or names.own(name, self.call.frame)
        if inputs[0].flat:
            self.flats[path] = inputs[0].flat
        self._write_layer(name, [view.symbol for view in inputs], [symbol], literals_of(arguments), path)
        return View(symbol, tuple(out.shape), tuple(out.batched), order, flat)

    def layer_of_several(
        self, name: str, inputs: Sequence[View | tuple[View, ...]], arguments: Mapping[str, Any],
        layouts: Sequence[Layout], called: Sequence[str] = (),
    ) -> list[View]:  # fmt: skip
        """Write a layer that returns several tensors, at least as many as the call did.

        Args:
            name: the class.
            inputs: what it is called with; a tuple is one argument.
            arguments: of the constructor.
            layouts: of the results.
            called: the names of the inputs in the call, "" where they are positional.
        """
        made = self.call.outputs
        shapes = [made[n] if n < len(made) else Value((), "") for n in range(len(layouts))]
        outputs = [
            self._symbol(value, order if value.shape else ()) for value, order in zip(shapes, layouts, strict=True)
        ]
        given = [tuple(v.symbol for v in each) if isinstance(each, tuple) else each.symbol for each in inputs]
        self._write_layer(name, given, outputs, literals_of(arguments), self.call.path, called)
        return [
            View(symbol, value.shape, value.batched, order)
            for symbol, value, order in zip(outputs, made, layouts, strict=False)
        ]

    def call_again(self, path: str, inputs: Sequence[View], keywords: str = "") -> View:
        """Write one more call of a layer that several places share."""
        symbol = self._symbol(self.out, inputs[0].layout)
        given = [self.shared[path], *(view.symbol for view in inputs)]
        self.add(LayerCall(keywords, given, [symbol], where=self.call.where))
        return View(symbol, self.out.shape, self.out.batched, inputs[0].layout)

    def is_tied(self, path: str) -> bool:
        """Return whether the weight of a module is also that of a Linear."""
        others = [other for other, owner in self.recording.tied.items() if owner == path]
        return any(type(self.module(other)).__name__ == "Linear" for other in others)

    def constant(self, text: str, shape: tuple[int, ...]) -> View:
        """Write an expression without inputs, {shape} in its text."""
        symbol = Symbol(shape, "bool", None, "mask")
        self.add(Expression(text, [], [symbol], {"shape": Literal(shape)}, where=self.call.where))
        return View(symbol, shape, (False,) * len(shape), layout.natural(len(shape)))

    def several(self, text: str, inputs: Sequence[View], order: Layout, **literals: Any) -> list[View]:
        """Write an expression that returns as many tensors as the call did, all in one layout."""
        outputs = [self._symbol(value, order) for value in self.call.outputs]
        fields = {name: Literal(value) for name, value in literals.items()}
        self.add(Expression(text, [view.symbol for view in inputs], outputs, fields, where=self.call.where))
        return [
            View(symbol, value.shape, value.batched, order)
            for symbol, value in zip(outputs, self.call.outputs, strict=True)
        ]

    def turned(self, x: Operand, axes: Sequence[int]) -> View:
        """Return `x.permute(axes)`, which is another layout of the same values."""
        found = self.view(x)
        axes = [axis % found.rank for axis in axes]
        shape = tuple(found.shape[axis] for axis in axes)
        batched = tuple(found.batched[axis] for axis in axes)
        return View(found.symbol, shape, batched, layout.permuted(found.layout, axes))

    def module(self, path: str) -> Any:
        """Return the recorded module at a path."""
        return self.recording.root.module.get_submodule(path)

    def owner(self, *weights: Value | None) -> Any:
        """Return the module that weights are of; None where they are computed, or of several."""
        names = [weight.name if isinstance(weight, Value) else "" for weight in weights if weight is not None]
        paths = {name.rpartition(".")[0] for name in names}
        return self.module(paths.pop()) if all(names) and len(paths) == 1 else None

    def first_name(self, name: str) -> str:
        """Return the first name of a parameter that may have several."""
        return self.recording.names.get(name, name)

    def is_used(self, value: Value) -> bool:
        """Return whether a later call, or the caller, reads a value."""
        readers = (values_in((call.args, call.kwargs)) for call in self.recording.calls)
        return any(value in values for values in readers) or value in values_in(self.recording.outputs)

    def _write_layer(
        self, name: str, inputs: Sequence[Symbol | tuple[Symbol, ...]], outputs: list[Symbol],
        literals: dict[str, Literal], path: str, called: Sequence[str] = (),
    ) -> None:  # fmt: skip
        several = self.recording.uses.get(path, 1) > 1 or self.is_tied(path)
        if path and several and path == self.call.path:
            if path not in self.shared:
                self.shared[path] = layer = Symbol((), "", self.call.where, path.rpartition(".")[2], is_layer=True)
                self.add_at_home(path, Layer(name, [], [layer], literals, path, self.call.where))
            self.add(LayerCall("", [self.shared[path], *inputs], outputs, where=self.call.where, names=called))
            return
        self.add(Layer(name, inputs, outputs, literals, self.free_name(path), self.call.where, called))

    def free_name(self, path: str) -> str | None:
        """Return a layer's name that no other has."""
        number, name = 1, path
        while name in self._taken:
            number += 1
            name = f"{path}_{number}"
        self._taken.add(name)
        return name or None if path else None

    def leaf(
        self, value: Value, rank: int | None = None, order: Layout | None = None, beside: View | None = None
    ) -> View:
        """Return a parameter or constant that broadcasts against a tensor.

        Args:
            value: the parameter or constant.
            rank: of the tensor; its own if None.
            order: the layout of that tensor; PyTorch's if None.
            beside: that tensor.
        """
        rank = value.rank if rank is None else rank
        return self.leaves.get(value, rank, layout.natural(rank) if order is None else order, beside)

    def add(self, statement: Statement) -> None:
        """Write a statement at the end of the block of the current call."""
        constant = isinstance(statement, Expression) and all(symbol.is_constant for symbol in statement.symbols())
        for symbol in statement.outputs if constant else ():
            symbol.is_constant = True
        self.blocks[self.call.frame].statements.append(statement)

    def add_at_home(self, name: str, statement: Statement) -> None:
        """Write a statement in the innermost frame that contains all that use a layer or parameter."""
        home = common(self.homes[name])
        statements = self.blocks[home].statements
        inside = self.call.frame is not home
        statements.insert(len(statements) - inside, statement)

    def _enter(self, frame: Frame) -> None:
        if frame not in self.blocks:
            assert frame.parent is not None
            self._enter(frame.parent)
            block = self.blocks[frame] = Block(frame)
            call = BlockCall(frame.title, [], [], path=frame.path, where=frame.where, block=block)
            self.blocks[frame.parent].statements.append(call)

    def _symbol(self, out: Operand, order: Layout) -> Symbol:
        shape = tuple(None if out.batched[axis] else out.shape[axis] for axis in order)
        return Symbol(shape, out.dtype, getattr(out, "where", None))
