"""Training in PyTorch's order with `model.fit` or a GradientTape, many steps inside one call of the graph.

All images are in memory as uint8; a step gathers its batch, transforms it and updates, without Python. A graph called
a step at a time would spend as long in between as in the steps of these small networks.
"""

import os
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass, field
from itertools import chain
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from keras_blitz import models, optim, random
from keras_blitz.data.datasets import Split
from keras_blitz.errors import BlitzError
from keras_blitz.floatx import precision
from keras_blitz.layers import Dropout, Dropout2d
from keras_blitz.losses import CrossEntropyLoss
from keras_blitz.training import cpu
from keras_blitz.training.callbacks import AfterSteps, EveryStep
from keras_blitz.training.recipes import Recipe
from keras_blitz.training.state import State, read_checkpoint, write_checkpoint
from keras_blitz.training.steps import Loss, count_correct, predict, run_steps, train_step
from keras_blitz.training.transform import Batches, Transform

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
            losses, right = self._steps_of(call.shape[1])(tf.constant(call))
            if not after(losses.numpy(), right.numpy()):
                return

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


LOOPS: dict[str, type[Loop]] = {"fit": FitLoop, "tape": TapeLoop}


class Trainer:
    """A run that can be interrupted, saved and continued to the same bits.

    Dropout of keras_blitz.layers draws PyTorch's masks once `keras_blitz.manual_seed` was called.

    Args:
        model: a network of this package, or any Keras model of images whose first layer says its type.
        optimizer: of keras_blitz.optim.
        loss: (labels, logits) -> the batch's mean loss. Where it has `of_parts`, shards do not wait for each other.
        data: the training images.
        batch_size: images a step; the last of an epoch may be smaller, as in PyTorch.
        shuffle: PyTorch's `DataLoader(shuffle=True)`, drawn from keras_blitz.random.
        normalize: see `Transform`.
        loop: "fit" or "tape".
        counts_correct: count the right answers of each step.
        max_steps: of an epoch; None: all.
        execution: the fields of `cpu.Execution` by name: steps_per_call, jit, shards, pair_steps, autotune.

    Raises:
        BlitzError: another loop.
    """

    def __init__(
        self,
        model: keras.Model,
        optimizer: keras.optimizers.Optimizer,
        loss: Loss,
        data: Split,
        *,
        batch_size: int,
        shuffle: bool = False,
        normalize: tuple[float, float] | None = None,
        loop: str = "fit",
        counts_correct: bool = False,
        max_steps: int | None = None,
        **execution: Any,
    ):
        if loop not in LOOPS:
            raise BlitzError(f"loop must be one of {', '.join(LOOPS)}, not {loop!r}")
        self.model, self.optimizer, self.loss = model, optimizer, loss
        self.steps_per_epoch = -(-len(data) // batch_size)
        dtype = keras.backend.standardize_dtype(model.trainable_variables[0].dtype)
        self._dtype, self._images, self._batch_size, self._shuffle = dtype, len(data), batch_size, shuffle
        self._end = min(self.steps_per_epoch, max_steps or self.steps_per_epoch)
        self.execution = cpu.Execution(**execution).fit_to(model)
        self._state = State.start(dtype)
        self._transform = Transform(normalize, dtype)
        self._loop = LOOPS[loop](
            model, optimizer, loss, Batches(data, self._transform), batch_size, self.steps_per_epoch, dtype,
            counts_correct, self.execution,
        )  # fmt: skip
        optimizer.build(model.trainable_variables)
        _draw_masks(model)

    # The place in the run

    @property
    def epoch(self) -> int:
        """Complete epochs."""
        return self._state.epoch

    @property
    def step(self) -> int:
        """Steps done of the epoch that is not complete."""
        return self._state.step

    @property
    def losses(self) -> np.ndarray:
        """The losses of this epoch's steps; after the epoch, until the next begins, of all of them."""
        return self._state.losses

    @property
    def correct(self) -> np.ndarray:
        """The right answers of the same steps; zeros unless `counts_correct`."""
        return self._state.correct

    # The run

    def run_epoch(self, after: After = lambda losses, right: True) -> bool:
        """Train for what is left of the epoch.

        Args:
            after: called after every call of the graph with the losses and right answers of its steps; False stops.

        Returns:
            Whether the epoch is complete; then `losses` and `correct` are its steps', and the next call begins another.
        """
        state = self._state
        order = state.draw_order(self._images, self._batch_size, self._shuffle)

        def advance(losses: np.ndarray, right: np.ndarray) -> bool:
            state.advance(losses, right)
            return after(losses, right) is not False

        with precision(self._dtype) if self._dtype == "float64" else nullcontext():
            self._loop.run(order[state.step * self._batch_size : self._end * self._batch_size], advance)
        if state.step < self._end:
            state.interrupt()
            return False
        state.end_epoch()
        return True

    def logits(self, data: Split) -> np.ndarray:
        """Return the network's outputs (N, classes) on these images, transformed as in training."""
        return predict(self.model, data.images, self._transform)

    # Saving

    def save(self, path: str | os.PathLike[str], **history: Any) -> None:
        """Write weights, optimizer, random stream and place in the run to one file (.npz), whole or not at all.

        Raises:
            BlitzError: the file cannot be written.
        """
        write_checkpoint(path, self._state, self.variables, self._setting(), history)

    def restore(self, path: str | os.PathLike[str]) -> dict[str, np.ndarray]:
        """Go on from a file of `save`; return its history.

        Raises:
            BlitzError: the file is missing, truncated, or of another run.
        """
        self._state, history = read_checkpoint(path, self.variables, self._setting())
        return history

    @property
    def variables(self) -> list[Any]:
        """What a checkpoint holds: the variables of the model and of the optimizer."""
        return list(chain(self.model.variables, self.optimizer.variables))

    def _setting(self) -> str:
        """Return in words which run this is."""
        values = sum(int(np.prod(variable.shape)) for variable in self.variables)
        order = "shuffled" if self._shuffle else "in order"
        return (
            f"{self.model.name} {self._dtype}, {values:,} values, {self._images} images {order}, "
            f"batch {self._batch_size}"
        )


def trainer_of(recipe: Recipe, data: Split, loop: str, *, dtype: str | None = None, **options: Any) -> Trainer:
    """Return the trainer of a tutorial's run, with the network's initial values drawn.

    Args:
        recipe: the tutorial's hyper-parameters.
        data: the training images.
        loop: "fit" or "tape".
        dtype: of the network.
        options: further ones of `Trainer`, or others than the recipe's.
    """
    network = models.build(recipe.network, dtype=dtype)
    settings = {
        name: getattr(recipe, name) for name in ("batch_size", "shuffle", "normalize", "counts_correct", "shards")
    }
    sgd = optim.SGD(recipe.lr, momentum=recipe.momentum)
    return Trainer(network, sgd, CrossEntropyLoss(), data, loop=loop, **(settings | options))


def _draw_masks(model: keras.Model) -> None:
    """Let dropout draw PyTorch's masks, if a seed was set."""
    if random.default_generator.seeded:
        for layer in model.layers:
            if isinstance(layer, Dropout | Dropout2d) and layer.mask is None:
                layer.draw_masks()
