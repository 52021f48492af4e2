"""The weights of both models in units that belong together: a layer's, or a part of them."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from keras_blitz import keras_internals
from keras_blitz.weights import kinds, layout, mapped
from keras_blitz.weights.held import weights_of
from keras_blitz.weights.kinds import KINDS, Kind
from keras_blitz.weights.layout import Layout
from keras_blitz.weights.mapped import Mapped
from parity.record.buffers import kept_buffers

FREE = "parameter"  # a tensor that belongs to no known layer: paired by name or shape alone
PROJECTIONS = ("query", "key", "value", "attention_output")  # of a Keras attention
RECURRENT = frozenset(kind.name for kind in KINDS if kind.gates)
BY_NAME = {kind.name: kind for kind in KINDS}
# One step of a recurrent layer, which has the weights of the whole layer, by class: in PyTorch and in Keras.
CELLS = {"LSTMCell": "lstm", "GRUCell": "gru", "RNNCell": "rnn", "SimpleRNNCell": "rnn"}


@dataclass(frozen=True, eq=False)
class Unit:
    """A layer's weights, or a part of them, that belong together.

    Args:
        name: module path, or the layer's name.
        kind: what both frameworks agree on: "conv2d", "linear".
        shapes: weight's name within the module -> PyTorch's shape.
        weights: of a Keras layer: the same names -> how they are held.
        owner: the layer.
        numbered: of a recurrent PyTorch module: the same names -> its own, with the number in its stack.
        idle: of a Keras layer: weights that do nothing and that PyTorch lacks, such as a bias of zeros.
        columns: of a single matrix: whether it is used as in `x @ w`, and not as in `F.linear(x, w)`; None: unknown.
        split: of a linear map of PyTorch's: the axes into which its outputs are split, such as (heads, 3, dim).
        arranged: which of the arrangements that this allows its pieces have, see `pieces.arrangements`.
        added: of a single bias of PyTorch's: others that are added to it -> their shapes.
        plus_one: of a single tensor, or a norm, of PyTorch's: the weight is used as 1 + w.
        start: of a single vector of Keras's: the value that all of it had at first, None where they differ.
        partial: what the layer returns is not comparable, because its bias is elsewhere.
        rows: of a piece of PyTorch's tensors: which rows; None for all.
        number: of a piece, from 0.
        flattened: of a Keras layer whose input was flattened from channels last: the layout of that input.
        plain: of such a layer: the weights as they are where PyTorch flattened in the same order.
    """

    name: str
    kind: str
    shapes: Mapping[str, tuple[int, ...]]
    weights: Mapping[str, Mapped] = field(default_factory=dict)
    owner: Any = None
    numbered: Mapping[str, str] = field(default_factory=dict)
    idle: tuple[Mapped, ...] = ()
    columns: bool | None = None
    split: tuple[int, ...] = ()
    arranged: int = 0
    added: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    plus_one: bool = False
    start: float | None = None
    partial: bool = False
    rows: np.ndarray | None = None
    number: int = 0
    flattened: Layout | None = None
    plain: Mapping[str, Mapped] = field(default_factory=dict)

    @property
    def signature(self) -> tuple:
        """Two units may be paired where these are equal."""
        return self.kind, tuple(sorted(self.shapes.items()))

    @property
    def path(self) -> str:
        """PyTorch's module, without the number of the layer in a stack of recurrent ones."""
        return self.name.split("[")[0]

    def in_plain_order(self) -> "Unit":
        """Return the unit as it is where PyTorch has flattened its input in the order that Keras has."""
        weights = {leaf: weight for leaf, weight in self.plain.items() if leaf in self.weights}
        return replace(self, flattened=None, weights=weights, plain={}) if self.plain else self

    def __str__(self) -> str:
        shapes = ", ".join(f"{name} {tuple(shape)}" for name, shape in self.shapes.items())
        return f"{self.name or 'the module itself'} ({self.kind}: {shapes})"


def join_path(path: str, leaf: str) -> str:
    """Return PyTorch's name of a weight of a module; either may be empty."""
    return f"{path}.{leaf}" if path and leaf else path or leaf


def full_names(unit: Unit) -> list[str]:
    """Return the names of a PyTorch unit's tensors in the module's state."""
    if unit.kind == FREE:
        return [unit.name]
    return [join_path(unit.path, unit.numbered.get(leaf, leaf)) for leaf in unit.shapes]


