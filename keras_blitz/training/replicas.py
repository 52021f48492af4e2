"""The two loops where each step is taken by several replicas, and what makes the result one process's or DDP's."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from keras_blitz import random
from keras_blitz.errors import BlitzError
from keras_blitz.keras_internals import inner_layers
from keras_blitz.layers import BatchNorm, Dropout, Dropout2d
from keras_blitz.training import cpu
from keras_blitz.training.callbacks import AfterSteps
from keras_blitz.training.distributed import Workers
from keras_blitz.training.fitting import for_fit
from keras_blitz.training.loops import After, FitLoop, TapeLoop


@dataclass
class ReplicaTapeLoop(TapeLoop):
    """A GradientTape on every replica; many steps in one call of the graph, and one reduction of their losses."""

    _streams: "Streams | None" = field(init=False, default=None)

    def __post_init__(self) -> None:
        dropouts = dropout_layers(self.model)
        if dropouts and not self.workers.is_ddp:
            self._streams = Streams(self.workers)
            self._streams.draw_masks(dropouts)

    def _execute(self, call: np.ndarray) -> tuple[tf.Tensor, tf.Tensor]:
        if self._streams:
            self._streams.align()
        parts = self.workers.strategy.experimental_distribute_values_from_function(
            lambda context: tf.constant(
                call[:, rows_of(call.shape[1], context.replica_id_in_sync_group, self.workers.replicas)]
            )
        )
        losses, right = self._steps_of(call.shape[1])(parts)
        return losses, right // times_counted(call.shape[1], self.workers.replicas)

    def _steps_of(self, batch_size: int) -> Callable[..., Any]:
        if batch_size not in self._compiled:
            steps = partial(self._steps_on_replicas, batch_size=batch_size)
            self._compiled[batch_size] = tf.function(steps, reduce_retracing=True)
        return self._compiled[batch_size]

    def _steps_on_replicas(self, order: Any, batch_size: int) -> tuple[tf.Tensor, tf.Tensor]:
        """Take the steps, then add up what the replicas got, once for all steps.

        The loop is outside of `strategy.run`: a reduction inside of a loop inside of it raises.
        """
        if self._streams:
            self._streams.batch_size = batch_size  # while the graph is made
        strategy = self.workers.strategy
        local = strategy.experimental_local_results
        count = tf.shape(local(order)[0])[0]
        losses = tf.TensorArray(self.dtype, count, element_shape=(len(local(order)),))
        right = tf.TensorArray(tf.int64, count, element_shape=(len(local(order)),))
        for step in tf.range(count):
            # Or a step would draw its masks before the last one has.
            tf.autograph.experimental.set_loop_options(parallel_iterations=1)
            loss, answers = strategy.run(self._replica_step, args=(order, step))
            losses = losses.write(step, tf.stack(local(loss)))
            right = right.write(step, tf.stack(local(answers)))
        return self._add_up(losses.stack()), self._add_up(right.stack())

    def _replica_step(self, order: tf.Tensor, step: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        if self.workers.is_ddp:
            broadcast_buffers(self.model)
        return self._one_step(order[step])

    def _add_up(self, values: tf.Tensor) -> tf.Tensor:
        """Return the sum (steps,) over all replicas of what this process's have (steps, local)."""
        strategy = self.workers.strategy

        def own() -> tf.Tensor:
            replica = tf.distribute.get_replica_context().replica_id_in_sync_group
            return tf.gather(values, replica % values.shape[1], axis=1)

        return strategy.reduce("SUM", strategy.run(own), axis=None)


