"""The schedule of stochastic weight averaging: SWALR."""

import math
from typing import Any

from keras_blitz.errors import BlitzError
from keras_blitz.optim.schedules.base import Schedule, at_least
from keras_blitz.optim.schedules.rates import Rates


class SWALR(Schedule):
    """Anneal the rate to a constant in T epochs, from whatever it is.

    lr₀ = (lr − s · f(t − 1)) / (1 − f(t − 1))          lr ← s · f(t) + lr₀ · (1 − f(t))
    f(t) = (1 − cos(π · t/T)) / 2, or t/T, at most 1

    Args:
        optimizer: see `Schedule`.
        swa_lr: s, or a list, one for each parameter group.
        anneal_epochs: T, ≥ 0.
        anneal_strategy: "cos" or "linear".

    Raises:
        BlitzError: a T or a strategy that cannot be.

    Source: torch/optim/swa_utils.py.
    """

    def __init__(
        self, optimizer: Any, swa_lr: float | list[float], anneal_epochs: int = 10, anneal_strategy: str = "cos"
    ):
        if anneal_strategy not in ("cos", "linear"):
            raise BlitzError(f'anneal_strategy must be "cos" or "linear", not {anneal_strategy!r}')
        self.anneal_epochs, self.anneal_strategy = at_least("anneal_epochs", anneal_epochs, 0), anneal_strategy
        rates = Rates(optimizer)
        self.swa_lrs = rates.one_each("swa_lr", swa_lr)
        super().__init__(rates.optimizer)

    def _next(self, epoch: int, rates: list[float]) -> list[float]:
        step = epoch if self.anneal_epochs else max(1, epoch)
        before, now = self._part(step - 1), self._part(step)
        first = [
            end if before == 1 else (rate - before * end) / (1 - before)
            for rate, end in zip(rates, self.swa_lrs, strict=True)
        ]
        return [end * now + rate * (1 - now) for rate, end in zip(first, self.swa_lrs, strict=True)]

    def _part(self, step: int) -> float:
        done = max(0, min(1, step / max(1, self.anneal_epochs)))
        return done if self.anneal_strategy == "linear" else (1 - math.cos(math.pi * done)) / 2
