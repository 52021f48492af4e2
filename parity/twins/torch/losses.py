"""The losses of torch.nn, with their gradients."""

import torch


def loss(x, y, upstream=None, *, name: str, weights: dict, hard: bool = False, **options) -> dict:
    """Return a loss, and its gradients for the prediction and for a soft target.

    Args:
        x: prediction; classes on axis 1.
        y: target.
        upstream: what comes back from behind an unreduced loss.
        name: of the class in torch.nn.
        weights: the class's arguments that are tensors.
        hard: the target takes no gradient: it is no number but a choice.
        options: its other arguments.
    """
    module = getattr(torch.nn, name)(**{k: torch.tensor(v, dtype=x.dtype) for k, v in weights.items()}, **options)
    soft = {"x": x.requires_grad_()} | ({"y": y.requires_grad_()} if y.is_floating_point() and not hard else {})
    value = module(x, y)
    gradients = torch.autograd.grad(value, list(soft.values()), upstream)
    return {"loss": value} | {f"grad:{key}": gradient for key, gradient in zip(soft, gradients, strict=True)}
