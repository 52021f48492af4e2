"""What `fit` adds to a step: the loss's scale, what the model adds to the loss, and the penalties on its weights."""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from keras_blitz import keras_internals
from parity.core.trace import Penalty
from parity.record.weight import Weight


def scaled(optimizer: Any, loss: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor | None]:
    """Return the loss as the optimizer wants it differentiated, and its scale; None where it is the loss itself.

    `LossScaleOptimizer`, and an optimizer's `loss_scale_factor`, keep small gradients of half precision from becoming
    zero; `apply` divides by the scale.
    """
    usual = keras.optimizers.Optimizer.scale_loss
    if optimizer is None or (type(optimizer).scale_loss is usual and optimizer.loss_scale_factor is None):
        return loss, None
    return optimizer.scale_loss(loss), optimizer.scale_loss(tf.ones((), loss.dtype))


def update(optimizer: Any, gradients: list[Any], variables: list[Any]) -> None:
    """Update the variables: by `apply_gradients`, which `fit` calls, where a user's optimizer has its own."""
    if type(optimizer).apply_gradients is keras.optimizers.Optimizer.apply_gradients:
        optimizer.apply(gradients, variables)
    else:
        optimizer.apply_gradients(list(zip(gradients, variables, strict=True)))


def unscaled(gradient: Any, scale: tf.Tensor) -> tf.Tensor | None:
    """Return the gradient of the loss by that of the scaled one."""
    if gradient is None:
        return None
    dense = tf.convert_to_tensor(gradient)
    return dense / tf.cast(scale, dense.dtype)


def with_added(model: Any, loss: tf.Tensor) -> tf.Tensor:
    """Return the loss and what the layers added when the model was called (`add_loss`, activity regularizers)."""
    for added in keras_internals.added_losses(model):
        loss += tf.cast(tf.reduce_sum(added), loss.dtype)
    return loss


def penalty(model: Any, variables: list[Any]) -> tuple[tf.Tensor, list[tf.Tensor | None]] | None:
    """Return the sum of the regularizers' penalties on weights, and its gradients; None where there is no regularizer.

    Args:
        model: a Keras model.
        variables: what to differentiate by; None where the penalty does not depend on one.
    """
    if not any(getattr(variable, "regularizer", None) for variable in variables if variable.trainable):
        return None
    with tf.GradientTape() as tape:
        total = tf.add_n([tf.reduce_sum(each) for each in keras_internals.weight_penalties(model)])
    return total, tape.gradient(total, variables)


def joined(gradients: list[Any], penalties: list[tf.Tensor | None], scale: tf.Tensor | None) -> list[Any]:
    """Return the gradients that the update is made with: of the loss, and of the penalty by the loss's scale."""
    found = []
    for gradient, added in zip(gradients, penalties, strict=True):
        if added is not None:
            added = added if scale is None else added * tf.cast(scale, added.dtype)
            gradient = added if gradient is None else tf.convert_to_tensor(gradient) + added
        found.append(gradient)
    return found


def recorded(
    before: Penalty | None,
    penalty: tuple[tf.Tensor, list[tf.Tensor | None]],
    losses: Sequence[str],
    weights: Sequence[Weight],
    variables: Sequence[Any],
) -> Penalty:
    """Return what was recorded of penalties before, and this one.

    Args:
        before: None at first.
        penalty: its value, and its gradients by `variables`.
        losses: names in the trace of the losses that it is part of.
        weights: those whose gradients are recorded.
        variables: the model's.
    """
    total, gradients = penalty
    values = {} if before is None else dict(before.values)
    values |= {name: total.numpy() for name in losses}
    of = {
        id(variable): np.zeros(variable.shape, variable.dtype) if gradient is None else gradient.numpy()
        for variable, gradient in zip(variables, gradients, strict=True)
    }
    for weight in weights:
        values[f"grad:{weight.name}"] = weight.joined([of[id(variable)] for variable in weight.variables])
    return Penalty(values)
