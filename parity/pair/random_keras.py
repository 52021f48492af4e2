"""Whether a Keras model is random beyond the numbers that it shares with PyTorch's."""

from typing import Any

import numpy as np

from keras_blitz import keras_internals
from parity.core.modes import PRECISIONS, ulp
from parity.core.repeat import first_split
from parity.core.trace import named_outputs
from parity.pair import feed
from parity.pair.guard import guarded
from parity.pair.kept import kept
from parity.pair.policy import running_in
from parity.pair.port import Port, as_array
from parity.record.keras_recorder import recorded_calls

# Of a tensor's largest value: beyond rounding. A random value below it is judged like any other difference.
ROUNDING = {"float64": 1e-10, "float32": 1e-4}  # in a reduced precision: REDUCED units in the last place
REDUCED = 32


def is_likely(port: Port) -> bool:
    """Whether a model may be random though one run of it agrees: in train mode, or where its layers have streams.

    Any other is asked only where it differs: two runs less.
    """
    return port.options.train or bool(_seeds(port.model))


def describe(port: Port) -> str:
    """Say where a Keras model differs from itself, or which layer draws random numbers; "" where none does.

    Runs it twice, in the mode that is compared, from the same weights. In train mode the block has `port.masked()`.
    """
    train = port.options.train
    with running_in(port.dtype), kept(port.model.variables):
        seeds = _seeds(port.model)
        before = [as_array(seed) for _, seed in seeds]
        one, other = _values(port, train), _values(port, train)
        drawn = [layer.name for (layer, seed), was in zip(seeds, before, strict=True) if (as_array(seed) != was).any()]
    split = first_split(one, other, _rounding(port.dtype))
    if split:
        reason = f"two runs with the same weights and inputs differ, first {split.place()}"
    elif drawn and train:  # in eval mode a recurrent cell draws a mask that it does not use
        reason = f"random numbers are drawn in {', '.join(dict.fromkeys(drawn))}"
    else:
        return ""
    if train:
        return (
            f"the Keras model is random in train mode: {reason}. These values cannot be shared with "
            "PyTorch: draw them with keras.random's dropout, uniform or normal, leave the layer out, or check with "
            "train=False"
        )
    return (
        f"the Keras model is random: {reason}. A layer that is called with training=True stays on in eval mode: leave "
        "that argument out"
    )


def _rounding(dtype: str) -> float:
    return ROUNDING.get(dtype) or REDUCED * ulp(1.0, PRECISIONS[dtype].compute)


def _values(port: Port, train: bool) -> dict[str, np.ndarray]:
    """Run the model from its weights as they are, and return what each layer was given and returned, in order."""
    fed: dict[tuple[str, int], Any] = {}
    # BatchNorm's statistics are put back; the state of a random stream, which is not a weight, moves on.
    with kept(port.model.weights), recorded_calls(port.model, fed) as results:
        output = guarded("the Keras model", feed.run, port.theirs, port.model, port.dtype, train)
    values = {}
    for name, number in results:
        call = name + (f"#{number + 1}" if number else "")
        values[f"fed:{call}"] = as_array(fed[name, number])
        values[f"activation:{call}"] = as_array(results[name, number])
    return {**values, **{name: as_array(value) for name, value in named_outputs(output)}}


def _seeds(model: Any) -> list[tuple[Any, Any]]:
    """Return (innermost layer, state of its random stream); Keras does not count it among the layer's weights."""
    found: dict[int, tuple[Any, Any]] = {}
    for layer in keras_internals.inner_layers(model, itself=True):
        weights = {id(variable) for variable in layer.weights}
        found |= {id(v): (layer, v) for v in layer.variables if id(v) not in weights}
    return list(found.values())
