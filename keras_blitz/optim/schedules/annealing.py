"""Schedules along a cosine: CosineAnnealingLR, CosineAnnealingWarmRestarts, OneCycleLR."""

import math
from typing import Any

from keras_blitz.errors import BlitzError
from keras_blitz.optim.schedules.base import Schedule, at_least
from keras_blitz.optim.schedules.rates import Rates


class CosineAnnealingLR(Schedule):
    """Lower the rate to η along half a cosine in T epochs, and raise it again in the next T.

    c(t) = 1 + cos(π · t / T)
    lr ← η + (lr − η) · c(epoch) / c(epoch − 1)
    lr ← lr + (lr₀ − η) · (1 − cos(π / T)) / 2        where c(epoch − 1) = 0

    The recursion, not the closed form η + (lr₀ − η) · c(epoch)/2, which is 4.4e-16 away. Keras's `CosineDecay` stops at
    T, and its `alpha` is a fraction of lr₀ (gap sched-cosine).

    Args:
        optimizer: see `Schedule`.
        T_max: T, epochs ≥ 1.
        eta_min: η.

    Source: torch/optim/lr_scheduler.py.
    """

    def __init__(self, optimizer: Any, T_max: int, eta_min: float = 0.0):
        self.T_max, self.eta_min = at_least("T_max", T_max, 1), eta_min
        super().__init__(optimizer)

    def _next(self, epoch: int, rates: list[float]) -> list[float]:
        if epoch == 0:
            return rates
        if (epoch - 1 - self.T_max) % (2 * self.T_max) == 0:
            return [
                rate + (base - self.eta_min) * (1 - math.cos(math.pi / self.T_max)) / 2
                for base, rate in zip(self.base_lrs, rates, strict=True)
            ]
        # In PyTorch's order of operations, for its rounding.
        now, before = (1 + math.cos(math.pi * at / self.T_max) for at in (epoch, epoch - 1))
        return [now / before * (rate - self.eta_min) + self.eta_min for rate in rates]

    def _restarted(self, rates: list[float]) -> list[float]:
        return [self.eta_min + (base - self.eta_min) * (1 + math.cos(0.0)) / 2 for base in self.base_lrs]


class CosineAnnealingWarmRestarts(Schedule):
    """Lower the rate to η along half a cosine again and again, each time in T_mult times as many epochs.

    lr = η + (lr₀ − η) · (1 + cos(π · T_cur / T_i)) / 2        T_cur: epochs since the last restart
    T_i = T_0, T_0 · T_mult, T_0 · T_mult², …

    Keras's `CosineDecayRestarts` doubles T_i by default, and its `alpha` is a fraction of lr₀ (gap
    sched-cosine-restarts: 8.4e-1).

    Args:
        optimizer: see `Schedule`.
        T_0: epochs before the first restart, ≥ 1.
        T_mult: ≥ 1.
        eta_min: η.

    Raises:
        BlitzError: T_0 or T_mult is not a whole number ≥ 1.

    Source: torch/optim/lr_scheduler.py.
    """

    def __init__(self, optimizer: Any, T_0: int, T_mult: int = 1, eta_min: float = 0.0):
        self.T_0, self.T_mult, self.eta_min = at_least("T_0", T_0, 1), at_least("T_mult", T_mult, 1), eta_min
        self.T_cur: float = -1
        self.T_i = T_0
        super().__init__(optimizer)

    def step(self, epoch: float | None = None) -> None:
        """Go to the next epoch, or to any: `step(epoch + batch / batches)` after each batch.

        Raises:
            BlitzError: an epoch below 0.
        """
        if epoch is None and self.last_epoch >= 0:
            self.T_cur += 1
            if self.T_cur >= self.T_i:
                self.T_cur, self.T_i = self.T_cur % self.T_i, self.T_i * self.T_mult
            self.last_epoch += 1
        else:
            epoch = epoch or 0
            if epoch < 0:
                raise BlitzError(f"epoch must be at least 0, not {epoch!r}")
            self.T_cur, self.T_i = self._locate(epoch)
            self.last_epoch = math.floor(epoch)
        self._write(self._cosine(self.T_cur, self.T_i))

    def _locate(self, epoch: float) -> tuple[float, int]:
        """Return T_cur and T_i of an epoch, by PyTorch's formula, for its rounding."""
        if epoch < self.T_0:
            return epoch, self.T_0
        if self.T_mult == 1:
            return epoch % self.T_0, self.T_i
        restarts = int(math.log(epoch / self.T_0 * (self.T_mult - 1) + 1, self.T_mult))
        begin = self.T_0 * (self.T_mult**restarts - 1) / (self.T_mult - 1)
        return epoch - begin, self.T_0 * self.T_mult**restarts

    def _next(self, epoch: int, rates: list[float]) -> list[float]:
        left, length = epoch, self.T_0
        while left >= length:
            left, length = left - length, length * self.T_mult
        return self._cosine(left, length)

    def _cosine(self, now: float, length: int) -> list[float]:
        return [
            self.eta_min + (base - self.eta_min) * (1 + math.cos(math.pi * now / length)) / 2 for base in self.base_lrs
        ]


