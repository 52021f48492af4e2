"""T6: new tensors; Python floats become the default dtype (Keras's floatx, float32), Python ints int64."""

import math

import numpy as np
import tensorflow as tf

from keras_blitz import random
from keras_blitz.errors import BlitzError
from keras_blitz.ops.promotion import as_tensor, default_dtype


def tensor(data, dtype=None):
    """Return a tensor of these values; the dtype is inferred.

    NumPy `np.array(data)`, PyTorch `torch.tensor(data)`, TensorFlow `tf.constant(data)`.
    Trap: `tf.constant([1, 2])` is int32, PyTorch's int64, and floats are float64 in NumPy, float32 in both others (gap
    op-default-dtypes).

    >>> tensor([1, 2]).dtype.name, tensor([1.0, 2]).dtype.name, tensor(True).dtype.name
    ('int64', 'float32', 'bool')
    """
    return as_tensor(data) if dtype is None else _fill(np.asarray(data), dtype)


def Tensor(*data):
    """Return a tensor of the default dtype: of one sequence its values, of integers zeros of this shape.

    PyTorch `torch.Tensor([1, 2])`, TensorFlow `tf.constant([1.0, 2.0])`.
    Trap: `torch.Tensor(3)` is not 3 but three values nobody has set; here they are 0 (gap op-torch-Tensor).

    >>> Tensor([1, 2]).numpy(), Tensor(3).shape.as_list()
    (array([1., 2.], dtype=float32), [3])
    """
    if len(data) == 1 and not isinstance(data[0], int):
        return tf.cast(as_tensor(data[0]), default_dtype())
    return zeros(*data)


def zeros(*size, dtype=None):
    """Return zeros.

    NumPy `np.zeros((2, 3))`, PyTorch `torch.zeros(2, 3)`, TensorFlow `tf.zeros((2, 3))`.
    Trap: NumPy's are float64; PyTorch takes the sizes one by one or together.

    >>> zeros(2).numpy()
    array([0., 0.], dtype=float32)
    """
    return tf.zeros(shape_of(size), dtype or default_dtype())


def ones(*size, dtype=None):
    """Return ones.

    NumPy `np.ones((2, 3))`, PyTorch `torch.ones(2, 3)`, TensorFlow `tf.ones((2, 3))`.

    >>> ones(1, 2).numpy()
    array([[1., 1.]], dtype=float32)
    """
    return tf.ones(shape_of(size), dtype or default_dtype())


def full(size, fill_value, dtype=None):
    """Return a tensor filled with one value, which decides the dtype.

    NumPy `np.full((2, 3), 7)`, PyTorch `torch.full((2, 3), 7)`, TensorFlow `tf.fill((2, 3), 7)`.
    Trap: `tf.fill` of a Python int is int32.

    >>> full((2,), 7).numpy()
    array([7, 7])
    """
    value = tensor(fill_value, dtype)
    return tf.fill(shape_of((size,)), value)


def zeros_like(x, dtype=None):
    """Return zeros of the shape and dtype of x.

    NumPy `np.zeros_like(x)`, PyTorch `torch.zeros_like(x)`, TensorFlow `tf.zeros_like(x)`.

    >>> zeros_like(tf.constant([1, 2])).numpy()
    array([0, 0], dtype=int32)
    """
    return tf.zeros_like(as_tensor(x), dtype)


def ones_like(x, dtype=None):
    """Return ones of the shape and dtype of x.

    NumPy `np.ones_like(x)`, PyTorch `torch.ones_like(x)`, TensorFlow `tf.ones_like(x)`.

    >>> ones_like(tf.constant([1, 2])).numpy()
    array([1, 1], dtype=int32)
    """
    return tf.ones_like(as_tensor(x), dtype)


