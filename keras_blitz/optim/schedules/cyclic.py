"""`torch.optim.lr_scheduler.CyclicLR`."""

import math
from collections.abc import Callable
from typing import Any

from keras_blitz.errors import BlitzError
from keras_blitz.optim.schedules.base import Schedule, at_least
from keras_blitz.optim.schedules.rates import Rates

MODES = ("triangular", "triangular2", "exp_range")


class CyclicLR(Schedule):
    """Raise the rate in a straight line and lower it again, cycle after cycle; the momentum goes the other way.

    lr = base + (max − base) · h · s
    momentum = max − (max − base) · h · s
    h: 0 → 1 in step_size_up batches, 1 → 0 in step_size_down
    s: 1  (triangular)      1 / 2^(cycle − 1)  (triangular2)      γ^batch  (exp_range)

    It counts batches, not epochs: `callback("batch")`. If the optimizer had a schedule before, the first batch has the
    rates that the first one started from, as in PyTorch; `table` begins with base. Keras has no such schedule (gap
    sched-cyclic: 9.0e-1).

    Args:
        optimizer: see `Schedule`; with `momenta` and `set_momenta` (of Adam: β₁) where the momentum is cycled.
        base_lr: the lowest rate, or a list, one a parameter group.
        max_lr: the highest rate, or a list.
        step_size_up: batches, ≥ 1.
        step_size_down: batches, ≥ 1; None: step_size_up.
        mode: "triangular", "triangular2" or "exp_range"; says nothing where there is a `scale_fn`.
        gamma: γ.
        scale_fn: s, a function of what `scale_mode` says. `state_dict` leaves it out.
        scale_mode: "cycle" (counted from 1) or "iterations" (batches from 0).
        cycle_momentum: cycle the momentum too. In Keras's own optimizers it is a constant of the compiled step: pass
            False.
        base_momentum: the lowest, or a list.
        max_momentum: the highest, or a list.

    Raises:
        BlitzError: a number of batches or a mode that cannot be; a momentum to cycle that cannot be set.

    Source: torch/optim/lr_scheduler.py; Smith 2015, "Cyclical Learning Rates for Training Neural Networks".
    """

    def __init__(
        self,
        optimizer: Any,
        base_lr: float | list[float],
        max_lr: float | list[float],
        step_size_up: int = 2000,
        step_size_down: int | None = None,
        mode: str = "triangular",
        gamma: float = 1.0,
        scale_fn: Callable[[float], float] | None = None,
        scale_mode: str = "cycle",
        cycle_momentum: bool = True,
        base_momentum: float | list[float] = 0.8,
        max_momentum: float | list[float] = 0.9,
    ):
        if mode not in MODES and scale_fn is None:
            raise BlitzError(f'mode must be "triangular", "triangular2" or "exp_range", not {mode!r}')
        rates = Rates(optimizer)
        if cycle_momentum and not hasattr(rates.optimizer, "set_momenta"):
            name = type(optimizer).__name__
            raise BlitzError(f"{name} has no momentum or beta1 that can be set: pass cycle_momentum=False")
        up = float(at_least("step_size_up", step_size_up, 1))
        down = up if step_size_down is None else float(at_least("step_size_down", step_size_down, 1))
        self.total_size = up + down
        self.step_ratio = up / self.total_size
        self.mode, self.gamma, self.scale_fn, self.cycle_momentum = mode, gamma, scale_fn, cycle_momentum
        self.scale_mode = scale_mode if scale_fn else "iterations" if mode == "exp_range" else "cycle"
        base_lrs = rates.one_each("base_lr", base_lr)
        self.max_lrs = rates.one_each("max_lr", max_lr)
        self.base_momentums = rates.one_each("base_momentum", base_momentum)
        self.max_momentums = rates.one_each("max_momentum", max_momentum)
        rates.start(base_lrs)
        super().__init__(rates.optimizer)
        # After the first step, which takes the rates that the first schedule of all started from, as in PyTorch.
        self.base_lrs = base_lrs

    def _next(self, epoch: int, rates: list[float]) -> list[float]:
        return [
            base + height
            for base, height in zip(self.base_lrs, self._heights(epoch, self.base_lrs, self.max_lrs), strict=True)
        ]

    def _write(self, rates: list[float]) -> None:
        super()._write(rates)
        if self.cycle_momentum:
            heights = self._heights(self.last_epoch, self.base_momentums, self.max_momentums)
            self.optimizer.set_momenta([most - h for most, h in zip(self.max_momentums, heights, strict=True)])

    def _heights(self, step: int, lows: list[float], highs: list[float]) -> list[float]:
        """Return how far from its resting value each parameter group's value is at a step."""
        cycle = math.floor(1 + step / self.total_size)
        # In PyTorch's order of operations, for its rounding.
        x = 1.0 + step / self.total_size - cycle
        part = x / self.step_ratio if x <= self.step_ratio else (x - 1) / (self.step_ratio - 1)
        scale = self._scale(cycle if self.scale_mode == "cycle" else step)
        return [(high - low) * part * scale for low, high in zip(lows, highs, strict=True)]

    def _scale(self, x: float) -> float:
        if self.scale_fn is not None:
            return self.scale_fn(x)
        return {"triangular": 1.0, "triangular2": 1 / 2.0 ** (x - 1), "exp_range": self.gamma**x}[self.mode]
