"""`torch.nn.HingeEmbeddingLoss`, `SoftMarginLoss` and the losses of many classes with a margin."""

from typing import Any

import keras
import numpy.typing as npt
import tensorflow as tf

from keras_blitz.errors import BlitzError
from keras_blitz.losses.base import Loss, as_array, as_list
from keras_blitz.losses.elements import ElementLoss, MarginLoss, clamp_min, number


@keras.saving.register_keras_serializable("keras_blitz")
class HingeEmbeddingLoss(MarginLoss):
    """A distance x where the pair is alike (y = 1), what it lacks to the margin where it is not (y = −1).

    l = x                    where y ≠ −1
      + max(margin − x, 0)   where y ≠ 1

    `keras.losses.Hinge` is max(1 − y · x, 0), another loss (gap hinge-embedding: 2.0e+0).

    Args:
        margin: see above.
        reduction: "none", "mean" or "sum".
        name: shown by Keras.

    Shapes:
        y_true and y_pred alike, of any shape; y_true 1 or −1.

    Warns:
        UserWarning: the shapes differ and are broadcast, likely a mistake.

    Raises:
        BlitzError: the shapes cannot be broadcast.

    Source: torch/nn/modules/loss.py.
    """

    def __init__(self, margin: float = 1.0, reduction: str = "mean", name: str | None = None):
        super().__init__(margin, reduction, name)

    def call(self, y_true: tf.Tensor, y_pred: tf.Tensor) -> tf.Tensor:
        """Return the unreduced losses."""
        y, zeros = self._target(y_true, y_pred), tf.zeros_like(y_pred)
        apart = tf.where(y != 1, clamp_min(number(self.margin, y_pred) - y_pred, 0), zeros)
        return apart + tf.where(y != -1, y_pred, zeros)


@keras.saving.register_keras_serializable("keras_blitz")
class SoftMarginLoss(ElementLoss):
    """The logistic loss of a score x and a class y of 1 or −1.

    l = log(1 + e^(−y · x))
    ∂l/∂x = −y · z / (1 + z)        z = e^(−y · x)

    The exponential overflows as PyTorch's does: beyond −y · x = 709 (float32: 88) the loss is infinite and its gradient
    NaN (gap soft-margin). The target has no gradient. Keras has no such loss.

    Args:
        reduction: "none", "mean" or "sum".
        name: shown by Keras.

    Shapes:
        y_true and y_pred alike, of any shape; y_true 1 or −1.

    Warns:
        UserWarning: the shapes differ and are broadcast, likely a mistake.

    Raises:
        BlitzError: the shapes cannot be broadcast.

    Source: torch/nn/modules/loss.py.
    """

    def call(self, y_true: tf.Tensor, y_pred: tf.Tensor) -> tf.Tensor:
        """Return the unreduced losses."""
        y = tf.stop_gradient(self._target(y_true, y_pred))
        return _log_1_plus_exp(-y * y_pred)


@tf.custom_gradient  # type: ignore[untyped-decorator]
def _log_1_plus_exp(x: tf.Tensor) -> tuple[tf.Tensor, Any]:
    z = tf.exp(x)
    return tf.math.log1p(z), lambda upstream: upstream * z / (1 + z)


@keras.saving.register_keras_serializable("keras_blitz")
class MultiLabelSoftMarginLoss(Loss):
    """The binary cross entropy of logits x, averaged over the classes.

    l = −Σ_c w[c] · (y[c] · log σ(x[c]) + (1 − y[c]) · log σ(−x[c])) / C

    Keras's `BinaryCrossentropy(from_logits=True)` is the same without weights, and has none (gap
    multilabel-soft-margin: 6.7e-1).

    Args:
        weight: C class weights; None: all 1.
        reduction: "none", "mean" or "sum".
        name: shown by Keras.

    Shapes:
        y_true and y_pred alike (…, C); y_true 0–1. Losses (…).

    Raises:
        BlitzError: shapes that differ.

    Source: torch/nn/modules/loss.py.
    """

    takes = "logits"

    def __init__(self, weight: npt.ArrayLike | None = None, reduction: str = "mean", name: str | None = None):
        super().__init__(reduction, name)
        self.weight = as_array(weight)

    def call(self, y_true: tf.Tensor, y_pred: tf.Tensor) -> tf.Tensor:
        """Return the unreduced losses, of y_pred's shape without its last axis."""
        if not y_pred.shape.rank or not y_true.shape.is_compatible_with(y_pred.shape):
            raise BlitzError(
                f"{self.name}: y_true {y_true.shape} must have y_pred's shape {y_pred.shape}, with classes"
            )
        y = tf.cast(y_true, y_pred.dtype)
        losses = -(y * tf.math.log_sigmoid(y_pred) + (1 - y) * tf.math.log_sigmoid(-y_pred))
        if self.weight is not None:
            losses *= tf.constant(self.weight, losses.dtype)
        return tf.reduce_sum(losses, -1) / number(y_pred.shape[-1], losses)

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {**super().get_config(), "weight": as_list(self.weight)}


