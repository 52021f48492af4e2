"""T14: orders, places in an order, and how often what occurs."""

import math

import tensorflow as tf

from keras_blitz.errors import BlitzError
from keras_blitz.ops.comparison import order_of
from keras_blitz.ops.creation import linspace
from keras_blitz.ops.pairs import lerp
from keras_blitz.ops.promotion import as_tensor, dimension, only_floating, promote
from keras_blitz.ops.reduction import Reduced, last, placed
from keras_blitz.ops.rounding import isnan


def sort(x, dim: int = -1, descending: bool = False, stable: bool = False):
    """Return the sorted elements along a dimension, and where they stood; equal ones keep their order.

    NumPy `np.sort(x, axis)`, PyTorch `torch.sort(x, dim)`, TensorFlow `tf.sort(x, axis)`.
    Trap: NumPy and TensorFlow give the values alone. NaN is the largest. Without `stable` PyTorch promises no order of
    equals.

    >>> [part.numpy().tolist() for part in sort(tf.constant([3, 1, 2]))]
    [[1, 2, 3], [1, 2, 0]]
    """
    x = as_tensor(x)
    moved, back = last("sort", x, dim)
    order = order_of(tf.cast(moved, tf.uint8) if x.dtype == tf.bool else moved, descending)
    values = tf.gather(moved, order, batch_dims=moved.shape.rank - 1)
    return Reduced(back(values), back(tf.cast(order, tf.int64)))


def argsort(x, dim: int = -1, descending: bool = False, stable: bool = False):
    """Return where the sorted elements stood, equal ones in their order.

    NumPy `np.argsort(x, axis)`, PyTorch `torch.argsort(x, dim)`, TensorFlow `tf.argsort(x, axis)`.
    Trap: TensorFlow's is int32, and not stable when falling.

    >>> argsort(tf.constant([3, 1, 2])).numpy()
    array([1, 2, 0])
    """
    return sort(x, dim, descending, stable).indices


def msort(x):
    """Return the elements sorted along the first dimension.

    NumPy `np.sort(x, 0)`, PyTorch `torch.msort(x)`, TensorFlow `tf.sort(x, 0)`.

    >>> msort(tf.constant([[3, 1], [2, 4]])).numpy()
    array([[2, 1],
           [3, 4]], dtype=int32)
    """
    return sort(x, 0).values


def kthvalue(x, k: int, dim: int = -1, keepdim: bool = False):
    """Return the k-th least element along a dimension, counted from 1, and its index.

    NumPy `np.partition(x, k - 1, axis)`, PyTorch `torch.kthvalue(x, k, dim)`, TensorFlow by hand.
    Trap: which of equal elements PyTorch names, nobody says; here the one that a stable sort finds.

    >>> kthvalue(tf.constant([3.0, 1.0, 2.0]), 2).values.numpy()
    np.float32(2.0)
    """
    x = as_tensor(x)
    moved, back = last("kthvalue", x, dim)
    if not 1 <= k <= moved.shape[-1]:
        raise BlitzError(f"kthvalue: k must be from 1 to the size of the dimension, {moved.shape[-1]}, not {k}")
    at = order_of(moved, largest=False)[..., k - 1]
    return placed(x, Reduced(tf.gather(moved, at, batch_dims=moved.shape.rank - 1), at), dim, keepdim, back)


def mode(x, dim: int = -1, keepdim: bool = False):
    """Return the most frequent element along a dimension, of several the least, and an index of it.

    NumPy `scipy.stats.mode(x, axis)`, PyTorch `torch.mode(x, dim)`, TensorFlow by hand.
    Trap: where NaN stands among the others, PyTorch does not say; here it is the last, and each one different.

    >>> mode(tf.constant([3, 1, 3, 1, 2])).values.numpy()
    np.int32(1)
    """
    x = as_tensor(x)
    moved, back = last("mode", x, dim)
    if not moved.shape[-1]:
        raise BlitzError(f"mode: dimension {dim} must not be empty")
    same = tf.equal(moved[..., tf.newaxis], moved[..., tf.newaxis, :]) | tf.eye(moved.shape[-1], dtype=tf.bool)
    order = sort(moved).indices
    counts = tf.gather(tf.reduce_sum(tf.cast(same, tf.int32), -1), order, batch_dims=moved.shape.rank - 1)
    least = tf.gather(order, tf.argmax(counts, -1), batch_dims=moved.shape.rank - 1)
    alike = tf.gather(same, least, batch_dims=moved.shape.rank - 1)
    at = moved.shape[-1] - 1 - tf.argmax(tf.reverse(alike, [-1]), -1)
    return placed(x, Reduced(tf.gather(moved, at, batch_dims=moved.shape.rank - 1), at), dim, keepdim, back)


