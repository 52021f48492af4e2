"""T10: sums and their like, over all elements or along dimensions."""

from collections.abc import Callable
from math import inf
from math import prod as prod_of
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from keras_blitz.errors import BlitzError
from keras_blitz.ops.promotion import as_tensor, dimension, only_floating, promoted


class Reduced(NamedTuple):
    """Values along a dimension, and where they stood."""

    values: tf.Tensor
    indices: tf.Tensor


def sum(x, dim=None, keepdim: bool = False):
    """Return Σ x; of bool and integers in int64.

    NumPy `np.sum(x, axis, keepdims=True)`, PyTorch `torch.sum(x, dim, keepdim=True)`, TensorFlow `tf.reduce_sum(…)`.
    Trap: TensorFlow keeps the dtype, and int32 overflows (gap op-sum-int).

    >>> sum(tf.constant([[1, 2], [3, 4]]), 0).numpy()
    array([4, 6])
    """
    x = whole(x)
    return tf.reduce_sum(x, axes_of("sum", dim, x), keepdim)


def prod(x, dim: int | None = None, keepdim: bool = False):
    """Return Π x; of bool and integers in int64.

    NumPy `np.prod(x, axis)`, PyTorch `torch.prod(x, dim)`, TensorFlow `tf.reduce_prod(x, axis)`.

    >>> prod(tf.constant([2.0, 3.0])).numpy()
    np.float32(6.0)
    """
    x = whole(x)
    return tf.reduce_prod(x, axes_of("prod", dim, x), keepdim)


def mean(x, dim=None, keepdim: bool = False):
    """Return Σ x / n; NaN of nothing.

    NumPy `np.mean(x, axis)`, PyTorch `torch.mean(x, dim)`, TensorFlow `tf.reduce_mean(x, axis)`.
    Trap: of integers TensorFlow's is an integer, PyTorch raises (gap op-mean-int).

    >>> mean(tf.constant([[1.0, 2.0], [3.0, 4.0]]), 1).numpy()
    array([1.5, 3.5], dtype=float32)
    """
    x = only_floating("mean", x)
    return tf.reduce_mean(x, axes_of("mean", dim, x), keepdim)


def var(x, dim=None, correction: float = 1, keepdim: bool = False):
    """Return Σ (x − mean)² / (n − correction).

    NumPy `np.var(x, ddof=1)`, PyTorch `torch.var(x)`, TensorFlow `tf.math.reduce_variance(x)`.
    Trap: PyTorch divides by n − 1, NumPy and TensorFlow by n (gap op-std-var); of one value PyTorch's is NaN.

    >>> var(tf.constant([1.0, 2.0, 4.0])).numpy()
    np.float32(2.3333335)
    """
    x = only_floating("var", x)
    axes = axes_of("var", dim, x)
    left = _freedom(x, axes, correction)
    steep = isinstance(left, float) and left == 0 and (dim is None or not x.shape.rank)
    freedom = tf.cast(left, x.dtype)

    @tf.custom_gradient
    def spread(x):
        centre = tf.reduce_mean(x, axes, keepdims=True)
        rest = x - centre
        found = tf.reduce_sum(rest * rest, axes, keepdim) / freedom

        def gradient(upstream):
            if steep:  # PyTorch's rule for n ≤ correction of all elements; NaN is not a mean of its own
                return upstream * tf.where(x == centre, tf.cast(np.nan, x.dtype), tf.cast(np.inf, x.dtype))
            return 2 / freedom * tf.reshape(upstream, tf.shape(centre)) * rest

        return found, gradient

    return spread(x)


def std(x, dim=None, correction: float = 1, keepdim: bool = False):
    """Return √var.

    NumPy `np.std(x, ddof=1)`, PyTorch `torch.std(x)`, TensorFlow `tf.math.reduce_std(x)`.
    Traps: n − 1, as in `var`. Where all values are equal PyTorch's gradient is 0, TensorFlow's NaN (gap
    std-constant-grad).

    >>> std(tf.constant([1.0, 3.0])).numpy()
    np.float32(1.4142135)
    """

    @tf.custom_gradient
    def root(v):
        found = tf.sqrt(v)
        return found, lambda upstream: tf.where(found == 0, tf.zeros_like(v), upstream / (2 * found))

    return root(var(only_floating("std", x), dim, correction, keepdim))


