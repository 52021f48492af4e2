"""`torch.nn.TripletMarginLoss` and `TripletMarginWithDistanceLoss`."""

import math
from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf

from keras_blitz.errors import BlitzError
from keras_blitz.losses.elements import clamp_min, number
from keras_blitz.losses.several import SeveralLoss

Distance = Callable[[tf.Tensor, tf.Tensor], tf.Tensor]


class _TripletLoss(SeveralLoss):
    """An anchor, a positive and a negative example; y_true is not read."""

    parts = ("anchor", "positive", "negative")

    def __init__(self, margin: float, swap: bool, reduction: str, name: str | None):
        super().__init__(reduction, name)
        if not margin > 0:
            raise BlitzError(f"margin must be above 0, not {margin!r}")
        self.margin, self.swap = float(margin), swap

    def call(self, y_true: tf.Tensor, y_pred: tuple[tf.Tensor, tf.Tensor, tf.Tensor]) -> tf.Tensor:
        """Return the unreduced losses."""
        anchor, positive, negative = y_pred
        if not anchor.shape.rank == positive.shape.rank == negative.shape.rank:
            raise BlitzError(
                f"{self.name}: anchor {anchor.shape}, positive {positive.shape} and negative {negative.shape} must have"
                " the same number of axes"
            )
        near, far = self._distance(anchor, positive), self._distance(anchor, negative)
        if self.swap:
            far = _minimum(far, self._distance(positive, negative))
        return clamp_min(number(self.margin, near) + near - far, 0)

    def _distance(self, first: tf.Tensor, second: tf.Tensor) -> tf.Tensor:
        raise NotImplementedError

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {**super().get_config(), "margin": self.margin, "swap": self.swap}


@keras.saving.register_keras_serializable("keras_blitz")
class TripletMarginLoss(_TripletLoss):
    """The hinge of an anchor's distances: its positive example should be closer than its negative one.

    d(x, y) = (Σ |x − y + ε|ᵖ)^(1/p)
    l = max(margin + d(a, p) − d(a, n), 0)
    swap:  min(d(a, n), d(p, n)) in place of d(a, n)

    ε is added to the difference, not to the norm (gap triplet-margin: 1.3e-6), and with `swap` two
    equal distances share the gradient (gap triplet-swap-ties: 6.4e-1). Keras has no such loss.

    Args:
        margin: above 0.
        p: of the norm, ≥ 0, also infinity; 0 counts what differs.
        eps: ε.
        swap: see above.
        reduction: "none", "mean" or "sum".
        name: shown by Keras.

    Shapes:
        y_pred is (a, p, n), see `SeveralLoss`: (N, D) or (D,). y_true is not read: None, or zeros (N,) for `fit`.
        Losses (N,) or ().

    Raises:
        BlitzError: a margin of 0 or below, p < 0, or different numbers of axes.

    Source: torch/nn/modules/loss.py.
    """

    def __init__(
        self,
        margin: float = 1.0,
        p: float = 2.0,
        eps: float = 1e-6,
        swap: bool = False,
        reduction: str = "mean",
        name: str | None = None,
    ):
        super().__init__(margin, swap, reduction, name)
        if not p >= 0:
            raise BlitzError(f"p must be at least 0, not {p!r}")
        self.p, self.eps = float(p), float(eps)

    def _distance(self, first: tf.Tensor, second: tf.Tensor) -> tf.Tensor:
        return pairwise_distance(first, second, self.p, self.eps)

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {**super().get_config(), "p": self.p, "eps": self.eps}


