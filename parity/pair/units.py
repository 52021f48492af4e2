"""The weights of both models in units that belong together: a layer's, or a part of them."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from keras_blitz.weights import kinds
from keras_blitz.weights.flow import after_flatten, parameters
from keras_blitz.weights.kinds import KINDS, Kind
from parity.pair import mapped
from parity.pair.mapped import Mapped

FREE = "parameter"  # a tensor that belongs to no known layer: paired by name or shape alone
RECURRENT = frozenset(kind.name for kind in KINDS if kind.gates)


@dataclass(frozen=True)
class Unit:
    """A layer's weights, or a part of them, that belong together.

    Args:
        name: module path, or the layer's name.
        kind: what both frameworks agree on: "conv2d", "linear".
        shapes: weight's name within the module -> PyTorch's shape.
        weights: of a Keras layer: the same names -> how they are held.
        owner: the layer.
        numbered: of a recurrent PyTorch module: the same names -> its own, with the number in its stack.
    """

    name: str
    kind: str
    shapes: Mapping[str, tuple[int, ...]]
    weights: Mapping[str, Mapped] = field(default_factory=dict)
    owner: Any = None
    numbered: Mapping[str, str] = field(default_factory=dict)

    @property
    def signature(self) -> tuple:
        """Two units may be paired where these are equal."""
        return self.kind, tuple(sorted(self.shapes.items()))

    @property
    def path(self) -> str:
        """PyTorch's module, without the number of the layer in a stack of recurrent ones."""
        return self.name.split("[")[0]

    def __str__(self) -> str:
        shapes = ", ".join(f"{name} {tuple(shape)}" for name, shape in self.shapes.items())
        return f"{self.name} ({self.kind}: {shapes})"


def join_path(path: str, leaf: str) -> str:
    """Return PyTorch's name of a weight of a module; either may be empty."""
    return f"{path}.{leaf}" if path and leaf else path or leaf


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
        own = {n: tuple(p.shape) for n, p in inner.named_parameters(recurse=deep) if id(p) not in seen}
        seen |= {id(p) for p in inner.parameters(recurse=deep)}
        buffers = {n: tuple(b.shape) for n, b in inner.named_buffers(recurse=deep) if n != "num_batches_tracked"}
        found[path] = _torch_units(path, inner, known, own, buffers)
    paths = [*dict.fromkeys(path for path in order if path in found), *(path for path in found if path not in order)]
    return [unit for path in paths for unit in found[path]]


def _torch_units(path: str, module: Any, kind: Kind | None, own: Mapping, buffers: Mapping) -> list[Unit]:
    tensors = {**own, **buffers}
    if kind is None:
        return [Unit(join_path(path, n), FREE, {"": shape}, owner=module) for n, shape in tensors.items()]
    if kind.gates:
        return [_in_stack(path, kind.paired, k, tensors, module) for k in range(module.num_layers)]
    return [Unit(path, kind.paired, tensors, owner=module)] if tensors else []


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
        if layer.weights
        for unit in _keras_units(name, layer, flattened.get(name))
    ]  # fmt: skip


def loose_units(model: Any, units: Sequence[Unit]) -> list[Unit]:
    """Return the weights that belong to no innermost layer, such as a subclassed model's own, each as a unit."""
    held = {id(variable) for unit in units for weight in unit.weights.values() for variable in weight.variables}
    known = {id(variable) for unit in units for variable in unit.owner.weights}
    return [
        _unit(variable.path, FREE, model, [mapped.plain("", variable)])
        for variable in model.weights
        if id(variable) not in held | known
    ]


def _keras_units(name: str, layer: Any, sizes: tuple[int, ...] | None) -> list[Unit]:
    kind = kinds.of_keras(layer)
    if kind is None or not kind.has_weights or not _declares(kind, layer):
        return [_unit(f"{name}/{v.name}", FREE, layer, [mapped.plain("", v)]) for v in layer.weights]
    if kind.name.startswith("separable"):
        return _separable(name, kind, layer)
    if kind.verbatim and kind.paired in RECURRENT:
        return _stack(name, kind, layer)
    if kind.name == "bidirectional" and (inner := kinds.of_keras(layer.forward_layer)):
        both = mapped.recurrent(inner.gates, layer.forward_layer)
        both += mapped.recurrent(inner.gates, layer.backward_layer, "_reverse")
        return [_unit(name, inner.paired, layer, both)]
    return [_unit(name, kind.paired, layer, _weights(kind, layer, sizes))]


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


def _weights(kind: Kind, layer: Any, sizes: tuple[int, ...] | None) -> list[Mapped]:
    if kind.gates:
        return mapped.recurrent(kind.gates, layer)
    if kind.name == "attention":
        return mapped.attention(layer)
    if kind.name == "prelu":
        return [mapped.prelu(variable) for variable in layer.weights]
    if kind.name.startswith("depthwise"):
        return [mapped.depthwise(v) if v.name == "kernel" else mapped.plain("bias", v) for v in layer.weights]
    return [_declared(kind, layer, variable, sizes) for variable in layer.weights]


def _declared(kind: Kind, layer: Any, variable: Any, sizes: tuple[int, ...] | None) -> Mapped:
    name, layout = parameters(layer)[variable.name]
    if sizes and kind.flatten != "starts":
        layout = after_flatten(layer, variable.name, sizes)
    return mapped.plain(name, variable, layout)


def _separable(name: str, kind: Kind, layer: Any) -> list[Unit]:
    """Return the two convolutions of a separable one, as PyTorch has them."""
    by_name = {variable.name: variable for variable in layer.weights}
    declared = next(row for row in KINDS if row.name == kind.paired).weights
    point = [mapped.plain("weight", by_name["pointwise_kernel"], declared["kernel"][1])]
    point += [mapped.plain("bias", by_name["bias"])] if "bias" in by_name else []
    depth = [mapped.depthwise(by_name["depthwise_kernel"])]
    return [_unit(f"{name}/depthwise", kind.paired, layer, depth), _unit(name, kind.paired, layer, point)]


def _unit(name: str, kind: str, layer: Any, weights: Iterable[Mapped]) -> Unit:
    held = {weight.name: weight for weight in weights if weight.name != "num_batches_tracked"}
    return Unit(name, kind, {n: weight.shape for n, weight in held.items()}, held, layer)
