"""What `fit` needs to tell the loss of every step, though it runs many inside the graph."""

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from keras_blitz.training.steps import count_correct


class EveryStep(keras.metrics.Metric):
    """Keeps the loss of each step, and how many of its answers were right; shown is the last loss.

    Args:
        loss: (y_true, y_pred) -> the batch's loss, the one the model is compiled with.
        steps: of an epoch at most.
        counts_correct: count the right answers, too.
    """

    def __init__(self, loss: Callable[..., Any], steps: int, counts_correct: bool = False, name: str = "last_loss"):
        super().__init__(name=name)
        self._loss, self._counts_correct = loss, counts_correct
        self._losses = self.add_variable((steps,), "zeros", name="losses")
        self._correct = self.add_variable((steps,), "zeros", dtype="int64", name="correct")
        # Of several replicas all count the same steps; what they keep of a step is a part of it, and is summed.
        self._step = self.add_variable((), "zeros", dtype="int64", aggregation="only_first_replica", name="step")
        self._last = self.add_variable((), "zeros", name="last")

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Keep the loss of one step."""
        value = self._loss(y_true, y_pred)
        self._last.assign(value)
        self._keep(self._losses, value)
        if self._counts_correct:
            self._keep(self._correct, count_correct(y_true, y_pred))
        self._step.assign_add(1)

    def _keep(self, variable: Any, value: Any) -> None:
        """Put a value in the step's place; what several replicas keep is summed when it is read."""
        place = [[self._step.value]]
        if tf.distribute.has_strategy():  # whose variables have no scatter
            variable.assign(tf.tensor_scatter_nd_update(variable.value, place, [value]))
        else:
            variable.value.scatter_nd_update(place, [value])

    def result(self) -> Any:
        """Return the last step's loss."""
        return self._last.value

    def steps(self, start: int) -> tuple[np.ndarray, np.ndarray]:
        """Return losses and right answers of the steps from `start` on."""
        end = int(self._step.numpy())
        return self._losses.value[start:end].numpy(), self._correct.value[start:end].numpy()


class AfterSteps(keras.callbacks.Callback):
    """Hands on what each execution of the graph did, and stops where that returns False."""

    def __init__(self, metric: EveryStep, after: Callable[[np.ndarray, np.ndarray], bool]):
        super().__init__()
        self._metric, self._after, self._seen = metric, after, 0

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        """Take the new steps."""
        losses, right = self._metric.steps(self._seen)
        self._seen += len(losses)
        if not self._after(losses, right):
            self.model.stop_training = True