def _freedom(x, axes, correction: float):
    """Return n − correction, not below 0; a tensor where a size is known only when the function is run."""
    sizes = [x.shape[axis] for axis in (range(x.shape.rank) if axes is None else axes)]
    if None in sizes:
        count = tf.cast(tf.size(x) if axes is None else tf.reduce_prod(tf.gather(tf.shape(x), axes)), x.dtype)
        return tf.maximum(count - tf.cast(correction, x.dtype), 0)
    return float(max(prod_of(sizes) - correction, 0))


def median(x, dim: int | None = None, keepdim: bool = False):
    """Return the lower of the middle values; with a dimension, values and indices.

    NumPy `np.median(x)`, PyTorch `torch.median(x)`, TensorFlow `tfp.stats.percentile(x, 50)`.
    Traps: of an even number NumPy's is the mean of the two middle ones (gap op-median). NaN is the median of what has
    one. Of all elements equal ones share the gradient, along a dimension one has it (gap median-full-tie-grad).

    >>> median(tf.constant([4.0, 1.0, 3.0, 2.0])).numpy()
    np.float32(2.0)
    >>> median(tf.constant([[1, 5, 3]]), 1).indices.numpy()
    array([2])
    """
    x = as_tensor(x)
    if x.dtype == tf.bool:
        raise BlitzError("median does not take bool tensors; tf.cast them first")
    if dim is None:
        flat = tf.reshape(x, [-1])
        if not flat.shape[0]:
            return tf.constant(float("nan"), x.dtype) if x.dtype.is_floating else tf.constant(x.dtype.min, x.dtype)
        return shared(flat, _middle(flat).values)
    moved, back = last("median", x, dim)
    if not moved.shape[-1]:
        raise BlitzError(f"median: dimension {dim} must not be empty")
    return placed(x, _middle(moved), dim, keepdim, back)


