"""T14: choosing by conditions and indices, and writing where they say; every function returns a new tensor."""

from collections.abc import Sequence
from math import prod

import tensorflow as tf

from keras_blitz.errors import BlitzError
from keras_blitz.ops.promotion import as_tensor, broadcast, dimension, kind, promoted, scalar
from keras_blitz.ops.selection import check_range, first_of, gather, nonzero, places


def where(condition, x=None, y=None):
    """Return x where a condition holds, elsewhere y; of the condition alone the indices of what holds, one list per
    dimension.

    NumPy `np.where(condition, x, y)`, PyTorch `torch.where(condition, x, y)`, TensorFlow `tf.where(condition, x, y)`.
    Trap: TensorFlow raises on mixed dtypes. The branch that is not taken has the gradient 0, but 0 · ∞ in its own
    formula is NaN.

    >>> where(tf.constant([True, False]), tf.constant([1, 2]), 0.5).numpy()
    array([1. , 0.5], dtype=float32)
    """
    condition = as_tensor(condition)
    if x is None or y is None:
        found = nonzero(condition if condition.shape.rank else condition[tf.newaxis])
        return tuple(tf.unstack(found, axis=1))
    if condition.dtype not in (tf.bool, tf.uint8):
        raise BlitzError(f"where: the condition must be bool, not {condition.dtype.name}")
    x, y = promoted("where", x, y)
    broadcast("where", condition, x, y)
    return tf.where(tf.cast(condition, tf.bool), x, y)


def masked_fill(x, mask, value):
    """Return x with a number where a bool mask holds; the mask is broadcast.

    NumPy `np.where(mask, value, x)`, PyTorch `x.masked_fill(mask, value)`, TensorFlow `tf.where(mask, value, x)`.
    Trap: the dtype stays that of x: a fraction is cut off for integers.

    >>> masked_fill(tf.constant([1.0, 2.0]), tf.constant([True, False]), -9).numpy()
    array([-9.,  2.], dtype=float32)
    """
    x, mask = as_tensor(x), as_tensor(mask)
    if mask.dtype != tf.bool:
        raise BlitzError(f"masked_fill: the mask must be bool, not {mask.dtype.name}")
    broadcast("masked_fill", x, mask)
    return tf.where(mask, _number("masked_fill", value, x.dtype), x)


def _number(name: str, value, dtype: tf.DType):
    """Return a number, or a tensor without dimensions, in a dtype."""
    if isinstance(value, bool | int | float):
        return scalar(value, dtype)
    value = as_tensor(value)
    if value.shape.rank:
        raise BlitzError(f"{name}: the value must be a number, not a tensor {value.shape}")
    if kind(value.dtype) > kind(dtype):
        raise BlitzError(f"{name}: a {value.dtype.name} value cannot be written into a {dtype.name} tensor")
    return tf.cast(value, dtype)


def masked_scatter(x, mask, source):
    """Return x with the elements of `source`, one after another, where a bool mask holds; the mask is broadcast.

    NumPy `x[mask] = source[:mask.sum()]`, PyTorch `x.masked_scatter(mask, source)`, TensorFlow
    `tf.tensor_scatter_nd_update(x, tf.where(mask), source)`.

    >>> masked_scatter(tf.constant([1, 2, 3]), tf.constant([True, False, True]), tf.constant([7, 8])).numpy()
    array([7, 2, 8], dtype=int32)
    """
    x, mask, source = as_tensor(x), as_tensor(mask), as_tensor(source)
    if mask.dtype != tf.bool or source.dtype != x.dtype:
        raise BlitzError(
            f"masked_scatter: mask must be bool, source {x.dtype.name}, not {mask.dtype.name} and {source.dtype.name}"
        )
    shape = broadcast("masked_scatter", x, mask)
    x, mask = tf.broadcast_to(x, shape), tf.broadcast_to(mask, shape)
    at = tf.cumsum(tf.cast(tf.reshape(mask, [-1]), tf.int64)) - 1
    available = source.shape.num_elements()
    if tf.executing_eagerly() and at.shape[0] and int(at[-1]) >= available:
        raise BlitzError(
            f"masked_scatter: source has {available} elements, but the mask selects {int(at[-1]) + 1} places"
        )
    if not available:
        return x
    taken = tf.gather(tf.reshape(source, [-1]), tf.maximum(at, 0))
    return tf.where(mask, tf.reshape(taken, shape), x)


