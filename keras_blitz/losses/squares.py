"""`torch.nn.MSELoss`."""

import warnings

import keras
import tensorflow as tf

from keras_blitz.errors import BlitzError
from keras_blitz.losses.base import Loss


@keras.saving.register_keras_serializable("keras_blitz")
class MSELoss(Loss):
    """The squared error of every element.

    l = (y_pred − y_true)²
    mean:  over all elements

    `keras.losses.MeanSquaredError` sums the means of the samples where PyTorch sums the elements (gap mse-reduction),
    and squeezes (N, 1) against (N,) to (N,) where PyTorch broadcasts to (N, N) (gap mse-broadcast: 8.8e-1). This does
    as PyTorch does, and warns as it does.

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
        try:
            tf.broadcast_static_shape(y_true.shape, y_pred.shape)
        except ValueError:
            raise BlitzError(f"{self.name}: y_true {y_true.shape} does not fit y_pred {y_pred.shape}") from None
        if not y_true.shape.is_compatible_with(y_pred.shape):
            warnings.warn(
                f"{self.name}: y_true {y_true.shape} differs from y_pred {y_pred.shape} and is broadcast, which is"
                " likely a mistake: make the shapes equal",
                stacklevel=3,
            )
        return (y_pred - tf.cast(y_true, y_pred.dtype)) ** 2
