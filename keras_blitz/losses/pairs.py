"""`torch.nn.MarginRankingLoss` and `CosineEmbeddingLoss`: pairs of predictions."""

from typing import Any

import keras
import tensorflow as tf

from keras_blitz.errors import BlitzError
from keras_blitz.losses.binary import EPSILON
from keras_blitz.losses.elements import clamp_min, number
from keras_blitz.losses.several import SeveralLoss


class _PairLoss(SeveralLoss):
    """Two predictions and a margin."""

    parts = ("x1", "x2")

    def __init__(self, margin: float = 0.0, reduction: str = "mean", name: str | None = None):
        super().__init__(reduction, name)
        self.margin = float(margin)

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {**super().get_config(), "margin": self.margin}


@keras.saving.register_keras_serializable("keras_blitz")
class MarginRankingLoss(_PairLoss):
    """The hinge of two scores of which x₁ should be the higher (y = 1) or the lower (y = −1).

    l = max(−y · (x₁ − x₂) + margin, 0)

    Its gradient at 0 is not 0: PyTorch's clamp lets it pass, where a ReLU stops it (gap margin-ranking: 1.0e+0). Keras
    has no such loss.

    Args:
        margin: see above.
        reduction: "none", "mean" or "sum".
        name: shown by Keras.

    Shapes:
        y_pred is (x₁, x₂), see `SeveralLoss`; both and y_true alike, of any shape.

    Raises:
        BlitzError: different numbers of axes, or shapes that cannot be broadcast.

    Source: torch/nn/modules/loss.py.
    """

    def call(self, y_true: tf.Tensor, y_pred: tuple[tf.Tensor, tf.Tensor]) -> tf.Tensor:
        """Return the unreduced losses."""
        first, second = y_pred
        if not first.shape.rank == second.shape.rank == y_true.shape.rank:
            raise BlitzError(
                f"{self.name}: x1 {first.shape}, x2 {second.shape} and y_true {y_true.shape} must have the same number"
                " of axes"
            )
        difference = first - second
        return clamp_min(-self._target(y_true, difference) * difference + number(self.margin, first), 0)


@keras.saving.register_keras_serializable("keras_blitz")
class CosineEmbeddingLoss(_PairLoss):
    """The angle between two vectors that should be alike (y = 1) or apart (y = −1).

    cos = x₁ · x₂ / √((x₁² + ε) · (x₂² + ε))        ε = 1e-12 as float32, in float64 too
    l = 1 − cos                  where y = 1
        max(cos − margin, 0)     where y = −1
        0                        for any other y

    `keras.losses.CosineSimilarity` is −cos, without targets, and clamps the squared norms to 1e-12 instead (gap
    cosine-embedding: 2.1e+0).

    Args:
        margin: −1 to 1.
        reduction: "none", "mean" or "sum".
        name: shown by Keras.

    Shapes:
        y_pred is (x₁, x₂), see `SeveralLoss`: (N, D) or (D,). y_true (N,) or (). Losses as y_true.

    Raises:
        BlitzError: shapes that do not fit.

    Source: torch/nn/modules/loss.py.
    """

    def call(self, y_true: tf.Tensor, y_pred: tuple[tf.Tensor, tf.Tensor]) -> tf.Tensor:
        """Return the unreduced losses."""
        first, second = y_pred
        self._check_shapes(first, second, y_true)
        product, *squares = (tf.reduce_sum(a * b, -1) for a, b in ((first, second), (first, first), (second, second)))
        epsilon = number(EPSILON, product)
        cosine = product / tf.sqrt((squares[0] + epsilon) * (squares[1] + epsilon))
        zeros, y = tf.zeros_like(cosine), tf.cast(y_true, cosine.dtype)
        apart = tf.where(y == -1, clamp_min(cosine - number(self.margin, cosine), 0), zeros)
        return tf.where(y == 1, 1 - cosine, zeros) + apart

    def _check_shapes(self, first: tf.Tensor, second: tf.Tensor, y_true: tf.Tensor) -> None:
        fit = first.shape.is_compatible_with(second.shape) and first.shape.rank in (1, 2)
        if not fit or not y_true.shape.is_compatible_with(first.shape[:-1]):
            raise BlitzError(
                f"{self.name}: x1 {first.shape} and x2 {second.shape} must both be (N, D) or (D,), and y_true"
                f" {y_true.shape} without the last axis"
            )
