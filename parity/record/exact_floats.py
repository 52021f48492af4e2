"""Python floats that stay float64 in a float64 run, where TensorFlow would take them through float32.

`tf.cast(0.1, tf.float64)` makes a float32 of 0.1 first, and the slope of `tf.nn.leaky_relu` is a float32 in the
operation itself. So gelu, leaky_relu, `Rescaling`, the scale of attention and `ReLU(max_value=…)` are off by 1e-9 to
1e-7 in a float64 Keras model, whose algebra is right. In float32 the rounding is the number's own.
"""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from importlib import import_module
from typing import Any
from unittest.mock import patch

import tensorflow as tf

from keras_blitz.layers import activations

_INSIDE = import_module(tf.cast.__module__)  # where TensorFlow's own functions, such as gelu, look up `cast`


@contextmanager
def exact_floats() -> Iterator[None]:
    """Make float64 constants of Python floats, in `tf.cast` and `tf.nn.leaky_relu`, within this context."""
    with ExitStack() as stack:
        cast, leaky_relu = _exact_cast(tf.cast), _exact_leaky_relu(tf.nn.leaky_relu)
        for module, name, function in ((tf, "cast", cast), (_INSIDE, "cast", cast), (tf.nn, "leaky_relu", leaky_relu)):
            stack.enter_context(patch.object(module, name, function))
        stack.enter_context(patch.object(activations, "SIXTH", 1 / 6))  # as `torch_exact` has PyTorch's
        yield


@contextmanager
def widened_casts() -> Iterator[list[str]]:
    """Leave in float64 what a Keras model casts to float32 by itself, within this context; the list gets such casts."""
    found: list[str] = []
    cast = tf.cast

    def wide_cast(x: Any, dtype: Any, name: str | None = None) -> Any:
        if tf.as_dtype(dtype) == tf.float32 and getattr(x, "dtype", None) == tf.float64:
            found.append(name or "cast")
            return x
        return cast(x, dtype, name)

    with patch.object(tf, "cast", wide_cast), patch.object(_INSIDE, "cast", wide_cast):
        yield found


def _exact_cast(cast: Any) -> Any:
    def exact_cast(x: Any, dtype: Any, name: str | None = None) -> Any:
        if tf.as_dtype(dtype) == tf.float64 and _is_python_numbers(x):
            return tf.constant(x, tf.float64, name=name or "Const")
        return cast(x, dtype, name)

    return exact_cast


def _exact_leaky_relu(leaky_relu: Any) -> Any:
    def exact_leaky_relu(features: Any, alpha: Any = 0.2, name: str | None = None) -> Any:
        x = tf.convert_to_tensor(features)
        if x.dtype != tf.float64:
            return leaky_relu(features, alpha, name)
        return tf.where(x > 0, x, tf.convert_to_tensor(alpha, tf.float64) * x)  # at 0 PyTorch's gradient is the slope

    return exact_leaky_relu


def _is_python_numbers(x: Any) -> bool:
    return type(x) is float or (isinstance(x, list | tuple) and len(x) > 0 and all(map(_is_python_numbers, x)))
