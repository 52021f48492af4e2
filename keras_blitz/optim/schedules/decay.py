"""Schedules by steps, factors and functions of the epoch."""

from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any

from keras_blitz.errors import BlitzError
from keras_blitz.optim.schedules.base import Schedule, at_least


class StepLR(Schedule):
    """Multiply the rate by γ every `step_size` epochs.

    lr ← lr · γ        at epoch step_size, 2 · step_size, …

    Keras's `PiecewiseConstantDecay` with these boundaries is an epoch late (gap sched-steplr).

    Args:
        optimizer: see `Schedule`.
        step_size: epochs, ≥ 1.
        gamma: γ.

    Source: torch/optim/lr_scheduler.py.
    """

    def __init__(self, optimizer: Any, step_size: int, gamma: float = 0.1):
        self.step_size, self.gamma = at_least("step_size", step_size, 1), gamma
        super().__init__(optimizer)

    def _next(self, epoch: int, rates: list[float]) -> list[float]:
        if epoch == 0 or epoch % self.step_size:
            return rates
        return [rate * self.gamma for rate in rates]


class MultiStepLR(Schedule):
    """Multiply the rate by γ at each milestone.

    lr ← lr · γⁿ        n: how often the epoch is among the milestones

    Args:
        optimizer: see `Schedule`.
        milestones: epochs; one named twice counts twice.
        gamma: γ.

    Source: torch/optim/lr_scheduler.py.
    """

    def __init__(self, optimizer: Any, milestones: Iterable[int], gamma: float = 0.1):
        self.milestones, self.gamma = Counter(milestones), gamma
        super().__init__(optimizer)

    def _next(self, epoch: int, rates: list[float]) -> list[float]:
        if epoch not in self.milestones:
            return rates
        return [rate * self.gamma ** self.milestones[epoch] for rate in rates]


class ExponentialLR(Schedule):
    """Multiply the rate by γ at every epoch.

    lr ← lr · γ

    Args:
        optimizer: see `Schedule`.
        gamma: γ.

    Source: torch/optim/lr_scheduler.py.
    """

    def __init__(self, optimizer: Any, gamma: float):
        self.gamma = gamma
        super().__init__(optimizer)

    def _next(self, epoch: int, rates: list[float]) -> list[float]:
        return rates if epoch == 0 else [rate * self.gamma for rate in rates]


class ConstantLR(Schedule):
    """Use a fraction of the rate for the first epochs.

    lr ← lr · factor        at epoch 0
    lr ← lr · (1 / factor)  at epoch total_iters

    Args:
        optimizer: see `Schedule`.
        factor: 0–1. PyTorch takes 0 and divides by it later; here it is refused.
        total_iters: epochs.

    Raises:
        BlitzError: a factor outside (0, 1].

    Source: torch/optim/lr_scheduler.py.
    """

    def __init__(self, optimizer: Any, factor: float = 1 / 3, total_iters: int = 5):
        self.factor, self.total_iters = _fraction("factor", factor), total_iters
        super().__init__(optimizer)

    def _next(self, epoch: int, rates: list[float]) -> list[float]:
        if epoch == 0:
            return [rate * self.factor for rate in rates]
        if epoch != self.total_iters:
            return rates
        return [rate * (1 / self.factor) for rate in rates]


class LinearLR(Schedule):
    """Change the rate linearly between two fractions of it; a warm-up.

    lr ← lr · start                                                        at epoch 0
    lr ← lr · (1 + (end − start) / (total · start + (epoch − 1) · (end − start)))    up to epoch total

    Args:
        optimizer: see `Schedule`.
        start_factor: start, 0–1, not 0.
        end_factor: end, 0–1.
        total_iters: total, epochs.

    Raises:
        BlitzError: a factor outside its range.

    Source: torch/optim/lr_scheduler.py.
    """

    def __init__(self, optimizer: Any, start_factor: float = 1 / 3, end_factor: float = 1.0, total_iters: int = 5):
        self.start_factor, self.total_iters = _fraction("start_factor", start_factor), total_iters
        if not 0 <= end_factor <= 1:
            raise BlitzError(f"end_factor must be in 0–1, not {end_factor!r}")
        self.end_factor = end_factor
        super().__init__(optimizer)

    def _next(self, epoch: int, rates: list[float]) -> list[float]:
        if epoch == 0:
            return [rate * self.start_factor for rate in rates]
        if epoch > self.total_iters:
            return rates
        change = self.end_factor - self.start_factor
        factor = 1.0 + change / (self.total_iters * self.start_factor + (epoch - 1) * change)
        return [rate * factor for rate in rates]