@keras.saving.register_keras_serializable("keras_blitz")
class TripletMarginWithDistanceLoss(_TripletLoss):
    """`TripletMarginLoss` with a distance of your own.

    l = max(margin + d(a, p) − d(a, n), 0)
    swap:  min(d(a, n), d(p, n)) in place of d(a, n)

    Args:
        distance_function: d, of two tensors; None: the Euclidean distance. A model that you save needs one that
            `keras.saving.register_keras_serializable` knows.
        margin: above 0.
        swap: see above.
        reduction: "none", "mean" or "sum".
        name: shown by Keras.

    Shapes:
        y_pred is (a, p, n), see `SeveralLoss`. y_true is not read: None, or zeros (N,) for `fit`. Losses as d's values.

    Raises:
        BlitzError: a margin of 0 or below, or different numbers of axes.

    Source: torch/nn/modules/loss.py.
    """

    def __init__(
        self,
        *,
        distance_function: Distance | None = None,
        margin: float = 1.0,
        swap: bool = False,
        reduction: str = "mean",
        name: str | None = None,
    ):
        super().__init__(margin, swap, reduction, name)
        self.distance_function = distance_function

    def _distance(self, first: tf.Tensor, second: tf.Tensor) -> tf.Tensor:
        return (self.distance_function or pairwise_distance)(first, second)

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments, the function as Keras serializes it."""
        function = keras.saving.serialize_keras_object(self.distance_function)
        return {**super().get_config(), "distance_function": function}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "TripletMarginWithDistanceLoss":
        """Return the loss of a configuration."""
        function = config["distance_function"]
        if isinstance(function, dict):
            function = keras.saving.deserialize_keras_object(function)
        return cls(**{**config, "distance_function": function})


def pairwise_distance(first: tf.Tensor, second: tf.Tensor, p: float = 2.0, eps: float = 1e-6) -> tf.Tensor:
    """Return (Σ |x − y + ε|ᵖ)^(1/p) over the last axis, with the gradient of `torch.pairwise_distance`."""
    return _norm(first - second + number(eps, first), p)


def _norm(x: tf.Tensor, p: float) -> tf.Tensor:
    """Return the p-norm over the last axis.

    ∂/∂x = sign(x) · |x|^(p−1) / ‖x‖^(p−1)        0 where ‖x‖ = 0 and, for p < 1, where x = 0
           sign(x) / n                             p = ∞, for the n largest |x|; 0 for the others
           0                                       p = 0
    """

    @tf.custom_gradient  # type: ignore[untyped-decorator]
    def norm(x: tf.Tensor) -> tuple[tf.Tensor, Any]:
        size = tf.abs(x)
        value = _value(size)
        return value, lambda upstream: upstream[..., tf.newaxis] * _slope(x, size, value[..., tf.newaxis])

    def _value(size: tf.Tensor) -> tf.Tensor:
        if p == 0:
            return tf.math.count_nonzero(size, -1, dtype=size.dtype)
        if math.isinf(p):
            return tf.reduce_max(size, -1)
        if p == 1:
            return tf.reduce_sum(size, -1)
        if p == 2:
            return tf.sqrt(tf.reduce_sum(size * size, -1))
        return tf.reduce_sum(size ** number(p, size), -1) ** number(1 / p, size)

    def _slope(x: tf.Tensor, size: tf.Tensor, value: tf.Tensor) -> tf.Tensor:
        if p == 0:
            return tf.zeros_like(x)
        if math.isinf(p):
            largest = tf.cast(size == value, x.dtype)
            return tf.sign(x) * largest / tf.reduce_sum(largest, -1, keepdims=True)
        if p == 1:
            return tf.sign(x)
        exponent = number(p - 1, x)
        slope = x / value if p == 2 else tf.sign(x) * size**exponent / value**exponent
        nothing = value == 0 if p > 1 else (size == 0) | (value == 0)
        return tf.where(nothing, tf.zeros_like(x), slope)

    return norm(x)


@tf.custom_gradient  # type: ignore[untyped-decorator]
def _minimum(a: tf.Tensor, b: tf.Tensor) -> tuple[tf.Tensor, Any]:
    """Return the smaller; equal ones share the gradient, as in PyTorch, where TensorFlow gives it all to the first."""

    def gradient(upstream: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        to_a = tf.where(a == b, 0.5 * tf.ones_like(a), tf.cast(a < b, a.dtype))
        return upstream * to_a, upstream * (1 - to_a)

    return tf.minimum(a, b), gradient
