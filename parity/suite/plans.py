"""A plan of the learning rate carried out, the same on both sides."""

from collections.abc import Callable

from parity.cases.plans import CHANGED_AT, SCHEDULES


def of_torch(plan: str, optimizer) -> Callable[[int], None] | None:
    """Return what PyTorch's side does after each step."""
    from torch.optim import lr_scheduler

    def change() -> None:
        for group in optimizer.param_groups:
            group["lr"] *= 0.1

    peaks = [group["lr"] for group in optimizer.param_groups]
    return _behind(plan, change, lr_scheduler, optimizer, peaks)


def of_keras(plan: str, optimizer) -> Callable[[int], None] | None:
    """Return what the port's side does after each step."""
    from keras_blitz.optim import schedules

    def change() -> None:
        optimizer.set_lrs([rate * 0.1 for rate in optimizer.param_lrs])

    return _behind(plan, change, schedules, optimizer, optimizer.param_lrs)


def _behind(plan: str, change: Callable, module, optimizer, peaks: list[float]) -> Callable[[int], None] | None:
    if plan == "constant":
        return None
    if plan == "changed":
        return lambda step: change() if step == CHANGED_AT else None
    name, options = SCHEDULES[plan]
    schedule = getattr(module, name)(optimizer, **options, **({"max_lr": peaks} if plan == "onecycle" else {}))
    return lambda _: schedule.step()
