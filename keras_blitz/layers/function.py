"""A function of `keras_blitz.ops` as a layer of a functional model."""

from inspect import signature
from typing import Any

import keras

from keras_blitz import ops

KERAS_OWN = ("name", "dtype", "trainable", "activity_regularizer", "autocast")


class DenseInputs(keras.layers.Layer):
    """A layer whose inputs are dense; `x * 2` is sparse to Keras, and its own tracing would take it as such."""

    def compute_output_spec(self, *tensors):
        """Return what `call` returns."""
        return super().compute_output_spec(*(keras.KerasTensor(each.shape, each.dtype) for each in tensors))


@keras.saving.register_keras_serializable("keras_blitz")
class Function(DenseInputs):
    """PyTorch's function of this name: `Function("lerp")(start, end, weight)`, `Function("cumprod", dim=1)(x)`.

    Keras's own functions of these names differ in values, gradients or errors (`parity gaps`), and those of
    `keras_blitz.ops` take no symbolic tensor.

    Args:
        function: the name in `keras_blitz.ops`.
        arguments: those of its arguments that are not tensors; PyTorch's axes are those of this layer's inputs.

    Shapes:
        as the function's; it is called with its tensors in order.

    Raises:
        ValueError: there is no such function.
    """

    def __init__(self, function: str, **arguments):
        super().__init__(**{name: arguments.pop(name) for name in KERAS_OWN if name in arguments})
        if function not in ops.__all__:
            raise ValueError(f"function must be a name of keras_blitz.ops, not {function!r}")
        self.function, self.arguments = function, arguments

    def call(self, *tensors):
        """Return the function's result."""
        function: Any = getattr(ops, self.function)
        free = [name for name in signature(function).parameters if name not in self.arguments]
        found = function(**dict(zip(free, tensors, strict=False)), **self.arguments)
        return tuple(found) if isinstance(found, tuple) else found

    def get_config(self) -> dict:
        """Return the constructor's arguments."""
        return {**super().get_config(), "function": self.function, **self.arguments}
