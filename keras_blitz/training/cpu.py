"""What makes training fast on a CPU; each can be switched off.

The figures are steps per second on two cores with AVX-512. None of this changes a result beyond the order in which a
sum is taken.
"""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from keras_blitz import speed

LoopState = tuple[Any, ...]  # of a loop: the number of the next step, and what the steps hand on
Parts = tuple[tf.Tensor, ...]  # of a batch


@dataclass(frozen=True)
class Execution:
    """How the steps of a run are executed.

    Args:
        steps_per_call: steps inside one call of the graph, ≥ 1. With 1 these small networks would spend as long between
            the calls as in them.
        jit: compile with XLA; False: never; None: where `is_dense`.
        shards: parts of a batch that the tape computes at the same time, one thread each; 1: off. See
            `forward_in_shards`.
        pair_steps: two steps per turn of the tape's compiled loop; False: one. See `run_pairs`.
        autotune: tf.data's, for `fit`. See `without_autotune`.
    """

    steps_per_call: int = 100
    jit: bool | None = None
    shards: int = 1
    pair_steps: bool = True
    autotune: bool = False

    def fit_to(self, model: keras.Model, alone: bool = True) -> "Execution":
        """Return what a model can take: `jit` decided, and no shards where the model has a state.

        Args:
            model: the network.
            alone: no `tf.distribute` strategy, under which XLA does not compile and a step has no shards.
        """
        if not alone:
            return replace(self, jit=False, shards=1)
        jit = is_dense(model) if self.jit is None else self.jit
        return replace(self, jit=jit, shards=1 if has_state(model) else self.shards)


def tune_cpu(inside: int, beside: int, *, keep_kernels: bool = True) -> None:
    """Set TensorFlow up for small networks on a CPU; call it before TensorFlow's first operation.

    A batch of 4 (CIFAR-10) is too little work to be shared: with two threads a step takes twice the time.

    Args:
        inside: threads inside one operation; 0: as many as cores, and `beside` does not count.
        beside: operations at the same time.
        keep_kernels: let oneDNN keep the kernels of a convolution's gradients in place of making them again at each
            step, TensorFlow's default, which saves memory: CIFAR-10 1,700 → 2,100. It is the environment variable
            TF_MKL_OPTIMIZE_PRIMITIVE_MEMUSE, and one that is set already stays.
    """
    if inside:
        tf.config.threading.set_intra_op_parallelism_threads(inside)
        tf.config.threading.set_inter_op_parallelism_threads(beside)
        speed.choose(halved_products=inside == 1)
    if keep_kernels:
        os.environ.setdefault("TF_MKL_OPTIMIZE_PRIMITIVE_MEMUSE", "false")


def share_cores(threads: tuple[int, int], processes: int) -> tuple[int, int]:
    """Return the threads of one of several processes on a machine: where all cores were asked for, its share."""
    share = max(1, (os.cpu_count() or 1) // processes)
    inside, beside = (share if processes > 1 and count == 0 else count for count in threads)
    return inside, beside


def has_state(model: keras.Model) -> bool:
    """Return whether a network has a state that a step changes: BatchNorm's statistics, dropout's seed."""
    return bool(model.non_trainable_variables)


def is_dense(model: keras.Model) -> bool:
    """Return whether XLA makes a network faster: it has no convolution and no state.

    XLA around the whole loop of steps: Fashion-MNIST 655 → 895; around each step alone, 680. Convolutions, whose
    kernels have more than two axes, become many times slower.
    """
    return not has_state(model) and all(len(variable.shape) < 3 for variable in model.variables)


def run_pairs(body: Callable[..., LoopState], count: tf.Tensor, state: LoopState, variables: Sequence[Any]) -> Any:
    """Run a compiled loop two steps per turn, while two are left; return its state.

    With one step per turn XLA copies the weights that the gradient still reads while they are written. Its schedule
    follows the order in which a turn first reads its state, so the first layer's weights, whose gradient is ready
    last, are read last. Both together: Fashion-MNIST 852 → 876; either alone, from 2 % faster to slower.

    Args:
        body: (number, …) -> the state after step `number`.
        count: number of steps.
        state: what `body` takes, the number of the next step first.
        variables: the model's trainable variables; the first two are the first layer's.
    """

    def two_steps(*state: Any) -> LoopState:
        for variable in variables[2:]:
            tf.identity(variable.value)
        return body(*body(*state))

    return tf.while_loop(lambda number, *_: number + 1 < count, two_steps, state, parallel_iterations=1)


def read_in_shards(read: Callable[..., Any], indices: tf.Tensor, shards: int) -> tuple[Parts, Parts]:
    """Return the images and the labels of a batch as `shards` parts of nearly the same size, each read by itself."""
    sizes = [len(part) for part in np.array_split(range(indices.shape[0]), shards)]
    images, labels = zip(*(read(part) for part in tf.split(indices, sizes)), strict=True)
    return images, labels


def forward_in_shards(
    model: keras.Model, loss: Callable[..., tf.Tensor], images: Parts, labels: Parts
) -> tuple[tf.Tensor, tf.Tensor]:
    """Return the logits and the loss of a batch whose shards are computed at the same time, one thread each.

    Threads that share small operations mostly wait for each other; a core for each shard of MNIST's batch: 310 → 430,
    with 3 or 4 shards 4 to 13 % slower than that. A loss with `of_parts` takes the shards as they are, so that the
    gradient of one does not wait for the others: another 6 to 7 %. Gradients are those of the whole batch, except for
    the order in which they are summed.
    """
    logits = [model(part, training=True) for part in images]
    whole = tf.concat(logits, 0)
    of_parts = getattr(loss, "of_parts", None)
    return whole, of_parts(labels, logits) if of_parts else loss(tf.concat(labels, 0), whole)


def without_autotune(data: tf.data.Dataset) -> tf.data.Dataset:
    """Return a data set without autotune.

    The end of each epoch of `fit` waits for autotune's thread, which sleeps for 2.55 s, 5.11 s and so on.
    """
    options = tf.data.Options()
    options.autotune.enabled = False
    return data.with_options(options)