def quantile(x, q, dim: int | None = None, keepdim: bool = False, interpolation: str = "linear"):
    """Return the value below which a share q of the elements is; several shares make the first dimension.

    NumPy `np.quantile(x, q, axis)`, PyTorch `torch.quantile(x, q, dim)`, TensorFlow `tfp.stats.percentile(x, 100 * q)`.
    Trap: of what has a NaN it is NaN. q is of the dtype of x.

    >>> quantile(tf.constant([1.0, 2.0, 4.0]), 0.75).numpy()
    np.float32(3.0)
    """
    return _quantile("quantile", x, q, dim, keepdim, interpolation)


def nanquantile(x, q, dim: int | None = None, keepdim: bool = False, interpolation: str = "linear"):
    """Return `quantile` of what is not NaN.

    NumPy `np.nanquantile(x, q, axis)`, PyTorch `torch.nanquantile(x, q, dim)`, TensorFlow by hand.

    >>> nanquantile(tf.constant([1.0, float("nan"), 4.0]), 0.5).numpy()
    np.float32(2.5)
    """
    return _quantile("nanquantile", x, q, dim, keepdim, interpolation)


def _quantile(name: str, x, q, dim: int | None, keepdim: bool, interpolation: str):
    x = only_floating(name, x)
    shares = tf.constant(q, x.dtype) if isinstance(q, int | float) else as_tensor(q)
    _check_quantile(name, x, shares, interpolation)
    rank = x.shape.rank
    flat = tf.reshape(x, [-1]) if dim is None else last(name, x, dim)[0]
    ordered = sort(flat).values
    ranks = _ranks(name, flat, tf.reshape(shares, [-1]), interpolation)
    low, high = tf.floor(ranks), tf.math.ceil(ranks)
    values = [tf.gather(ordered, tf.cast(at, tf.int32), batch_dims=flat.shape.rank - 1) for at in (low, high)]
    weight = 0.5 * tf.ones_like(ranks) if interpolation == "midpoint" else ranks - low
    found = lerp(values[0], values[1], weight) if interpolation in ("linear", "midpoint") else values[0]  # (…, q)
    found = tf.transpose(found, [flat.shape.rank - 1, *range(flat.shape.rank - 1)])
    if keepdim and rank:
        found = tf.reshape(found, [-1, *[1] * rank]) if dim is None else tf.expand_dims(found, 1 + dim % rank)
    return found if shares.shape.rank else found[0]


def _ranks(name: str, x, shares, interpolation: str):
    """Return where in the sorted last dimension the shares are, (…, q)."""
    wrong = tf.reduce_any(isnan(x), -1, keepdims=True)
    count = tf.reduce_sum(tf.cast(~isnan(x), x.dtype), -1, keepdims=True)
    most = tf.cast(tf.shape(x)[-1] - 1, x.dtype)
    if name == "quantile":  # the last is NaN where one is
        ranks = tf.where(wrong, most, shares * most)
    else:
        ranks = tf.where(count == 0, most, shares * tf.maximum(count - 1, 0))
    rounding = {"lower": tf.floor, "higher": tf.math.ceil, "nearest": tf.round}
    return rounding.get(interpolation, tf.identity)(ranks)


def _check_quantile(name: str, x, shares, interpolation: str) -> None:
    if interpolation not in ("linear", "lower", "higher", "midpoint", "nearest"):
        raise BlitzError(
            f"{name}: interpolation must be linear, lower, higher, midpoint or nearest, not {interpolation!r}"
        )
    if shares.dtype != x.dtype or shares.shape.rank > 1:
        raise BlitzError(f"{name}: q must be a number or a vector of dtype {x.dtype.name}, as x")
    if x.shape.num_elements() == 0:
        raise BlitzError(f"{name}: the tensor must not be empty")
    if tf.executing_eagerly() and not bool(tf.reduce_all((shares >= 0) & (shares <= 1))):
        raise BlitzError(f"{name}: q must be from 0 to 1")


