"""T14: what runs along a dimension: extremes so far, sums of powers, differences, areas."""

import math
from collections.abc import Callable

import tensorflow as tf

from keras_blitz.errors import BlitzError
from keras_blitz.ops.elementwise import add, mul, sub
from keras_blitz.ops.pairs import logaddexp
from keras_blitz.ops.promotion import as_tensor, dimension, floating, not_bool, promoted
from keras_blitz.ops.reduction import Reduced, last
from keras_blitz.ops.reduction import cumsum as running_sum
from keras_blitz.ops.reduction import sum as total
from keras_blitz.ops.shape import cat


def cummax(x, dim: int):
    """Return the largest element so far along a dimension, and where it stood: of equal ones the last.

    NumPy `np.maximum.accumulate(x, axis)`, PyTorch `torch.cummax(x, dim)`, TensorFlow by hand.
    Trap: from a NaN on all are NaN.

    >>> [part.numpy().tolist() for part in cummax(tf.constant([1, 3, 2, 3]), 0)]
    [[1, 3, 3, 3], [0, 1, 1, 3]]
    """
    return _so_far("cummax", x, dim, largest=True)


def cummin(x, dim: int):
    """Return the least element so far along a dimension, and where it stood: of equal ones the last.

    NumPy `np.minimum.accumulate(x, axis)`, PyTorch `torch.cummin(x, dim)`, TensorFlow by hand.
    Trap: from a NaN on all are NaN.

    >>> [part.numpy().tolist() for part in cummin(tf.constant([3, 1, 2, 1]), 0)]
    [[3, 1, 1, 1], [0, 1, 1, 3]]
    """
    return _so_far("cummin", x, dim, largest=False)


def _so_far(name: str, x, dim: int, largest: bool) -> Reduced:
    x = as_tensor(x)
    moved, back = last(name, x, dim)
    plain = tf.cast(moved, tf.uint8) if x.dtype == tf.bool else moved
    most = _scan(plain, tf.maximum if largest else tf.minimum)
    places = tf.range(moved.shape[-1], dtype=tf.int64)
    records = tf.where((plain == most) | tf.not_equal(plain, plain), places, -1)
    at = _scan(tf.broadcast_to(records, tf.shape(moved)), tf.maximum)
    return Reduced(back(tf.gather(moved, at, batch_dims=moved.shape.rank - 1)), back(at))


def _scan(x, function: Callable):
    """Return the running results along the last dimension, in log₂ n steps that double what each has seen."""
    step = 1
    while step < x.shape[-1]:
        x = tf.concat([x[..., :step], function(x[..., step:], x[..., :-step])], -1)
        step *= 2
    return x


def logcumsumexp(x, dim: int):
    """Return the logarithm of the running sums of eˣ along a dimension, which does not overflow on the way.

    NumPy `np.logaddexp.accumulate(x, axis)`, PyTorch `torch.logcumsumexp(x, dim)`, TensorFlow
    `tf.math.cumulative_logsumexp(x, axis)`.

    >>> logcumsumexp(tf.constant([1000.0, 1000.0]), 0).numpy()
    array([1000.    , 1000.6932], dtype=float32)
    """
    x = floating(x)
    moved, back = last("logcumsumexp", x, dim)

    @tf.custom_gradient
    def value(x):
        found = _scan(x, logaddexp)

        def gradient(upstream):  # Σ of upstream · exp(x − found) from here on, each sign by its logarithms
            none = tf.constant(-math.inf, x.dtype)
            parts = []
            for part in (upstream, -upstream):
                logs = tf.where(part > 0, tf.math.log(tf.where(part > 0, part, tf.ones_like(part))), none)
                parts.append(tf.exp(tf.reverse(_scan(tf.reverse(logs - found, [-1]), logaddexp), [-1]) + x))
            return parts[0] - parts[1]

        return found, gradient

    return back(value(moved)) if x.shape.rank else x


def diff(x, n: int = 1, dim: int = -1, prepend=None, append=None):
    """Return the differences of neighbors along a dimension, n times; of bool where they differ.

    NumPy `np.diff(x, n, axis)`, PyTorch `torch.diff(x, n, dim)`, TensorFlow `x[1:] - x[:-1]`.

    >>> diff(tf.constant([1, 4, 9])).numpy()
    array([3, 5], dtype=int32)
    """
    x = as_tensor(x)
    if not x.shape.rank or n < 0:
        raise BlitzError(f"diff: n must be ≥ 0 and x of at least 1 dimension, not {n} and {x.shape.rank}")
    dim = dimension("diff", dim, x.shape.rank)
    parts = [part for part in (prepend, x, append) if part is not None]
    moved, back = last("diff", cat(parts, dim) if len(parts) > 1 else x, dim)
    for _ in range(min(n, moved.shape[-1])):
        later, earlier = moved[..., 1:], moved[..., :-1]
        moved = tf.not_equal(later, earlier) if moved.dtype == tf.bool else later - earlier
    return back(moved)


def trapezoid(y, x=None, dx: float = 1, dim: int = -1):
    """Return the area below y by the rule of trapezoids, at places x or dx apart.

    NumPy `np.trapezoid(y, x, dx, axis)`, PyTorch `torch.trapezoid(y, x)`, TensorFlow `tfp.math.trapz(y, x)`.

    >>> trapezoid(tf.constant([1.0, 2.0, 4.0])).numpy()
    np.float32(4.5)
    """
    y = not_bool("trapezoid", y)
    moved, _ = last("trapezoid", y, dim)
    if not moved.shape[-1]:
        return tf.reduce_sum(moved, -1)
    if x is None:  # as PyTorch adds it up, which shows at infinities
        return mul(sub(total(moved, -1), mul(add(moved[..., 0], moved[..., -1]), 0.5)), dx)
    return total(_areas("trapezoid", y, x, dx, dim)[0], -1)


def cumulative_trapezoid(y, x=None, dx: float = 1, dim: int = -1):
    """Return the running areas below y by the rule of trapezoids, one fewer than values.

    NumPy `scipy.integrate.cumulative_trapezoid(y, x)`, PyTorch `torch.cumulative_trapezoid(y, x)`, TensorFlow by hand.

    >>> cumulative_trapezoid(tf.constant([1.0, 2.0, 4.0])).numpy()
    array([1.5, 4.5], dtype=float32)
    """
    areas, back = _areas("cumulative_trapezoid", y, x, dx, dim)
    return back(running_sum(areas, -1))


def _areas(name: str, y, x, dx: float, dim: int):
    y = not_bool(name, y)
    moved, back = last(name, y, dim)
    heights = moved[..., 1:] + moved[..., :-1]
    if x is None:
        widths = dx
    else:
        x = as_tensor(x)
        x = x if x.shape.rank == 1 else last(name, x, dim)[0]
        widths = x[..., 1:] - x[..., :-1]
    heights, widths = promoted(name, heights, widths)
    return floating(heights * widths) / 2, back