def argwhere(x):
    """Return the places (k, ndim) int64 of what is not zero: `nonzero`.

    NumPy `np.argwhere(x)`, PyTorch `torch.argwhere(x)`, TensorFlow `tf.where(x)`.

    >>> argwhere(tf.constant([0, 3])).numpy()
    array([[1]])
    """
    return nonzero(x)


def take(x, index):
    """Return the elements at places of the flat tensor, in the shape of the index.

    NumPy `np.take(x, index)`, PyTorch `torch.take(x, index)`, TensorFlow `tf.gather(tf.reshape(x, [-1]), index)`.
    Trap: `tf.gather` takes slices of the first dimension. Below 0 places count from the end.

    >>> take(tf.constant([[1, 2], [3, 4]]), tf.constant([3, 0], tf.int64)).numpy()
    array([4, 1], dtype=int32)
    """
    x, index = as_tensor(x), as_tensor(index)
    if index.dtype != tf.int64:
        raise BlitzError(f"take: the index must be int64, not {index.dtype.name}")
    return tf.gather(tf.reshape(x, [-1]), _from_front("take", index, x.shape.num_elements()))


def _from_front(name: str, index, size: int):
    """Return indices counted from the front; below 0 they were counted from the end."""
    if index.dtype not in (tf.int32, tf.int64):
        raise BlitzError(f"{name}: the index must be int64, not {index.dtype.name}")
    index = tf.where(index < 0, index + tf.cast(size, index.dtype), index)
    check_range(name, index, size)
    return index


def take_along_dim(x, index, dim: int | None = None):
    """Return `gather`, with x and the index broadcast beside the dimension; without one, of the flat tensors.

    NumPy `np.take_along_axis(x, index, axis)`, PyTorch `torch.take_along_dim(x, index, dim)`, TensorFlow `tf.gather(x,
    index, batch_dims=…)`.

    >>> take_along_dim(tf.constant([[1, 2], [3, 4]]), tf.constant([[1]]), 1).numpy()
    array([[2],
           [4]], dtype=int32)
    """
    x, index = as_tensor(x), as_tensor(index)
    if dim is None:
        return gather(tf.reshape(x, [-1]), 0, tf.reshape(index, [-1]))
    if x.shape.rank != index.shape.rank:
        raise BlitzError(f"take_along_dim: the index {index.shape} must have as many dimensions as x {x.shape}")
    dim = dimension("take_along_dim", dim, x.shape.rank)
    one = [1 if d == dim else size for d, size in enumerate(x.shape)]
    shape = [*broadcast("take_along_dim", tf.zeros(one), tf.reduce_max(tf.zeros_like(index), dim, keepdims=True))]
    sizes = [[own.shape[dim] if d == dim else size for d, size in enumerate(shape)] for own in (x, index)]
    return gather(tf.broadcast_to(x, sizes[0]), dim, tf.broadcast_to(index, sizes[1]))


def scatter_add(x, dim: int, index, src):
    """Return x with elements of `src` added where the index says, all that meet in one place.

    NumPy `np.add.at(x, places, src)`, PyTorch `torch.scatter_add(x, dim, index, src)`, TensorFlow
    `tf.tensor_scatter_nd_add(x, places, src)`.
    Trap: `scatter` keeps one of those that meet. The index may be smaller than src.

    >>> scatter_add(tf.zeros((1, 3)), 1, tf.constant([[2, 2]]), tf.constant([[1.0, 4.0]])).numpy()
    array([[0., 0., 5.]], dtype=float32)
    """
    return scatter_reduce(x, dim, index, src, "sum")


