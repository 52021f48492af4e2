"""One step of training as the tutorials write it, many of them in one call of the graph, and prediction."""

from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from keras_blitz.training import cpu

PIXELS = 1000 * 32 * 32  # of the images that are predicted at a time; ResNet18 takes 8 GB for 1000 of 224×224

Loss = Callable[[tf.Tensor, tf.Tensor], tf.Tensor]
Step = Callable[[tf.Tensor], tuple[tf.Tensor, tf.Tensor]]


def forward(model: keras.Model, loss: Loss, images: tf.Tensor, labels: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Return the logits (N, C) of a batch in train mode, and its loss."""
    logits = model(images, training=True)
    return logits, loss(labels, logits)


def train_step(
    model: keras.Model,
    optimizer: keras.optimizers.Optimizer,
    loss: Loss,
    images: Any,
    labels: Any,
    forward: Callable[..., tuple[tf.Tensor, tf.Tensor]] = forward,
) -> tuple[tf.Tensor, tf.Tensor]:
    """Take one step: forward, backward, update.

    L = loss(y, model(x))
    p ← optimizer(p, ∂L/∂p)

    Args:
        model: the network.
        optimizer: built for the model's trainable variables.
        loss: (labels, logits) -> the batch's mean loss.
        images: x (N, H, W, C), as the network takes them.
        labels: y (N,).
        forward: (model, loss, images, labels) -> logits and loss; `cpu.forward_in_shards` takes lists of shards.

    Returns:
        The logits (N, C) and the loss, both of before the update.
    """
    variables = model.trainable_variables
    with tf.GradientTape() as tape:
        logits, value = forward(model, loss, images, labels)
    optimizer.apply(tape.gradient(value, variables), variables)
    return logits, value


def count_correct(labels: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
    """Return how many of the answers are right."""
    return tf.math.count_nonzero(tf.argmax(logits, -1) == tf.cast(labels, tf.int64))


def run_steps(
    step: Step, order: tf.Tensor, dtype: str, pairs_of: Sequence[Any] | None = None
) -> tuple[tf.Tensor, tf.Tensor]:
    """Run a step for each batch, without Python in between.

    Args:
        step: indices (N,) -> the step's loss and number of right answers.
        order: the indices of each step's images (steps, N).
        dtype: of the losses.
        pairs_of: the model's trainable variables: two steps per turn while there are two, see `cpu.run_pairs`. None:
            one step per turn.

    Returns:
        The losses (steps,) and the right answers (steps,).
    """
    count = tf.shape(order)[0]
    losses = tf.TensorArray(dtype, count, element_shape=())
    right = tf.TensorArray(tf.int64, count, element_shape=())

    def body(number: tf.Tensor, losses: tf.TensorArray, right: tf.TensorArray) -> cpu.LoopState:
        loss, answers = step(order[number])
        return number + 1, losses.write(number, loss), right.write(number, answers)

    state = tf.constant(0), losses, right
    if pairs_of is not None:
        state = cpu.run_pairs(body, count, state, pairs_of)
    _, losses, right = tf.while_loop(lambda number, *_: number < count, body, state, parallel_iterations=1)
    return losses.stack(), right.stack()


def predict(
    model: keras.Model, images: np.ndarray, transform: Callable[..., Any], batch_size: int | None = None
) -> np.ndarray:
    """Return a model's outputs on uint8 images, in eval mode; `model.predict` would ask for them transformed.

    Args:
        model: the network.
        images: (N, H, W, C) uint8.
        transform: from these to what the network takes.
        batch_size: images at a time; None: 1000, and of larger ones than 32×32 as many as have as many pixels.
    """
    if batch_size is None:
        batch_size = max(1, min(1000, PIXELS // (images.shape[1] * images.shape[2])))

    @tf.function(reduce_retracing=True)
    def outputs(part: tf.Tensor) -> tf.Tensor:
        return model(transform(part), training=False)

    return np.concatenate([outputs(images[i : i + batch_size]).numpy() for i in range(0, len(images), batch_size)])
