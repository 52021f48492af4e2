"""Which PyTorch parameter is which Keras variable, for two models that were written apart.

By name where names match, otherwise by structure: kind and shapes, in the order the layers are called. What cannot be
paired is listed, never guessed. Knows the layers by their classes' names and imports neither framework.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from keras_blitz.errors import BlitzError
from keras_blitz.weights import layout


@dataclass(frozen=True)
class Mapped:
    """One PyTorch tensor and the Keras variables that hold it.

    Args:
        name: PyTorch's name.
        shape: PyTorch's shape.
        variables: Keras's.
        trainable: a parameter; otherwise a buffer.
        join: arrays that lie as the variables -> PyTorch's array.
        part: PyTorch's array -> an array a variable.
        twin: the second of two biases that Keras has as one, their sum: zero, with the same gradient.
    """

    name: str
    shape: tuple[int, ...]
    variables: tuple
    trainable: bool
    join: Callable[[list[np.ndarray]], np.ndarray]
    part: Callable[[np.ndarray], list[np.ndarray]]
    twin: bool = False

    def joined(self, arrays: list[np.ndarray]) -> np.ndarray:
        """Return what lies as `variables` do in PyTorch's layout."""
        return self.join(arrays)

    def value(self) -> np.ndarray:
        """The value in PyTorch's layout."""
        found = self.join([np.asarray(variable.numpy()) for variable in self.variables])
        return np.zeros_like(found) if self.twin else found

    def assign(self, array: np.ndarray) -> None:
        """Take a value in PyTorch's layout, rounded to the variables' type."""
        if not self.twin:
            for variable, value in zip(self.variables, self.part(array), strict=True):
                variable.assign(value.astype(variable.dtype))


@dataclass(frozen=True)
class Unit:
    """A layer's weights, or a part of them, that belong together.

    Args:
        name: module path, or the layer's name.
        kind: what both frameworks agree on: "conv2d", "linear".
        shapes: weight's name within the module -> PyTorch's shape.
        weights: of a Keras layer: the same names -> how they are held.
        owner: the layer.
    """

    name: str
    kind: str
    shapes: Mapping[str, tuple[int, ...]]
    weights: Mapping[str, Mapped] = field(default_factory=dict)
    owner: Any = None

    @property
    def signature(self) -> tuple:
        """Two units may be paired where these are equal."""
        return self.kind, tuple(sorted(self.shapes.items()))

    def __str__(self) -> str:
        shapes = ", ".join(f"{name} {tuple(shape)}" for name, shape in self.shapes.items())
        return f"{self.name} ({self.kind}: {shapes})"


class UnpairedError(BlitzError):
    """Weights that cannot be mapped; `units` are those that can."""

    def __init__(self, message: str, units: list):
        super().__init__(message)
        self.units = units


@dataclass(frozen=True)
class Pairing:
    """What was found.

    Args:
        weights: Keras's weights by PyTorch's names.
        units: (PyTorch's unit, Keras's unit, "name", "structure" or "given").
        notes: what is worth saying, a line each.
        unused: PyTorch's buffers without a counterpart.
    """

    weights: list[Mapped]
    units: list[tuple[Unit, Unit, str]]
    notes: list[str]
    unused: list[str]