def unique(x, sorted: bool = True, return_inverse: bool = False, return_counts: bool = False, dim: int | None = None):
    """Return the different elements, sorted, or the different slices of a dimension.

    NumPy `np.unique(x)`, PyTorch `torch.unique(x)`, TensorFlow `tf.unique(x)`.
    Trap: TensorFlow keeps the order of occurrence. Each NaN is different. PyTorch sorts without `sorted`, too.

    Args:
        x: a tensor.
        sorted: has no effect.
        return_inverse: also return where in the result each element stands.
        return_counts: also return how often each occurs.
        dim: compares slices of this dimension, instead of elements.

    >>> unique(tf.constant([3, 1, 3]), return_counts=True)[1].numpy()
    array([1, 2])
    """
    x = as_tensor(x)
    rows = _rows("unique", x, dim)
    order = tf.range(rows.shape[0])
    for column in range(rows.shape[1] - 1, -1, -1):
        keys = tf.gather(rows[:, column], order)
        order = tf.gather(order, order_of(tf.cast(keys, tf.uint8) if x.dtype == tf.bool else keys, largest=False))
    starts = _starts(tf.gather(rows, order))
    inverse = tf.scatter_nd(order[:, tf.newaxis], tf.cumsum(tf.cast(starts, tf.int64)) - 1, [rows.shape[0]])
    kept = tf.boolean_mask(order, starts)
    return _distinct(x, dim, kept, inverse, return_inverse, return_counts)


def unique_consecutive(x, return_inverse: bool = False, return_counts: bool = False, dim: int | None = None):
    """Return the elements, or slices of a dimension, that differ from the one before.

    NumPy `x[np.r_[True, x[1:] != x[:-1]]]`, PyTorch `torch.unique_consecutive(x)`, TensorFlow by hand.

    >>> unique_consecutive(tf.constant([3, 3, 1, 3])).numpy()
    array([3, 1, 3], dtype=int32)
    """
    x = as_tensor(x)
    rows = _rows("unique_consecutive", x, dim)
    starts = _starts(rows)
    inverse = tf.cumsum(tf.cast(starts, tf.int64)) - 1
    return _distinct(x, dim, tf.boolean_mask(tf.range(rows.shape[0]), starts), inverse, return_inverse, return_counts)


