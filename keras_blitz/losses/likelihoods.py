"""`torch.nn.KLDivLoss`, `PoissonNLLLoss` and `GaussianNLLLoss`: likelihoods of distributions."""

import math
from typing import Any

import keras
import tensorflow as tf

from keras_blitz.errors import BlitzError
from keras_blitz.losses.base import REDUCTIONS
from keras_blitz.losses.elements import ElementLoss, number
from keras_blitz.losses.several import SeveralLoss


@keras.saving.register_keras_serializable("keras_blitz")
class KLDivLoss(ElementLoss):
    """The Kullback-Leibler divergence of every element, given log-probabilities x.

    l = y · (log y − x)        0 where y = 0
        eʸ · (y − x)           log_target
    mean:       Σ l / number of elements, which is not the divergence
    batchmean:  Σ l / N, which is

    `keras.losses.KLDivergence` takes probabilities, divides by N and clips both arguments to [1e-7, 1] (gaps kldiv:
    4.0e+0, kldiv-batchmean: 3.9e-7). The target's gradient is NaN where y = 0, as it is in PyTorch.

    Args:
        reduction: "none", "mean", "sum" or "batchmean".
        log_target: y_true holds log-probabilities.
        name: shown by Keras.

    Shapes:
        y_true and y_pred alike, of any shape; the first axis is the batch.

    Warns:
        UserWarning: the shapes differ and are broadcast, likely a mistake.

    Raises:
        BlitzError: the shapes cannot be broadcast.

    Source: torch/nn/modules/loss.py.
    """

    reductions = (*REDUCTIONS, "batchmean")

    def __init__(self, reduction: str = "mean", log_target: bool = False, name: str | None = None):
        super().__init__(reduction, name)
        self.log_target = log_target

    def call(self, y_true: tf.Tensor, y_pred: tf.Tensor) -> tf.Tensor:
        """Return the unreduced losses."""
        y = self._target(y_true, y_pred)
        return tf.exp(y) * (y - y_pred) if self.log_target else _x_log_x(y) - y * y_pred

    def divisor(self, y_true: tf.Tensor, y_pred: tf.Tensor, losses: tf.Tensor) -> tf.Tensor:
        """Return the number of elements; for "batchmean" the number of samples."""
        if self.reduction != "batchmean":
            return tf.size(losses)
        return tf.shape(y_pred)[0] if y_pred.shape.rank else tf.ones((), tf.int32)

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {**super().get_config(), "log_target": self.log_target}


@tf.custom_gradient  # type: ignore[untyped-decorator]
def _x_log_x(x: tf.Tensor) -> tuple[tf.Tensor, Any]:
    """Return x · log x, and 0 at 0, where PyTorch's gradient is NaN because its `xlogy` divides x by x."""
    return tf.math.xlogy(x, x), lambda upstream: upstream * (tf.math.log(x) + x / x)


@keras.saving.register_keras_serializable("keras_blitz")
class PoissonNLLLoss(ElementLoss):
    """The negative log-likelihood of counts y, given the logarithm x of the rate.

    l = eˣ − y · x                 log_input
        x − y · log(x + ε)         otherwise: x is the rate itself
    full:  + y · log y − y + ½ · log(2π · y)        where y > 1: Stirling's formula for log(y!)

    `keras.losses.Poisson` takes the rate, with an ε of 1e-7 (gaps poisson-nll: 1.3e+0, poisson-nll-rate: 1.8e-7).

    Args:
        log_input: x is the logarithm of the rate.
        full: add Stirling's term.
        eps: ε, which keeps log 0 away.
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

    def __init__(
        self,
        log_input: bool = True,
        full: bool = False,
        eps: float = 1e-8,
        reduction: str = "mean",
        name: str | None = None,
    ):
        super().__init__(reduction, name)
        self.log_input, self.full, self.eps = log_input, full, float(eps)

    def call(self, y_true: tf.Tensor, y_pred: tf.Tensor) -> tf.Tensor:
        """Return the unreduced losses."""
        y = self._target(y_true, y_pred)
        if self.log_input:
            losses = tf.exp(y_pred) - y * y_pred
        else:
            losses = y_pred - y * tf.math.log(y_pred + number(self.eps, y_pred))
        if not self.full:
            return losses
        stirling = y * tf.math.log(y) - y + 0.5 * tf.math.log(number(2 * math.pi, y) * y)
        return losses + tf.where(y <= 1, tf.zeros_like(y), stirling)

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {**super().get_config(), "log_input": self.log_input, "full": self.full, "eps": self.eps}


@keras.saving.register_keras_serializable("keras_blitz")
class GaussianNLLLoss(SeveralLoss):
    """The negative log-likelihood of y, given a mean x and a variance v.

    l = ½ · (log max(v, ε) + (x − y)² / max(v, ε))
    full:  + ½ · log 2π

    The gradient passes the clamp of v, also below ε (gap gaussian-nll: 1.0e+0). Keras has no such loss.

    Args:
        full: add the constant.
        eps: ε.
        reduction: "none", "mean" or "sum".
        name: shown by Keras.

    Shapes:
        y_pred is (x, v), see `SeveralLoss`: x (N, …); v of x's shape, or without its last axis, or with one axis of
        size 1, or a Python float. y_true as x.

    Warns:
        UserWarning: the shapes differ and are broadcast, likely a mistake.

    Raises:
        BlitzError: shapes that do not fit or, in eager mode, a negative variance.

    Source: torch/nn/modules/loss.py.
    """

    parts = ("mean", "variance")

    def __init__(self, *, full: bool = False, eps: float = 1e-6, reduction: str = "mean", name: str | None = None):
        super().__init__(reduction, name)
        self.full, self.eps = full, float(eps)

    def call(self, y_true: tf.Tensor, y_pred: tuple[tf.Tensor, tf.Tensor]) -> tf.Tensor:
        """Return the unreduced losses."""
        mean, variance = y_pred
        y = self._target(y_true, mean)
        if tf.executing_eagerly() and tf.reduce_any(variance < 0):
            raise BlitzError(f"{self.name}: variance must be at least 0, not {float(tf.reduce_min(variance))}")
        variance = _clamp(self._fit(variance, mean), number(self.eps, mean))
        losses = 0.5 * (tf.math.log(variance) + (mean - y) ** 2 / variance)
        return losses + number(0.5 * math.log(2 * math.pi), losses) if self.full else losses

    def _fit(self, variance: tf.Tensor, mean: tf.Tensor) -> tf.Tensor:
        """Return the variance in a shape that broadcasts to the mean's."""
        if variance.shape.is_compatible_with(mean.shape):
            return variance
        if mean.shape.rank and variance.shape.is_compatible_with(mean.shape[:-1]):
            return variance[..., tf.newaxis]
        if variance.shape.rank == mean.shape.rank:
            unlike = [size for size, whole in zip(variance.shape, mean.shape, strict=True) if size != whole]
            if unlike == [1]:
                return variance
        raise BlitzError(f"{self.name}: variance {variance.shape} does not fit the mean {mean.shape}")

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {**super().get_config(), "full": self.full, "eps": self.eps}


@tf.custom_gradient  # type: ignore[untyped-decorator]
def _clamp(values: tf.Tensor, least: tf.Tensor) -> tuple[tf.Tensor, Any]:
    """Return max(values, least) with a gradient of 1 everywhere, because PyTorch clamps outside of autograd."""
    return tf.maximum(values, least), lambda upstream: (upstream, None)
