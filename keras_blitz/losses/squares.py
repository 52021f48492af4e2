"""`torch.nn.MSELoss`."""

import keras
import tensorflow as tf

from keras_blitz.losses.elements import ElementLoss


@keras.saving.register_keras_serializable("keras_blitz")
class MSELoss(ElementLoss):
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
        return (y_pred - self._target(y_true, y_pred)) ** 2
