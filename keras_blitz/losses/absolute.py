"""`torch.nn.L1Loss`, `SmoothL1Loss` and `HuberLoss`: absolute differences, squared near 0."""

from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf

from keras_blitz.errors import BlitzError
from keras_blitz.losses.elements import ElementLoss, number


@keras.saving.register_keras_serializable("keras_blitz")
class L1Loss(ElementLoss):
    """The absolute difference of every element.

    l = |y_pred − y_true|        its gradient is 0 where they are equal
    mean:  over all elements

    `keras.losses.MeanAbsoluteError` has the same mean and gradient (gap l1), but its "sum" adds the means of the
    samples where PyTorch adds the elements (gap l1-reduction: 6.7e-1).

    Args:
        reduction: "none", "mean" or "sum".
        name: shown by Keras.

    Shapes:
        y_true and y_pred alike, of any shape.

    Warns:
        UserWarning: the shapes differ and are broadcast, likely a mistake.

    Raises:
        BlitzError: the shapes cannot be broadcast.

    Source: torch/nn/modules/loss.py.
    """

    def call(self, y_true: tf.Tensor, y_pred: tf.Tensor) -> tf.Tensor:
        """Return the unreduced losses."""
        return tf.abs(y_pred - self._target(y_true, y_pred))


@keras.saving.register_keras_serializable("keras_blitz")
class SmoothL1Loss(ElementLoss):
    """The absolute difference, squared below β.

    d = |y_pred − y_true|
    l = ½ · d² / β        where d < β
        d − ½ · β         elsewhere

    `keras.losses.Huber(β)` is β times as large (gap smoothl1-huber: 7.0e-1).

    Args:
        reduction: "none", "mean" or "sum".
        beta: β ≥ 0; with 0 this is `L1Loss`.
        name: shown by Keras.

    Shapes:
        y_true and y_pred alike, of any shape.

    Warns:
        UserWarning: the shapes differ and are broadcast, likely a mistake.

    Raises:
        BlitzError: β < 0, or the shapes cannot be broadcast.

    Source: torch/nn/modules/loss.py.
    """

    def __init__(self, reduction: str = "mean", beta: float = 1.0, name: str | None = None):
        super().__init__(reduction, name)
        if not beta >= 0:
            raise BlitzError(f"beta must be at least 0, not {beta!r}")
        self.beta = float(beta)

    def call(self, y_true: tf.Tensor, y_pred: tf.Tensor) -> tf.Tensor:
        """Return the unreduced losses."""
        difference = tf.abs(y_pred - self._target(y_true, y_pred))
        if self.beta == 0:
            return difference
        beta = number(self.beta, difference)
        return _bend(difference, beta, lambda d: 0.5 * d * d / beta, lambda d: d - 0.5 * beta)

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {**super().get_config(), "beta": self.beta}


@keras.saving.register_keras_serializable("keras_blitz")
class HuberLoss(ElementLoss):
    """Half the squared difference, linear from δ on.

    d = |y_pred − y_true|
    l = ½ · d²             where d ≤ δ
        δ · (d − ½ · δ)    elsewhere

    `keras.losses.Huber` has the same mean (gap huber-f64), but its "sum" adds the means of the samples (gap
    huber-reduction: 6.7e-1).

    Args:
        reduction: "none", "mean" or "sum".
        delta: δ > 0.
        name: shown by Keras.

    Shapes:
        y_true and y_pred alike, of any shape.

    Warns:
        UserWarning: the shapes differ and are broadcast, likely a mistake.

    Raises:
        BlitzError: δ ≤ 0, or the shapes cannot be broadcast.

    Source: torch/nn/modules/loss.py.
    """

    def __init__(self, reduction: str = "mean", delta: float = 1.0, name: str | None = None):
        super().__init__(reduction, name)
        if not delta > 0:
            raise BlitzError(f"delta must be above 0, not {delta!r}")
        self.delta = float(delta)

    def call(self, y_true: tf.Tensor, y_pred: tf.Tensor) -> tf.Tensor:
        """Return the unreduced losses."""
        difference = tf.abs(y_pred - self._target(y_true, y_pred))
        delta = number(self.delta, difference)
        return _bend(difference, delta, lambda d: 0.5 * d * d, lambda d: delta * (d - 0.5 * delta))

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {**super().get_config(), "delta": self.delta}


Part = Callable[[tf.Tensor], tf.Tensor]


def _bend(difference: tf.Tensor, bend: tf.Tensor, near: Part, far: Part) -> tf.Tensor:
    """Return near(d) below the bend and far(d) from it on."""
    is_near = difference < bend
    # near is given 0 where it is not chosen: the square of infinity would make the gradient NaN there.
    return tf.where(is_near, near(tf.where(is_near, difference, tf.zeros_like(difference))), far(difference))