TORCH_KINDS = {
    **{f"Conv{n}d": f"conv{n}d" for n in (1, 2, 3)},
    **{f"ConvTranspose{n}d": f"convtranspose{n}d" for n in (1, 2, 3)},
    "Linear": "linear", "Embedding": "embedding", "_BatchNorm": "batchnorm", "LayerNorm": "layernorm",
    "GroupNorm": "groupnorm", "RMSNorm": "rmsnorm", "PReLU": "prelu", "LSTM": "lstm", "GRU": "gru", "RNN": "rnn",
    "MultiheadAttention": "attention",
}  # fmt: skip
KERAS_KINDS = {
    **{f"Conv{n}D": f"conv{n}d" for n in (1, 2, 3)},
    **{f"Conv{n}DTranspose": f"convtranspose{n}d" for n in (1, 2, 3)},
    "Conv2d": "conv2d", "DepthwiseConv1D": "conv1d", "DepthwiseConv2D": "conv2d", "Dense": "linear",
    "Embedding": "embedding", "BatchNorm": "batchnorm", "BatchNormalization": "batchnorm",
    "LayerNormalization": "layernorm", "GroupNormalization": "groupnorm", "RMSNormalization": "rmsnorm",
    "PReLU": "prelu", "LSTM": "lstm", "GRU": "gru", "SimpleRNN": "rnn", "Bidirectional": "bidirectional",
    "MultiHeadAttention": "attention", "SeparableConv1D": "separable", "SeparableConv2D": "separable",
}  # fmt: skip
FREE = "parameter"  # a tensor that belongs to no known layer: paired by name or shape alone
GATES = {"lstm": (0, 1, 2, 3), "gru": (1, 0, 2), "rnn": (0,)}  # Keras's order of PyTorch's i f g o, and of r z n


def kind_of(layer, kinds: Mapping[str, str]) -> str | None:
    """Return the kind of a layer by its class or the nearest of its ancestors in the table."""
    return next((kinds[c.__name__] for c in type(layer).__mro__ if c.__name__ in kinds), None)


def torch_units(module, order: Sequence[str]) -> list[Unit]:
    """Return the units of a PyTorch module, those called first, in their order, then the others."""
    found: dict[str, list[Unit]] = {}
    inside, seen = "", set()  # a tied weight is its first owner's
    for path, inner in module.named_modules():
        if inside and path.startswith(inside):
            continue
        kind = kind_of(inner, TORCH_KINDS)
        deep = kind == "attention"
        inside = f"{path}." if deep else ""
        own = {n: tuple(p.shape) for n, p in inner.named_parameters(recurse=deep) if id(p) not in seen}
        seen |= {id(p) for p in inner.parameters(recurse=deep)}
        buffers = {n: tuple(b.shape) for n, b in inner.named_buffers(recurse=deep) if n != "num_batches_tracked"}
        shapes = own | (buffers if kind else {})
        if not kind:
            found[path] = [
                Unit(_joined(path, n), FREE, {"": shape}, owner=inner) for n, shape in (own | buffers).items()
            ]
        elif kind in GATES:
            found[path] = [_stacked(path, kind, k, shapes, inner) for k in range(inner.num_layers)]
        elif shapes:
            found[path] = [Unit(path, kind, shapes, owner=inner)]
    paths = [*dict.fromkeys(path for path in order if path in found), *(path for path in found if path not in order)]
    return [unit for path in paths for unit in found[path]]


def _joined(path: str, leaf: str) -> str:
    return f"{path}.{leaf}" if path and leaf else path or leaf


def _stacked(path: str, kind: str, number: int, shapes: Mapping, owner) -> Unit:
    """Return one layer of a stack of recurrent ones; its weights keep their names, weight_ih_l1."""
    own = {n: shape for n, shape in shapes.items() if n.removesuffix("_reverse").endswith(f"_l{number}")}
    return Unit(path if owner.num_layers == 1 else f"{path}[{number}]", kind, own, owner=owner)


def keras_units(layers: Mapping[str, Any], flattened: Mapping[str, tuple[int, ...]]) -> list[Unit]:
    """Return the units of Keras layers.

    Args:
        layers: name -> layer, in the order they are called.
        flattened: name -> (H, W, C) where the layer's input was flattened from a channels-last tensor of these sizes.
    """
    found = []
    for name, layer in layers.items():
        if layer.weights:
            found += _keras_units(name, layer, flattened.get(name))
    return found


def loose_units(model, units: Sequence[Unit]) -> list[Unit]:
    """Return the weights that belong to no innermost layer, such as a subclassed model's own, each as a unit."""
    held = {id(variable) for unit in units for weight in unit.weights.values() for variable in weight.variables}
    known = {id(variable) for unit in units for variable in unit.owner.weights}
    return [
        _unit(variable.path, FREE, model, [_plain("", variable, layout.SAME)])
        for variable in model.weights
        if id(variable) not in held | known
    ]


