"""Losses of several predictions, which PyTorch takes as several arguments."""

from typing import Any

import tensorflow as tf

from keras_blitz.errors import BlitzError
from keras_blitz.keras_internals import mask_of
from keras_blitz.losses.base import as_tensor
from keras_blitz.losses.elements import ElementLoss


class SeveralLoss(ElementLoss):
    """A loss whose `y_pred` has several parts: `loss(y_true, (x1, x2))` for PyTorch's `loss(x1, x2, target)`.

    Keras gives each output of a model to a loss of its own. In `compile(loss=…)` one output must therefore hold the
    parts on a new last axis, `keras.ops.stack([x1, x2], axis=-1)`; the loss takes them apart again.

    Raises:
        BlitzError: another number of parts, or parts of different dtypes.
    """

    parts: tuple[str, ...] = ()

    def _checked(self, y_true: Any, y_pred: Any) -> tuple[tf.Tensor, Any]:
        parts = y_pred if isinstance(y_pred, (tuple, list)) else (y_pred,)
        if any(mask_of(part) is not None for part in parts):
            raise BlitzError(
                f"{self.name}: y_pred has a Keras mask, which PyTorch's losses do not have; use sample_weight instead"
            )
        tensors = self._split(as_tensor(y_pred)) if len(parts) == 1 else self._align_floats(parts)
        if len(tensors) != len(self.parts):
            raise BlitzError(f"{self.name}: y_pred must hold ({', '.join(self.parts)}), not {len(tensors)} tensors")
        dtypes = sorted({tensor.dtype.name for tensor in tensors})
        if len(dtypes) > 1:
            raise BlitzError(f"{self.name}: {', '.join(self.parts)} must have one dtype, not {', '.join(dtypes)}")
        y_true = as_tensor(0.0 if y_true is None else y_true)
        for tensor in tensors:
            self._check_tensors(y_true, tensor)
        return y_true, tensors

    def _align_floats(self, parts: Any) -> tuple[tf.Tensor, ...]:
        """Return tensors; a Python float, such as one variance for all, becomes a tensor like the first part."""
        first = as_tensor(parts[0])
        others = (
            tf.fill(tf.shape(first), tf.constant(part, first.dtype)) if isinstance(part, float) else as_tensor(part)
            for part in parts[1:]
        )
        return (first, *others)

    def _split(self, y_pred: tf.Tensor) -> tuple[tf.Tensor, ...]:
        if not y_pred.shape.rank or y_pred.shape[-1] != len(self.parts):
            raise BlitzError(
                f"{self.name}: y_pred must be a tuple ({', '.join(self.parts)}), or one tensor that has them on its"
                f" last axis, which is of size {len(self.parts)}, not of shape {y_pred.shape}"
            )
        return tuple(tf.unstack(y_pred, axis=-1))
