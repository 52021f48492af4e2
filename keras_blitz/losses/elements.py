"""What the losses over single elements share: shapes, broadcasting, the lower clamp."""

import warnings
from typing import Any

import tensorflow as tf

from keras_blitz.errors import BlitzError
from keras_blitz.losses.base import Loss


class ElementLoss(Loss):
    """A loss of each element of `y_pred` and of `y_true`, broadcast as PyTorch broadcasts them."""

    def _target(self, y_true: tf.Tensor, y_pred: tf.Tensor) -> tf.Tensor:
        """Return y_true in y_pred's dtype.

        Warns:
            UserWarning: the shapes differ and are broadcast.

        Raises:
            BlitzError: the shapes cannot be broadcast.
        """
        try:
            tf.broadcast_static_shape(y_true.shape, y_pred.shape)
        except ValueError:
            raise BlitzError(
                f"{self.name}: y_true {y_true.shape} and y_pred {y_pred.shape} must broadcast to one shape"
            ) from None
        if not y_true.shape.is_compatible_with(y_pred.shape):
            warnings.warn(
                f"{self.name}: y_true {y_true.shape} differs from y_pred {y_pred.shape} and is broadcast, which is"
                " likely a mistake: make the shapes equal",
                stacklevel=4,
            )
        return tf.cast(y_true, y_pred.dtype)


class MarginLoss(ElementLoss):
    """A loss with a margin."""

    def __init__(self, margin: float, reduction: str, name: str | None):
        super().__init__(reduction, name)
        self.margin = float(margin)

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {**super().get_config(), "margin": self.margin}


def number(value: float, like: tf.Tensor) -> tf.Tensor:
    """Return a number in a tensor's dtype; a Python float may pass through float32."""
    return tf.constant(value, like.dtype)


def clamp_min(values: tf.Tensor, least: float) -> tf.Tensor:
    """Return max(values, least) with the gradient of `torch.clamp_min`: 1 where they are equal, where ReLU has 0."""
    return tf.maximum(values, number(least, values))  # its gradient goes to the first of two equal arguments
