"""What a Keras layer holds, as PyTorch's tensors: one for one by the table of kinds, or taken apart by `mapped.py`."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from keras_blitz.errors import BlitzError
from keras_blitz.weights import kinds, mapped
from keras_blitz.weights.flow import after_flatten, parameters
from keras_blitz.weights.kinds import KINDS, Kind
from keras_blitz.weights.layout import Layout, by_rank, feature_vector
from keras_blitz.weights.mapped import Mapped
from keras_blitz.weights.paths import Place

Sizes = tuple[int, ...]

# A cell of a recurrent layer -> the kind whose gates it has.
CELLS = {"LSTMCell": "lstm", "GRUCell": "gru", "SimpleRNNCell": "rnn"}

_BY_NAME = {kind.name: kind for kind in KINDS}

# Layers of Keras's whose weights no layer of PyTorch's has, and why.
NO_COUNTERPART = {
    **dict.fromkeys(("ConvLSTM1D", "ConvLSTM2D", "ConvLSTM3D"), "PyTorch has no convolutional LSTM"),
    "SpectralNormalization": "Keras divides the kernel itself in each step of training, PyTorch keeps it as it was",
}


def weights_of(kind: Kind, layer: Any, sizes: Sizes | None = None) -> list[Mapped]:
    """Return the weights of a layer of this kind, named as in PyTorch's module.

    A recurrent layer's are named as a cell's, `weight_ih`; `of_layer` has the number in a stack.

    Args:
        kind: one that has weights.
        layer: Keras's.
        sizes: (H, W, C) where a Flatten made its input of channels last.
    """
    if kind.gates:
        return mapped.recurrent(kind.gates, layer)
    if kind.name == "attention":
        return mapped.attention(layer)
    if kind.name == "prelu":
        return [_slopes(variable, sizes) for variable in layer.weights]
    if kind.name.startswith("depthwise"):
        return [mapped.depthwise(v) if v.name == "kernel" else mapped.plain("bias", v) for v in layer.weights]
    if kind.name.startswith("separable"):
        return mapped.separable(layer, _BY_NAME[kind.paired].weights["kernel"][1])
    return [_find_declared(kind, layer, variable, sizes) for variable in layer.weights]


def of_place(place: Place, sizes: Sizes | None = None) -> list[Mapped]:
    """Return the weights of any layer under PyTorch's names.

    A class may declare its own in `torch_weights`: the variable's name -> (PyTorch's name, the permutation that makes
    PyTorch's tensor or None), or None for a variable that PyTorch does not have. Layer 1 of a stack of recurrent ones,
    `lstm.weight_ih_l1`, is the layer `lstm.l1`.

    Args:
        place: the layer, and PyTorch's path of it.
        sizes: (H, W, C) where a Flatten made its input of channels last.

    Raises:
        BlitzError: nothing is declared for a layer of its class, or PyTorch has none that computes the same.
    """
    layer, path = place.layer, place.path
    if getattr(layer, "torch_weights", None) is not None:
        return [weight.below(path) for weight in _own(layer, place.variables)]
    if type(layer).__name__ in NO_COUNTERPART and kinds.is_of_framework(type(layer)):
        raise _refusal(layer, f"{NO_COUNTERPART[type(layer).__name__]}; where your module has such a layer, "
                       "layer.torch_weights says which of its tensors each variable is")  # fmt: skip
    if len(place.variables) < len(layer.weights):  # the others are of layers inside
        return [weight.below(path) for weight in _own(layer, place.variables)]
    if cells := _cells(layer):
        if sizes:
            after_flatten(layer, "", sizes)
        _check_cells(layer, cells)
        stack = re.fullmatch(r"(.+)\.l(\d+)", path)
        path, first = (stack[1], int(stack[2])) if stack else (path, 0)
        return [_number(w, first + k).below(path) for k, pair in enumerate(cells) for w in _of_cell(*pair)]
    weights = _of_layer(layer, sizes)
    held = {id(variable) for weight in weights for variable in weight.variables}
    if lost := [variable.path for variable in place.variables if id(variable) not in held]:
        raise _refusal(layer, f"no weight layout is declared for its variable {lost[0]}")
    return [weight.below(path) for weight in weights]


def _refusal(layer: Any, reason: str) -> BlitzError:
    return BlitzError(f"layer {layer.name!r}: {reason}")


def _of_layer(layer: Any, sizes: Sizes | None) -> list[Mapped]:
    kind = kinds.of_keras(layer)
    if type(layer).__name__ in CELLS and not (kind and kind.verbatim):
        return _of_cell(layer)
    if _is_einsum(layer):
        return _einsum(layer, sizes)
    if kind is None or not kind.has_weights:
        return _own(layer, layer.weights)
    if sizes and kind.flatten == "starts":
        after_flatten(layer, "", sizes)
    if (
        kind.name == "layernorm"
        and hasattr(layer, "axis")
        and any(len(variable.shape) > 1 for variable in layer.weights)
    ):
        return [_over_axes(layer, variable) for variable in layer.weights]
    weights = weights_of(kind, layer, sizes)
    if kind.name == "attention":
        _check_widths(layer, {weight.name: weight.shape for weight in weights})
    return weights


def _check_widths(layer: Any, shapes: Mapping[str, tuple[int, ...]]) -> None:
    """Raise for an attention that PyTorch's MultiheadAttention cannot be: all it projects to is as wide as its query.

    Raises:
        BlitzError: names the widths.
    """
    output, inner = shapes["out_proj.weight"]
    packed = shapes.get("in_proj_weight") or (3 * inner, shapes.get("q_proj_weight", (inner, inner))[1])
    if packed != (3 * inner, inner) or output != inner:
        raise _refusal(
            layer, f"PyTorch's MultiheadAttention projects to the width of its query, {packed[1]}, three times and "
            f"back; this one to {packed[0]} together and {output}; if yours has Linear layers, use parity.transfer"
        )  # fmt: skip


def _own(layer: Any, variables: Sequence[Any]) -> list[Mapped]:
    """Return variables that a class adds by itself: as it declares them; a vector has the same name and order."""
    declared: Mapping[str, Any] = getattr(layer, "torch_weights", None) or {}
    held = []
    for variable in variables:
        if variable.name not in declared and sum(size > 1 for size in variable.shape) > 1:
            raise BlitzError(
                f"layer {layer.name!r}: no weight layout is declared for {type(layer).__name__} ({variable.name}); say "
                f'in its class what it is in PyTorch, torch_weights = {{"{variable.name}": ("name", None)}}, with a '
                "permutation of its axes for None where they differ"
            )
        name, permutation = declared.get(variable.name, (variable.name, None)) or (None, None)
        if name is not None:
            held.append(mapped.plain(name, variable, Layout(permutation)))
    return held


def _find_declared(kind: Kind, layer: Any, variable: Any, sizes: Sizes | None) -> Mapped:
    declared = parameters(layer)
    if variable.name.startswith("lora_"):
        raise _refusal(layer, "PyTorch has no LoRA; fill a model without it, of which layer.kernel has the sum of both")
    if variable.name not in declared:
        raise _refusal(layer, f"no weight layout is declared for its variable {variable.name}")
    name, layout = declared[variable.name]
    if sizes and kind.flatten != "starts":
        layout = after_flatten(layer, variable.name, sizes)
    return mapped.plain(name, variable, layout)


def _slopes(variable: Any, sizes: Sizes | None) -> Mapped:
    whole = sizes is not None and len(variable.shape) == 1 and variable.shape[0] > 1
    return mapped.plain("weight", variable, feature_vector(sizes)) if whole and sizes else mapped.prelu(variable)


def _over_axes(layer: Any, variable: Any) -> Mapped:
    """Return a LayerNormalization's weight over (H, W, C) as LayerNorm's over (C, H, W)."""
    permutation = by_rank(len(variable.shape) + 1).permutation
    if permutation is None or len(variable.shape) == 2:  # (T, C), where PyTorch may have either order
        raise BlitzError(
            f"layer {layer.name!r}: no weight layout is declared for LayerNormalization over the axes {layer.axis}"
        )
    name, _ = parameters(layer)[variable.name]
    return mapped.plain(name, variable, Layout(tuple(axis - 1 for axis in permutation[1:])))


def _is_einsum(layer: Any) -> bool:
    return any(cls.__name__ == "EinsumDense" for cls in type(layer).__mro__)


def _einsum(layer: Any, sizes: Sizes | None) -> list[Mapped]:
    weights = mapped.einsum(layer)
    if not weights or sizes:
        after = " after a Flatten" if sizes else f" with the equation {layer.equation}"
        raise BlitzError(f"layer {layer.name!r}: no weight layout is declared for EinsumDense{after}")
    return weights


def _cells(layer: Any) -> list[tuple[Any, ...]]:
    """Return the layers of a recurrent one, bottom up: each itself, or forward and backward; none for another layer."""
    kind = kinds.of_keras(layer)
    if kind is not None and kind.name == "bidirectional":
        forward, backward = ([one for (one,) in _cells(half)] for half in (layer.forward_layer, layer.backward_layer))
        return list(zip(forward, backward, strict=True))
    if kind is not None and kind.gates:
        return [(layer,)]
    if kind is None or kind.name != "recurrent":
        return []
    cell = layer.cell
    cells = cell.cells if type(cell).__name__ == "StackedRNNCells" else [cell]
    return [(one,) for one in cells] if all(type(one).__name__ in CELLS for one in cells) else []


def _check_cells(layer: Any, cells: Sequence[tuple[Any, ...]]) -> None:
    """Raise where the parts of a recurrent layer are not all of one kind and width.

    Raises:
        BlitzError: names two that differ.
    """
    parts = [each for pair in cells for each in pair]
    described = [f"{type(part).__name__}({part.units}, use_bias={part.use_bias})" for part in parts]
    if len(set(described)) > 1:
        raise _refusal(
            layer, "PyTorch's recurrent layers are of one kind and width in all layers and both directions; "
            f"this one has {' and '.join(dict.fromkeys(described))}"
        )  # fmt: skip


def _of_cell(forward: Any, backward: Any = None) -> list[Mapped]:
    name = type(forward).__name__
    kind = _BY_NAME[CELLS[name]] if name in CELLS else kinds.of_keras(forward)
    if kind is None:
        raise BlitzError(f"layer {forward.name!r}: no weight layout is declared for {name}")
    if not getattr(forward, "reset_after", True):
        raise BlitzError(
            f"layer {forward.name!r}: PyTorch's GRU applies the reset gate after the product; "
            "this one does it before, reset_after=False, and has no counterpart"
        )
    if backward is None:
        return mapped.recurrent(kind.gates, forward)
    return mapped.bidirectional(kind.gates, forward, backward)


def _number(weight: Mapped, number: int) -> Mapped:
    head, reverse, _ = weight.name.partition("_reverse")
    return replace(weight, name=f"{head}_l{number}{reverse}")