def scatter_reduce(x, dim: int, index, src, reduce: str, include_self: bool = True):
    """Return x with what meets in one place reduced: its sum, prod, mean, amax or amin.

    PyTorch `x.scatter_reduce(dim, index, src, reduce)`, TensorFlow tf.math.unsorted_segment_sum and its like.
    Trap: without `include_self` the element of x counts only where nothing comes to it. The mean of integers is rounded
    down.

    Args:
        x: a tensor.
        dim: along which the index counts.
        index: int64, of no more elements than `src` in any dimension.
        src: of the dtype of x.
        reduce: sum, prod, mean, amax or amin; equal extremes share the gradient evenly.
        include_self: whether the element of x is one of those reduced.

    >>> scatter_reduce(tf.constant([5, 1]), 0, tf.constant([0, 0, 1]), tf.constant([2, 3, 4]), "prod").numpy()
    array([30,  4], dtype=int32)
    """
    x, index, src = as_tensor(x), as_tensor(index), as_tensor(src)
    if src.dtype != x.dtype:
        raise BlitzError(f"scatter_reduce: src must have x's dtype {x.dtype.name}, not {src.dtype.name}")
    values = first_of("scatter_reduce", src, index)
    at = places("scatter_reduce", x, dim, index)
    strides = [prod(x.shape[d + 1 :]) for d in range(x.shape.rank)]
    to = tf.reduce_sum(at * tf.constant(strides, tf.int64), -1) if x.shape.rank else at
    return _reduced(x, tf.reshape(to, [-1]), tf.reshape(values, [-1]), reduce, include_self)


def _reduced(x, to, values, reduce: str, include_self: bool):
    """Return x with values reduced into the places `to` of its flat elements."""
    size = tf.size(x, tf.int64)
    own = tf.range(size)
    if not include_self:
        hit = tf.math.unsorted_segment_sum(tf.ones_like(to), to, size) > 0
        own = tf.where(hit, tf.constant(-1, tf.int64), own)  # a negative segment is left out
    if reduce not in _SEGMENTS:
        raise BlitzError(f"scatter_reduce: reduce must be one of {', '.join(_SEGMENTS)}, not {reduce!r}")
    everything, segments = tf.concat([tf.reshape(x, [-1]), values], 0), tf.concat([own, to], 0)
    found = _SEGMENTS[reduce](everything, segments, size)
    if reduce == "mean":
        count = tf.math.unsorted_segment_sum(tf.ones_like(everything), segments, size)
        found = found / count if x.dtype.is_floating else tf.math.floordiv(found, count)
    return tf.reshape(found, tf.shape(x))


_SEGMENTS = {
    "sum": tf.math.unsorted_segment_sum,
    "prod": tf.math.unsorted_segment_prod,
    "mean": tf.math.unsorted_segment_sum,
    "amax": tf.math.unsorted_segment_max,
    "amin": tf.math.unsorted_segment_min,
}


def index_add(x, dim: int, index, source, alpha=1):
    """Return x with alpha · source added to the slices of a dimension that are listed.

    NumPy `np.add.at(x, index, source)`, PyTorch `torch.index_add(x, dim, index, source, alpha=1)`, TensorFlow
    `tf.tensor_scatter_nd_add(x, index, source)`.

    >>> index_add(tf.zeros(3), 0, tf.constant([2, 2]), tf.constant([1.0, 4.0])).numpy()
    array([0., 0., 5.], dtype=float32)
    """
    moved, at, slices, back = _slices("index_add", x, dim, index, source)
    return back(tf.tensor_scatter_nd_add(moved, at, slices if alpha == 1 else slices * scalar(alpha, moved.dtype)))


