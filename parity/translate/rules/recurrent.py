"""Recurrent layers, and their cells."""

from typing import TYPE_CHECKING, Any

from parity.translate import layout
from parity.translate.capture import Untranslatable
from parity.translate.graph import values_in
from parity.translate.program import View, optional
from parity.translate.registry import module
from parity.translate.rules.scattering import each_example
from parity.translate.rules.weights import frozen

if TYPE_CHECKING:
    from parity.translate.builder import Builder, Operand


@module("LSTM", "GRU", "RNN")
def recurrent(builder: "Builder", cells: Any, x: "Operand", state: Any = None) -> list[View]:
    """Write a stack of recurrent layers with PyTorch's two biases."""
    if x.rank != 3:
        raise Untranslatable(f"{type(cells).__name__} of a packed sequence, or without a batch axis")
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
    order = (0, 1, 2) if cells.batch_first else (1, 0, 2)
    states = tuple(builder.natural(each) for each in values_in(state))
    views = [builder.to(x, order), *([states] if len(states) > 1 else states)]
    layouts = [order, *(layout.natural(3) for _ in builder.call.outputs[1:])]
    return builder.layer_of_several(type(cells).__name__, views, {**arguments, **frozen(cells)}, layouts)


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
