"""Training in PyTorch's order with `model.fit` or a GradientTape, many steps inside one call of the graph.

All images are in memory as uint8; a step gathers its batch, transforms it and updates, without Python. A graph called
a step at a time would spend as long in between as in the steps of these small networks.
"""

import os
from contextlib import nullcontext
from itertools import chain
from typing import Any

import keras
import numpy as np

from keras_blitz import models, optim, random
from keras_blitz.data.datasets import Split
from keras_blitz.data.sampler import DistributedSampler
from keras_blitz.errors import BlitzError
from keras_blitz.floatx import precision
from keras_blitz.layers import convert_sync_batchnorm
from keras_blitz.losses import CrossEntropyLoss
from keras_blitz.losses.base import Loss as BlitzLoss
from keras_blitz.training import cpu
from keras_blitz.training.distributed import ALONE, Workers
from keras_blitz.training.loops import After, FitLoop, Loop, TapeLoop
from keras_blitz.training.recipes import Recipe
from keras_blitz.training.replicas import ReplicaFitLoop, ReplicaTapeLoop, dropout_layers
from keras_blitz.training.state import State, read_checkpoint, read_contents, write_checkpoint
from keras_blitz.training.steps import Loss, predict
from keras_blitz.training.transform import Batches, Transform

LOOPS: dict[str, type[Loop]] = {"fit": FitLoop, "tape": TapeLoop}
REPLICA_LOOPS: dict[str, type[Loop]] = {"fit": ReplicaFitLoop, "tape": ReplicaTapeLoop}


