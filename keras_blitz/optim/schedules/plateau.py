"""`torch.optim.lr_scheduler.ReduceLROnPlateau`."""

import math
from typing import Any

from keras_blitz.errors import BlitzError
from keras_blitz.optim.schedules.base import Schedule
from keras_blitz.optim.schedules.callback import ScheduleCallback


class ReduceLROnPlateau(Schedule):
    """Multiply the rate by a factor when a metric has stopped getting better.

    better:  m < best · (1 − threshold)  (min, rel)      m < best − threshold  (min, abs)
             m > best · (1 + threshold)  (max, rel)      m > best + threshold  (max, abs)
    lr ← max(lr · factor, min_lr)        after more than `patience` epochs that are not better

    Keras's callback of this name reduces an epoch earlier at the same patience, and its `min_delta` is absolute (gap
    sched-plateau: 5.0e-2). What comes depends on the metric, so there is no table.

    Args:
        optimizer: see `Schedule`.
        mode: "min" or "max".
        factor: below 1.
        patience: epochs.
        threshold: how much better counts.
        threshold_mode: "rel" or "abs".
        cooldown: epochs after a reduction in which none is counted.
        min_lr: the smallest rate, or a list, one a parameter group.
        eps: a smaller change of the rate is not made.

    Raises:
        BlitzError: an unknown mode, a factor ≥ 1, another number of `min_lr` than of parameter groups.

    Source: torch/optim/lr_scheduler.py.
    """

    def __init__(
        self,
        optimizer: Any,
        mode: str = "min",
        factor: float = 0.1,
        patience: int = 10,
        threshold: float = 1e-4,
        threshold_mode: str = "rel",
        cooldown: int = 0,
        min_lr: float | list[float] = 0,
        eps: float = 1e-8,
    ):
        if mode not in ("min", "max") or threshold_mode not in ("rel", "abs"):
            raise BlitzError(
                f'mode must be "min" or "max" and threshold_mode "rel" or "abs", not {mode!r}, {threshold_mode!r}'
            )
        if factor >= 1:
            raise BlitzError(f"factor must be below 1, not {factor!r}")
        self.mode, self.threshold, self.threshold_mode = mode, threshold, threshold_mode
        self.factor, self.patience, self.cooldown, self.eps = factor, patience, cooldown, eps
        self.best = math.inf if mode == "min" else -math.inf
        self.num_bad_epochs = self.cooldown_counter = 0
        super().__init__(optimizer)
        self.min_lrs = self._rates.one_each("min_lr", min_lr)

    def step(self, metrics: float | None = None) -> None:
        """Go to the next epoch with the metric of the last one.

        Raises:
            BlitzError: no metric.
        """
        self.last_epoch += 1
        if self.last_epoch > 0:
            self._count(metrics)
        rates = self._rates.read()
        if self.num_bad_epochs > self.patience:
            rates = [self._reduced(rate, least) for rate, least in zip(rates, self.min_lrs, strict=True)]
            self.cooldown_counter, self.num_bad_epochs = self.cooldown, 0
        self._write(rates)

    def _count(self, metrics: float | None) -> None:
        if metrics is None:
            raise BlitzError("step needs the metric: schedule.step(validation_loss)")
        metric = float(metrics)
        if self._is_better(metric):
            self.best, self.num_bad_epochs = metric, 0
        else:
            self.num_bad_epochs += 1
        if self.cooldown_counter > 0:
            self.cooldown_counter -= 1
            self.num_bad_epochs = 0

    def _is_better(self, metric: float) -> bool:
        if self.mode == "min":
            return metric < (
                self.best * (1 - self.threshold) if self.threshold_mode == "rel" else self.best - self.threshold
            )
        return metric > (
            self.best * (self.threshold + 1) if self.threshold_mode == "rel" else self.best + self.threshold
        )

    def _reduced(self, rate: float, least: float) -> float:
        new = max(rate * self.factor, least)
        return new if rate - new > self.eps else rate

    def callback(self, monitor: str = "val_loss") -> ScheduleCallback:
        """Return a callback for `fit` that steps after each epoch with an entry of the logs."""
        return ScheduleCallback(self, "epoch", monitor)

    def table(self, steps: int) -> list[list[float]]:
        """Raise: the rates depend on the metric.

        Raises:
            BlitzError: always.
        """
        raise BlitzError("ReduceLROnPlateau depends on a metric and has no table; use step or callback")