def index_copy(x, dim: int, index, source):
    """Return x with the slices of a dimension that are listed replaced.

    NumPy `x[index] = source`, PyTorch `torch.index_copy(x, dim, index, source)`, TensorFlow
    `tf.tensor_scatter_nd_update(x, index, source)`.
    Trap: what remains of several for one place, PyTorch does not say.

    >>> index_copy(tf.zeros(3), 0, tf.constant([2, 0]), tf.constant([1.0, 4.0])).numpy()
    array([4., 0., 1.], dtype=float32)
    """
    moved, at, slices, back = _slices("index_copy", x, dim, index, source)
    return back(tf.tensor_scatter_nd_update(moved, at, slices))


def index_fill(x, dim: int, index, value):
    """Return x with the slices of a dimension that are listed filled with a number.

    NumPy `x[index] = value`, PyTorch `torch.index_fill(x, dim, index, value)`, TensorFlow
    `tf.tensor_scatter_nd_update(x, index, values)`.

    >>> index_fill(tf.zeros(3), 0, tf.constant([2, 0]), 7).numpy()
    array([7., 0., 7.], dtype=float32)
    """
    x, index = as_tensor(x), as_tensor(index)
    size = x.shape[dimension("index_fill", dim, x.shape.rank)] if x.shape.rank else 1
    index = _from_front("index_fill", index, size)
    index = tf.reshape(index, [-1] if x.shape.rank else [])
    slices = tf.gather(x, index, axis=dim) if x.shape.rank else x
    return index_copy(x, dim, index, tf.fill(tf.shape(slices), _number("index_fill", value, x.dtype)))


def _slices(name: str, x, dim: int, index, source):
    """Return x and source with the dimension first, the index as a column, and what moves the dimension back."""
    x, index, source = as_tensor(x), as_tensor(index), as_tensor(source)
    if index.dtype not in (tf.int32, tf.int64) or index.shape.rank > 1:
        raise BlitzError(f"{name}: index must be an int32 or int64 vector")
    if source.dtype != x.dtype:
        raise BlitzError(f"{name}: source must have x's dtype {x.dtype.name}, not {source.dtype.name}")
    rank = x.shape.rank
    dim = dimension(name, dim, rank)
    expected = [index.shape.num_elements() if d == dim else size for d, size in enumerate(x.shape)]
    if rank and source.shape.rank == 0 and expected == [1]:
        source = tf.reshape(source, [1])
    if list(source.shape) != expected:
        raise BlitzError(f"{name}: source must have the shape of the slices, {tuple(expected)}, not {source.shape}")
    check_range(name, index, x.shape[dim] if rank else 1)
    at = tf.reshape(index, [-1, 1])
    if not rank:
        return tf.reshape(x, [1]), at, tf.reshape(source, [1]), lambda tensor: tf.reshape(tensor, [])
    order = [dim, *(d for d in range(rank) if d != dim)]
    back = [*range(1, dim + 1), 0, *range(dim + 1, rank)]
    return tf.transpose(x, order), at, tf.transpose(source, order), lambda tensor: tf.transpose(tensor, back)