def full_like(x, fill_value, dtype=None):
    """Return a tensor of the shape and dtype of x, filled with one value.

    NumPy `np.full_like(x, 7)`, PyTorch `torch.full_like(x, 7)`, TensorFlow `tf.fill(x.shape, 7)`.
    Trap: the dtype is that of x, where `full` takes the value's.

    >>> full_like(tf.constant([1.0, 2.0]), 7).numpy()
    array([7., 7.], dtype=float32)
    """
    x = as_tensor(x)
    return tf.fill(x.shape, _fill(np.asarray(fill_value), dtype or x.dtype))


def empty_like(x, dtype=None):
    """Return a tensor of the shape and dtype of x; its values are 0 here.

    NumPy `np.empty_like(x)`, PyTorch `torch.empty_like(x)`, TensorFlow has none.
    Trap: PyTorch's and NumPy's values are those that nobody has set.

    >>> empty_like(tf.constant([1.0, 2.0])).shape.as_list()
    [2]
    """
    return zeros_like(x, dtype)


def eye(n: int, m: int | None = None, dtype=None):
    """Return ones on the diagonal of (n, m).

    NumPy `np.eye(n, m)`, PyTorch `torch.eye(n, m)`, TensorFlow `tf.eye(n, m)`.

    >>> eye(2).numpy()
    array([[1., 0.],
           [0., 1.]], dtype=float32)
    """
    return tf.eye(n, m, dtype=dtype or default_dtype())


def arange(start, end=None, step=1, dtype=None):
    """Return start, start + step, … below `end`.

    xᵢ = start + i · step, ⌈(end − start) / step⌉ values

    NumPy `np.arange(start, end, step)`, PyTorch `torch.arange(start, end, step)`, TensorFlow `tf.range(…)`.
    Trap: of floats, TensorFlow adds up the steps in float32 (gap op-arange-float); of ints it is int32.

    >>> arange(3).numpy(), arange(0, 1, 0.25).numpy()
    (array([0, 1, 2]), array([0.  , 0.25, 0.5 , 0.75], dtype=float32))
    """
    start, end = (0, start) if end is None else (start, end)
    if step == 0 or (end - start) / step < 0:
        raise BlitzError(f"arange: step must lead from start {start} to end {end}, not {step}")
    floats = any(isinstance(value, float) for value in (start, end, step))
    dtype = tf.as_dtype(dtype or (default_dtype() if floats else tf.int64))
    count = math.ceil((end - start) / step)
    return tf.constant((start + step * np.arange(count, dtype=np.float64 if floats else np.int64)), dtype)


def linspace(start: float, end: float, steps: int, dtype=None):
    """Return `steps` values evenly from `start` to `end`, both among them.

    The first half is counted from `start`, the second from `end`, in fused multiply-adds: PyTorch's bits.

    NumPy `np.linspace(start, end, steps)`, PyTorch `torch.linspace(start, end, steps)`, TensorFlow `tf.linspace(…)`.
    Trap: TensorFlow counts all from `start`: another rounding (gap op-linspace).

    >>> linspace(0, 1, 3).numpy()
    array([0. , 0.5, 1. ], dtype=float32)
    """
    dtype = tf.as_dtype(dtype or default_dtype())
    kind = np.float32 if dtype == tf.float32 else np.float64
    return tf.constant(_evenly(kind(start), kind(end), steps), dtype)


def logspace(start: float, end: float, steps: int, base: float = 10.0, dtype=None):
    """Return base to the powers that are evenly spaced from `start` to `end`.

    NumPy `np.logspace(start, end, steps)`, PyTorch `torch.logspace(start, end, steps)`; TensorFlow has none.

    >>> logspace(0, 2, 3).numpy()
    array([  1.,  10., 100.], dtype=float32)
    """
    dtype = tf.as_dtype(dtype or default_dtype())
    return tf.constant(np.power(float(base), _evenly(start, end, steps)), dtype)


