"""A schedule that steps inside `fit`."""

from typing import Any

import keras

from keras_blitz.errors import BlitzError


class ScheduleCallback(keras.callbacks.Callback):
    """Step a schedule after each epoch or batch of `fit`.

    Args:
        schedule: of the optimizer the model was compiled with.
        per: "epoch" or "batch".
        monitor: the entry of the logs to give to `step`, after an epoch; None: none.

    Raises:
        BlitzError: another `per`; and when training begins, a schedule of another optimizer, or "batch" where Keras
            runs several batches as one (`steps_per_execution`).
    """

    def __init__(self, schedule: Any, per: str, monitor: str | None = None):
        super().__init__()
        if per not in ("epoch", "batch"):
            raise BlitzError(f'per must be "epoch" or "batch", not {per!r}')
        self.schedule, self.per, self.monitor = schedule, per, monitor

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        """Refuse a schedule that would not do what it says."""
        if self.model.optimizer is not self.schedule.optimizer:
            raise BlitzError("the schedule's optimizer is not the one the model was compiled with")
        if self.per == "batch" and self.model.steps_per_execution > 1:
            raise BlitzError(
                'per="batch" cannot step inside steps_per_execution; compile with schedule.as_keras(steps)'
            )

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Step, where the schedule counts batches."""
        if self.per == "batch":
            self.schedule.step()

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Step, where the schedule counts epochs."""
        if self.per != "epoch":
            return
        if self.monitor is None:
            self.schedule.step()
        elif logs and self.monitor in logs:
            self.schedule.step(logs[self.monitor])
        else:
            raise BlitzError(f"no {self.monitor!r} in this epoch's logs, which have {', '.join(logs or {})}")