def _keras_units(name: str, layer, sizes: tuple[int, ...] | None) -> list[Unit]:
    kind = kind_of(layer, KERAS_KINDS)
    if kind in GATES:
        return [_unit(name, kind, layer, _recurrent(kind, layer, ""))]
    if kind == "bidirectional":
        inner = kind_of(layer.forward_layer, KERAS_KINDS)
        both = _recurrent(inner, layer.forward_layer, "") + _recurrent(inner, layer.backward_layer, "_reverse")
        return [_unit(name, inner, layer, both)]
    if kind == "attention":
        return [_unit(name, kind, layer, _attention(layer))]
    if kind == "separable":
        by_name = {variable.name: variable for variable in layer.weights}
        rank = len(by_name["depthwise_kernel"].shape) - 2
        point = [_plain("weight", by_name["pointwise_kernel"], layout.PARAMETERS[f"Conv{rank}D"]["kernel"][1])]
        point += [_plain("bias", by_name["bias"], layout.SAME)] if "bias" in by_name else []
        depth = _unit(f"{name}/depthwise", f"conv{rank}d", layer, [_depthwise(by_name["depthwise_kernel"])])
        return [depth, _unit(name, f"conv{rank}d", layer, point)]
    if kind is None:
        return [
            _unit(f"{name}/{variable.name}", FREE, layer, [_plain("", variable, layout.SAME)])
            for variable in layer.weights
        ]
    return [_unit(name, kind, layer, [_simple(layer, variable, sizes) for variable in layer.weights])]


def _unit(name: str, kind: str, layer, weights: Iterable[Mapped]) -> Unit:
    held = {weight.name: weight for weight in weights if weight.name != "num_batches_tracked"}
    return Unit(name, kind, {n: weight.shape for n, weight in held.items()}, held, layer)


def _simple(layer, variable, sizes: tuple[int, ...] | None) -> Mapped:
    if type(layer).__name__.startswith("DepthwiseConv") and variable.name == "kernel":
        return _depthwise(variable)
    if kind_of(layer, KERAS_KINDS) == "prelu":
        slopes = tuple(variable.shape)
        shape = slopes if all(size == 1 for size in slopes[:-1]) else (*slopes[-1:], *slopes[:-1])
        return _shaped("weight", variable, (shape[-1],) if shape == slopes else shape)
    if type(layer).__name__.startswith("DepthwiseConv"):
        return _plain("bias", variable, layout.SAME)
    name, lies = layout.parameters(layer)[variable.name]
    if sizes and (kind_of(layer, KERAS_KINDS) == "linear" or type(layer).__name__ in layout.FEATURE_WISE):
        lies = layout.behind_flatten(layer, variable.name, sizes)
    return _plain(name, variable, lies)


def _plain(name: str, variable, lies: layout.Layout) -> Mapped:
    return Mapped(
        name, lies.torch_shape(tuple(variable.shape)), (variable,), name not in layout.BUFFERS,
        lambda arrays: lies.to_torch(arrays[0]), lambda array: [lies.to_keras(array)],
    )  # fmt: skip


def _shaped(name: str, variable, shape: tuple[int, ...]) -> Mapped:
    return Mapped(
        name, shape, (variable,), True,
        lambda arrays: arrays[0].reshape(shape), lambda array: [array.reshape(tuple(variable.shape))],
    )  # fmt: skip


def _depthwise(variable) -> Mapped:
    """PyTorch's (C·m, 1, …) of Keras's (…, C, m)."""
    *sizes, channels, multiplier = variable.shape
    rank = len(sizes)
    there = (rank, rank + 1, *range(rank))

    def join(arrays):
        return arrays[0].transpose(there).reshape(channels * multiplier, 1, *sizes)

    def part(array):
        return [array.reshape(channels, multiplier, *sizes).transpose(np.argsort(there))]

    return Mapped("weight", (channels * multiplier, 1, *sizes), (variable,), True, join, part)


