"""What every schedule does: step, tell the rates, save and load, become a table or a callback."""

from typing import Any

from keras_blitz.errors import BlitzError
from keras_blitz.optim.schedules.callback import ScheduleCallback
from keras_blitz.optim.schedules.rates import Rates
from keras_blitz.optim.schedules.table import RateTable

# What a state leaves out: the optimizer, functions, other schedules.
UNSAVED = ("_rates", "lr_lambdas", "scale_fn", "_schedulers")


class Schedule:
    """A schedule of learning rates. A subclass says how one epoch's rates follow from the last (`_next`).

    `step()` is called after each epoch, or after each batch where the schedule counts batches, as in PyTorch. The
    rates are Python floats, computed by PyTorch's recursion in PyTorch's order, so they equal PyTorch's to the last
    bit; a rate set by hand, or by another schedule of the same optimizer, is taken up as PyTorch takes it up.

    There is no `last_epoch` to resume from: `load_state_dict` does that.

    Args:
        optimizer: a Keras optimizer, or one with parameter groups (`param_lrs`, `set_lrs`); or, for `table` and
            `as_keras` alone, the learning rate itself, or a list of them.
    """

    def __init__(self, optimizer: Any):
        self._rates = Rates(optimizer)
        self.base_lrs = self._rates.initial
        self.last_epoch = -1
        self.step()

    @property
    def optimizer(self) -> Any:
        """The optimizer whose rates are set."""
        return self._rates.optimizer

    def step(self) -> None:
        """Go to the next epoch and set the optimizer's rates."""
        self.last_epoch += 1
        self._write(self._next(self.last_epoch, self._rates.read()))

    def restart(self) -> None:
        """Go to epoch 0 in the middle of a run, as a `SequentialLR` does at a milestone."""
        self.last_epoch = 0
        self._write(self._restarted(self._rates.read()))

    def _next(self, epoch: int, rates: list[float]) -> list[float]:
        """Return the rates of `epoch`, 0 the first, from those of the epoch before."""
        raise NotImplementedError

    def _restarted(self, rates: list[float]) -> list[float]:
        """Return the rates of epoch 0 in the middle of a run: by PyTorch's closed form, from the first rates."""
        return self._next(0, list(self.base_lrs))

    def _write(self, rates: list[float]) -> None:
        self._rates.write(rates)
        self._last_lr = list(rates)

    def get_last_lr(self) -> list[float]:
        """Return the rates of this epoch, one a parameter group."""
        return list(self._last_lr)

    def table(self, steps: int) -> list[list[float]]:
        """Return the rates of the first `steps` epochs, counted from the schedule's beginning, one list per epoch."""
        rows, rates = [], list(self.base_lrs)
        for epoch in range(steps):
            rates = self._next(epoch, rates)
            rows.append(rates)
        return rows

    def as_keras(self, steps: int, group: int = 0, dtype: str = "float64") -> RateTable:
        """Return the rates as a Keras schedule, for compiled steps: `Adam(StepLR(0.1, 30).as_keras(200))`.

        Args:
            steps: how many updates will be made. Keras counts updates, that is batches, never epochs.
            group: which parameter group's rates.
            dtype: of the rate. Keras's own schedules are float32 always (gap sched-float32: 7.3e-7).
        """
        return RateTable([rates[group] for rates in self.table(steps + 1)], dtype)

    def callback(self, per: str = "epoch") -> ScheduleCallback:
        """Return a callback for `fit` that steps after each "epoch" or each "batch"."""
        return ScheduleCallback(self, per)

    def state_dict(self) -> dict[str, Any]:
        """Return the state and the arguments, by PyTorch's names."""
        return {name: value for name, value in vars(self).items() if name not in UNSAVED}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take up a `state_dict`, also one of PyTorch's same schedule, and set the optimizer's rates to those saved.

        PyTorch leaves the rates to the optimizer's own checkpoint. Of several schedules, load last the one that stepped
        last.

        Raises:
            BlitzError: another number of parameter groups, or not a schedule's state.
        """
        self._take(state)
        self._write(self._last_lr)

    def _take(self, state: dict[str, Any]) -> None:
        """Take up a state, and leave the optimizer as it is."""
        rates = state.get("_last_lr", ())
        if len(rates) != len(self._last_lr):
            raise BlitzError(f"the state has {len(rates)} learning rates, the optimizer {len(self._last_lr)}")
        known = [name for name in vars(self) if name not in UNSAVED]
        vars(self).update({name: value for name, value in state.items() if name in known})


def at_least(argument: str, value: int, least: int) -> int:
    """Return a whole number.

    Raises:
        BlitzError: no whole number, or a smaller one.
    """
    if not isinstance(value, int) or value < least:
        raise BlitzError(f"{argument} must be a whole number ≥ {least}, not {value!r}")
    return value
