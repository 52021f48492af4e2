"""Schedules made of schedules: SequentialLR, ChainedScheduler."""

from bisect import bisect_right
from collections.abc import Sequence
from typing import Any

from keras_blitz.errors import BlitzError
from keras_blitz.optim.schedules.base import Schedule
from keras_blitz.optim.schedules.plateau import ReduceLROnPlateau
from keras_blitz.optim.schedules.rates import FixedRates, Rates


class _Composed(Schedule):
    """Schedules of one optimizer, or of the same rates where there is no optimizer."""

    def _adopt(self, optimizer: Any, schedulers: Sequence[Schedule]) -> None:
        """Check the schedules, and let those without an optimizer share their rates."""
        self._rates, self._schedulers = Rates(optimizer), list(schedulers)
        self.base_lrs, kind = self._rates.initial, type(self).__name__
        for number, schedule in enumerate(self._schedulers):
            if isinstance(schedule, ReduceLROnPlateau):
                raise BlitzError(f"{kind} cannot hold ReduceLROnPlateau, whose step needs a metric (index {number})")
            if isinstance(self.optimizer, FixedRates) and isinstance(schedule.optimizer, FixedRates):
                if schedule._rates.initial != self.base_lrs:
                    raise BlitzError(
                        f"{kind}: schedule {number} starts from {schedule._rates.initial}, not from {self.base_lrs}"
                    )
                _share(schedule, self._rates)
            if schedule.optimizer is not self.optimizer:
                raise BlitzError(f"{kind}: schedule {number} has another optimizer; make all of them for the same one")

    def _active(self) -> list[Schedule]:
        """Return the schedules that made the last rates, in their order."""
        raise NotImplementedError

    def state_dict(self) -> dict[str, Any]:
        """Return the state, with the states of the schedules, by PyTorch's names."""
        return {**super().state_dict(), "_schedulers": [schedule.state_dict() for schedule in self._schedulers]}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take up a `state_dict`, also one of PyTorch's, and set the optimizer's rates to those saved.

        Raises:
            BlitzError: another number of schedules or of parameter groups.
        """
        self._take(state)
        for schedule in self._active():
            schedule._write(schedule._last_lr)

    def _take(self, state: dict[str, Any]) -> None:
        states = state.get("_schedulers", ())
        if len(states) != len(self._schedulers):
            raise BlitzError(f"the state has {len(states)} schedules, but this schedule has {len(self._schedulers)}")
        super()._take(state)
        for schedule, its_state in zip(self._schedulers, states, strict=True):
            schedule._take(its_state)

    def _restarted(self, rates: list[float]) -> list[float]:
        raise BlitzError(f"{type(self).__name__} cannot be part of a SequentialLR")


class SequentialLR(_Composed):
    """Follow one schedule after the other; each starts over at its milestone.

    lr: schedule 0 up to epoch m₁ − 1; schedule 1, its epoch 0 at m₁, up to m₂ − 1; …

    At its milestone a schedule starts from the first rates of all, whatever the rates have become; `MultiplicativeLR`
    alone goes on from them. Keras's nearest is `CosineDecay(warmup_steps=…)` (gap sched-sequential: 7.8e-2).

    Args:
        optimizer: see `Schedule`; that of the schedules, or rates equal to theirs.
        schedulers: neither `ReduceLROnPlateau` nor composed schedules: PyTorch miscounts the epochs of a composed
            schedule that comes first, and refuses one that comes later.
        milestones: epochs, one fewer than schedules, not falling.

    Raises:
        BlitzError: schedules or milestones that cannot be, or of another optimizer.

    Source: torch/optim/lr_scheduler.py.
    """

    def __init__(self, optimizer: Any, schedulers: Sequence[Schedule], milestones: Sequence[int]):
        if not schedulers or len(milestones) != len(schedulers) - 1:
            raise BlitzError(
                f"SequentialLR needs one milestone fewer than schedules, not {len(milestones)} for {len(schedulers)}"
            )
        if list(milestones) != sorted(milestones):
            raise BlitzError(f"milestones must be in increasing order, not {list(milestones)}")
        if any(isinstance(schedule, _Composed) for schedule in schedulers):
            raise BlitzError("SequentialLR cannot hold a SequentialLR or a ChainedScheduler")
        self._adopt(optimizer, schedulers)
        self._milestones, self.last_epoch = list(milestones), 0
        self._rates.write(self._rates.initial)
        for schedule in self._schedulers:
            schedule.last_epoch -= 1
        schedule = self._at(0)
        schedule.step()
        self._last_lr = schedule.get_last_lr()

    def step(self) -> None:
        """Go to the next epoch and set the optimizer's rates."""
        self.last_epoch += 1
        schedule = self._at(self.last_epoch)
        if self.last_epoch in self._milestones:
            schedule.restart()
        else:
            schedule.step()
        self._last_lr = schedule.get_last_lr()

    def _at(self, epoch: int) -> Schedule:
        return self._schedulers[bisect_right(self._milestones, epoch)]

    def _active(self) -> list[Schedule]:
        return [self._at(self.last_epoch)]

    def _next(self, epoch: int, rates: list[float]) -> list[float]:
        begin = max((milestone for milestone in self._milestones if milestone <= epoch), default=0)
        schedule = self._at(epoch)
        if epoch == 0:
            return schedule._next(0, list(self.base_lrs))
        return schedule._restarted(rates) if epoch == begin else schedule._next(epoch - begin, rates)


class ChainedScheduler(_Composed):
    """Follow all schedules at once: each takes up the rates that the one before it has set.

    lr ← sₙ(… s₂(s₁(lr)))

    Construct the schedules in the order of the list: each sets its first rates when it is made, as in PyTorch.

    Args:
        schedulers: not `ReduceLROnPlateau`.
        optimizer: that of the schedules; None: the first schedule's.

    Raises:
        BlitzError: no schedules, or schedules of several optimizers.

    Source: torch/optim/lr_scheduler.py.
    """

    def __init__(self, schedulers: Sequence[Schedule], optimizer: Any = None):
        if not schedulers:
            raise BlitzError("ChainedScheduler needs at least one schedule")
        alone = isinstance(schedulers[0].optimizer, FixedRates)
        if optimizer is None:
            optimizer = schedulers[0]._rates.initial if alone else schedulers[0].optimizer
        self._adopt(optimizer, schedulers)
        if alone:
            # Each has set rates of its own until now.
            self._rates.write(self._next(0, self.base_lrs))
        self._last_lr = self._rates.read()

    def step(self) -> None:
        """Go to the next epoch of every schedule."""
        for schedule in self._schedulers:
            schedule.step()
        self._last_lr = self._schedulers[-1].get_last_lr()

    def _active(self) -> list[Schedule]:
        return self._schedulers

    def _next(self, epoch: int, rates: list[float]) -> list[float]:
        for schedule in self._schedulers:
            rates = schedule._next(epoch, rates)
        return rates


def _share(schedule: Schedule, rates: Rates) -> None:
    """Let a schedule without an optimizer, and those inside it, use these rates."""
    schedule._rates = rates
    for inner in schedule._schedulers if isinstance(schedule, _Composed) else ():
        _share(inner, rates)