def _rows(name: str, x, dim: int | None):
    """Return what is compared: each element, or each slice of a dimension, as a row."""
    if dim is None:
        return tf.reshape(x, [-1, 1])
    moved, _ = last(name, x, dim)
    count = moved.shape[-1]
    return tf.transpose(tf.reshape(moved, [moved.shape.num_elements() // count if count else 0, count]))


def _starts(rows):
    """Return where a row differs from the one before."""
    differs = tf.reduce_any(tf.not_equal(rows[1:], rows[:-1]), -1)
    return tf.concat([tf.ones([min(rows.shape[0], 1)], tf.bool), differs], 0)


def _distinct(x, dim: int | None, kept, inverse, return_inverse: bool, return_counts: bool):
    flat = tf.reshape(x, [-1]) if dim is None else x
    values = tf.gather(flat, kept, axis=0 if dim is None else dimension("unique", dim, x.shape.rank))
    found = [values]
    if return_inverse:
        found.append(tf.reshape(inverse, x.shape) if dim is None else inverse)
    if return_counts:
        found.append(tf.math.unsorted_segment_sum(tf.ones_like(inverse), inverse, tf.shape(kept)[0]))
    return tuple(found) if len(found) > 1 else values


def searchsorted(sorted_sequence, values, out_int32: bool = False, right: bool = False):
    """Return where to insert values into a sorted sequence: before equal ones, or with `right` after them.

    NumPy `np.searchsorted(sequence, values)`, PyTorch `torch.searchsorted(sequence, values)`, TensorFlow
    `tf.searchsorted(sequence, values)`.
    Trap: TensorFlow's is int32, and wants as many dimensions in both.

    >>> searchsorted(tf.constant([1, 3, 5]), tf.constant([0, 3, 9])).numpy()
    array([0, 1, 3])
    """
    sequence, values = as_tensor(sorted_sequence), as_tensor(values)
    if not sequence.shape.rank or (sequence.shape.rank > 1 and sequence.shape[:-1] != values.shape[:-1]):
        raise BlitzError(
            f"searchsorted: values {values.shape} and sequence {sequence.shape} may differ in the last size only"
        )
    dtype = promote(sequence.dtype, values.dtype)
    sequence, wanted = tf.cast(sequence, dtype), tf.cast(values, dtype)
    wanted = tf.reshape(wanted, [-1]) if sequence.shape.rank == 1 else wanted
    places = tf.searchsorted(sequence, wanted, side="right" if right else "left")
    # NaN is the largest of all.
    places = tf.where(tf.not_equal(wanted, wanted), sequence.shape[-1], places)
    found = tf.cast(tf.reshape(places, tf.shape(values)), tf.int32 if out_int32 else tf.int64)
    return tf.ensure_shape(found, values.shape)


def bucketize(x, boundaries, out_int32: bool = False, right: bool = False):
    """Return the number of the bucket that each element is in; a boundary belongs to the one below, with `right` to
    that above.

    NumPy `np.digitize(x, boundaries, right=True)`, PyTorch `torch.bucketize(x, boundaries)`, TensorFlow
    `tf.raw_ops.Bucketize(input=x, boundaries=boundaries)`.
    Trap: NumPy's `right` is the opposite, and so is TensorFlow's rule.

    >>> bucketize(tf.constant([0.5, 1.0, 2.5]), tf.constant([1.0, 2.0])).numpy()
    array([0, 0, 2])
    """
    boundaries = as_tensor(boundaries)
    if boundaries.shape.rank != 1:
        raise BlitzError(f"bucketize: boundaries must be a vector, not of shape {boundaries.shape}")
    return searchsorted(boundaries, x, out_int32, right)


def bincount(x, weights=None, minlength: int = 0):
    """Return how often 0, 1, 2 … occur in a list of integers, or the sums of their weights.

    NumPy `np.bincount(x, weights, minlength)`, PyTorch `torch.bincount(x, weights=None, minlength=0)`, TensorFlow
    `tf.math.bincount(x, weights)`.
    Trap: weights of integers are summed in float64.

    >>> bincount(tf.constant([1, 3, 1])).numpy()
    array([0, 2, 0, 1])
    """
    x = as_tensor(x)
    if x.shape.rank != 1 or not x.dtype.is_integer:
        raise BlitzError(f"bincount: needs a vector of integers, not {x.dtype.name} {x.shape}")
    if tf.executing_eagerly() and x.shape[0] and int(tf.reduce_min(x)) < 0:
        raise BlitzError("bincount: every element must be ≥ 0")
    each = tf.ones_like(x, tf.int64) if weights is None else as_tensor(weights)
    if each.shape != x.shape:
        raise BlitzError(f"bincount: weights must have the elements' shape {x.shape}, not {each.shape}")
    each = each if weights is None or each.dtype == tf.float32 else tf.cast(each, tf.float64)
    count = tf.maximum(tf.cast(minlength, x.dtype), tf.reduce_max(x) + 1 if x.shape[0] else 0)
    return tf.math.unsorted_segment_sum(each, x, count)


def histc(x, bins: int = 100, min: float = 0, max: float = 0):
    """Return how many elements are in each of `bins` equal intervals from min to max, both included.

    NumPy `np.histogram(x, bins, (min, max))[0]`, PyTorch `torch.histc(x, bins=100, min=0, max=0)`, TensorFlow
    `tf.histogram_fixed_width(x, [min, max], bins)`.
    Trap: TensorFlow counts what is outside in the first and the last. With min = max they are those of x. The counts
    are floats.

    >>> histc(tf.constant([1.0, 2.0, 1.0]), bins=4, min=0, max=3).numpy()
    array([0., 2., 1., 0.], dtype=float32)
    """
    x = tf.reshape(only_floating("histc", x), [-1])
    if bins <= 0 or min > max:
        raise BlitzError(f"histc: bins must be ≥ 1 and min ≤ max, not {bins}, {min} and {max}")
    low, high = float(min), float(max)
    if low == high and not tf.executing_eagerly():
        raise BlitzError("histc: inside a tf.function min and max must be given")
    if low == high and x.shape[0]:
        low, high = float(tf.reduce_min(x)), float(tf.reduce_max(x))
    if not (math.isfinite(low) and math.isfinite(high)):
        raise BlitzError(f"histc: the range from {low} to {high} is not finite")
    low, high = (low - 1, high + 1) if low == high else (low, high)
    edges = linspace(low, high, bins + 1, x.dtype)
    inside = tf.boolean_mask(x, (x >= edges[0]) & (x <= edges[-1]))
    at = tf.minimum(tf.searchsorted(edges, inside, side="right") - 1, bins - 1)
    return tf.math.unsorted_segment_sum(tf.ones_like(inside), at, bins)