def torch_units(module: Any, order: Sequence[str]) -> list[Unit]:
    """Return the units of a PyTorch module, those called first, in their order, then the others."""
    found: dict[str, list[Unit]] = {}
    inside, seen = "", set[int]()  # a tied weight is its first owner's
    for path, inner in module.named_modules():
        if inside and path.startswith(inside):
            continue
        kind = kinds.of_torch(inner)
        known = kind if kind and kind.has_weights else None
        deep = bool(known and known.whole and not known.gates)
        inside = f"{path}." if deep else ""
        parameters = dict(inner.named_parameters(recurse=deep))
        own = {n: tuple(p.shape) for n, p in parameters.items() if id(p) not in seen}
        known = known if not own or len(own) == len(parameters) else None  # a tied weight's bias is a single tensor
        seen |= {id(p) for p in inner.parameters(recurse=deep)}
        buffers = {n: tuple(b.shape) for n, b in kept_buffers(inner, deep).items() if n != "num_batches_tracked"}
        found[path] = _torch_units(path, inner, known, own, buffers)
    paths = [*dict.fromkeys(path for path in order if path in found), *(path for path in found if path not in order)]
    return [unit for path in paths for unit in found[path]]


def _torch_units(path: str, module: Any, kind: Kind | None, own: Mapping, buffers: Mapping) -> list[Unit]:
    tensors = {**own, **buffers}
    if cell := cell_kind(module):
        return [Unit(path, cell, tensors, owner=module)]
    if kind is None:
        return [Unit(join_path(path, n), FREE, {"": shape}, owner=module) for n, shape in tensors.items()]
    if kind.gates:
        return [_in_stack(path, kind.paired, k, tensors, module) for k in range(module.num_layers)]
    return [Unit(path, kind.paired, tensors, owner=module)] if tensors else []


def cell_kind(layer: Any) -> str:
    """Return the recurrent kind of which a PyTorch module or a Keras layer is one step, "" where it is none."""
    known = (CELLS.get(cls.__name__, "") for cls in type(layer).__mro__ if kinds.is_of_framework(cls))
    return next(filter(None, known), "")


def _in_stack(path: str, kind: str, number: int, shapes: Mapping, owner: Any) -> Unit:
    """Return one layer of a stack of recurrent ones; its weights keep their names, weight_ih_l1."""
    own = {n: shape for n, shape in shapes.items() if n.removesuffix("_reverse").endswith(f"_l{number}")}
    return Unit(path if owner.num_layers == 1 else f"{path}[{number}]", kind, own, owner=owner)


def keras_units(layers: Mapping[str, Any], flattened: Mapping[str, tuple[int, ...]]) -> list[Unit]:
    """Return the units of Keras layers.

    Args:
        layers: name -> layer, in the order they are called.
        flattened: name -> (H, W, C) where the layer's input was flattened from a channels-last tensor of these sizes.
    """
    return [
        unit
        for name, layer in layers.items()
        if layer.weights and not is_adapted(layer)
        for unit in _keras_units(name, layer, flattened.get(name))
    ]  # fmt: skip


def loose_units(model: Any, units: Sequence[Unit], layers: Iterable[Any] = ()) -> list[Unit]:
    """Return the weights that belong to no innermost layer, such as a subclassed model's own, each as a unit.

    Args:
        model: Keras's.
        units: of its innermost layers.
        layers: those layers.
    """
    held = {id(variable) for unit in units for weight in unit.weights.values() for variable in weight.variables}
    known = {id(variable) for unit in units for variable in unit.owner.weights}
    known |= {id(variable) for layer in layers if is_adapted(layer) for variable in layer.weights}
    return [_single(variable.path, model, variable) for variable in model.weights if id(variable) not in held | known]


def is_adapted(layer: Any) -> bool:
    """Return whether a layer's weights are statistics of data, as of a Normalization: it computes with copies of them.

    What is assigned to them takes effect when the model is loaded again, and PyTorch may have a deviation instead.
    """
    return any(cls.__name__ == "Normalization" and kinds.is_of_framework(cls) for cls in type(layer).__mro__)