@keras.saving.register_keras_serializable("keras_blitz")
class MultiMarginLoss(Loss):
    """The hinge of every other class's score x against the target's.

    l = Σ_(c≠y) w[y] · max(margin − x[y] + x[c], 0)ᵖ / C

    The mean is over the samples, also where there are weights. `keras.losses.CategoricalHinge` takes the largest
    other score alone (gap hinge: 1.0e+0).

    Args:
        p: 1 or 2.
        margin: see above.
        weight: C class weights; None: all 1.
        reduction: "none", "mean" or "sum".
        name: shown by Keras.

    Shapes:
        y_pred (N, C) or (C,); y_true (N,) or (), class indices of any dtype. Losses as y_true.

    Raises:
        BlitzError: another p, shapes that do not fit or, in eager mode, an index that is not a class. Compiled, the
            loss is NaN there.

    Source: torch/nn/modules/loss.py.
    """

    def __init__(
        self,
        p: int = 1,
        margin: float = 1.0,
        weight: npt.ArrayLike | None = None,
        reduction: str = "mean",
        name: str | None = None,
    ):
        super().__init__(reduction, name)
        if p not in (1, 2):
            raise BlitzError(f"p must be 1 or 2, not {p!r}")
        self.p, self.margin, self.weight = p, float(margin), as_array(weight)

    def call(self, y_true: tf.Tensor, y_pred: tf.Tensor) -> tf.Tensor:
        """Return the unreduced losses."""
        classes, target = y_pred.shape[-1], self._indices(y_true, y_pred)
        chosen = target[..., tf.newaxis] == tf.range(classes, dtype=target.dtype)
        zeros = tf.zeros_like(y_pred)
        own = tf.reduce_sum(tf.where(chosen, y_pred, zeros), -1, keepdims=True)
        # ReLU, because PyTorch has no gradient at 0 here
        hinges = tf.where(chosen, zeros, tf.nn.relu(number(self.margin, y_pred) - own + y_pred))
        if self.p == 2:
            hinges *= hinges
        if self.weight is not None:
            hinges *= tf.reduce_sum(tf.where(chosen, tf.constant(self.weight, hinges.dtype), zeros), -1, keepdims=True)
        losses = tf.reduce_sum(hinges, -1) / number(classes, hinges)
        return tf.where(tf.reduce_any(chosen, -1), losses, number(float("nan"), losses))

    def _indices(self, y_true: tf.Tensor, y_pred: tf.Tensor) -> tf.Tensor:
        """Return the checked class indices."""
        _check_classes(self, y_pred)
        classes = y_pred.shape[-1]
        if not y_true.shape.is_compatible_with(y_pred.shape[:-1]):
            raise BlitzError(
                f"{self.name}: class indices of shape {y_true.shape} for y_pred {y_pred.shape}; they must have shape"
                f" {y_pred.shape[:-1]}"
            )
        if self.weight is not None and self.weight.shape != (classes,):
            raise BlitzError(
                f"{self.name}: weight must have {classes} values, one for each class, not {self.weight.shape}"
            )
        return _check_range(self, y_true, 0, classes)

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {**super().get_config(), "p": self.p, "margin": self.margin, "weight": as_list(self.weight)}


@keras.saving.register_keras_serializable("keras_blitz")
class MultiLabelMarginLoss(Loss):
    """The hinge of every class that is not a target against each target's score x.

    l = Σ_(y in targets) Σ_(c not in targets) max(1 − x[y] + x[c], 0) / C

    Keras has no such loss: `CategoricalHinge` takes the largest other class alone (gap multilabel-margin: 1.0e+0).

    Args:
        reduction: "none", "mean" or "sum".
        name: shown by Keras.

    Shapes:
        y_pred (N, C) or (C,); y_true of the same shape: class indices, and −1 after the last. What comes after
        the first −1 is not read. Losses (N,) or ().

    Raises:
        BlitzError: shapes that differ or, in eager mode, an index that is neither a class nor −1. Compiled, it is no
            target.

    Source: torch/nn/modules/loss.py.
    """

    def call(self, y_true: tf.Tensor, y_pred: tf.Tensor) -> tf.Tensor:
        """Return the unreduced losses."""
        _check_classes(self, y_pred)
        if not y_true.shape.is_compatible_with(y_pred.shape):
            raise BlitzError(f"{self.name}: y_true {y_true.shape} must have y_pred's shape {y_pred.shape}")
        classes = y_pred.shape[-1]
        target = _check_range(self, y_true, -1, classes)
        listed = tf.cumsum(tf.cast(target < 0, tf.int32), -1) == 0
        # (…, targets, classes)
        chosen = listed[..., tf.newaxis] & (target[..., tf.newaxis] == tf.range(classes, dtype=target.dtype))
        scores = y_pred[..., tf.newaxis, :]
        own = tf.reduce_sum(tf.where(chosen, scores, tf.zeros_like(scores)), -1, keepdims=True)
        others = listed[..., tf.newaxis] & ~tf.reduce_any(chosen, -2, keepdims=True)
        hinges = tf.nn.relu(1 - own + scores)  # PyTorch has no gradient at 0 here
        return tf.reduce_sum(tf.where(others, hinges, tf.zeros_like(hinges)), (-2, -1)) / number(classes, y_pred)


def _check_classes(loss: Loss, y_pred: tf.Tensor) -> None:
    if y_pred.shape.rank not in (1, 2):
        raise BlitzError(f"{loss.name}: y_pred must have shape (N, C) or (C,), not {y_pred.shape}")


def _check_range(loss: Loss, y_true: tf.Tensor, least: int, classes: int) -> tf.Tensor:
    """Return class indices; in eager mode each must be a whole number from `least` on, below `classes`."""
    target = tf.cast(y_true, tf.float64 if y_true.dtype.is_floating else tf.int64)
    if tf.executing_eagerly():
        indices = target.numpy()
        unknown = indices[~((indices >= least) & (indices < classes) & (indices % 1 == 0))]
        if unknown.size:
            raise BlitzError(f"{loss.name}: class index {unknown[0]} is not among {least}, … {classes - 1}")
    return target
