"""What `fit` adds to a step: the loss's scale, what the model adds to the loss, and the penalties on its weights."""

from collections.abc import Callable, Sequence
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
    if loss is None:  # which the recorder says
        return loss
    for added in keras_internals.added_losses(model):
        loss += tf.cast(tf.reduce_sum(added), loss.dtype)
    return loss


def total(model: Any) -> tf.Tensor:
    """Return the sum of the penalties that a model's regularizers put on its weights."""
    return tf.add_n([tf.reduce_sum(each) for each in keras_internals.weight_penalties(model)])


Penalties = tuple[tf.Tensor, list[tf.Tensor | None]]  # their sum, and its gradient by each of the variables


def penalty(total: Callable[[], tf.Tensor], variables: list[Any]) -> Penalties:
    """Return the regularizers' penalties on weights, and their gradients.

    Args:
        total: () -> the sum of the penalties.
        variables: what to differentiate by; None where the penalty does not depend on one.
    """
    with tf.GradientTape() as tape:
        value = total()
    return value, tape.gradient(value, variables)


def _moved_penalty(total: Callable[[], tf.Tensor], variables: list[Any]) -> Penalties:
    """Return the same where every weight has another value, none of which is zero; the weights are put back."""
    held = [variable.numpy() for variable in variables]
    try:
        for variable, value in zip(variables, held, strict=True):
            ramp = np.linspace(1, 2, value.size).reshape(value.shape)
            variable.assign(value + np.where(value < 0, -ramp, ramp).astype(value.dtype))
        return penalty(total, variables)
    finally:
        for variable, value in zip(variables, held, strict=True):
            variable.assign(value)


def joined(gradients: list[Any], penalties: list[tf.Tensor | None], scale: tf.Tensor | None) -> list[Any]:
    """Return the gradients that the update is made with: of the loss, and of the penalty by the loss's scale."""
    found = []
    for gradient, added in zip(gradients, penalties, strict=True):
        if added is not None:
            added = added if scale is None else added * tf.cast(scale, added.dtype)
            gradient = added if gradient is None else tf.convert_to_tensor(gradient) + added
        found.append(gradient)
    return found


class PenaltyRecord:
    """What is recorded of the penalties, step by step.

    Args:
        weights: the parameters.
        variables: the model's.
        total: () -> the sum of the penalties.
    """

    def __init__(self, weights: Sequence[Weight], variables: list[Any], total: Callable[[], tf.Tensor]):
        self._weights, self._variables = weights, variables
        self._values: dict[str, np.ndarray] = {}
        self._moved = self._largest(_moved_penalty(total, variables))
        self._steps: list[dict[str, float]] = []

    def add(self, penalty: Penalties, losses: Sequence[str]) -> None:
        """Add a step's.

        Args:
            penalty: of the step.
            losses: names in the trace of the losses that it is part of.
        """
        self._values |= {name: penalty[0].numpy() for name in losses}
        if not self._steps:
            self._values |= {f"grad:{name}": value for name, value in self._of_weights(penalty).items()}
        self._steps.append(self._largest(penalty))

    def penalty(self) -> Penalty | None:
        """Return what was recorded; None where there was no loss."""
        if not self._steps:
            return None
        steps = {name: tuple(step[name] for step in self._steps) for name in self._moved}
        return Penalty(self._values, steps, self._moved)

    def _of_weights(self, penalty: Penalties) -> dict[str, np.ndarray]:
        of = {
            id(variable): np.zeros(variable.shape, variable.dtype) if gradient is None else gradient.numpy()
            for variable, gradient in zip(self._variables, penalty[1], strict=True)
        }
        return {one.name: one.joined([of[id(variable)] for variable in one.variables]) for one in self._weights}

    def _largest(self, penalty: Penalties) -> dict[str, float]:
        found = self._of_weights(penalty)
        return {name: float(np.abs(value).max(initial=0.0)) for name, value in found.items()}