def _recurrent(kind: str, layer, suffix: str) -> list[Mapped]:
    """Return a recurrent layer's weights, its gates in PyTorch's order; named as of layer 0 of a stack."""
    order, units = GATES[kind], layer.units
    by_name = {variable.name: variable for variable in layer.weights}

    def gates(array):  # (…, gates·units), the permutation is its own inverse
        parts = array.reshape(*array.shape[:-1], len(order), units)[..., list(order), :]
        return parts.reshape(array.shape)

    def matrix(name, variable):
        shape = tuple(reversed(variable.shape))
        return Mapped(
            name, shape, (variable,), True, lambda arrays: np.ascontiguousarray(gates(arrays[0]).T),
            lambda array: [gates(array.T)],
        )  # fmt: skip

    found = [matrix(f"weight_ih{suffix}", by_name["kernel"]), matrix(f"weight_hh{suffix}", by_name["recurrent_kernel"])]
    bias = by_name.get("bias")
    if bias is None:
        return found
    if len(bias.shape) == 2:  # a GRU's two, reset_after
        return [*found, *_rows(bias, ("bias_ih" + suffix, "bias_hh" + suffix), gates)]
    for name, twin in ((f"bias_ih{suffix}", False), (f"bias_hh{suffix}", True)):
        found.append(
            Mapped(
                name,
                tuple(bias.shape),
                (bias,),
                True,
                lambda arrays: gates(arrays[0]),
                lambda array: [gates(array)],
                twin=twin,
            )
        )
    return found


def _rows(variable, names: Sequence[str], gates: Callable) -> list[Mapped]:
    """Return the rows of one variable as weights of their own."""

    def row(number, name):
        def part(array):
            whole = np.array(variable.numpy())
            whole[number] = gates(array)
            return [whole]

        return Mapped(name, tuple(variable.shape[1:]), (variable,), True, lambda a: gates(a[0][number]), part)

    return [row(number, name) for number, name in enumerate(names)]


def _attention(layer) -> list[Mapped]:
    """Return in_proj and out_proj of Keras's query, key, value and output projections.

    PyTorch has in_proj_weight in three, q_proj_weight …, where keys or values are not as wide as queries.
    """
    by_path = {"/".join(variable.path.split("/")[-2:]): variable for variable in layer.weights}
    three = [by_path[f"{which}/kernel"] for which in ("query", "key", "value")]
    out = by_path["attention_output/kernel"]  # (heads, dim, E)
    width = int(np.prod(three[0].shape[1:]))
    size = int(three[0].shape[0])

    def join(arrays):
        return np.concatenate([a.reshape(a.shape[0], -1).T for a in arrays])

    def part(array):
        pieces = np.split(array, 3)
        return [p.T.reshape(tuple(v.shape)) for p, v in zip(pieces, three, strict=True)]

    def join_bias(arrays):
        return np.concatenate([a.reshape(-1) for a in arrays])

    biases = [by_path[f"{which}/bias"] for which in ("query", "key", "value") if f"{which}/bias" in by_path]

    def part_bias(array):
        return [p.reshape(tuple(v.shape)) for p, v in zip(np.split(array, 3), biases, strict=True)]

    if all(variable.shape[0] == size for variable in three):
        found = [Mapped("in_proj_weight", (3 * width, size), tuple(three), True, join, part)]
    else:
        found = [
            Mapped(
                f"{letter}_proj_weight",
                (width, int(variable.shape[0])),
                (variable,),
                True,
                join,
                lambda array, shape=tuple(variable.shape): [array.T.reshape(shape)],
            )
            for letter, variable in zip("qkv", three, strict=True)
        ]
    if biases:
        found.append(Mapped("in_proj_bias", (3 * width,), tuple(biases), True, join_bias, part_bias))
    shape = (int(out.shape[-1]), width)
    found.append(
        Mapped(
            "out_proj.weight",
            shape,
            (out,),
            True,
            lambda arrays: arrays[0].reshape(width, -1).T,
            lambda array: [array.T.reshape(tuple(out.shape))],
        )
    )
    if "attention_output/bias" in by_path:
        found.append(_plain("out_proj.bias", by_path["attention_output/bias"], layout.SAME))
    return found