def _evenly(start: float | np.floating, end: float | np.floating, steps: int) -> np.ndarray:
    """Return the values of `linspace` in the dtype of `start`; Python's floats are float64."""
    start, end = (np.float64(value) if isinstance(value, int | float) else value for value in (start, end))
    if steps < 0:
        raise BlitzError(f"the number of steps must be ≥ 0, not {steps}")
    if steps < 2:
        return np.full(steps, start)
    with np.errstate(all="ignore"):  # of infinite ends
        step = (end - start) / start.dtype.type(steps - 1)
        i = np.arange(steps)
        first = i < steps // 2
        return _fused(np.where(first, i, i - (steps - 1)), step, np.where(first, start, end))


def _fused(i: np.ndarray, step: np.floating, start: np.ndarray) -> np.ndarray:
    """Return i · step + start, rounded once; |i| < 2²⁶.

    Source: Boldo, Melquiond, Emulation of FMA and correctly rounded sums, 2008.
    """
    if step.dtype == np.float32:
        return _to_odd(i * np.float64(step), start.astype(np.float64)).astype(np.float32)
    product = i * step
    high = step * (2**27 + 1) - (step * (2**27 + 1) - step)  # 26 bits, so that i · high is exact
    near, far = _exact_sum(start, (i * high - product) + i * (step - high))
    total, rest = _exact_sum(product, near)
    lost = _to_odd(far, rest)
    return np.where(np.isfinite(lost), total + lost, product + start)


def _exact_sum(a: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return a + b and what its rounding lost."""
    total = a + b
    rest = total - a
    return total, (a - (total - rest)) + (b - rest)


def _to_odd(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Return a + b, rounded to an odd last bit where it is not exact: a second rounding then does no harm."""
    total, lost = _exact_sum(a, b)
    even = (total.view(np.int64) & 1 == 0) & np.isfinite(lost) & (lost != 0)
    return np.where(even, np.nextafter(total, np.copysign(np.inf, lost)), total)


def rand(*size, dtype=None):
    """Return values uniform in [0, 1), the bits PyTorch's generator gives after the same `manual_seed`.

    NumPy `np.random.rand(2, 3)`, PyTorch `torch.rand(2, 3)`, TensorFlow `tf.random.uniform((2, 3))`.
    Trap: three generators; keras_blitz's is PyTorch's (gap op-rand).

    >>> _ = random.manual_seed(0)
    >>> rand(2).numpy()
    array([0.4962566, 0.7682218], dtype=float32)
    """
    return tf.constant(random.rand(*shape_of(size), dtype=tf.as_dtype(dtype or default_dtype()).name))


def randn(*size, dtype=None):
    """Return standard normal values, the bits PyTorch's generator gives after the same `manual_seed`.

    NumPy `np.random.randn(2, 3)`, PyTorch `torch.randn(2, 3)`, TensorFlow `tf.random.normal((2, 3))`.

    >>> _ = random.manual_seed(0)
    >>> randn(2).numpy()
    array([ 1.5409961, -0.2934289], dtype=float32)
    """
    return tf.constant(random.randn(*shape_of(size), dtype=tf.as_dtype(dtype or default_dtype()).name))


def from_numpy(array: np.ndarray):
    """Return a tensor of an array's values and dtype.

    PyTorch `torch.from_numpy(array)`, TensorFlow `tf.constant(array)`.
    Trap: PyTorch's tensor shares the array's memory, and sees what is written into it later; this one is a copy (gap
    op-from-numpy-alias).

    >>> from_numpy(np.array([1.0])).dtype.name
    'float64'
    """
    if not isinstance(array, np.ndarray):
        raise BlitzError(f"from_numpy: needs a NumPy array, not {type(array).__name__}; tensor() takes anything")
    return tf.constant(array)


def shape_of(size) -> list[int]:
    """Return sizes that were given one by one or together."""
    if len(size) == 1 and not isinstance(size[0], int | np.integer):
        size = tuple(size[0])
    return [int(number) for number in size]


def _fill(array: np.ndarray, dtype) -> tf.Tensor:
    return tf.constant(array.astype(tf.as_dtype(dtype).as_numpy_dtype))