def _keras_units(name: str, layer: Any, sizes: tuple[int, ...] | None) -> list[Unit]:
    if linear := _einsum(name, layer):
        return [linear]
    kind = kinds.of_keras(layer)
    if cell := cell_kind(layer) or cell_kind(getattr(layer, "cell", None)):
        if kind and kind.verbatim:
            return [_unit(name, cell, layer, weights_of(kind, layer))]
        return [_unit(name, cell, layer, mapped.recurrent(BY_NAME[cell].gates, getattr(layer, "cell", layer)))]
    if (cells := getattr(getattr(layer, "cell", None), "cells", ())) and all(map(cell_kind, cells)):
        held = [mapped.recurrent(BY_NAME[cell_kind(each)].gates, each) for each in cells]
        return [_unit(f"{name}[{k}]", cell_kind(each), layer, held[k]) for k, each in enumerate(cells)]
    if kind and kind.name == "embedding" and {v.name for v in layer.weights} == {"embeddings", "reverse_embeddings"}:
        return _reversible(name, layer)
    if kind is None or not kind.has_weights or not _declares(kind, layer):
        return [_single(f"{name}/{v.name}", layer, v) for v in layer.weights]
    if kind.name.startswith("separable"):
        return _separable(name, kind, layer)
    if kind.verbatim and kind.paired in RECURRENT:
        return _stack(name, kind, layer)
    if kind.name == "bidirectional" and (inner := kinds.of_keras(layer.forward_layer)):
        both = mapped.bidirectional(inner.gates, layer.forward_layer, layer.backward_layer)
        return [_unit(name, inner.paired, layer, both)]
    unit = _unit(name, kind.paired, layer, weights_of(kind, layer, sizes))
    if sizes is None:
        return [unit]
    plain = _unit(name, kind.paired, layer, weights_of(kind, layer))
    return [replace(unit, flattened=layout.flattened(sizes), plain=plain.weights)]


def _einsum(name: str, layer: Any) -> Unit | None:
    """Return an EinsumDense as the Linear that it is, None where a layer is none."""
    known = any(cls.__name__ == "EinsumDense" for cls in type(layer).__mro__)
    weights = mapped.einsum(layer) if known else []
    return _unit(name, "linear", layer, weights) if weights else None


def projections(unit: Unit) -> list[Unit]:
    """Return the query, key, value and output of a Keras attention, each as the Linear that it is."""
    inner = {layer.name: layer for layer in keras_internals.inner_layers(unit.owner)}
    made = [_einsum(f"{unit.name}/{name}", inner[name]) for name in PROJECTIONS if name in inner]
    found = [each for each in made if each is not None]
    return found if len(found) == len(PROJECTIONS) else []


def _stack(name: str, kind: Kind, layer: Any) -> list[Unit]:
    """Return the layers of a stack that holds PyTorch's own weights, named as `pairing` names those of PyTorch."""
    held: list[list[Mapped]] = [[] for _ in range(layer.num_layers)]
    for variable in layer.weights:
        leaf, _, number = variable.name.removesuffix("_reverse").rpartition("_l")
        leaf += "_reverse" if variable.name.endswith("_reverse") else ""
        held[int(number)].append(mapped.plain(leaf, variable))
    single = layer.num_layers == 1
    return [_unit(name if single else f"{name}[{k}]", kind.paired, layer, weights) for k, weights in enumerate(held)]


def _declares(kind: Kind, layer: Any) -> bool:
    """Return whether the row of a kind has the layer's weights; a user's own `Dense` may have others."""
    return not kind.weights or all(variable.name in kind.weights for variable in layer.weights)


def _reversible(name: str, layer: Any) -> list[Unit]:
    """Return an embedding and its untied way back, a Linear."""
    table, back = sorted(layer.weights, key=lambda variable: variable.name)
    return [
        _unit(name, "embedding", layer, [mapped.plain("weight", table)]),
        _unit(f"{name}/reverse", "linear", layer, [mapped.plain("weight", back, Layout((1, 0)))]),
    ]


def _separable(name: str, kind: Kind, layer: Any) -> list[Unit]:
    """Return the two convolutions of a separable one, as PyTorch has them."""
    depth, *point = [replace(w, name=w.name.rpartition(".")[2]) for w in weights_of(kind, layer)]
    return [_unit(f"{name}/depthwise", kind.paired, layer, [depth]), _unit(name, kind.paired, layer, point)]


def _single(name: str, layer: Any, variable: Any) -> Unit:
    """Return a variable of no known layer."""
    made = _unit(name, FREE, layer, [mapped.plain("", variable)])
    values = np.unique(variable.numpy()) if len(variable.shape) == 1 else np.zeros(0)
    return replace(made, start=float(values[0])) if values.size == 1 else made


def _unit(name: str, kind: str, layer: Any, weights: Iterable[Mapped]) -> Unit:
    held = {weight.name: weight for weight in weights if weight.name != "num_batches_tracked"}
    return Unit(name, kind, {n: weight.shape for n, weight in held.items()}, held, layer)
