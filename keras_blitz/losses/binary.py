"""`torch.nn.BCELoss` and `BCEWithLogitsLoss`: yes or no, element by element."""

from typing import Any

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf

from keras_blitz.errors import BlitzError
from keras_blitz.losses.base import Loss, as_array, as_list

# PyTorch's gradient divides by a float32 constant, in float64 too: not 1e-12 but 9.999999960041972e-13.
EPSILON = float(np.float32(1e-12))


class _BinaryLoss(Loss):
    """A weight for each element, and equal shapes."""

    def __init__(self, weight: npt.ArrayLike | None, reduction: str, name: str | None):
        super().__init__(reduction, name)
        self.weight = as_array(weight)

    def _check_shapes(self, y_true: tf.Tensor, y_pred: tf.Tensor) -> None:
        if not y_true.shape.is_compatible_with(y_pred.shape):
            raise BlitzError(f"{self.name}: y_true {y_true.shape} must have y_pred's shape {y_pred.shape}")

    def _weighted(self, losses: tf.Tensor) -> tf.Tensor:
        return losses if self.weight is None else losses * tf.constant(self.weight, losses.dtype)

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {**super().get_config(), "weight": as_list(self.weight)}


@keras.saving.register_keras_serializable("keras_blitz")
class BCELoss(_BinaryLoss):
    """The binary cross entropy of probabilities p.

    l = −w · (y · max(log p, −100) + (1 − y) · max(log(1 − p), −100))
    ∂l/∂p = w · (p − y) / max(p · (1 − p), ε)        ε = 1e-12 as float32

    The gradient is PyTorch's own formula, not the derivative of the clamped logarithm.
    `keras.losses.BinaryCrossentropy` clips p to [1e-7, 1 − 1e-7] instead: 16.1 for PyTorch's 100, and no gradient
    outside (gap bce-clamp).

    Args:
        weight: multiplies the losses, broadcast to them; None: 1.
        reduction: "none", "mean" or "sum".
        name: shown by Keras.

    Shapes:
        y_true and y_pred alike, of any shape, 0–1.

    Raises:
        BlitzError: shapes that differ or, in eager mode, a value outside 0–1. Compiled, p outside 0–1 is NaN.

    Source: torch/nn/modules/loss.py.
    """

    def __init__(self, weight: npt.ArrayLike | None = None, reduction: str = "mean", name: str | None = None):
        super().__init__(weight, reduction, name)

    def call(self, y_true: tf.Tensor, y_pred: tf.Tensor) -> tf.Tensor:
        """Return the unreduced losses."""
        self._check_shapes(y_true, y_pred)
        y_true = tf.cast(y_true, y_pred.dtype)
        if tf.executing_eagerly():
            self._check_range("y_true", y_true.numpy())
            self._check_range("y_pred", y_pred.numpy())
        return self._weighted(_binary_cross_entropy(y_pred, y_true))

    def _check_range(self, argument: str, values: npt.NDArray[Any]) -> None:
        outside = values[~((values >= 0) & (values <= 1))]
        if outside.size:
            raise BlitzError(f"{self.name}: {argument} must be in 0–1, found {float(outside[0])}")


@tf.custom_gradient  # type: ignore[untyped-decorator]
def _binary_cross_entropy(p: tf.Tensor, y: tf.Tensor) -> tuple[tf.Tensor, Any]:
    floor = tf.constant(-100, p.dtype)
    losses = (y - 1) * tf.maximum(tf.math.log1p(-p), floor) - y * tf.maximum(tf.math.log(p), floor)

    def gradient(upstream: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        to_p = upstream * (p - y) / tf.maximum((1 - p) * p, tf.constant(EPSILON, p.dtype))
        return to_p, -upstream * tf.math.log(p / (1 - p))

    return losses, gradient


@keras.saving.register_keras_serializable("keras_blitz")
class BCEWithLogitsLoss(_BinaryLoss):
    """The binary cross entropy of logits x.

    l = w · ((1 − y) · x − (1 + (pos_weight − 1) · y) · log σ(x))

    Keras's `BinaryCrossentropy(from_logits=True)` is the same without weights, and has no `pos_weight`.

    Args:
        weight: multiplies the losses, broadcast to them; None: 1.
        reduction: "none", "mean" or "sum".
        pos_weight: weight of the positive part, ≥ 0, broadcast to the losses, say one a class (last axis); None: 1.
        name: shown by Keras.

    Shapes:
        y_true and y_pred alike, of any shape; y_true 0–1.

    Raises:
        BlitzError: shapes that differ.

    Source: torch/nn/modules/loss.py.
    """

    takes = "logits"

    def __init__(
        self,
        weight: npt.ArrayLike | None = None,
        reduction: str = "mean",
        pos_weight: npt.ArrayLike | None = None,
        name: str | None = None,
    ):
        super().__init__(weight, reduction, name)
        self.pos_weight = as_array(pos_weight)

    def call(self, y_true: tf.Tensor, y_pred: tf.Tensor) -> tf.Tensor:
        """Return the unreduced losses."""
        self._check_shapes(y_true, y_pred)
        y = tf.cast(y_true, y_pred.dtype)
        log_sigmoid = tf.math.log_sigmoid(y_pred)
        if self.pos_weight is not None:
            log_sigmoid *= (tf.constant(self.pos_weight, y.dtype) - 1) * y + 1
        return self._weighted((1 - y) * y_pred - log_sigmoid)

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {**super().get_config(), "pos_weight": as_list(self.pos_weight)}
