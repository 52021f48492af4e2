"""T14: more reductions, over all elements or along dimensions."""

import math
from typing import NamedTuple

import tensorflow as tf

from keras_blitz.errors import BlitzError
from keras_blitz.ops.comparison import max, min, order_of
from keras_blitz.ops.promotion import as_tensor, dimension, floating, not_bool, only_floating
from keras_blitz.ops.reduction import Reduced, axes_of, last, mean, placed, shared, std, sum, var
from keras_blitz.ops.rounding import isnan


class AMinMax(NamedTuple):
    """The least and the largest element."""

    min: tf.Tensor
    max: tf.Tensor


def all(x, dim=None, keepdim: bool = False):
    """Return whether no element is 0; of nothing true.

    NumPy `np.all(x, axis)`, PyTorch `torch.all(x, dim)`, TensorFlow `tf.reduce_all(x, axis)`.
    Trap: TensorFlow's is for bool alone; of uint8 PyTorch's is uint8.

    >>> all(tf.constant([1, 2, 0])).numpy()
    np.False_
    """
    return _truth("all", tf.reduce_all, x, dim, keepdim)


def any(x, dim=None, keepdim: bool = False):
    """Return whether an element is not 0; of nothing false.

    NumPy `np.any(x, axis)`, PyTorch `torch.any(x, dim)`, TensorFlow `tf.reduce_any(x, axis)`.
    Trap: TensorFlow's is for bool alone; of uint8 PyTorch's is uint8.

    >>> any(tf.constant([1, 2, 0])).numpy()
    np.True_
    """
    return _truth("any", tf.reduce_any, x, dim, keepdim)


def _truth(name: str, function, x, dim, keepdim: bool):
    x = as_tensor(x)
    found = function(tf.not_equal(x, tf.zeros_like(x)), axes_of(name, dim, x), keepdim)
    return tf.cast(found, tf.uint8) if x.dtype == tf.uint8 else found


def count_nonzero(x, dim=None):
    """Return how many elements are not 0; NaN is not.

    NumPy `np.count_nonzero(x, axis)`, PyTorch `torch.count_nonzero(x, dim)`, TensorFlow `tf.math.count_nonzero(x,
    axis)`.

    >>> count_nonzero(tf.constant([1.0, 0.0, float("nan")])).numpy()
    np.int64(2)
    """
    x = as_tensor(x)
    return tf.reduce_sum(tf.cast(tf.not_equal(x, tf.zeros_like(x)), tf.int64), axes_of("count_nonzero", dim, x))


def amax(x, dim=None, keepdim: bool = False):
    """Return the largest element over all dimensions or several; equal ones share the gradient evenly.

    NumPy `np.max(x, axis)`, PyTorch `torch.amax(x, dim)`, TensorFlow `tf.reduce_max(x, axis)`.
    Trap: `max` along a dimension gives the whole gradient to one of them. NaN is the largest of all.

    >>> amax(tf.constant([[1, 5], [7, 3]]), (0, 1)).numpy()
    np.int32(7)
    """
    return _extreme("amax", tf.reduce_max, x, dim, keepdim)


def amin(x, dim=None, keepdim: bool = False):
    """Return the least element over all dimensions or several; equal ones share the gradient evenly.

    NumPy `np.min(x, axis)`, PyTorch `torch.amin(x, dim)`, TensorFlow `tf.reduce_min(x, axis)`.
    Trap: as in `amax`; NaN is the least, too.

    >>> amin(tf.constant([[1, 5], [7, 3]]), 0).numpy()
    array([1, 3], dtype=int32)
    """
    return _extreme("amin", tf.reduce_min, x, dim, keepdim)


