"""What a PyTorch module's own modules are given in a forward pass, which tensors it uses, which of them it computes."""

from copy import deepcopy
from typing import Any

import numpy as np
import torch
from torch.nn.utils import parametrize, remove_spectral_norm, remove_weight_norm

from parity.core.trace import named_inputs
from parity.record.torch_recorder import forward

REMOVING = {"WeightNorm": remove_weight_norm, "SpectralNorm": remove_spectral_norm}  # hooks of torch.nn.utils


def given(module: torch.nn.Module, inputs) -> tuple[dict[str, list[np.ndarray]], dict[str, np.ndarray]]:
    """Run a module forward once, in eval mode and float64, on weights rounded to float32; it is not changed.

    Returns what each module with tensors of its own was given, by path, a value for each call, and the outputs by name.
    """
    module = deepcopy(module).float().double().eval()
    found: dict[str, list[np.ndarray]] = {}

    def hook(path: str):
        def before(_module, args, kwargs):
            tensors = (value for _, value in named_inputs((args, kwargs)) if isinstance(value, torch.Tensor))
            if (first := next(tensors, None)) is not None:
                found.setdefault(path, []).append(first.detach().numpy().copy())  # it may be overwritten afterwards

        return before

    for path, inner in module.named_modules():
        if any(inner.named_parameters(recurse=False)) or any(inner.named_buffers(recurse=False)):
            inner.register_forward_pre_hook(hook(path), with_kwargs=True)
    with torch.no_grad():
        outputs = forward(module, inputs)
    return found, {name: value.numpy() for name, value in outputs}


def unused(module: torch.nn.Module, inputs, train: bool = False) -> set[str]:
    """Return the names of the parameters that no output depends on, and of the buffers of modules without others.

    A module may be left out of `forward`, or used as a tensor and not called; so it is the gradient that tells.
    """
    module = deepcopy(module).float().train(train)
    for parameter in module.parameters():
        parameter.requires_grad_(parameter.is_floating_point())
    called: set[str] = set()
    for path, inner in module.named_modules():
        inner.register_forward_pre_hook(lambda *_, path=path: called.add(path))
    outputs = [value for _, value in forward(module, inputs) if value.requires_grad]
    named = dict(module.named_parameters())
    if not outputs or not named:
        return set()  # nothing can be told
    gradients = torch.autograd.grad([value.sum() for value in outputs], list(named.values()), allow_unused=True)
    used = {name for name, gradient in zip(named, gradients, strict=True) if gradient is not None}
    paths = called | {name.rpartition(".")[0] for name in used}
    return (set(named) - used) | {n for n, _ in module.named_buffers() if n.rpartition(".")[0] not in paths}


def folded(module: torch.nn.Module) -> tuple[torch.nn.Module, list[str]]:
    """Return a module with plain weights in place of those that weight_norm and the like compute, and their names.

    It is the module itself where there are none, else a copy in eval mode: a Keras layer has the weight as it is.
    """
    hooked = {path: _hooks(inner) for path, inner in module.named_modules()}
    parametrized = {p: inner for p, inner in module.named_modules() if parametrize.is_parametrized(inner)}
    if not any(hooked.values()) and not parametrized:
        return module, []
    # A weight that a hook computed is no leaf, which deepcopy refuses to copy.
    computed = [v for inner in module.modules() for v in vars(inner).values() if isinstance(v, torch.Tensor)]
    copy = deepcopy(module, {id(tensor): tensor.detach().clone() for tensor in computed if not tensor.is_leaf}).eval()
    found = []
    for path, inner in copy.named_modules():
        names = [hook.name for hook in hooked[path]]
        for hook in hooked[path]:
            REMOVING[type(hook).__name__](inner, hook.name)
            _drop_hooks(inner)
        if path in parametrized:
            names += _unparametrized(inner)
        found += [f"{path}.{name}" if path else name for name in names]
    return copy, found


def _unparametrized(module: torch.nn.Module) -> list[str]:
    """Give a module plain weights and its own class again; PyTorch's own function would change the user's class."""
    computed: Any = module.parametrizations
    values = {name: getattr(module, name).detach().clone() for name in computed}
    module.__class__ = parametrize.type_before_parametrizations(module)
    del module.parametrizations
    for name, value in values.items():
        module.register_parameter(name, torch.nn.Parameter(value))
    return list(values)


def _drop_hooks(module: torch.nn.Module) -> None:
    """Drop what spectral_norm's removal leaves of its hooks: a state without it could not be loaded."""
    for hooks in (module._load_state_dict_pre_hooks, module._state_dict_hooks):
        for key, hook in list(hooks.items()):
            if type(getattr(hook, "hook", hook)).__name__.startswith("SpectralNorm"):
                del hooks[key]


def _hooks(module: torch.nn.Module) -> list:
    hooks = getattr(module, "_forward_pre_hooks", {})
    return [hook for hook in hooks.values() if type(hook).__name__ in REMOVING]
