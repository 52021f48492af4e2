"""Which dtype an operation computes in: PyTorch's promotion, where TensorFlow raises on mixed dtypes."""

from collections.abc import Callable

import keras
import numpy as np
import tensorflow as tf

from keras_blitz.errors import BlitzError

_SIGNED = (tf.int8, tf.int16, tf.int32, tf.int64)


def default_dtype() -> tf.DType:
    """Return what a Python float becomes: Keras's floatx, float32 unless `precision` says otherwise."""
    return tf.as_dtype(keras.config.floatx())


def as_tensor(value) -> tf.Tensor:
    """Return a tensor with PyTorch's dtype: Python floats are of the default one, Python ints int64.

    `tf.constant([1, 2])` is int32 (gap op-default-dtypes). NumPy's arrays, tensors and variables keep their dtype.
    """
    if isinstance(value, tf.Tensor | tf.Variable | np.ndarray | np.generic | keras.Variable):
        return tf.convert_to_tensor(value)
    array = np.asarray(value)
    if array.dtype.kind == "f":
        return tf.constant(array, default_dtype())
    return tf.constant(array, tf.int64 if array.dtype.kind in "iu" else None)


def result_type(*operands) -> tf.DType:
    """Return the dtype PyTorch computes in.

    The dtypes of tensors with dimensions are promoted; those of 0-dimensional tensors, and then those of Python
    numbers, count only if they are of a higher kind: bool < integers < floating.

    Args:
        operands: tensors and Python numbers.

    Source: aten/src/ATen/native/TypeProperties.cpp.
    """
    plain = [operand for operand in operands if isinstance(operand, bool | int | float)]
    tensors = [operand for operand in operands if not isinstance(operand, bool | int | float)]
    groups = (
        [tensor.dtype for tensor in tensors if tensor.shape.rank],
        [tensor.dtype for tensor in tensors if not tensor.shape.rank],
        [_of_number(number) for number in plain],
    )
    found = None
    for group in groups:
        for dtype in group[:1]:
            for other in group[1:]:
                dtype = promote(dtype, other)
            found = dtype if found is None else _combine(found, dtype)
    return found


def promote(a: tf.DType, b: tf.DType) -> tf.DType:
    """Return the least dtype that PyTorch takes for both: `torch.promote_types`."""
    if a == b:
        return a
    if kind(a) != kind(b):
        return max(a, b, key=kind)
    if a.is_floating:
        return tf.float32 if a.size == b.size else max(a, b, key=lambda dtype: dtype.size)
    if tf.uint8 in (a, b):
        other = b if a == tf.uint8 else a
        return tf.int16 if other == tf.int8 else other
    return max(a, b, key=_SIGNED.index)


def kind(dtype: tf.DType) -> int:
    """Return 0 for bool, 1 for integers, 2 for floating dtypes."""
    return 2 if dtype.is_floating else 1 if dtype.is_integer else 0


def promoted(name: str, *operands) -> list[tf.Tensor]:
    """Return the operands as tensors of their common dtype; Python floats are exact in float64.

    Raises:
        BlitzError: their shapes cannot be broadcast to one.
    """
    values = [operand if isinstance(operand, bool | int | float) else as_tensor(operand) for operand in operands]
    dtype = result_type(*values)
    tensors = [
        tf.constant(np.asarray(value), dtype) if isinstance(value, bool | int | float) else tf.cast(value, dtype)
        for value in values
    ]
    broadcast(name, *tensors)
    return tensors


def broadcast(name: str, *tensors) -> tf.TensorShape:
    """Return the shape that tensors are broadcast to.

    Raises:
        BlitzError: there is none.
    """
    shape = tensors[0].shape
    try:
        for each in tensors[1:]:
            shape = tf.broadcast_static_shape(shape, each.shape)
    except ValueError:
        shapes = " and ".join(str(each.shape) for each in tensors)
        raise BlitzError(f"{name}: {shapes} cannot be broadcast to one shape") from None
    return shape


def floating(x) -> tf.Tensor:
    """Return a tensor, integers and bool as the default dtype: what exp, sqrt and their like make of them."""
    x = as_tensor(x)
    return x if x.dtype.is_floating else tf.cast(x, default_dtype())


def only_floating(name: str, x) -> tf.Tensor:
    """Return a tensor.

    Raises:
        BlitzError: it is not floating.
    """
    x = as_tensor(x)
    if not x.dtype.is_floating:
        raise BlitzError(f"{name}: needs a floating dtype, not {x.dtype.name}; tf.cast it first")
    return x


def not_bool(name: str, x) -> tf.Tensor:
    """Return a tensor.

    Raises:
        BlitzError: it is bool.
    """
    x = as_tensor(x)
    if x.dtype == tf.bool:
        raise BlitzError(f"{name} does not take bool tensors; tf.cast them first")
    return x


def dimension(name: str, dim: int, rank: int) -> int:
    """Return a dimension counted from the front; a tensor without dimensions takes −1 and 0.

    Raises:
        BlitzError: the tensor has no such dimension.
    """
    most = max(rank, 1)
    if not -most <= dim < most:
        raise BlitzError(f"{name}: dim must be from −{most} to {most - 1} for {rank} dimensions, not {dim}")
    return dim % most


def scalar(value, dtype: tf.DType) -> tf.Tensor:
    """Return a number as a tensor of a dtype, cast as NumPy casts it."""
    return tf.constant(np.asarray(value).astype(dtype.as_numpy_dtype))


def rounded(name: str, function: Callable, x):
    """Return function(x) with a zero gradient; integers as they are."""
    x = not_bool(name, x)
    if not x.dtype.is_floating:
        return x

    @tf.custom_gradient
    def step(x):
        return function(x), tf.zeros_like

    return step(x)


def summed_to(gradient, x):
    """Return the gradient of a broadcast tensor: summed over what was repeated."""
    ones, _ = tf.raw_ops.BroadcastGradientArgs(s0=tf.shape(x), s1=tf.shape(gradient))
    return tf.reshape(tf.reduce_sum(gradient, ones), tf.shape(x))


def _of_number(number: bool | int | float) -> tf.DType:
    return tf.bool if isinstance(number, bool) else tf.int64 if isinstance(number, int) else default_dtype()


def _combine(higher: tf.DType, lower: tf.DType) -> tf.DType:
    if higher.is_floating:
        return higher
    return promote(higher, lower) if higher == tf.bool or lower.is_floating else higher
