"""What PyTorch's losses share: the dtype of their inputs, three reductions, sample weights, checks."""

import warnings
from typing import Any, Literal

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf

from keras_blitz.errors import BlitzError
from keras_blitz.keras_internals import logits_of, mask_of
from keras_blitz.replicas import count_replicas, sum_over_replicas

# Weights of classes or elements, float64; each dtype of a loss is made from them.
Weights = npt.NDArray[np.float64]

REDUCTIONS = ("none", "mean", "sum")

# What losses take in place of probabilities, and what a model that ends in a softmax or sigmoid is to do.
TAKES = {"logits": "leave that activation out", "log-probabilities": "end in log_softmax"}


class Loss(keras.losses.Loss):
    """A Keras loss computed in the dtype of `y_pred`, with PyTorch's reductions.

    none:  sample_weight · losses
    mean:  Σ sample_weight · losses / divisor        PyTorch's divisor, whatever the sample weights
    sum:   Σ sample_weight · losses

    A subclass gives the unreduced losses (`call`) and, where it is not their number, the divisor of the mean.

    `keras.losses.Loss` casts both arguments to floatx (gap loss-object-floatx: 8.3e-8 for a float64 model) and turns
    0/0, PyTorch's NaN, into 0 (gap ce-all-ignored).

    Under a distribution strategy each replica has a part of the batch, and gradients are summed over the replicas. So
    are the losses: `over_replicas` says what the sum is. A mean of means is another number where the parts' divisors
    differ: 4e-2 off in the parameters for a batch of 4 + 3, 1e-1 with class weights.

    whole: Σ losses / Σ divisors        the whole batch's mean, what one process computes
    each:  Σ (losses / divisor) / W     the mean of the replicas' means, what DistributedDataParallel computes

    Args:
        reduction: "none", "mean" or "sum".
        name: shown by Keras.

    Raises:
        BlitzError: another reduction.
    """

    dtype = None  # of the inputs; Keras's own losses have one
    reductions: tuple[str, ...] = REDUCTIONS
    takes: str = ""  # a key of `TAKES`
    over_replicas: Literal["whole", "each"] = "whole"

    def __init__(self, reduction: str = "mean", name: str | None = None):
        if reduction not in self.reductions:
            *others, last = (f'"{known}"' for known in self.reductions)
            raise BlitzError(f"reduction must be {', '.join(others)} or {last}, not {reduction!r}")
        super().__init__(name=name, reduction="none")  # Keras refuses a reduction that it does not know
        self.reduction = reduction

    def __call__(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> tf.Tensor:
        """Return the reduced loss.

        Args:
            y_true: the target. Keras's order: PyTorch calls `loss(y_pred, y_true)`.
            y_pred: the model's output, floating; its dtype is the loss's, and `y_true` is cast to it unless it holds
                class indices.
            sample_weight: multiplies each loss before the reduction; the shape of the unreduced losses, or of their
                leading axes, say (N,). PyTorch has none: there `reduction="none"` times the weights.

        Warns:
            UserWarning: y_pred is what a softmax or sigmoid returned, and the loss takes logits: softmax twice.

        Raises:
            BlitzError: a shape, dtype or value PyTorch would refuse, or a Keras mask. Values are looked at in eager
                mode alone.
        """
        y_true, y_pred = self._checked(y_true, y_pred)
        losses = self.call(y_true, y_pred)
        if sample_weight is not None:
            losses *= self._aligned(as_tensor(sample_weight), losses)
        return losses if self.reduction == "none" else self._reduced(tf.reduce_sum(losses), y_true, y_pred, losses)

    def _checked(self, y_true: Any, y_pred: Any) -> tuple[tf.Tensor, tf.Tensor]:
        if mask_of(y_pred) is not None:
            raise BlitzError(
                f"{self.name}: y_pred has a Keras mask, which PyTorch's losses do not have; use sample_weight instead"
            )
        if self.takes and logits_of(y_pred) is not None:
            warnings.warn(
                f"{self.name} takes {self.takes}, and y_pred is the output of a softmax or sigmoid, which is likely a"
                f" mistake: {TAKES[self.takes]}",
                stacklevel=3,
            )
        y_true, y_pred = as_tensor(y_true), as_tensor(y_pred)
        self._check_tensors(y_true, y_pred)
        return y_true, y_pred

    def _check_tensors(self, y_true: tf.Tensor, y_pred: tf.Tensor) -> None:
        if not y_pred.dtype.is_floating:
            raise BlitzError(f"{self.name}: y_pred must be floating, not {y_pred.dtype.name}")
        if None in (y_true.shape.rank, y_pred.shape.rank):
            raise BlitzError(
                f"{self.name}: the ranks of y_true and y_pred must be known; set the shapes of the data set"
            )

    def _reduced(self, total: tf.Tensor, y_true: tf.Tensor, y_pred: tf.Tensor, losses: tf.Tensor) -> tf.Tensor:
        replicas = count_replicas()
        if self.reduction == "sum":
            return total / replicas if replicas > 1 and self.over_replicas == "each" else total
        divisor = tf.cast(self.divisor(y_true, y_pred, losses), total.dtype)
        if replicas > 1 and self.over_replicas == "each":
            divisor *= replicas
        elif replicas > 1:
            divisor = sum_over_replicas(tf.stop_gradient(divisor))
        return total / divisor

    def divisor(self, y_true: tf.Tensor, y_pred: tf.Tensor, losses: tf.Tensor) -> tf.Tensor:
        """Return what the mean divides by: the number of losses."""
        return tf.size(losses)

    def _aligned(self, sample_weight: tf.Tensor, losses: tf.Tensor) -> tf.Tensor:
        rank = sample_weight.shape.rank
        if rank is None or not sample_weight.shape.is_compatible_with(losses.shape[:rank]):
            raise BlitzError(
                f"{self.name}: sample_weight {sample_weight.shape} must have the losses' first axes, {losses.shape}"
            )
        for _ in range(losses.shape.rank - rank):
            sample_weight = sample_weight[..., tf.newaxis]
        return tf.cast(sample_weight, losses.dtype)

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {"name": self.name, "reduction": self.reduction}


def as_tensor(value: Any) -> tf.Tensor:
    """Return a tensor; Python's floats stay float64, where TensorFlow would make them float32."""
    return tf.convert_to_tensor(np.asarray(value) if isinstance(value, (list, tuple, int, float)) else value)


def as_array(weight: npt.ArrayLike | None) -> Weights | None:
    """Return weights as float64, which every dtype of a loss is made from."""
    return None if weight is None else np.asarray(weight, "float64")


def as_list(weight: Weights | None) -> Any:
    """Return weights as a configuration holds them."""
    return None if weight is None else weight.tolist()