def index_put(x, indices: Sequence, values, accumulate: bool = False):
    """Return x with values written to `x[indices]`, or added to it, all that meet in one place.

    NumPy `x[indices] = values`, PyTorch `torch.index_put(x, indices, values, accumulate)`, TensorFlow
    `tf.tensor_scatter_nd_update(x, places, values)`.
    Trap: indices are a tuple of int64 tensors, broadcast, or of bool masks; values are broadcast to what they choose.

    >>> index_put(tf.zeros(3), (tf.constant([1, 1]),), tf.constant(2.0), accumulate=True).numpy()
    array([0., 4., 0.], dtype=float32)
    """
    x, values = as_tensor(x), as_tensor(values)
    if values.dtype != x.dtype:
        raise BlitzError(f"index_put: values must have x's dtype {x.dtype.name}, not {values.dtype.name}")
    columns: list[tf.Tensor] = []
    for index in map(as_tensor, indices):
        parts = tf.unstack(nonzero(index), axis=1) if index.dtype == tf.bool else [index]
        if len(columns) + len(parts) > x.shape.rank:
            raise BlitzError(f"index_put: more indices than the {x.shape.rank} dimensions of x")
        columns += [
            tf.cast(_from_front("index_put", part, x.shape[len(columns) + k]), tf.int64) for k, part in enumerate(parts)
        ]
    shape = broadcast("index_put", *columns)
    at = tf.stack([tf.broadcast_to(column, shape) for column in columns], -1)
    target = [*shape, *x.shape[len(columns) :]]
    if broadcast("index_put", values, tf.zeros(target)) != target:
        raise BlitzError(f"index_put: values {values.shape} must broadcast to the indexed places, {tuple(target)}")
    values = tf.broadcast_to(values, target)
    return (tf.tensor_scatter_nd_add if accumulate else tf.tensor_scatter_nd_update)(x, at, values)


def one_hot(x, num_classes: int = -1):
    """Return int64 vectors with a 1 at the class; without `num_classes` as many as the largest class needs.

    NumPy `np.eye(n, dtype=int)[x]`, PyTorch `torch.nn.functional.one_hot(x, num_classes)`, TensorFlow `tf.one_hot(x,
    num_classes)`.
    Trap: TensorFlow's is float32, and of an unknown class all 0, where PyTorch raises.

    >>> one_hot(tf.constant([0, 2], tf.int64)).numpy()
    array([[1, 0, 0],
           [0, 0, 1]])
    """
    x = as_tensor(x)
    if x.dtype != tf.int64:
        raise BlitzError(f"one_hot: classes must be int64, not {x.dtype.name}")
    if num_classes == 0 or (num_classes < 0 and not x.shape.num_elements()):
        raise BlitzError("one_hot: of an empty tensor num_classes must be given, at least 1")
    if num_classes < 0 and not tf.executing_eagerly():
        raise BlitzError("one_hot: inside a tf.function num_classes must be given")
    if num_classes < 0:
        num_classes = int(tf.reduce_max(x)) + 1
    check_range("one_hot", x, num_classes)
    return tf.one_hot(x, num_classes, dtype=tf.int64)


def narrow(x, dim: int, start: int, length: int):
    """Return a part of a dimension.

    NumPy `x[:, start:start + length]`, PyTorch `torch.narrow(x, dim, start, length)`, TensorFlow `x[:, start:start +
    length]`.

    >>> narrow(tf.constant([1, 2, 3, 4]), 0, 1, 2).numpy()
    array([2, 3], dtype=int32)
    """
    x = as_tensor(x)
    dim = dimension("narrow", dim, x.shape.rank)
    size = x.shape[dim] if x.shape.rank else 0
    start = start + size if start < 0 else start
    if not x.shape.rank or not 0 <= start <= size or length < 0 or start + length > size:
        raise BlitzError(
            f"narrow: start {start} and length {length} must be within dimension {dim}, which has size {size}"
        )
    return x[(slice(None),) * dim + (slice(start, start + length),)]


def select(x, dim: int, index: int):
    """Return one slice of a dimension, without the dimension.

    NumPy `np.take(x, index, axis)`, PyTorch `torch.select(x, dim, index)`, TensorFlow `tf.gather(x, index, axis=dim)`.

    >>> select(tf.constant([[1, 2], [3, 4]]), 1, -1).numpy()
    array([2, 4], dtype=int32)
    """
    x = as_tensor(x)
    dim = dimension("select", dim, x.shape.rank)
    if not x.shape.rank or not -x.shape[dim] <= index < x.shape[dim]:
        raise BlitzError(f"select: index {index} is outside dimension {dim} of shape {x.shape}")
    return x[(slice(None),) * dim + (index,)]
