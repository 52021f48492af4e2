"""`torch.nn.CrossEntropyLoss` and `NLLLoss`: one class of many."""

from typing import Any

import keras
import numpy.typing as npt
import tensorflow as tf

from keras_blitz.errors import BlitzError
from keras_blitz.losses import cpu
from keras_blitz.losses.base import as_array, as_list


class _ClassLoss(cpu.LossOfParts):
    """Class weights and an ignored class, over the last axis."""

    def __init__(self, weight: npt.ArrayLike | None, ignore_index: int, reduction: str, name: str | None):
        super().__init__(reduction, name)
        self.weight, self.ignore_index = as_array(weight), ignore_index

    def divisor(self, y_true: tf.Tensor, y_pred: tf.Tensor, losses: tf.Tensor) -> tf.Tensor:
        """Return Σ w of the classes that are not ignored."""
        target = _exact(y_true)
        count = cpu.count_targets(target, self.ignore_index, y_pred.dtype) if self.weight is None else None
        if count is not None:
            return count
        return tf.reduce_sum(self._picked(target, self._weighted(tf.ones_like(y_pred))))

    def _weighted(self, values: tf.Tensor) -> tf.Tensor:
        """Return values (…, C) times the class's weight."""
        if self.weight is None:
            return values
        classes = values.shape[-1]
        if self.weight.shape != (classes,):
            raise BlitzError(
                f"{self.name}: weight must have {classes} values, one for each class, not {self.weight.shape}"
            )
        return values * tf.constant(self.weight, values.dtype)

    def _indices(self, y_true: tf.Tensor, y_pred: tf.Tensor) -> tf.Tensor:
        """Return the checked class indices."""
        classes = y_pred.shape[-1]
        if not y_true.shape.is_compatible_with(y_pred.shape[:-1]):
            raise BlitzError(
                f"{self.name}: class indices of shape {y_true.shape} for y_pred {y_pred.shape}; they must have"
                f" y_pred's shape without its last axis, {y_pred.shape[:-1]}"
            )
        target = _exact(y_true)
        if tf.executing_eagerly():
            self._check_range(target.numpy(), classes)
        return target

    def _check_range(self, indices: npt.NDArray[Any], classes: int) -> None:
        known = (indices >= 0) & (indices < classes) & (indices % 1 == 0)
        unknown = indices[~known & (indices != self.ignore_index)]
        if unknown.size:
            raise BlitzError(f"{self.name}: class index {unknown[0]} is not among 0, 1, … {classes - 1}")

    def _picked(self, target: tf.Tensor, values: tf.Tensor) -> tf.Tensor:
        """Return the value of each position's class; 0 where it is ignored, NaN where there is no such class."""
        # where and sum, not one_hot · values: a log-probability of another class may be −∞.
        chosen = target[..., tf.newaxis] == tf.range(values.shape[-1], dtype=target.dtype)
        picked = tf.reduce_sum(tf.where(chosen, values, tf.zeros_like(values)), -1)
        picked = tf.where(tf.reduce_any(chosen, -1), picked, tf.constant(float("nan"), values.dtype))
        return tf.where(target == self.ignore_index, tf.zeros_like(picked), picked)

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {**super().get_config(), "weight": as_list(self.weight), "ignore_index": self.ignore_index}


def _exact(indices: tf.Tensor) -> tf.Tensor:
    """Return class indices in a dtype that holds every class, and `ignore_index`."""
    return tf.cast(indices, tf.float64 if indices.dtype.is_floating else tf.int64)


@keras.saving.register_keras_serializable("keras_blitz")
class NLLLoss(_ClassLoss):
    """The negative log-likelihood of the target class, given log-probabilities x.

    l = −w[y] · x[y]        0 where y = ignore_index
    mean:  Σ l / Σ w[y] over what is not ignored; NaN (0/0) where all is, as in PyTorch, not Keras's 0

    Keras has no such loss: `SparseCategoricalCrossentropy(from_logits=True)` has its value, but not its gradient with
    respect to the log-probabilities (gap nll: 6.3e-2).

    Args:
        weight: C class weights ≥ 0; None: all 1. `fit(class_weight=…)` divides by N, not by Σ w.
        ignore_index: the class index that counts for nothing.
        reduction: "none", "mean" or "sum".
        name: shown by Keras.

    Shapes:
        y_true (N,), (), (N, d1, …): 0 – C−1 or ignore_index, of any dtype, as Keras makes floats of them under a
        distribution strategy (PyTorch: int64 alone); y_pred (N, C), (C,), (N, d1, …, C), say
        (N, H, W, C). PyTorch has the classes on axis 1.

    Raises:
        BlitzError: shapes that do not fit or, in eager mode, an index that is not a class. Compiled, the loss is NaN
            there.

    Source: torch/nn/modules/loss.py.
    """

    takes = "log-probabilities"

    def __init__(
        self,
        weight: npt.ArrayLike | None = None,
        ignore_index: int = -100,
        reduction: str = "mean",
        name: str | None = None,
    ):
        super().__init__(weight, ignore_index, reduction, name)

    def call(self, y_true: tf.Tensor, y_pred: tf.Tensor) -> tf.Tensor:
        """Return the unreduced losses, of y_true's shape."""
        return self._picked(self._indices(y_true, y_pred), self._weighted(-y_pred))


