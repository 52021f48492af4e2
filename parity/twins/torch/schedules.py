"""PyTorch's schedules of the learning rate."""

import torch

RATES = (0.1, 0.037)  # of two parameter groups


def rates(metrics=None, *, name: str, options: dict, steps: int) -> dict:
    """Return the learning rates of two parameter groups step by step, and what an update takes off, gradients being 1.

    Args:
        metrics: what a schedule that looks at one is given after each step.
        name: of the class in torch.optim.lr_scheduler.
        options: its arguments.
        steps: how many.
    """
    parameters = [torch.zeros(1, dtype=torch.float64, requires_grad=True) for _ in RATES]
    optimizer = torch.optim.SGD([{"params": [p], "lr": lr} for p, lr in zip(parameters, RATES, strict=True)])
    schedule = _build(optimizer, name, options)
    told, taken = [], []
    for step in range(steps):
        for parameter in parameters:
            parameter.data.zero_()
            parameter.grad = torch.ones_like(parameter)
        optimizer.step()
        told.append([group["lr"] for group in optimizer.param_groups])
        taken.append([-parameter.item() for parameter in parameters])
        schedule.step(*([] if metrics is None else [metrics[step].item()]))
    return {"output:rates": torch.tensor(told).double(), "output:taken": torch.tensor(taken).double()}


def _build(optimizer, name: str, options: dict):
    """Return a schedule; those inside of it are built first, of the same optimizer."""
    options = dict(options)
    if "schedulers" in options:
        options["schedulers"] = [_build(optimizer, *inner) for inner in options["schedulers"]]
    if name == "ChainedScheduler":
        return torch.optim.lr_scheduler.ChainedScheduler(**options)
    return getattr(torch.optim.lr_scheduler, name)(optimizer, **options)
