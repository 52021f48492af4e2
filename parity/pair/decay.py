"""A weight that is zero, such as a BatchNorm's bias at first, does not show its decay in the first step."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import keras
import numpy as np

from parity.pair import step
from parity.pair.guard import guarded
from parity.pair.options import Options
from parity.record import torch_state


def with_steps_enough(options: Options, module: Any, model: Any) -> tuple[Options, str]:
    """Return the options with two steps in place of one where only the second can show a decay, and a note; "" if not.

    The gradient of a penalty on w is a multiple of w, and so is what `weight_decay` subtracts. After a first step w is
    zero no longer.

    Args:
        options: what is asked for.
        module: PyTorch's.
        model: a Keras model, or a function dtype -> model.
    """
    if options.steps != 1:
        return options, ""
    zero = next(_zeros(options, module, model), "")
    if not zero or not (_keras_decays(options, model) or _torch_decays(options, module)):
        return options, ""
    note = f"2 steps were made, not 1: {zero} is zero before the first, so only the second shows its decay"
    return replace(options, steps=2), note


def _zeros(options: Options, module: Any, model: Any) -> Iterator[str]:
    """Return the names of the trained weights that are zero throughout."""
    if options.keeps and isinstance(model, keras.Layer):
        weights = [(variable.path, np.asarray(variable)) for variable in model.trainable_variables]
    else:
        state = torch_state.state_of(module)
        weights = [(name, state[name]) for name, one in module.named_parameters() if one.requires_grad]
    yield from (name for name, value in weights if not np.any(value))


def _keras_decays(options: Options, model: Any) -> bool:
    """Whether Keras's optimizer or model may have a decay; what a function makes is not known."""
    if not isinstance(model, keras.Layer) or not model.built:
        return True
    optimizer = step.optimizer_of(options.optimizer[1])
    optimizer = getattr(optimizer, "inner_optimizer", optimizer)
    return bool(optimizer.weight_decay) or any(getattr(each, "regularizer", None) for each in model.trainable_variables)


def _torch_decays(options: Options, module: Any) -> bool:
    parameters = [one for one in module.parameters() if one.requires_grad]
    groups = getattr(guarded("PyTorch's optimizer", options.optimizer[0], parameters), "param_groups", ())
    return any(group.get("weight_decay") for group in groups)