class LambdaLR(Schedule):
    """Multiply the first rate by a function of the epoch.

    lr = lr₀ · f(epoch)

    Args:
        optimizer: see `Schedule`.
        lr_lambda: f, or a list of them, one a parameter group. `state_dict` leaves them out.

    Raises:
        BlitzError: another number of functions than of parameter groups.

    Source: torch/optim/lr_scheduler.py.
    """

    def __init__(self, optimizer: Any, lr_lambda: Callable[[int], float] | list[Callable[[int], float]]):
        self.lr_lambdas = lr_lambda
        super().__init__(optimizer)

    def _next(self, epoch: int, rates: list[float]) -> list[float]:
        functions = self._rates.one_each("lr_lambda", self.lr_lambdas)
        return [rate * function(epoch) for rate, function in zip(self.base_lrs, functions, strict=True)]


class MultiplicativeLR(Schedule):
    """Multiply the rate by a function of the epoch, every epoch.

    lr ← lr · f(epoch)        from epoch 1 on

    Args:
        optimizer: see `Schedule`.
        lr_lambda: f, or a list of them, one a parameter group. `state_dict` leaves them out.

    Raises:
        BlitzError: another number of functions than of parameter groups.

    Source: torch/optim/lr_scheduler.py.
    """

    def __init__(self, optimizer: Any, lr_lambda: Callable[[int], float] | list[Callable[[int], float]]):
        self.lr_lambdas = lr_lambda
        super().__init__(optimizer)

    def _next(self, epoch: int, rates: list[float]) -> list[float]:
        factors = [function(epoch) for function in self._rates.one_each("lr_lambda", self.lr_lambdas) if epoch > 0]
        return [rate * factor for rate, factor in zip(rates, factors, strict=True)] if factors else rates

    def _restarted(self, rates: list[float]) -> list[float]:
        functions = self._rates.one_each("lr_lambda", self.lr_lambdas)
        return [rate * function(0) for rate, function in zip(rates, functions, strict=True)]


class PolynomialLR(Schedule):
    """Lower the rate to 0 along a polynomial.

    lr ← lr · ((1 − epoch / T) / (1 − (epoch − 1) / T))ᵖ        up to epoch T; then it stays

    The recursion, for PyTorch's rounding. Keras's `PolynomialDecay` ends at 1e-4 by default (gap sched-polynomial:
    1.0e-3).

    Args:
        optimizer: see `Schedule`.
        total_iters: T, epochs ≥ 1.
        power: p.

    Raises:
        BlitzError: T is not a whole number ≥ 1.

    Source: torch/optim/lr_scheduler.py.
    """

    def __init__(self, optimizer: Any, total_iters: int = 5, power: float = 1.0):
        self.total_iters, self.power = at_least("total_iters", total_iters, 1), power
        super().__init__(optimizer)

    def _next(self, epoch: int, rates: list[float]) -> list[float]:
        if epoch == 0 or epoch > self.total_iters:
            return rates
        now, before = 1.0 - epoch / self.total_iters, 1.0 - (epoch - 1) / self.total_iters
        return [rate * (now / before) ** self.power for rate in rates]


def _fraction(argument: str, value: float) -> float:
    if not 0 < value <= 1:
        raise BlitzError(f"{argument} must be above 0 and at most 1, not {value!r}")
    return value
