"""The two ways to take an epoch's steps, `model.fit` and a GradientTape: many steps inside one call of the graph."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from keras_blitz.training import cpu
from keras_blitz.training.callbacks import AfterSteps, EveryStep
from keras_blitz.training.distributed import Workers
from keras_blitz.training.steps import Loss, count_correct, run_steps, train_step

# Takes the losses and right answers of the steps that one call of the graph did; False stops.
After = Callable[[np.ndarray, np.ndarray], bool]


@dataclass
class Loop:
    """One of the two ways to train on a sequence of images.

    Args:
        model, optimizer, loss: see `Trainer`.
        read: indices (N,) -> images and labels, as the network takes them.
        batch_size: images per step; the last step has what is left.
        steps: of an epoch at most.
        dtype: of the losses.
        counts_correct: count the right answers of each step.
        execution: what `Execution.fit_to` returned.
        workers: who trains.
    """

    model: keras.Model
    optimizer: keras.optimizers.Optimizer
    loss: Loss
    read: Callable[[tf.Tensor], tuple[tf.Tensor, tf.Tensor]]
    batch_size: int
    steps: int
    dtype: str
    counts_correct: bool
    execution: cpu.Execution
    workers: Workers

    def run(self, order: np.ndarray, after: After) -> None:
        """Train on the images at these indices (N,), in this order, until `after` returns False."""
        raise NotImplementedError


@dataclass
class FitLoop(Loop):
    """`model.fit`; the model is compiled when the first epoch begins."""

    _metric: EveryStep | None = field(init=False, default=None)

    def run(self, order: np.ndarray, after: After) -> None:
        """Train on the images at these indices (N,), in this order, until `after` returns False."""
        if self._metric is None:
            self._metric = self._compile()
        data = tf.data.Dataset.from_tensor_slices(order).batch(self.batch_size).map(self.read).prefetch(2)
        if not self.execution.autotune:
            data = cpu.without_autotune(data)
        self.model.fit(data, shuffle=False, verbose=0, callbacks=[AfterSteps(self._metric, after)])

    def _compile(self) -> EveryStep:
        metric = EveryStep(self.loss, self.steps, self.counts_correct)
        self.model.compile(
            self.optimizer, self.loss, metrics=[metric],
            steps_per_execution=self.execution.steps_per_call, jit_compile=self.execution.jit,
        )  # fmt: skip
        return metric


@dataclass
class TapeLoop(Loop):
    """A GradientTape, with a graph for each size of a batch."""

    _compiled: dict[int, Callable[..., Any]] = field(init=False, default_factory=dict)

    def run(self, order: np.ndarray, after: After) -> None:
        """Train on the images at these indices (N,), in this order, until `after` returns False."""
        whole = len(order) // self.batch_size * self.batch_size
        orders, per_call = order[:whole].reshape(-1, self.batch_size), self.execution.steps_per_call
        calls = [orders[start : start + per_call] for start in range(0, len(orders), per_call)]
        if whole < len(order):
            calls.append(order[whole:].reshape(1, -1))
        for call in calls:
            losses, right = self._execute(call)
            if not after(losses.numpy(), right.numpy()):
                return

    def _execute(self, call: np.ndarray) -> tuple[tf.Tensor, tf.Tensor]:
        """Take steps on these indices (steps, N); return the losses and the right answers."""
        return self._steps_of(call.shape[1])(tf.constant(call))

    def _steps_of(self, batch_size: int) -> Callable[..., Any]:
        if batch_size not in self._compiled:
            spec = tf.TensorSpec((None, batch_size), tf.int64)
            self._compiled[batch_size] = tf.function(
                self._many_steps, input_signature=[spec], jit_compile=self.execution.jit or None
            )
        return self._compiled[batch_size]

    def _many_steps(self, order: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        in_pairs = self.execution.jit and self.execution.pair_steps
        return run_steps(self._one_step, order, self.dtype, self.model.trainable_variables if in_pairs else None)

    def _one_step(self, indices: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        parts, shards = (self.model, self.optimizer, self.loss), min(self.execution.shards, indices.shape[0])
        if shards > 1:
            images, labels = cpu.read_in_shards(self.read, indices, shards)
            logits, loss = train_step(*parts, images, labels, cpu.forward_in_shards)
            labels = tf.concat(labels, 0)
        else:
            images, labels = self.read(indices)
            logits, loss = train_step(*parts, images, labels)
        return loss, count_correct(labels, logits) if self.counts_correct else tf.constant(0, tf.int64)
