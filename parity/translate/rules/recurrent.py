"""Recurrent layers."""

from typing import TYPE_CHECKING, Any

from parity.translate import layout
from parity.translate.capture import Untranslatable
from parity.translate.graph import values_in
from parity.translate.program import View, optional
from parity.translate.registry import module
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