STREAMS = "streams"  # in a checkpoint's history: each rank's random stream


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
        workers: who trains; with several the model and the optimizer must be made in `workers.scope()`, and the loss be
            one of keras_blitz.losses. `batch_size` is the whole batch's.
        sampler_seed: as DDP, of the `DistributedSampler`.
        execution: the fields of `cpu.Execution` by name: steps_per_call, jit, shards, pair_steps, autotune.

    Raises:
        BlitzError: another loop, a model without weights to train, or what several workers cannot do.
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
        workers: Workers = ALONE,
        sampler_seed: int = 0,
        **execution: Any,
    ):
        if loop not in LOOPS:
            raise BlitzError(f"loop must be one of {', '.join(LOOPS)}, not {loop!r}")
        if not model.trainable_variables:
            raise BlitzError(f"{model.name}: has no weights to train")
        _check_workers(workers, model, loss, batch_size)
        self.model, self.optimizer, self.loss, self.workers = model, optimizer, loss, workers
        self._sampler = None
        if workers.is_ddp:
            self._sampler = DistributedSampler(len(data), workers.replicas, shuffle=shuffle, seed=sampler_seed)
        images = len(self._sampler.whole()) if self._sampler else len(data)
        self.steps_per_epoch = -(-images // batch_size)
        dtype = keras.backend.standardize_dtype(model.trainable_variables[0].dtype)
        self._dtype, self._images, self._batch_size, self._shuffle = dtype, len(data), batch_size, shuffle
        self._end = min(self.steps_per_epoch, max_steps or self.steps_per_epoch)
        self.execution = cpu.Execution(**execution).fit_to(model, alone=workers.strategy is None)
        self._state = State.start(dtype)
        self._transform = Transform(normalize, dtype)
        optimizer.build(model.trainable_variables)
        if random.default_generator.seeded:  # PyTorch's masks
            for layer in dropout_layers(model):
                if layer.mask is None:
                    layer.draw_masks()
        self._loop = (REPLICA_LOOPS if workers.strategy else LOOPS)[loop](
            model, optimizer, loss, Batches(data, self._transform), batch_size, self.steps_per_epoch, dtype,
            counts_correct, self.execution, workers,
        )  # fmt: skip

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
        if self._sampler:
            self._sampler.set_epoch(state.epoch)
        whole = self._sampler.whole() if self._sampler else None
        order = state.draw_order(self._images, self._batch_size, self._shuffle, whole)

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

        Of several processes all must call it: the chief writes.

        Raises:
            BlitzError: the file cannot be written.
        """
        if self.workers.is_ddp:  # each rank has a random stream of its own
            history[STREAMS] = [list(state) for state in self.workers.gather(random.get_state().tobytes())]
        if self.workers.chief:
            write_checkpoint(path, self._state, self.variables, self._setting(), history)
        else:
            _ = [variable.numpy() for variable in self.variables]  # a read may ask the other processes

    def restore(self, path: str | os.PathLike[str]) -> dict[str, np.ndarray]:
        """Go on from a file of `save`; return its history.

        Of several processes all must call it: the chief reads, and hands the file on.

        Raises:
            BlitzError: the file is missing, truncated, or of another run.
        """
        contents = self.workers.share(read_contents(path) if self.workers.chief else b"")
        self._state, history = read_checkpoint(path, self.variables, self._setting(), contents)
        if STREAMS in history:
            random.set_state(history.pop(STREAMS)[self.workers.rank].astype(np.uint8))
            self._state.take_stream()
        return history

    @property
    def variables(self) -> list[Any]:
        """What a checkpoint holds: the variables of the model and of the optimizer."""
        return list(chain(self.model.variables, self.optimizer.variables))

    def _setting(self) -> str:
        """Return in words which run this is."""
        values = sum(int(np.prod(variable.shape)) for variable in self.variables)
        order = "shuffled" if self._shuffle else "in order"
        as_ddp = f", as DDP on {self.workers.replicas}" if self.workers.is_ddp else ""
        return (
            f"{self.model.name} {self._dtype}, {values:,} values, {self._images} images {order}, "
            f"batch {self._batch_size}{as_ddp}"
        )


def trainer_of(
    recipe: Recipe,
    data: Split,
    loop: str,
    *,
    classes: int | None = None,
    dtype: str | None = None,
    workers: Workers = ALONE,
    sync_batchnorm: bool = False,
    **options: Any,
) -> Trainer:
    """Return the trainer of a tutorial's run, with the network's initial values drawn; the chief's, as DDP.

    Args:
        recipe: the tutorial's hyper-parameters.
        data: the training images.
        loop: "fit" or "tape".
        classes: outputs of the network; None: its own.
        dtype: of the network.
        workers: who trains.
        sync_batchnorm: let BatchNorm see the whole batch, see `convert_sync_batchnorm`.
        options: further ones of `Trainer`, or others than the recipe's.
    """  # fmt: skip
    settings = {
        name: getattr(recipe, name) for name in ("batch_size", "shuffle", "normalize", "counts_correct", "shards")
    }
    loss = choose_mean(CrossEntropyLoss(), workers)
    with workers.scope():
        sizes: dict[str, Any] = {"num_classes": classes} if classes and models.head(recipe.network) else {}
        network = models.build(recipe.network, dtype=dtype, **sizes)
        if sync_batchnorm:
            convert_sync_batchnorm(network)
        if workers.is_ddp:
            take_chiefs_values(workers, network)
        sgd = optim.SGD(recipe.lr, momentum=recipe.momentum)
        return Trainer(network, sgd, loss, data, loop=loop, workers=workers, **(settings | options))


def choose_mean(loss: BlitzLoss, workers: Workers) -> BlitzLoss:
    """Set which mean over the replicas a loss is, and return it: the whole batch's, or, as DDP, of the parts' means."""
    loss.over_replicas = "each" if workers.is_ddp else "whole"
    return loss


def take_chiefs_values(workers: Workers, model: keras.Model) -> None:
    """Set a model to what it is in the chief, as DistributedDataParallel does with rank 0's."""
    for variable in model.variables:
        value = np.asarray(variable.numpy())
        variable.assign(np.frombuffer(workers.share(value.tobytes()), value.dtype).reshape(value.shape))


def _check_workers(workers: Workers, model: keras.Model, loss: Loss, batch_size: int) -> None:
    replicas = workers.replicas
    if replicas == 1:
        return
    if not isinstance(loss, BlitzLoss):
        raise BlitzError(f"several workers need a loss of keras_blitz.losses, not {type(loss).__name__}")
    if batch_size < replicas or (workers.is_ddp and batch_size % replicas):
        rule = f"a multiple of {replicas}" if workers.is_ddp else f"at least {replicas}"
        raise BlitzError(f"batch size {batch_size}: {replicas} workers need {rule}, a part for each")
    if workers.is_ddp and replicas > workers.processes and dropout_layers(model):
        raise BlitzError("dropout as in DDP needs a process for each replica, which has its random stream: --workers")
