"""Recurrent layers, and their cells."""

from typing import TYPE_CHECKING, Any

from parity.translate import layout
from parity.translate.capture import Untranslatable
from parity.translate.graph import values_in
from parity.translate.packed import Packed
from parity.translate.program import View, optional
from parity.translate.registry import function, module
from parity.translate.rules.scattering import each_example
from parity.translate.rules.weights import frozen

if TYPE_CHECKING:
    from parity.translate.builder import Builder, Operand


@module("LSTM", "GRU", "RNN")
def recurrent(builder: "Builder", cells: Any, x: "Operand", state: Any = None) -> list[View]:
    """Write a stack of recurrent layers with PyTorch's two biases, and the lengths of a packed sequence."""
    if x.rank != 3:
        raise Untranslatable(f"{type(cells).__name__} without a batch axis has no translation")
    arguments = {
        "hidden_size": cells.hidden_size,
        "num_layers": optional(cells.num_layers, 1),
        "bias": optional(cells.bias, True),
        "dropout": optional(cells.dropout, 0.0),
        "bidirectional": optional(cells.bidirectional, False),
    }
    if type(cells).__name__ == "LSTM":
        arguments["proj_size"] = optional(cells.proj_size, 0)
    elif type(cells).__name__ == "RNN":
        arguments["nonlinearity"] = optional(cells.nonlinearity, "tanh")
    batch_first = x.batch_first if isinstance(x, Packed) else cells.batch_first
    order = (0, 1, 2) if batch_first else (1, 0, 2)
    states = tuple(builder.natural(each) for each in values_in(state))
    views = [builder.to(x, order), *([states] if len(states) > 1 else states)]
    called = [""] * len(views)
    if isinstance(x, Packed):
        views, called = [*views, builder.natural(x.lengths)], [*called, "lengths"]
    layouts = [order, *(layout.natural(3) for _ in builder.call.outputs[1:])]
    return builder.layer_of_several(type(cells).__name__, views, {**arguments, **frozen(cells)}, layouts, called)


@function("pack_padded_sequence")
def pack(builder: "Builder", x: "Operand", lengths: "Operand", *_: Any) -> View:
    """Write nothing: a packed sequence is the padded one, and the layer is given its lengths."""
    return builder.view(x)


@function("pad_packed_sequence")
def pad(builder: "Builder", x: Packed, batch_first: bool, *_: Any) -> tuple[View, View]:
    """Write nothing: the layer has returned zeros after the end of each example."""
    padded = builder.view(x)
    padded = padded if batch_first == x.batch_first else builder.turned(padded, (1, 0, *range(2, x.rank)))
    return padded, builder.natural(x.lengths)


@module("LSTMCell", "GRUCell", "RNNCell")
def cell(builder: "Builder", layer: Any, x: "Operand", hx: Any = None) -> list[View]:
    """Write one step of a recurrent layer, whose state is the caller's; an LSTM's is a pair."""
    name = type(layer).__name__
    if x.rank != 2:
        raise Untranslatable(f"{name} without a batch axis has no translation")
    arguments = {"hidden_size": layer.hidden_size, "bias": optional(layer.bias, True)}
    if name == "RNNCell":
        arguments["nonlinearity"] = optional(layer.nonlinearity, "tanh")
    states = tuple(builder.natural(each_example(builder, each, builder.any(x))) for each in values_in(hx))
    views = [builder.natural(x), *([states] if len(states) > 1 else states)]
    layouts = [layout.natural(2) for _ in builder.call.outputs]
    return builder.layer_of_several(name, views, {**arguments, **frozen(layer)}, layouts)
