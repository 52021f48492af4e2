"""A `compute_loss` of the user's own, which `fit` calls in place of the loss that the model was compiled with."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from keras_blitz import keras_internals
from keras_blitz.errors import BlitzError
from parity.pair import step
from parity.pair.options import Options

Call = Callable[[Any, list, bool], Any]


def is_own(model: Any, options: Options) -> bool:
    """Whether the loss is what the model was compiled with, and its class computes it in its own way."""
    return (
        bool(options.loss)
        and isinstance(options.loss[1], step.CompiledLoss)
        and isinstance(model, keras.Model)
        and type(model).compute_loss is not keras.Model.compute_loss
    )


class OwnLoss:
    """The loss that a model's `compute_loss` returns, (target, output) -> scalar.

    It is told the inputs that the model was called with, so that a loss of the inputs has its gradients.

    Args:
        model: the one that is recorded.
        options: with the compiled loss.
        dtype: "float32" or "float64".
        call: (model, inputs, training) -> output.
        structured: inputs -> what `fit` gives to `train_step`.
    """

    def __init__(self, model: keras.Model, options: Options, dtype: str, call: Call, structured: Callable):
        self.model, self.options, self.dtype, self._call, self._structured = model, options, dtype, call, structured
        self._x: Any = None

    def call(self, model: Any, given: list, training: bool) -> Any:
        """Call the model."""
        self._x = self._structured(given)
        return self._call(model, given, training)

    def __call__(self, target: Any, output: Any) -> tf.Tensor:
        """Return the loss of the last call, without the regularizers' penalties on weights.

        Raises:
            BlitzError: `compute_loss` returned no number.
        """
        with _without_regularizers(self.model):
            return self._compute(target, output)

    def penalty(self, target: Any, output: Any) -> tf.Tensor:
        """Return what the regularizers' penalties on weights add to the loss of the last call.

        `compute_loss` may scale them, or leave them out, so they are the difference that the regularizers make.
        """
        return self._compute(target, output) - self(target, output)

    def _compute(self, target: Any, output: Any) -> tf.Tensor:
        weight = step.sample_weight(self.options, self.dtype)
        value = keras_internals.computed_loss(
            self.model, self._x, target, output, None if weight is None else tf.constant(weight), self.options.train
        )
        if not tf.is_tensor(value) and not isinstance(value, float | int | np.generic):
            raise BlitzError(f"the Keras model's compute_loss returned a {type(value).__name__}, not a number")
        value = tf.convert_to_tensor(value)
        if value.shape.rank:
            raise BlitzError(f"the Keras model's compute_loss returned {tuple(value.shape)} values, not a number")
        return value

    @contextmanager
    def compiled(self) -> Iterator[None]:
        """Let the model have the compiled loss in its precision, as a copy has not, and put its metrics back."""
        held = [(variable, variable.numpy()) for metric in self.model.metrics for variable in metric.variables]
        made = step.compiled_loss(self.options.loss[1], self.dtype)
        try:
            with keras_internals.compiled_with(self.model, made):
                yield
        finally:
            for variable, value in held:
                variable.assign(value)


@contextmanager
def _without_regularizers(model: keras.Model) -> Iterator[None]:
    """Let a model have no regularizers on its weights for the block."""
    held = [(variable, variable.regularizer) for variable in model.trainable_variables if variable.regularizer]
    try:
        for variable, _ in held:
            variable.regularizer = None
        yield
    finally:
        for variable, regularizer in held:
            variable.regularizer = regularizer
