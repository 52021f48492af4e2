"""The losses of torch.nn, with their gradients."""

import warnings

import torch


def loss(x, y, upstream=None, *, name: str, weights: dict, hard: bool = False, **options) -> dict:
    """Return a loss, and its gradients for the prediction and for a soft target.

    Args:
        x: prediction; classes on axis 1.
        y: target.
        upstream: what comes back from what follows an unreduced loss.
        name: of the class in torch.nn.
        weights: the class's arguments that are tensors.
        hard: the target takes no gradient: it is not a number but a choice.
        options: its other arguments.
    """
    module = getattr(torch.nn, name)(**{k: torch.tensor(v, dtype=x.dtype) for k, v in weights.items()}, **options)
    soft = {"x": x.requires_grad_()} | ({"y": y.requires_grad_()} if y.is_floating_point() and not hard else {})
    value = module(x, y)
    gradients = torch.autograd.grad(value, list(soft.values()), upstream)
    return {"loss": value} | {f"grad:{key}": gradient for key, gradient in zip(soft, gradients, strict=True)}


def of_several(x1, x2=None, x3=None, y=None, upstream=None, *, name: str, options: dict) -> dict:
    """Return a loss of up to three predictions, and its gradients for them and for a soft target.

    Args:
        x1, x2, x3: predictions.
        y: target; None of a loss that has none.
        upstream: the gradient of an unreduced loss.
        name: of the class in torch.nn.
        options: its arguments; "hard": the target takes no gradient.
    """
    options = dict(options)
    hard = options.pop("hard", False)
    if "weight" in options:
        options["weight"] = torch.tensor(options["weight"], dtype=x1.dtype)
    soft = {
        name: tensor.requires_grad_()
        for name, tensor in {"x1": x1, "x2": x2, "x3": x3, "y": None if hard else y}.items()
        if tensor is not None and tensor.is_floating_point()
    }
    order = (x1, y, x2) if name == "GaussianNLLLoss" else (x1, x2, x3, y)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "reduction: 'mean' divides")  # what KLDivLoss says of its default
        value = getattr(torch.nn, name)(**options)(*(tensor for tensor in order if tensor is not None))
    gradients = torch.autograd.grad(value, list(soft.values()), upstream)
    return {"loss": value} | {f"grad:{key}": gradient for key, gradient in zip(soft, gradients, strict=True)}


def ctc(x, targets, input_lengths, target_lengths, upstream=None, *, name: str, options: dict) -> dict:
    """Return the CTC loss of logits (T, N, C), and its gradients for them and for their log-probabilities.

    Args:
        x: logits.
        targets, input_lengths, target_lengths: the target.
        upstream: the gradient of an unreduced loss.
        name: of the class in torch.nn.
        options: its arguments.
    """
    log_probs = x.requires_grad_().log_softmax(-1)
    value = getattr(torch.nn, name)(**options)(log_probs, targets, input_lengths, target_lengths)
    to_x, to_log_probs = torch.autograd.grad(value, [x, log_probs], upstream)
    return {"loss": value, "grad:x": to_x, "grad:log_probs": to_log_probs}
