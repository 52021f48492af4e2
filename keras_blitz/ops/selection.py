"""T8: elements by index and by mask."""

import tensorflow as tf

from keras_blitz.errors import BlitzError
from keras_blitz.ops.promotion import as_tensor, broadcast, dimension


def index_select(x, dim: int, index):
    """Return the slices of a dimension that are listed, in that order.

    NumPy `np.take(x, index, dim)`, PyTorch `torch.index_select(x, dim, index)`, TensorFlow `tf.gather(x, index, dim)`.
    Trap: indices below 0 count from the end in NumPy alone (gap op-negative-index).

    >>> index_select(tf.constant([[1, 2, 3]]), 1, tf.constant([2, 0])).numpy()
    array([[3, 1]], dtype=int32)
    """
    x, index = as_tensor(x), as_tensor(index)
    dim = dimension("index_select", dim, x.shape.rank)
    if index.dtype not in (tf.int32, tf.int64) or index.shape.rank > 1:
        raise BlitzError("index_select: index must be an int32 or int64 vector")
    check_range("index_select", index, x.shape[dim] if x.shape.rank else 1)
    if not x.shape.rank:
        if index.shape.num_elements() != 1:
            raise BlitzError("index_select: of a scalar only one index can be taken")
        return tf.identity(x)
    return tf.gather(x, tf.reshape(index, [-1]), axis=dim)


def nonzero(x):
    """Return the places (k, ndim) int64 of what is not zero, row by row.

    NumPy `np.argwhere(x)`, PyTorch `torch.nonzero(x)`, TensorFlow `tf.where(x)`.
    Trap: `np.nonzero` gives one list per dimension, as PyTorch's does with `as_tuple=True`.

    >>> nonzero(tf.constant([0.0, 2.0, float("nan")])).numpy()
    array([[1],
           [2]])
    """
    x = as_tensor(x)
    found = x if x.dtype == tf.bool else tf.not_equal(x, tf.zeros_like(x))
    if not x.shape.rank:
        return tf.zeros([tf.cast(found, tf.int32), 0], tf.int64)
    return tf.where(found)


def masked_select(x, mask):
    """Return the elements where a bool mask holds, row by row; x and mask are broadcast.

    NumPy `x[mask]`, PyTorch `torch.masked_select(x, mask)`, TensorFlow `tf.boolean_mask(x, mask)`.
    Trap: NumPy and TensorFlow do not broadcast the mask.

    >>> masked_select(tf.constant([[1, 2], [3, 4]]), tf.constant([True, False])).numpy()
    array([1, 3], dtype=int32)
    """
    x, mask = as_tensor(x), as_tensor(mask)
    if mask.dtype != tf.bool:
        raise BlitzError(f"masked_select: the mask must be bool, not {mask.dtype.name}")
    shape = broadcast("masked_select", x, mask)
    flat = [tf.reshape(tf.broadcast_to(each, shape), [-1]) for each in (x, mask)]
    return tf.boolean_mask(*flat)


def gather(x, dim: int, index):
    """Return, for each place of `index`, the element of x at that place but for `dim`, where the index says.

    outᵢⱼₖ = x[i, index[i, j, k], k]        dim = 1

    NumPy `np.take_along_axis(x, index, dim)`, PyTorch `torch.gather(x, dim, index)`, TensorFlow `tf.gather_nd`.
    Trap: `tf.gather` is `index_select` (gap op-gather-torch); the index may be smaller than x, and is not broadcast.

    >>> gather(tf.constant([[1, 2], [3, 4]]), 1, tf.constant([[1], [0]])).numpy()
    array([[2],
           [3]], dtype=int32)
    """
    x, index = as_tensor(x), as_tensor(index)
    if not x.shape.rank:
        return tf.broadcast_to(x, index.shape)
    return tf.gather_nd(x, places("gather", x, dim, index))


def scatter(x, dim: int, index, src):
    """Return x with elements of `src` put where the index says, the opposite of `gather`.

    out[i, index[i, j, k], k] = srcᵢⱼₖ        dim = 1

    NumPy `np.put_along_axis`, PyTorch `x.scatter_(dim, index, src)`, TensorFlow `tf.tensor_scatter_nd_update`.
    Traps: `tf.scatter_nd` adds what meets in one place, where in PyTorch one of them stays, the last on a CPU (gap
    op-scatter). PyTorch's writes into x.

    Args:
        x: a tensor.
        dim: along which the index counts.
        index: int64, of no more elements than `src` in any dimension.
        src: of the dtype of x, or a number.

    >>> scatter(tf.zeros((1, 3)), 1, tf.constant([[2, 0]]), 5.0).numpy()
    array([[5., 0., 5.]], dtype=float32)
    """
    x, index = as_tensor(x), as_tensor(index)
    if isinstance(src, int | float):
        src = tf.fill(tf.shape(index), tf.cast(tf.constant(src, tf.float64), x.dtype))
    src = as_tensor(src)
    if src.dtype != x.dtype:
        raise BlitzError(f"scatter: src must have x's dtype {x.dtype.name}, not {src.dtype.name}")
    at = places("scatter", x, dim, index)
    values = first_of("scatter", src, index)
    if not x.shape.rank:
        return values if index.shape.num_elements() else x
    return tf.tensor_scatter_nd_update(x, at, values)


def first_of(name: str, src, index) -> tf.Tensor:
    """Return the first elements of src in each dimension, as many as the index has.

    Raises:
        BlitzError: src has fewer.
    """
    pairs = zip(index.shape, src.shape, strict=False)
    if src.shape.rank != index.shape.rank or any(a > b for a, b in pairs if None not in (a, b)):
        raise BlitzError(f"{name}: the index {index.shape} must fit into src {src.shape} in each dimension")
    return src[tuple(slice(0, size) for size in sizes(index))]


def sizes(x) -> list:
    """Return the size of each dimension, a tensor where it is not known before the run."""
    return [tf.shape(x)[d] if size is None else size for d, size in enumerate(x.shape)]


def places(name: str, x, dim: int, index):
    """Return the full coordinates (…, ndim) of what an index along one dimension names."""
    dim = dimension(name, dim, x.shape.rank)
    if index.dtype not in (tf.int32, tf.int64):
        raise BlitzError(f"{name}: the index must be int64, not {index.dtype.name}")
    if index.shape.rank != x.shape.rank and index.shape.num_elements():
        raise BlitzError(f"{name}: the index {index.shape} must have as many dimensions as x {x.shape}")
    if index.shape.rank == x.shape.rank:
        both = list(zip(index.shape, x.shape, strict=True))
        larger = [d for d, pair in enumerate(both) if d != dim and None not in pair and pair[0] > pair[1]]
        if larger and index.shape.num_elements():
            raise BlitzError(f"{name}: the index {index.shape} must fit into x {x.shape} in each dimension but {dim}")
    check_range(name, index, x.shape[dim] if x.shape.rank else 1)
    index = tf.cast(index, tf.int64)
    grid = tf.meshgrid(*(tf.range(tf.cast(size, tf.int64)) for size in sizes(index)), indexing="ij")
    return tf.stack([index if d == dim else at for d, at in enumerate(grid)], -1) if grid else index


def check_range(name: str, index, size: int) -> None:
    """In eager mode a wrong index is one line; on a GPU TensorFlow would read zeros."""
    if not tf.executing_eagerly() or not index.shape.num_elements():
        return
    least, most = int(tf.reduce_min(index)), int(tf.reduce_max(index))
    if least < 0 or most >= size:
        raise BlitzError(f"{name}: index {least if least < 0 else most} is out of range for size {size}")