def _middle(x) -> Reduced:
    """Return the lower median of the last dimension, the first NaN where there is one, and its index."""
    order = tf.argsort(x, axis=-1, stable=True)
    at = order[..., (x.shape[-1] - 1) // 2]
    if x.dtype.is_floating:
        wrong = tf.math.is_nan(x)
        at = tf.where(tf.reduce_any(wrong, -1), tf.argmax(wrong, -1, tf.int32), at)
    return Reduced(tf.gather(x, at, batch_dims=x.shape.rank - 1), at)


def shared(x, value):
    """Return the value, whose gradient the elements equal to it share."""

    @tf.custom_gradient
    def chosen(x):
        same = tf.cast((x == value) | ((x != x) & (value != value)), x.dtype)
        return tf.stop_gradient(value), lambda upstream: upstream * same / tf.reduce_sum(same)

    return chosen(x) if x.dtype.is_floating else value


def cumsum(x, dim: int):
    """Return running sums along a dimension; of bool and integers in int64.

    NumPy `np.cumsum(x, axis)`, PyTorch `torch.cumsum(x, dim)`, TensorFlow `tf.cumsum(x, axis)`.
    Trap: without an axis NumPy takes all elements, TensorFlow the first dimension; PyTorch wants `dim`.

    >>> cumsum(tf.constant([1, 2, 3]), 0).numpy()
    array([1, 3, 6])
    """
    x = whole(x)
    dim = dimension("cumsum", dim, x.shape.rank)
    return tf.cumsum(x, dim) if x.shape.rank else x


def cumprod(x, dim: int):
    """Return running products along a dimension; of bool and integers in int64.

    NumPy `np.cumprod(x, axis)`, PyTorch `torch.cumprod(x, dim)`, TensorFlow `tf.math.cumprod(x, axis)`.
    Trap: TensorFlow's gradient is wrong where x holds a zero (gap cumprod-zeros); here each product has its own.

    >>> cumprod(tf.constant([1.0, 2.0, 3.0]), 0).numpy()
    array([1., 2., 6.], dtype=float32)
    """
    x = whole(x)
    dim = dimension("cumprod", dim, x.shape.rank)
    if not x.shape.rank:
        return x
    if not x.dtype.is_floating or not x.shape[dim]:
        return tf.math.cumprod(x, dim)

    @tf.custom_gradient
    def running(x):
        def gradient(upstream):
            # Without zeros, PyTorch's and TensorFlow's formula; else each product by itself.
            if tf.executing_eagerly() and not bool(tf.reduce_any(x == 0)):
                return tf.cumsum(upstream * tf.math.cumprod(x, dim), dim, reverse=True) / x
            with tf.GradientTape() as tape:
                tape.watch(x)
                moved, back = last("cumprod", x, dim)
                parts = [tf.reduce_prod(moved[..., : i + 1], -1) for i in range(moved.shape[-1])]
                products = back(tf.stack(parts, -1))
            return tape.gradient(products, x, upstream)

        return tf.math.cumprod(x, dim), gradient

    return running(x)


def norm(x, p: float | str = "fro", dim=None, keepdim: bool = False):
    """Return (Σ |x|ᵖ)^(1/p): the largest for p = ∞, the least for −∞, how many are not 0 for 0.

    NumPy `np.linalg.norm(x)`, PyTorch `torch.norm(x, p, dim)`, TensorFlow `tf.norm(x, p, axis)`.
    Traps: of a matrix NumPy's ord=2 is the spectral norm; PyTorch's p = 2 is that of all elements, "fro" the same. At 0
    PyTorch's gradient is 0, TensorFlow's NaN (gap norm-0).

    >>> norm(tf.constant([3.0, 4.0])).numpy()
    np.float32(5.0)
    """
    x = only_floating("norm", x)
    if p == "fro":
        p = 2
    axes = axes_of("norm", dim, x)
    if p == 0:
        return tf.reduce_sum(tf.cast(x != 0, x.dtype), axes, keepdim)
    if p in (inf, -inf):
        return (tf.reduce_max if p > 0 else tf.reduce_min)(tf.abs(x), axes, keepdim)
    if p == 1:
        return tf.reduce_sum(tf.abs(x), axes, keepdim)
    return _p_norm(x, float(p), axes, keepdim)


def _p_norm(x, p: float, axes, keepdim: bool):
    @tf.custom_gradient
    def measured(x):
        kept = tf.reduce_sum(x * x if p == 2 else tf.abs(x) ** p, axes, keepdims=True)
        kept = tf.sqrt(kept) if p == 2 else kept ** (1 / p)
        total = tf.reduce_sum(x, axes)
        found = kept if keepdim else tf.ensure_shape(tf.reshape(kept, tf.shape(total)), total.shape)

        def gradient(upstream):
            upstream = tf.reshape(upstream, tf.shape(kept))
            scaled = upstream / kept ** (p - 1)
            powers = x if p == 2 else tf.where(x == 0, tf.zeros_like(x), tf.sign(x) * tf.abs(x) ** (p - 1))
            return tf.where(kept == 0, tf.zeros_like(x), powers * scaled)

        return found, gradient

    return measured(x)


def dist(x, y, p: float = 2):
    """Return the norm of x − y.

    NumPy `np.linalg.norm(x - y)`, PyTorch `torch.dist(x, y, p)`, TensorFlow `tf.norm(x - y, p)`.

    >>> dist(tf.constant([1.0, 1.0]), tf.constant([4.0, 5.0])).numpy()
    np.float32(5.0)
    """
    x, y = promoted("dist", x, y)
    return norm(only_floating("dist", x) - y, p)


def whole(x) -> tf.Tensor:
    """Return a tensor; bool and integers as int64, which sums of them do not soon overflow."""
    x = as_tensor(x)
    return x if x.dtype.is_floating else tf.cast(x, tf.int64)


def axes_of(name: str, dim, x) -> list[int] | None:
    """Return the dimensions to reduce over; None and () are all of them."""
    if dim is None or (not isinstance(dim, int) and not tuple(dim)):
        return None
    axes = [dimension(name, d, x.shape.rank) for d in ([dim] if isinstance(dim, int) else dim)]
    if len(set(axes)) < len(axes):
        raise BlitzError(f"{name}: dim {dim} names a dimension twice")
    return axes if x.shape.rank else None


def last(name: str, x, dim: int) -> tuple[tf.Tensor, Callable]:
    """Return x with a dimension moved to the end, and what moves the last of a tensor of that rank back there."""
    rank = x.shape.rank
    dim = dimension(name, dim, rank)
    if not rank:
        return tf.reshape(x, [1]), lambda tensor: tf.reshape(tensor, [])
    order = [d for d in range(rank) if d != dim]
    back = [*range(dim), rank - 1, *range(dim, rank - 1)]
    return tf.transpose(x, [*order, dim]), lambda tensor: tf.transpose(tensor, back)


def placed(x, found: Reduced, dim: int, keepdim: bool, back: Callable) -> Reduced:
    """Return what was found along the last dimension where the reduced one was."""
    values, indices = found.values, tf.cast(found.indices, tf.int64)
    if not keepdim or not x.shape.rank:
        return Reduced(values, indices)
    return Reduced(back(values[..., tf.newaxis]), back(indices[..., tf.newaxis]))
