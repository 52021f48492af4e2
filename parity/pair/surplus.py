"""Weights that the Keras model has and PyTorch's module lacks: left alone where nothing depends on them."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import tensorflow as tf

from parity.core.trace import named_outputs
from parity.pair import feed
from parity.pair.guard import guarded
from parity.pair.port import Port


def note(port: Port) -> str:
    """Say which of Keras's weights that PyTorch lacks nothing depends on; "" where there are none."""
    used = [id(variable) for variable in _used(port)]
    idle = [variable.path for variable in _variables(port) if id(variable) not in used]
    return f"Keras's weights that PyTorch lacks and no output depends on, left alone: {', '.join(idle)}" if idle else ""


def doubt(port: Port) -> str:
    """Say that the Keras model uses weights that PyTorch lacks, so that it is another model; "" where it uses none."""
    used = [variable.path for variable in _used(port)]
    if not used:
        return ""
    more = f" and {len(used) - 1} more" if len(used) > 1 else ""
    tied = "".join(f"; {said}" for said in _tied(port))
    return (
        f"the Keras model's outputs depend on {used[0]}{more}, which PyTorch lacks: training moves it, even where it "
        f"changes nothing yet{tied}"
    )


def _variables(port: Port) -> list[Any]:
    return [v for unit in port.pairing.surplus for weight in unit.weights.values() for v in weight.variables]


def _used(port: Port) -> list[Any]:
    """Return those of them that an output depends on."""
    variables = _variables(port)
    if not variables:
        return []
    with tf.GradientTape() as tape:
        output = guarded("the Keras model", feed.run, port.theirs, port.model, port.dtype)
        values = [value for _, value in named_outputs(output) if value.dtype.is_floating]
        total = tf.add_n([tf.cast(tf.reduce_sum(tf.abs(value)), "float64") for value in values])
    gradients = tape.gradient(total, [variable.value for variable in variables])
    return [variable for variable, each in zip(variables, gradients, strict=True) if each is not None and _any(each)]


def _any(gradient: Any) -> bool:
    return bool(np.any(np.asarray(tf.convert_to_tensor(gradient))))


def _tied(port: Port) -> Iterator[str]:
    """Say which tensors of PyTorch have two names, which Keras may have in two."""
    names: dict[int, str] = {}
    for name, parameter in port.theirs.module.named_parameters(remove_duplicate=False):
        first = names.setdefault(id(parameter), name)
        if first != name:
            yield f"PyTorch's {name} is {first}: one tensor, tied; Keras must use one, too"