def _extreme(name: str, function, x, dim, keepdim: bool):
    x = as_tensor(x)
    axes = axes_of(name, dim, x)
    if 0 in (x.shape if axes is None else [x.shape[axis] for axis in axes]):
        raise BlitzError(f"{name}: no reduced dimension of {x.shape} may be empty")
    if x.dtype == tf.bool:
        return _extreme(name, function, tf.cast(x, tf.uint8), dim, keepdim) == 1

    @tf.custom_gradient
    def value(x):
        kept = function(x, axes, keepdims=True)
        if x.dtype.is_floating:  # some kernels pass NaN over
            kept = tf.where(tf.reduce_any(isnan(x), axes, keepdims=True), tf.constant(math.nan, x.dtype), kept)
        found = kept if keepdim else tf.squeeze(kept, axes)

        def gradient(upstream):
            same = tf.cast(x == kept, x.dtype)
            return tf.reshape(upstream, kept.shape) * same / tf.reduce_sum(same, axes, keepdims=True)

        return found, gradient

    return value(x)


def aminmax(x, dim: int | None = None, keepdim: bool = False):
    """Return the least and the largest element.

    NumPy `np.min(x, axis), np.max(x, axis)`, PyTorch `torch.aminmax(x, dim=dim)`, TensorFlow `tf.reduce_min(x, axis),
    tf.reduce_max(x, axis)`.

    >>> [int(value) for value in aminmax(tf.constant([3, 1, 2]))]
    [1, 3]
    """
    return AMinMax(amin(x, dim, keepdim), amax(x, dim, keepdim))


def argmax(x, dim: int | None = None, keepdim: bool = False):
    """Return where the largest element stands, among equal ones the first; without a dimension in the flat tensor.

    NumPy `np.argmax(x, axis)`, PyTorch `torch.argmax(x, dim)`, TensorFlow `tf.argmax(x, axis)`.
    Trap: NaN is the largest, which TensorFlow passes over (gap op-argmax-ties), and TensorFlow's default axis is 0.

    >>> argmax(tf.constant([[1, 7], [7, 3]])).numpy()
    np.int64(1)
    """
    return _place("argmax", max, x, dim, keepdim)


def argmin(x, dim: int | None = None, keepdim: bool = False):
    """Return where the least element stands, among equal ones the first; without a dimension in the flat tensor.

    NumPy `np.argmin(x, axis)`, PyTorch `torch.argmin(x, dim)`, TensorFlow `tf.argmin(x, axis)`.
    Trap: as in `argmax`; NaN is the least, too.

    >>> argmin(tf.constant([[1, 7], [0, 3]]), 0).numpy()
    array([1, 1])
    """
    return _place("argmin", min, x, dim, keepdim)


def _place(name: str, function, x, dim: int | None, keepdim: bool):
    x = not_bool(name, x)
    if dim is not None:
        return function(x, dim, keepdim).indices
    found = function(tf.reshape(x, [-1]), 0).indices
    return tf.reshape(found, [1] * x.shape.rank) if keepdim else found


def logsumexp(x, dim, keepdim: bool = False):
    """Return log Σ eˣ, which does not overflow on the way.

    NumPy `scipy.special.logsumexp(x, axis)`, PyTorch `torch.logsumexp(x, dim)`, TensorFlow `tf.reduce_logsumexp(x,
    axis)`.

    >>> logsumexp(tf.constant([1000.0, 1000.0]), 0).numpy()
    np.float32(1000.6932)
    """
    x = floating(x)
    axes = axes_of("logsumexp", dim, x)

    @tf.custom_gradient
    def value(x):
        most = tf.reduce_max(x, axes, keepdims=True)
        most = tf.where(tf.abs(most) == math.inf, tf.zeros_like(most), most)
        kept = tf.math.log(tf.reduce_sum(tf.exp(x - most), axes, keepdims=True)) + most
        found = kept if keepdim else tf.squeeze(kept, axes)
        return found, lambda upstream: tf.reshape(upstream, kept.shape) * tf.exp(x - kept)

    return value(x)


def log_softmax(x, dim: int):
    """Return the logarithm of `softmax`, which does not lose what is small.

    NumPy `scipy.special.log_softmax(x, axis)`, PyTorch `torch.log_softmax(x, dim)`, TensorFlow `tf.nn.log_softmax(x,
    axis)`.

    >>> log_softmax(tf.constant([0.0, -1000.0]), 0).numpy()
    array([    0., -1000.], dtype=float32)
    """
    x = only_floating("log_softmax", x)
    dim = dimension("log_softmax", dim, x.shape.rank)
    if not x.shape.rank:
        return tf.squeeze(log_softmax(x[tf.newaxis], 0))
    if not x.shape[dim]:
        return x

    @tf.custom_gradient
    def value(x):
        low = x - tf.reduce_max(x, dim, keepdims=True)
        found = low - tf.math.log(tf.reduce_sum(tf.exp(low), dim, keepdims=True))
        return found, lambda upstream: upstream - tf.exp(found) * tf.reduce_sum(upstream, dim, keepdims=True)

    return value(x)


