"""PyTorch's tensor functions."""

from typing import Any

import torch

from parity.twins.arguments import named, positional


def calls(*, calls: tuple, **arrays) -> dict:
    """Return what each function gives, and the gradients of its first result for the floating tensors it took.

    Args:
        calls: see parity/cases/ops.py.
        arrays: the tensors.
    """
    found: dict[str, Any] = {}
    for key, name, names, options in calls:
        taken = {each: arrays[each.split("=")[-1]].clone() for each in names}
        leaves = {each: tensor.requires_grad_() for each, tensor in taken.items() if tensor.is_floating_point()}
        value = getattr(torch, name)(*positional(taken, options), **named(taken, options))
        outputs = list(value) if isinstance(value, tuple) else [value]
        if name == "svd":
            outputs = [value.S]  # the signs of the others are anybody's choice
        found |= {f"output:{key}.{number}": torch.as_tensor(each) for number, each in enumerate(outputs)}
        if isinstance(outputs[0], torch.Tensor) and outputs[0].requires_grad:
            upstream = torch.arange(1, outputs[0].numel() + 1).reshape(outputs[0].shape).to(outputs[0].dtype)
            gradients = torch.autograd.grad(outputs[0], list(leaves.values()), upstream, allow_unused=True)
            found |= {f"grad:{key}.{each}": gradient for each, gradient in zip(leaves, gradients, strict=True)}
    return found