class OneCycleLR(Schedule):
    """Raise the rate to a maximum and lower it far below where it began; the momentum goes the other way.

    up:    max_lr / div_factor → max_lr        in pct_start of the steps; momentum max → base
    down:  max_lr → max_lr / div_factor / final_div_factor                momentum base → max
    three_phase: down to max_lr / div_factor in as many steps as up, momentum base → max; then to the lowest rate
    a → b at p ∈ [0, 1]:  b + (a − b)/2 · (1 + cos(π · p))  (cos)      (b − a) · p + a  (linear)

    It counts batches, not epochs: `callback("batch")`. The rate given to the optimizer does not matter.

    Args:
        optimizer: see `Schedule`; with `momenta` and `set_momenta` (of Adam: β₁) where the momentum is cycled.
        max_lr: the highest rate, or a list, one a parameter group.
        total_steps: batches in all; or else `epochs` and `steps_per_epoch`.
        epochs: whole epochs.
        steps_per_epoch: batches in one.
        pct_start: the part that rises, 0–1.
        anneal_strategy: "cos" or "linear".
        cycle_momentum: cycle the momentum too. In Keras's own optimizers it is a constant of the compiled step: pass
            False.
        base_momentum: the lowest, or a list.
        max_momentum: the highest, or a list.
        div_factor: max_lr / first rate.
        final_div_factor: first rate / last rate.
        three_phase: see above.

    Raises:
        BlitzError: a number of steps, a part or a strategy that cannot be; a momentum to cycle that cannot be set; a
            step beyond the last.

    Source: torch/optim/lr_scheduler.py.
    """

    def __init__(
        self,
        optimizer: Any,
        max_lr: float | list[float],
        total_steps: int | None = None,
        epochs: int | None = None,
        steps_per_epoch: int | None = None,
        pct_start: float = 0.3,
        anneal_strategy: str = "cos",
        cycle_momentum: bool = True,
        base_momentum: float | list[float] = 0.85,
        max_momentum: float | list[float] = 0.95,
        div_factor: float = 25.0,
        final_div_factor: float = 1e4,
        three_phase: bool = False,
    ):
        if not 0 <= pct_start <= 1:
            raise BlitzError(f"pct_start must be in 0–1, not {pct_start!r}")
        if anneal_strategy not in _ANNEALING:
            raise BlitzError(f'anneal_strategy must be "cos" or "linear", not {anneal_strategy!r}')
        rates = Rates(optimizer)
        if cycle_momentum and not hasattr(rates.optimizer, "set_momenta"):
            name = type(optimizer).__name__
            raise BlitzError(f"{name} has no momentum or beta1 that can be set: pass cycle_momentum=False")
        self.total_steps, self.pct_start = _total_steps(total_steps, epochs, steps_per_epoch), pct_start
        self.anneal_strategy, self.three_phase, self.cycle_momentum = anneal_strategy, three_phase, cycle_momentum
        self.max_lrs = rates.one_each("max_lr", max_lr)
        self.base_momenta = rates.one_each("base_momentum", base_momentum)
        self.max_momenta = rates.one_each("max_momentum", max_momentum)
        rates.initial = [rate / div_factor for rate in self.max_lrs]
        self.min_lrs = [rate / final_div_factor for rate in rates.initial]
        super().__init__(rates.optimizer)

    def _next(self, epoch: int, rates: list[float]) -> list[float]:
        return self._between(epoch, {"first": self.base_lrs, "max": self.max_lrs, "min": self.min_lrs}, "lr")

    def _write(self, rates: list[float]) -> None:
        super()._write(rates)
        if self.cycle_momentum:
            ends = {"base": self.base_momenta, "max": self.max_momenta}
            self.optimizer.set_momenta(self._between(self.last_epoch, ends, "momentum"))

    def _phases(self) -> list[dict[str, Any]]:
        """Return the last step of each phase, and between which values the rate and the momentum go."""
        up = self.pct_start * self.total_steps
        rise = {"end": up - 1, "lr": ("first", "max"), "momentum": ("max", "base")}
        if not self.three_phase:
            return [rise, {"end": self.total_steps - 1, "lr": ("max", "min"), "momentum": ("base", "max")}]
        return [
            rise,
            # 2 · pct · steps in PyTorch's order, for its rounding
            {"end": 2 * self.pct_start * self.total_steps - 2, "lr": ("max", "first"), "momentum": ("base", "max")},
            {"end": self.total_steps - 1, "lr": ("first", "min"), "momentum": ("max", "max")},
        ]

    def _between(self, step: int, ends: dict[str, list[float]], key: str) -> list[float]:
        """Return one value per parameter group at a step: `ends` are the values a phase goes between."""
        if step > self.total_steps:
            raise BlitzError(
                f"step {step} is beyond the {self.total_steps} steps of the schedule; give it more total_steps"
            )
        start, phases = 0.0, self._phases()
        for phase in phases[:-1]:
            if step <= phase["end"]:
                break
            start = phase["end"]
        else:
            phase = phases[-1]
        if phase["end"] == start:
            raise BlitzError(
                f"pct_start must leave each phase a step, and {self.pct_start} of {self.total_steps} steps does not"
            )
        part, anneal = (step - start) / (phase["end"] - start), _ANNEALING[self.anneal_strategy]
        before, after = (ends[name] for name in phase[key])
        return [anneal(*pair, part) for pair in zip(before, after, strict=True)]


def _cosine(start: float, end: float, part: float) -> float:
    return end + (start - end) / 2.0 * (math.cos(math.pi * part) + 1)


def _linear(start: float, end: float, part: float) -> float:
    return (end - start) * part + start


_ANNEALING = {"cos": _cosine, "linear": _linear}


def _total_steps(total_steps: int | None, epochs: int | None, steps_per_epoch: int | None) -> int:
    if total_steps is not None:
        return at_least("total_steps", total_steps, 1)
    if epochs is None or steps_per_epoch is None:
        raise BlitzError("pass total_steps, or epochs and steps_per_epoch")
    return at_least("epochs", epochs, 1) * at_least("steps_per_epoch", steps_per_epoch, 1)
