"""The twin of a PyTorch optimizer in `keras_blitz.optim`, with its groups and state, for a translated model."""

import inspect
from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np
import torch
from torch import nn

from keras_blitz import optim
from keras_blitz.errors import BlitzError
from keras_blitz.optim.base import Optimizer
from keras_blitz.optim.groups import parameter_name
from keras_blitz.weights.mapped import Mapped

# What a group has beside the options of the update: how PyTorch computes it, and what a schedule keeps there.
ASIDE = frozenset(
    {
        "params", "param_names", "foreach", "fused", "capturable", "differentiable", "initial_lr", "max_lr", "min_lr",
        "base_momentum", "max_momentum",
    }
)  # fmt: skip

# The options of a parameter that is not updated; Rprop's steps have no rate in them.
STILL = {"lr": 0.0, "weight_decay": 0.0, "step_sizes": (0.0, 0.0)}


def twin_of(
    torch_optimizer: torch.optim.Optimizer, module: nn.Module, model: keras.Model, weights: Sequence[Mapped]
) -> Optimizer:
    """Return the optimizer that goes on where PyTorch's is, built for the model's trainable variables.

    Its default group is PyTorch's first, its other groups are PyTorch's others; what PyTorch's optimizer does not have
    is a last group with a rate of 0.

    Args:
        torch_optimizer: has parameters of the module.
        module: PyTorch's.
        model: Keras's.
        weights: the model's weights by PyTorch's names.

    Raises:
        BlitzError: there is no twin, an option that it does not have, or a parameter of another module.
    """
    cls = _class_of(torch_optimizer)
    known = _variables(module, weights)
    trainable = {id(variable): parameter_name(variable) for variable in model.trainable_variables}
    groups = []
    for number, group in enumerate(torch_optimizer.param_groups):
        if strange := [parameter for parameter in group["params"] if id(parameter) not in known]:
            raise BlitzError(
                f"the optimizer has a parameter {tuple(strange[0].shape)} that is not one of "
                f"{type(module).__name__}'s: make it from the module that was translated"
            )
        held = [variable for parameter in group["params"] for variable in known[id(parameter)]]
        names = [trainable.pop(id(variable)) for variable in held if id(variable) in trainable]
        groups.append((names, _options(group, cls, number)))
    made = _made(cls, groups, list(trainable.values()))
    made.build(model.trainable_variables)
    _take_state(made, torch_optimizer, module, weights)
    return made


def _class_of(torch_optimizer: torch.optim.Optimizer) -> type[Optimizer]:
    kind = type(torch_optimizer)
    every = {name: getattr(optim, name) for name in optim.__all__}
    offered = [name for name, each in every.items() if isinstance(each, type) and issubclass(each, Optimizer)]
    if not kind.__module__.startswith("torch.") or kind.__name__ not in offered:
        raise BlitzError(f"{kind.__name__} has no twin in keras_blitz.optim, which has {', '.join(offered)}")
    return every[kind.__name__]


def _variables(module: nn.Module, weights: Sequence[Mapped]) -> dict[int, tuple[Any, ...]]:
    """Return id of a parameter -> the Keras variables that hold it; none of one that forward does not use."""
    held = {weight.name: weight.variables for weight in weights if not weight.twin}
    known: dict[int, tuple[Any, ...]] = {}
    for name, parameter in module.named_parameters(remove_duplicate=False):
        known[id(parameter)] = known.get(id(parameter)) or held.get(name, ())
    return known


def _options(group: Mapping[str, Any], cls: type[Optimizer], number: int) -> dict[str, Any]:
    """Return the options of a group; a rate that is a tensor as a number."""
    offered = {*inspect.signature(cls).parameters, "decoupled_weight_decay"} - {"groups", "name", "clip_grad_norm"}
    given = {name: value for name, value in group.items() if name not in ASIDE}
    if unknown := [name for name in given if name not in offered]:
        raise BlitzError(f"group {number} has {unknown[0]!r}, which keras_blitz's {cls.__name__} lacks")
    return {name: value.item() if isinstance(value, torch.Tensor) else value for name, value in given.items()}


def _made(cls: type[Optimizer], groups: Sequence[tuple[list[str], dict]], left: list[str]) -> Optimizer:
    """Return the optimizer of these groups; but for the first, one of frozen parameters alone is left out."""
    (_, defaults), *others = groups
    own = [(names, {k: value for k, value in each.items() if value != defaults[k]}) for names, each in others if names]
    if left:
        own.append((left, {name: value for name, value in STILL.items() if name in defaults}))
    accepted = inspect.signature(cls).parameters
    return cls(**{name: value for name, value in defaults.items() if name in accepted}, groups=own)


def _take_state(made: Optimizer, given: torch.optim.Optimizer, module: nn.Module, weights: Sequence[Mapped]) -> None:
    """Copy momentum buffers, averages and step counts, in the layouts of the Keras variables."""
    named = dict(module.named_parameters(remove_duplicate=False))
    steps = [0]
    for weight in weights:
        state = given.state.get(named[weight.name], {}) if weight.trainable and not weight.twin else {}
        values = {key: value for key, value in state.items() if value is not None}
        if not values:
            continue
        arrays = {key: torch.as_tensor(value).detach().cpu().numpy() for key, value in values.items()}
        steps.append(int(arrays.get("step", np.zeros(()))))
        parts = {
            key: weight.part(np.broadcast_to(array, weight.shape)) if array.ndim else [array] * len(weight.variables)
            for key, array in arrays.items()
        }
        for number, variable in enumerate(weight.variables):
            if variable.trainable:
                made.set_slots(variable, {key: part[number] for key, part in parts.items()})
    made.iterations.assign(max(steps))