@dataclass
class ReplicaFitLoop(FitLoop):
    """`model.fit` on every replica, see `for_fit`; a step in each call of the graph, for Keras's loop of many in one
    call (`steps_per_execution`) raises under a strategy.
    """

    def __post_init__(self) -> None:
        if dropout_layers(self.model):
            raise BlitzError("dropout on several workers needs --loop tape: fit does not say how large the batch is")
        if self.workers.is_ddp and any(isinstance(layer, BatchNorm) for layer in inner_layers(self.model)):
            raise BlitzError("BatchNorm as in DDP needs --loop tape: fit does not broadcast its buffers")
        with self.workers.scope():
            self.model = for_fit(self.model)
        self.execution = replace(self.execution, steps_per_call=1)

    def run(self, order: np.ndarray, after: After) -> None:
        """Train on the images at these indices (N,), in this order, until `after` returns False."""
        with self.workers.scope():
            if self._metric is None:
                self._metric = self._compile()
            data = self.workers.strategy.distribute_datasets_from_function(partial(self._dataset, order))
            self.model.fit(
                data, shuffle=False, verbose=0, steps_per_epoch=-(-len(order) // self.batch_size),
                callbacks=[AfterSteps(self._metric, self._counted_once(order, after))],
            )  # fmt: skip

    def _dataset(self, order: np.ndarray, context: tf.distribute.InputContext) -> tf.data.Dataset:
        """Return the batches of this process's replicas, one after the other."""
        replicas = self.workers.replicas
        local = replicas // context.num_input_pipelines
        first = context.input_pipeline_id * local

        def parts() -> Iterator[np.ndarray]:
            for start in range(0, len(order), self.batch_size):
                for replica in range(first, first + local):
                    batch = order[start : start + self.batch_size]
                    yield batch[rows_of(len(batch), replica, replicas)]

        data = tf.data.Dataset.from_generator(parts, output_signature=tf.TensorSpec((None,), tf.int64))
        return cpu.without_autotune(data.map(self.read).prefetch(2))

    def _counted_once(self, order: np.ndarray, after: After) -> After:
        """Return `after` with the right answers of a last batch that every replica took whole counted once."""
        steps, taken = -(-len(order) // self.batch_size), 0
        times = times_counted(len(order) - (steps - 1) * self.batch_size, self.workers.replicas)

        def once(losses: np.ndarray, right: np.ndarray) -> bool:
            nonlocal taken
            taken += len(losses)
            if taken == steps and times > 1:
                right = np.append(right[:-1], right[-1] // times)
            return after(losses, right)

        return once


def rows_of(batch_size: int, replica: int, replicas: int) -> slice:
    """Return a replica's part of a batch: of W replicas every W-th image, from its own number on.

    A batch that is too small to give each replica one goes to all of them whole: then the sums of losses and divisors
    are W times the batch's, and the mean is the batch's.
    """
    return slice(int(replica), None, replicas) if batch_size >= replicas else slice(None)


def times_counted(batch_size: int, replicas: int) -> int:
    """Return how often a sum over the replicas counts each image."""
    return 1 if batch_size >= replicas else replicas


def dropout_layers(model: keras.Model) -> list[Any]:
    """Return the layers that draw masks, however deep."""
    return [layer for layer in inner_layers(model) if isinstance(layer, Dropout | Dropout2d)]


def broadcast_buffers(model: keras.Model) -> None:
    """Give every replica the first one's running statistics, as DistributedDataParallel does before each forward pass.

    So the last step's own statistics are in each rank's buffers at the end, on top of rank 0's.
    """
    layers = [layer for layer in inner_layers(model) if isinstance(layer, BatchNorm) and layer.track_running_stats]
    buffers = [variable for layer in layers for variable in (layer.moving_mean, layer.moving_variance)]
    if not buffers:
        return
    context = tf.distribute.get_replica_context()
    first = tf.equal(context.replica_id_in_sync_group, 0)
    values = [tf.where(first, variable.value, tf.zeros_like(variable.value)) for variable in buffers]
    for variable, value in zip(buffers, context.all_reduce("sum", values), strict=True):
        variable.assign(value)


class Streams:
    """The random streams of this process's replicas, for dropout as one process draws it.

    Every replica draws the whole batch's mask and keeps its own rows, so that all streams stay where one process's is.

    Args:
        workers: who trains.
    """

    def __init__(self, workers: Workers):
        local = workers.replicas // workers.processes
        self._replicas = workers.replicas
        self._generators = [random.default_generator, *(random.Generator() for _ in range(local - 1))]
        self.batch_size = 0  # of the whole batch

    def align(self) -> None:
        """Put every replica's stream where the process's is."""
        for generator in self._generators[1:]:
            generator.set_state(random.get_state())

    def draw_masks(self, layers: list[Any]) -> None:
        """Let these layers draw their masks here."""
        for layer in layers:
            layer.mask = partial(self._mask, layer)

    def _mask(self, layer: Any, shape: tuple[int, ...]) -> tf.Tensor:
        """Return this replica's rows of a mask as a tensor that is drawn when the graph runs."""
        whole, kind = (self.batch_size, *shape[1:]), layer.compute_dtype

        def rows(replica: Any) -> np.ndarray:
            generator = self._generators[int(replica) % len(self._generators)]
            flat = isinstance(layer, keras.layers.SpatialDropout2D)
            draw = generator.dropout2d_mask if flat else generator.dropout_mask
            return draw(whole, layer.rate, kind, True)[rows_of(whole[0], replica, self._replicas)]

        return tf.numpy_function(rows, [tf.distribute.get_replica_context().replica_id_in_sync_group], kind)