def nansum(x, dim=None, keepdim: bool = False):
    """Return Σ x of what is not NaN; of bool and integers in int64.

    NumPy `np.nansum(x, axis)`, PyTorch `torch.nansum(x, dim)`, TensorFlow by hand.

    >>> nansum(tf.constant([1.0, float("nan"), 2.0])).numpy()
    np.float32(3.0)
    """
    x = as_tensor(x)
    return sum(tf.where(isnan(x), tf.zeros_like(x), x), dim, keepdim)


def nanmean(x, dim=None, keepdim: bool = False):
    """Return the mean of what is not NaN; NaN where nothing is left.

    NumPy `np.nanmean(x, axis)`, PyTorch `torch.nanmean(x, dim)`, TensorFlow by hand.

    >>> nanmean(tf.constant([1.0, float("nan"), 2.0])).numpy()
    np.float32(1.5)
    """
    x = only_floating("nanmean", x)
    return nansum(x, dim, keepdim) / sum(tf.cast(~isnan(x), x.dtype), dim, keepdim)


def nanmedian(x, dim: int | None = None, keepdim: bool = False):
    """Return the lower of the middle values of what is not NaN; with a dimension, values and indices.

    NumPy `np.nanmedian(x, axis)`, PyTorch `torch.nanmedian(x, dim)`, TensorFlow by hand.
    Trap: of an even number NumPy's is the mean of the two middle ones.

    >>> nanmedian(tf.constant([4.0, float("nan"), 3.0])).numpy()
    np.float32(3.0)
    """
    x = not_bool("nanmedian", x)
    if dim is None:
        flat = tf.reshape(x, [-1])
        return shared(flat, _middle(flat).values)
    moved, back = last("nanmedian", x, dim)
    return placed(x, _middle(moved), dim, keepdim, back)


def _middle(x) -> Reduced:
    """Return the lower median of the last dimension, and its index; NaN is sorted to the end."""
    if not x.shape[-1]:
        raise BlitzError("nanmedian: the tensor must not be empty")
    order = order_of(x, largest=False)
    count = tf.reduce_sum(tf.cast(~isnan(x), tf.int32), -1)
    at = tf.gather(order, tf.maximum(count - 1, 0) // 2, batch_dims=x.shape.rank - 1)
    return Reduced(tf.gather(x, at, batch_dims=x.shape.rank - 1), at)


def std_mean(x, dim=None, correction: float = 1, keepdim: bool = False):
    """Return `std` and `mean`.

    NumPy `np.std(x, axis, ddof=1), np.mean(x, axis)`, PyTorch `torch.std_mean(x, dim)`, TensorFlow
    `tf.math.reduce_std(x, axis), tf.reduce_mean(x, axis)`.
    Trap: PyTorch divides by n − 1 (gap op-std-var).

    >>> [float(value) for value in std_mean(tf.constant([1.0, 3.0, 5.0]))]
    [2.0, 3.0]
    """
    return std(x, dim, correction, keepdim), mean(x, dim, keepdim)


def var_mean(x, dim=None, correction: float = 1, keepdim: bool = False):
    """Return `var` and `mean`.

    NumPy `np.var(x, axis, ddof=1), np.mean(x, axis)`, PyTorch `torch.var_mean(x, dim)`, TensorFlow `tf.nn.moments(x,
    axes)`.
    Trap: PyTorch divides by n − 1 and names the variance first; of infinities its running mean may be NaN here.

    >>> [float(value) for value in var_mean(tf.constant([1.0, 3.0, 5.0]))]
    [4.0, 3.0]
    """
    return var(x, dim, correction, keepdim), mean(x, dim, keepdim)
