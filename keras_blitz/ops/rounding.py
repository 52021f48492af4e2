"""T14: parts of numbers, and which of them are NaN or infinite."""

from math import inf

import numpy as np
import tensorflow as tf

from keras_blitz.errors import BlitzError
from keras_blitz.ops.elementwise import sign
from keras_blitz.ops.promotion import as_tensor, not_bool, rounded


def trunc(x):
    """Return x without its fraction, rounded towards 0, in the dtype of x.

    NumPy `np.trunc(x)`, PyTorch `torch.trunc(x)`, TensorFlow `tf.cast(tf.cast(x, tf.int64), x.dtype)`.
    Trap: the gradient is zero, not None; −0.5 becomes −0.

    >>> trunc(tf.constant([-1.5, 2.7])).numpy()
    array([-1.,  2.], dtype=float32)
    """
    return rounded("trunc", _towards_0, x)


def _towards_0(x):
    return tf.where(x < 0, tf.math.ceil(x), tf.floor(x))


def frac(x):
    """Return what `trunc` takes away, with the sign of x.

    NumPy `np.modf(x)[0]`, PyTorch `torch.frac(x)`, TensorFlow x - tf.floor(x) for x ≥ 0.
    Trap: x − floor(x) is another number below 0. PyTorch refuses integers.

    >>> frac(tf.constant([-1.5, 2.25])).numpy()
    array([-0.5 ,  0.25], dtype=float32)
    """
    x = as_tensor(x)
    if not x.dtype.is_floating:
        raise BlitzError(f"frac: needs a floating dtype, not {x.dtype.name}")
    return x - tf.stop_gradient(_towards_0(x))


def round(x, decimals: int = 0):
    """Return x rounded to so many decimals, halves to the even neighbor, in the dtype of x.

    NumPy `np.round(x, decimals)`, PyTorch `torch.round(x, decimals=0)`, TensorFlow `tf.round(x)`.
    Trap: Python and all three round 2.5 to 2. Digits left of the point have negative `decimals`.

    >>> round(tf.constant([2.5, 3.5, -0.5])).numpy()
    array([ 2.,  4., -0.], dtype=float32)
    >>> round(tf.constant([0.126, 1.0]), decimals=2).numpy()
    array([0.13, 1.  ], dtype=float32)
    """
    x = as_tensor(x)
    if decimals and not x.dtype.is_floating:
        raise BlitzError(f"round: decimals={decimals} needs a floating dtype, not {x.dtype.name}")
    if not decimals:
        return rounded("round", tf.round, x)
    power = np.asarray(10.0 ** np.abs(decimals), x.dtype.as_numpy_dtype)
    if decimals > 0:
        return rounded("round", lambda x: tf.round(x * power) / power, x)
    return rounded("round", lambda x: tf.round(x / power) * power, x)


def sgn(x):
    """Return `sign(x)`: of real numbers it is the same.

    NumPy `np.sign(x)`, PyTorch `torch.sgn(x)`, TensorFlow `tf.sign(x)`.

    >>> sgn(tf.constant([-3.0, 0.0])).numpy()
    array([-1.,  0.], dtype=float32)
    """
    return sign(x)


def signbit(x):
    """Return whether the sign is minus, of −0 too.

    NumPy `np.signbit(x)`, PyTorch `torch.signbit(x)`, TensorFlow x < 0 but for −0.

    >>> signbit(tf.constant([-1.0, -0.0, 0.0])).numpy()
    array([ True,  True, False])
    """
    x = as_tensor(x)
    if x.dtype == tf.bool:
        return tf.zeros_like(x)
    if not x.dtype.is_floating:
        return x < 0
    return tf.bitcast(x, {2: tf.int16, 4: tf.int32, 8: tf.int64}[x.dtype.size]) < 0


def positive(x):
    """Return x; PyTorch refuses bool.

    NumPy `np.positive(x)`, PyTorch `torch.positive(x)`, TensorFlow `x`.

    >>> positive(tf.constant([-1])).numpy()
    array([-1], dtype=int32)
    """
    return not_bool("positive", x)


def isnan(x):
    """Return where x is NaN; integers never are.

    NumPy `np.isnan(x)`, PyTorch `torch.isnan(x)`, TensorFlow `tf.math.is_nan(x)`.
    Trap: TensorFlow refuses integers.

    >>> isnan(tf.constant([1.0, float("nan")])).numpy()
    array([False,  True])
    """
    x = as_tensor(x)
    return tf.not_equal(x, x)


def isinf(x):
    """Return where x is ∞ or −∞; integers never are.

    NumPy `np.isinf(x)`, PyTorch `torch.isinf(x)`, TensorFlow `tf.math.is_inf(x)`.
    Trap: TensorFlow refuses integers.

    >>> isinf(tf.constant([1.0, float("-inf")])).numpy()
    array([False,  True])
    """
    return isposinf(x) | isneginf(x)


def isposinf(x):
    """Return where x is ∞.

    NumPy `np.isposinf(x)`, PyTorch `torch.isposinf(x)`, TensorFlow `x == float("inf")`.

    >>> isposinf(tf.constant([float("inf"), float("-inf")])).numpy()
    array([ True, False])
    """
    return _is(x, inf)


def isneginf(x):
    """Return where x is −∞.

    NumPy `np.isneginf(x)`, PyTorch `torch.isneginf(x)`, TensorFlow `x == float("-inf")`.

    >>> isneginf(tf.constant([float("inf"), float("-inf")])).numpy()
    array([False,  True])
    """
    return _is(x, -inf)


def _is(x, value: float):
    x = as_tensor(x)
    return tf.equal(x, value) if x.dtype.is_floating else tf.zeros_like(x, tf.bool)


def isfinite(x):
    """Return where x is neither NaN nor infinite; integers always are.

    NumPy `np.isfinite(x)`, PyTorch `torch.isfinite(x)`, TensorFlow `tf.math.is_finite(x)`.
    Trap: TensorFlow refuses integers.

    >>> isfinite(tf.constant([1.0, float("nan"), float("inf")])).numpy()
    array([ True, False, False])
    """
    return ~(isnan(x) | isinf(x))


def nan_to_num(x, nan: float = 0.0, posinf: float | None = None, neginf: float | None = None):
    """Return x with numbers for NaN, ∞ and −∞: by default 0 and the largest and the least of the dtype.

    NumPy `np.nan_to_num(x, nan=0.0)`, PyTorch `torch.nan_to_num(x, nan=0.0)`, TensorFlow `tf.where(tf.math.is_nan(x),
    0.0, x)`.
    Trap: the gradient there is 0.

    >>> nan_to_num(tf.constant([float("nan"), 1.0, float("inf")]), posinf=9.0).numpy()
    array([0., 1., 9.], dtype=float32)
    """
    x = as_tensor(x)
    if not x.dtype.is_floating:
        return x
    high, low = x.dtype.max if posinf is None else posinf, x.dtype.min if neginf is None else neginf
    for where, value in ((isnan(x), nan or 0.0), (isposinf(x), high), (isneginf(x), low)):
        x = tf.where(where, tf.constant(value, x.dtype), x)
    return x
