"""Python floats that stay float64 in a float64 run, where TensorFlow would take them through float32.

`tf.cast(0.1, tf.float64)` makes a float32 of 0.1 first, and the slope of `tf.nn.leaky_relu` is a float32 in the
operation itself. So gelu, leaky_relu, `Rescaling`, the scale of attention and `ReLU(max_value=…)` are off by 1e-9 to
1e-7 in a float64 Keras model, whose algebra is right. In float32 the rounding is the number's own.

The same holds for layers that cast to float32 whatever their policy is, so that a half-precision model keeps its norms
exact: they do nothing in the user's float32 model, and would round in its float64 copy.
"""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from importlib import import_module
from typing import Any
from unittest.mock import patch

import keras
import tensorflow as tf

from keras_blitz import keras_internals
from keras_blitz.layers import activations


@contextmanager
def exact_floats(widen: bool = False) -> Iterator[list[str]]:
    """Make float64 constants of Python floats, in `tf.cast` and `tf.nn.leaky_relu`, within this context.

    Args:
        widen: leave float64 what `keras.ops.cast` would make float32, as `torch_exact.Widened` does for PyTorch. What
            Keras and TensorFlow cast themselves is left alone: their kernels and optimizers may take nothing else.

    Yields:
        The names of the operations that were left float64; one that is repeated is listed again.
    """
    narrowed: list[str] = []
    inside = import_module(tf.cast.__module__)  # where TensorFlow's own functions, such as gelu, look it up
    with ExitStack() as stack:
        cast, leaky_relu = _exact_cast(tf.cast), _exact_leaky_relu(tf.nn.leaky_relu)
        for module, name, function in ((tf, "cast", cast), (inside, "cast", cast), (tf.nn, "leaky_relu", leaky_relu)):
            stack.enter_context(patch.object(module, name, function))
        stack.enter_context(patch.object(activations, "SIXTH", 1 / 6))  # as `torch_exact` has PyTorch's
        if widen:  # of a functional model it is an operation of its graph
            stack.enter_context(patch.object(keras.ops, "cast", _wide_cast(keras.ops.cast, narrowed)))
            operation: Any = keras_internals.cast_operation()
            stack.enter_context(patch.object(operation, "call", _wide_call(operation.call, narrowed)))
        yield narrowed


def _exact_cast(cast: Any) -> Any:
    def exact_cast(x: Any, dtype: Any, name: str | None = None) -> Any:
        if tf.as_dtype(dtype) == tf.float64 and _is_python_numbers(x):
            return tf.constant(x, tf.float64, name=name or "Const")
        return cast(x, dtype, name)

    return exact_cast


def _wide_cast(cast: Any, narrowed: list[str]) -> Any:
    def wide_cast(x: Any, dtype: Any) -> Any:
        return x if _is_narrowed(x, dtype, narrowed) else cast(x, dtype)

    return wide_cast


def _wide_call(call: Any, narrowed: list[str]) -> Any:
    def wide_call(operation: Any, x: Any) -> Any:
        return x if _is_narrowed(x, operation.dtype, narrowed) else call(operation, x)

    return wide_call


def _is_narrowed(x: Any, dtype: Any, narrowed: list[str]) -> bool:
    if not tf.is_tensor(x) or x.dtype != tf.float64 or keras.backend.standardize_dtype(dtype) != "float32":
        return False
    narrowed.append("cast")
    return True


def _exact_leaky_relu(leaky_relu: Any) -> Any:
    def exact_leaky_relu(features: Any, alpha: Any = 0.2, name: str | None = None) -> Any:
        x = tf.convert_to_tensor(features)
        if x.dtype != tf.float64:
            return leaky_relu(features, alpha, name)
        return tf.where(x > 0, x, tf.convert_to_tensor(alpha, tf.float64) * x)  # at 0 PyTorch's gradient is the slope

    return exact_leaky_relu


def _is_python_numbers(x: Any) -> bool:
    return type(x) is float or (isinstance(x, list | tuple) and len(x) > 0 and all(map(_is_python_numbers, x)))
