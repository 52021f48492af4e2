"""What a PyTorch module's own modules are given in a forward pass, and which of its tensors the pass uses."""

from copy import deepcopy

import numpy as np
import torch

from parity.core.trace import named_inputs
from parity.record.torch_recorder import forward


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