def pair(theirs: Sequence[Unit], ours: Sequence[Unit], given: Mapping[str, str] | None = None) -> Pairing:
    """Pair PyTorch's units with Keras's.

    Args:
        theirs: PyTorch's units, in the order they are called.
        ours: Keras's, likewise.
        given: module path -> layer name, for those that are not to be found.

    Raises:
        UnpairedError: what cannot be paired, both sides' leftovers with their shapes.
        BlitzError: a name in `given` is of no layer, or the two do not fit.
    """
    theirs, ours = [_unnumbered(unit) for unit in theirs], list(ours)
    units: list[tuple[Unit, Unit, str]] = []
    notes: list[str] = []

    def take(one: Unit, other: Unit, how: str) -> None:
        units.append((one, other, how))
        theirs.remove(one)
        ours.remove(other)

    _take_given(theirs, ours, given or {}, take)
    for one in list(theirs):
        same = [other for other in ours if _named(other.name) == _named(one.name) and other.signature == one.signature]
        if len(same) == 1:
            take(one, same[0], "name")
    for signature in dict.fromkeys(unit.signature for unit in theirs):
        left, right = ([u for u in side if u.signature == signature] for side in (theirs, ours))
        if len(left) == len(right):
            for one, other in zip(left, right, strict=True):
                take(one, other, "structure")
    unused = [one.name for one in theirs if one.kind == FREE and not _is_parameter(one)]
    theirs = [one for one in theirs if one.name not in unused]
    if theirs or ours:
        raise UnpairedError(_unpaired(theirs, ours), units)
    if unused:
        notes.append(f"PyTorch's buffers without a counterpart, left alone: {', '.join(unused)}")
    weights = [w for one, other, _ in units for w in _renamed(one, other)]
    return Pairing(weights, units, notes, unused)


def _take_given(theirs: list[Unit], ours: list[Unit], given: Mapping[str, str], take: Callable) -> None:
    for path, name in given.items():
        one = next((unit for unit in theirs if unit.name == path), None)
        other = next((unit for unit in ours if unit.name == name), None)
        if one is None or other is None:
            missing, side, units = (path, "PyTorch's", theirs) if one is None else (name, "Keras's", ours)
            raise BlitzError(f"weights: {missing!r} names none of {side} layers: {', '.join(u.name for u in units)}")
        if one.signature != other.signature:
            raise BlitzError(f"weights: {one} and {other} do not fit each other")
        take(one, other, "given")


def _named(name: str) -> str:
    """Return a name as both frameworks can spell it: Keras allows no dots in some places."""
    return name.replace(".", "_").replace("/", "_").lower()


def _unnumbered(unit: Unit) -> Unit:
    """Name the weights of a recurrent layer as Keras's are, without the number in its stack."""
    if unit.kind not in GATES:
        return unit
    return Unit(
        unit.name, unit.kind, {_base(n): s for n, s in unit.shapes.items()}, {n: n for n in unit.shapes}, unit.owner
    )


def _base(name: str) -> str:
    """Return weight_ih_reverse of weight_ih_l1_reverse."""
    reverse = name.endswith("_reverse")
    return name.removesuffix("_reverse").rpartition("_l")[0] + ("_reverse" if reverse else "")


def _is_parameter(unit: Unit) -> bool:
    return unit.name.rpartition(".")[2] in dict(unit.owner.named_parameters(recurse=False))


def _renamed(one: Unit, other: Unit) -> list[Mapped]:
    """Return Keras's weights under PyTorch's full names, in PyTorch's order."""
    path = one.name.split("[")[0]
    full = {_base(n): n for n in one.weights} if one.kind in GATES else {n: n for n in one.shapes}
    return [
        Mapped(**{**vars(other.weights[short]), "name": _joined(path, leaf) if leaf else one.name})
        for short, leaf in full.items()
    ]


def _unpaired(theirs: Sequence[Unit], ours: Sequence[Unit]) -> str:
    sides = (
        ("PyTorch", theirs),
        ("Keras", ours),
    )
    left = "; ".join(f"{side} has {', '.join(map(str, units)) or 'nothing more'}" for side, units in sides)
    hint = 'name the layers alike, or give weights={"module path": "layer name"}'
    return f"these weights cannot be mapped: {left}. {hint}"
