"""The losses of torch.nn, with the gradients of what is soft."""

import torch


def loss(x, y, upstream=None, *, name: str, weights: dict, **options) -> dict:
    """Return a loss, and its gradients for the prediction and for a target that is no index.

    Args:
        x: prediction; classes on axis 1.
        y: target.
        upstream: what comes back from behind an unreduced loss.
        name: of the class in torch.nn.
        weights: the class's arguments that are tensors.
        options: its other arguments.
    """
    module = getattr(torch.nn, name)(**{k: torch.tensor(v, dtype=x.dtype) for k, v in weights.items()}, **options)
    soft = {"x": x.requires_grad_()} | ({"y": y.requires_grad_()} if y.is_floating_point() else {})
    value = module(x, y)
    gradients = torch.autograd.grad(value, list(soft.values()), upstream)
    return {"loss": value} | {f"grad:{key}": gradient for key, gradient in zip(soft, gradients, strict=True)}