@keras.saving.register_keras_serializable("keras_blitz")
class CrossEntropyLoss(_ClassLoss):
    """The cross entropy of logits with class indices or class probabilities.

    x = log_softmax(y_pred), C classes, ε = label_smoothing
    indices:        l = −(1 − ε) · w[y] · x[y] − ε/C · Σ_c w[c] · x[c]        0 where y = ignore_index
                    mean:  Σ l / Σ w[y] over what is not ignored; NaN (0/0) where all is
    probabilities:  l = −Σ_c w[c] · ((1 − ε) · y[c] + ε/C) · x[c]
                    mean:  Σ l / number of positions

    What Keras's cross entropies cannot do (measured): divide by the class weights (gap ce-class-weight: 8.5e-1),
    smooth with class weights (gap ce-weight-smoothing: 1.1e-2), be NaN for nothing but ignored targets (gap
    ce-all-ignored), and the gradient for probabilities that do not sum to 1 (gap ce-soft-targets: 4.9e-1). Keras takes
    probabilities by default; this takes logits, always.

    Args:
        weight: C class weights ≥ 0; None: all 1. `fit(class_weight=…)` divides by N, not by Σ w.
        ignore_index: the class index that counts for nothing; class probabilities allow none ≥ 0.
        reduction: "none", "mean" or "sum".
        label_smoothing: ε, 0–1.
        name: shown by Keras.

    Shapes:
        y_pred (N, C), (C,), (N, d1, …, C), say (N, H, W, C); PyTorch has the classes on axis 1. y_true: class indices
        of y_pred's shape without its last axis, or class probabilities of y_pred's shape; told apart by rank.

    Raises:
        BlitzError: an ε outside 0–1, shapes that do not fit, probabilities that are whole numbers or, in eager mode, an
            index that is not a class. Compiled, the loss is NaN there.

    Source: torch/nn/modules/loss.py.
    """

    takes = "logits"

    def __init__(
        self,
        weight: npt.ArrayLike | None = None,
        ignore_index: int = -100,
        reduction: str = "mean",
        label_smoothing: float = 0.0,
        name: str | None = None,
    ):
        super().__init__(weight, ignore_index, reduction, name)
        if not 0 <= label_smoothing <= 1:
            raise BlitzError(f"label_smoothing must be in 0–1, not {label_smoothing!r}")
        self.label_smoothing = label_smoothing

    def call(self, y_true: tf.Tensor, y_pred: tf.Tensor) -> tf.Tensor:
        """Return the unreduced losses, of y_pred's shape without its last axis."""
        weighted = self._weighted(-tf.nn.log_softmax(y_pred))
        if y_true.shape.rank == y_pred.shape.rank:
            return tf.reduce_sum(self._probabilities(y_true, y_pred) * weighted, -1)
        target = self._indices(y_true, y_pred)
        losses = self._picked(target, weighted)
        if not self.label_smoothing:
            return losses
        others = tf.where(target == self.ignore_index, tf.zeros_like(losses), tf.reduce_sum(weighted, -1))
        return (1 - self.label_smoothing) * losses + self.label_smoothing / y_pred.shape[-1] * others

    def divisor(self, y_true: tf.Tensor, y_pred: tf.Tensor, losses: tf.Tensor) -> tf.Tensor:
        """Return Σ w of the classes that are not ignored; for probabilities the number of positions."""
        if y_true.shape.rank == y_pred.shape.rank:
            return tf.size(losses)
        total = super().divisor(y_true, y_pred, losses)
        if not self.label_smoothing:
            return total
        # PyTorch divides each part of a smoothed loss: 0/0 in the first is NaN, whatever the second is.
        return tf.where(total == 0, tf.constant(float("nan"), total.dtype), total)

    def _probabilities(self, y_true: tf.Tensor, y_pred: tf.Tensor) -> tf.Tensor:
        """Return the checked, smoothed class probabilities."""
        if not y_true.shape.is_compatible_with(y_pred.shape) or not y_true.dtype.is_floating:
            raise BlitzError(
                f"{self.name}: y_true {y_true.shape} {y_true.dtype.name} for y_pred {y_pred.shape}; pass whole class"
                f" indices of shape {y_pred.shape[:-1]}, or floating class probabilities of y_pred's shape"
            )
        if self.ignore_index >= 0:
            raise BlitzError(f"{self.name}: ignore_index={self.ignore_index} needs class indices, not probabilities")
        y = tf.cast(y_true, y_pred.dtype)
        if not self.label_smoothing:
            return y
        return y * (1 - self.label_smoothing) + self.label_smoothing / y_pred.shape[-1]

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {**super().get_config(), "label_smoothing": self.label_smoothing}
