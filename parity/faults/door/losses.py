"""Mistakes in the loss."""

import keras
import numpy as np
import tensorflow as tf
from keras import ops

from keras_blitz import losses
from parity.faults.door.handed import argument, keras_loss
from parity.faults.door.mistake import at, refused, undecided
from parity.faults.door.plain import Scaled, auxiliary_loss
from parity.faults.fault import fault

SPARSE = keras.losses.SparseCategoricalCrossentropy
ONE_HOT = keras.losses.CategoricalCrossentropy
BINARY = keras.losses.BinaryCrossentropy


def set_afterwards(factor: float):
    """Return a loss whose factor is set after construction."""
    loss = Scaled()
    loss.factor = factor
    return loss


def reversed_target(target, output):
    """Return the mean squared error to the examples in the other order."""
    return ops.mean((output - target[::-1]) ** 2)


def summed_outputs(target, output):
    """Return the sum over the outputs of the mean over the examples."""
    return ops.mean(ops.sum((output - target) ** 2, -1))


def nothing(*_):
    """Return no loss, as a function does that forgets to."""


MISTAKES = (
    fault(
        "door-loss-summed", "the sum for the mean", "gap mse-reduction",
        at("mlp", "loss", keras_loss(keras.losses.MeanSquaredError(reduction="sum"))),
        at("mlp-momentum", "loss", keras_loss(SPARSE(from_logits=True, reduction="sum"))),
        at("mlp-nesterov", "loss", keras_loss(summed_outputs)),
    ),
    fault(
        "door-from-logits", "logits taken for probabilities", "public reports",
        at("mlp-momentum", "loss", keras_loss(SPARSE())),
        at("binary", "loss", keras_loss(BINARY())),
        at("smoothed", "loss", keras_loss(ONE_HOT(label_smoothing=0.1))),
    ),
    fault(
        "door-another-loss", "another loss", "mistaken argument",
        at("mlp", "loss", keras_loss(keras.losses.MeanAbsoluteError())),
        at("mlp", "loss", keras_loss(keras.losses.Huber())),
        at("residual", "loss", keras_loss(keras.losses.LogCosh())),
    ),
    fault(
        "door-smoothing", "another label smoothing", "mistaken argument",
        at("smoothed", "loss", keras_loss(ONE_HOT(from_logits=True))),
        at("smoothed", "loss", keras_loss(ONE_HOT(from_logits=True, label_smoothing=0.2))),
    ),
    fault(
        "door-class-weights", "class weights on one side, or in another order", "public reports",
        at("class-weights", "loss", keras_loss(losses.CrossEntropyLoss())),
        at("class-weights", "loss", keras_loss(losses.CrossEntropyLoss(weight=np.array([3.0, 1.0, 0.5])))),
    ),
    fault(
        "door-ignore-index", "targets to be ignored that are not, or that count in the mean", "public reports",
        at("ignored-class", "loss", keras_loss(losses.CrossEntropyLoss())),
        at("ignored-class", "loss", keras_loss(SPARSE(from_logits=True))),
        at("ignored-class", "loss", keras_loss(losses.CrossEntropyLoss(ignore_index=2))),
    ),
    fault(
        "door-loss-weights", "another weight of the auxiliary loss", "public reports",
        at("auxiliary", "loss", argument(loss=auxiliary_loss(1.0))),
        at("auxiliary", "loss", argument(loss=auxiliary_loss(0.0))),
    ),
    fault(
        "door-loss-attribute", "a Loss subclass with another attribute", "public reports of copies that differ",
        at("own-loss", "loss", keras_loss(Scaled())),
        at("own-loss", "loss", keras_loss(set_afterwards(2.0))),
        at("mlp", "loss", keras_loss(set_afterwards(3.0))),
    ),
    fault(
        "door-target-order", "targets in another order", "public reports of shuffled pipelines",
        at("mlp", "loss", keras_loss(reversed_target)),
        at("mlp-momentum", "loss", keras_loss(lambda t, o: SPARSE(from_logits=True)(tf.roll(t, 1, 0), o))),
    ),
    fault(
        "door-loss-arguments", "(output, target) for (target, output)", "public reports",
        at("binary", "loss", keras_loss(lambda target, output: BINARY()(output, target))),
        at("probabilities", "loss", keras_loss(lambda target, output: ops.mean(ops.cast(target, output.dtype)))),
    ),
    fault(
        "door-loss-detached", "a loss that passes no gradient on", "mistaken code",
        at("mlp", "grad:*", keras_loss(lambda target, output: ops.mean((ops.stop_gradient(output) - target) ** 2))),
        at("residual", "grad:*", keras_loss(lambda t, o: ops.mean((ops.stop_gradient(o) - t) ** 2))),
    ),
    fault(
        "door-loss-is-none", "a loss that returns nothing", "public reports",
        undecided("own-loss", "None", argument(loss=(nothing, nothing))),
        refused("mlp-momentum", "None", keras_loss(nothing)),
    ),
)  # fmt: skip
