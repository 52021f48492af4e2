"""T14: tensors joined, cut into parts, and combined element with element."""

from itertools import accumulate, combinations_with_replacement
from itertools import combinations as subsets

import tensorflow as tf

from keras_blitz.errors import BlitzError
from keras_blitz.ops.promotion import as_tensor, dimension, result_type
from keras_blitz.ops.rearranging import flatten
from keras_blitz.ops.shape import cat


def stack(tensors, dim: int = 0):
    """Return tensors of one shape joined along a new dimension, of their common dtype.

    NumPy `np.stack(tensors, axis)`, PyTorch `torch.stack(tensors, dim)`, TensorFlow `tf.stack(tensors, axis)`.
    Trap: TensorFlow raises on mixed dtypes (gap op-cat-stack).

    >>> stack((tf.constant([1]), tf.constant([0.5]))).numpy()
    array([[1. ],
           [0.5]], dtype=float32)
    """
    tensors = _common("stack", tensors)
    if len({tuple(each.shape) for each in tensors}) > 1:
        raise BlitzError(f"stack: all tensors must have one shape, not {[tuple(each.shape) for each in tensors]}")
    return tf.stack(tensors, dimension("stack", dim, tensors[0].shape.rank + 1))


def _common(name: str, tensors) -> list[tf.Tensor]:
    tensors = [as_tensor(each) for each in tensors]
    if not tensors:
        raise BlitzError(f"{name}: needs at least one tensor")
    dtype = result_type(*tensors)
    return [tf.cast(each, dtype) for each in tensors]


def atleast_1d(x):
    """Return x, a single value as a list of one.

    NumPy `np.atleast_1d(x)`, PyTorch `torch.atleast_1d(x)`, TensorFlow `tf.experimental.numpy.atleast_1d(x)`.

    >>> atleast_1d(tf.constant(3)).numpy()
    array([3], dtype=int32)
    """
    x = as_tensor(x)
    return x if x.shape.rank else tf.reshape(x, [1])


def atleast_2d(x):
    """Return x, a vector as a matrix of one row.

    NumPy `np.atleast_2d(x)`, PyTorch `torch.atleast_2d(x)`, TensorFlow `tf.experimental.numpy.atleast_2d(x)`.

    >>> atleast_2d(tf.constant([1, 2])).shape.as_list()
    [1, 2]
    """
    x = atleast_1d(x)
    return x if x.shape.rank > 1 else x[tf.newaxis]


def atleast_3d(x):
    """Return x, a matrix with a last dimension of 1.

    NumPy `np.atleast_3d(x)`, PyTorch `torch.atleast_3d(x)`, TensorFlow `tf.experimental.numpy.atleast_3d(x)`.

    >>> atleast_3d(tf.constant([1, 2])).shape.as_list()
    [1, 2, 1]
    """
    x = atleast_2d(x)
    return x if x.shape.rank > 2 else x[..., tf.newaxis]


def hstack(tensors):
    """Return tensors joined along the second dimension, vectors along their only one.

    NumPy `np.hstack(tensors)`, PyTorch `torch.hstack(tensors)`, TensorFlow `tf.concat(tensors, 1)`.

    >>> hstack((tf.constant([1, 2]), tf.constant([3]))).numpy()
    array([1, 2, 3], dtype=int32)
    """
    tensors = [atleast_1d(each) for each in _common("hstack", tensors)]
    return cat(tensors, 0 if tensors[0].shape.rank == 1 else 1)


def vstack(tensors):
    """Return tensors joined along the first dimension, vectors as rows.

    NumPy `np.vstack(tensors)`, PyTorch `torch.vstack(tensors)`, TensorFlow `tf.concat(tensors, 0)`.

    >>> vstack((tf.constant([1, 2]), tf.constant([3, 4]))).numpy()
    array([[1, 2],
           [3, 4]], dtype=int32)
    """
    return cat([atleast_2d(each) for each in _common("vstack", tensors)])


def dstack(tensors):
    """Return tensors joined along the third dimension.

    NumPy `np.dstack(tensors)`, PyTorch `torch.dstack(tensors)`, TensorFlow `tf.concat(tensors, 2)`.

    >>> dstack((tf.constant([1, 2]), tf.constant([3, 4]))).shape.as_list()
    [1, 2, 2]
    """
    return cat([atleast_3d(each) for each in _common("dstack", tensors)], 2)


def column_stack(tensors):
    """Return tensors joined along the second dimension, vectors as columns.

    NumPy `np.column_stack(tensors)`, PyTorch `torch.column_stack(tensors)`, TensorFlow tf.stack(tensors, 1) of vectors.

    >>> column_stack((tf.constant([1, 2]), tf.constant([3, 4]))).numpy()
    array([[1, 3],
           [2, 4]], dtype=int32)
    """
    return cat([x if x.shape.rank > 1 else tf.reshape(x, [-1, 1]) for x in _common("column_stack", tensors)], 1)


def split(x, split_size_or_sections, dim: int = 0):
    """Return parts of so many elements, the last of the rest, or parts of the sizes listed.

    NumPy `np.split(x, places, axis)`, PyTorch `torch.split(x, 2, dim)`, TensorFlow `tf.split(x, 2, axis)`.
    Trap: a number is the size of a part, in NumPy and TensorFlow the number of parts. The result is a tuple.

    >>> [part.numpy().tolist() for part in split(tf.constant([1, 2, 3]), 2)]
    [[1, 2], [3]]
    """
    x, dim, size = _cut("split", x, dim)
    if isinstance(split_size_or_sections, int):
        each = split_size_or_sections
        if each < 0 or (each == 0 and size):
            raise BlitzError(f"split: the parts' size must be ≥ 1, not {each} (the dimension has {size})")
        sizes = [min(each, size - start) for start in range(0, max(size, 1), max(each, 1))]
    else:
        sizes = list(split_size_or_sections)
        if sum(sizes) != size or min(sizes, default=0) < 0:
            raise BlitzError(f"split: sizes must be ≥ 0 and add up to {size}, not {sizes}")
    return tuple(tf.split(x, sizes, dim))


def _cut(name: str, x, dim: int):
    x = as_tensor(x)
    if not x.shape.rank:
        raise BlitzError(f"{name}: needs at least 1 dimension")
    dim = dimension(name, dim, x.shape.rank)
    return x, dim, x.shape[dim]


def chunk(x, chunks: int, dim: int = 0):
    """Return at most so many parts of one size, the last of the rest.

    NumPy `np.array_split(x, chunks, axis)`, PyTorch `torch.chunk(x, chunks, dim)`, TensorFlow `tf.split(x, chunks,
    axis)`.
    Trap: there may be fewer than asked for: 6 elements in 4 chunks are 3 of 2. `tensor_split` gives as many.

    >>> [part.numpy().tolist() for part in chunk(tf.constant([1, 2, 3, 4, 5, 6]), 4)]
    [[1, 2], [3, 4], [5, 6]]
    """
    x, dim, size = _cut("chunk", x, dim)
    if chunks <= 0:
        raise BlitzError(f"chunk: chunks must be ≥ 1, not {chunks}")
    return split(x, -(-size // chunks), dim) if size else tuple([x] * chunks)


def tensor_split(x, indices_or_sections, dim: int = 0):
    """Return so many parts, the first ones larger by one, or parts that begin at the places listed.

    NumPy `np.array_split(x, 2, axis)`, PyTorch `torch.tensor_split(x, 2, dim)`, TensorFlow `tf.split(x, sizes, axis)`.

    >>> [part.numpy().tolist() for part in tensor_split(tf.constant([1, 2, 3]), 2)]
    [[1, 2], [3]]
    """
    x, dim, size = _cut("tensor_split", x, dim)
    if isinstance(indices_or_sections, int):
        count = indices_or_sections
        if count <= 0:
            raise BlitzError(f"tensor_split: the number of parts must be ≥ 1, not {count}")
        places = list(accumulate(size // count + (k < size % count) for k in range(count - 1)))
    else:
        places = [int(place) for place in indices_or_sections]
    before = (slice(None),) * dim
    return tuple(x[(*before, slice(a, b))] for a, b in zip([0, *places], [*places, size], strict=True))


def unbind(x, dim: int = 0):
    """Return the slices of a dimension as a tuple.

    NumPy `tuple(x)`, PyTorch `torch.unbind(x, dim)`, TensorFlow `tf.unstack(x, axis=dim)`.

    >>> [part.numpy().tolist() for part in unbind(tf.constant([[1, 2], [3, 4]]), 1)]
    [[1, 3], [2, 4]]
    """
    x, dim, _ = _cut("unbind", x, dim)
    return tuple(tf.unstack(x, axis=dim))


def meshgrid(*tensors, indexing: str = "ij"):
    """Return the coordinates of a grid, a tensor for each list of them.

    NumPy `np.meshgrid(a, b, indexing="ij")`, PyTorch `torch.meshgrid(a, b, indexing="ij")`, TensorFlow `tf.meshgrid(a,
    b, indexing="ij")`.
    Trap: NumPy's and TensorFlow's default is "xy": the first two dimensions exchanged.

    >>> [part.numpy().tolist() for part in meshgrid(tf.constant([1, 2]), tf.constant([3]))]
    [[[1], [2]], [[3], [3]]]
    """
    lists = [as_tensor(each) for each in tensors]
    if not lists or indexing not in ("ij", "xy"):
        raise BlitzError(
            f"meshgrid needs at least one tensor and indexing 'ij' or 'xy', not {len(lists)} tensors and {indexing!r}"
        )
    if len({each.dtype for each in lists}) > 1 or max(each.shape.rank for each in lists) > 1:
        raise BlitzError("meshgrid: all tensors must be vectors or scalars of one dtype")
    return tuple(tf.meshgrid(*map(atleast_1d, lists), indexing=indexing))


def cartesian_prod(*tensors):
    """Return all combinations of one element of each list, a row each; of one list the list.

    NumPy `np.stack(np.meshgrid(a, b, indexing="ij"), -1).reshape(-1, 2)`, PyTorch `torch.cartesian_prod(*tensors)`,
    TensorFlow by hand.

    >>> cartesian_prod(tf.constant([1, 2]), tf.constant([3, 4])).numpy()
    array([[1, 3],
           [1, 4],
           [2, 3],
           [2, 4]], dtype=int32)
    """
    if any(as_tensor(each).shape.rank != 1 for each in tensors):
        raise BlitzError("cartesian_prod: all tensors must be vectors")
    grid = meshgrid(*tensors)
    return grid[0] if len(grid) == 1 else flatten(tf.stack(grid, -1), 0, -2)


def combinations(x, r: int = 2, with_replacement: bool = False):
    """Return the combinations of r elements of a list, a row each, in the order of itertools.

    NumPy `list(itertools.combinations(x, r))`, PyTorch `torch.combinations(x, r)`, TensorFlow by hand.

    >>> combinations(tf.constant([1, 2, 3])).numpy()
    array([[1, 2],
           [1, 3],
           [2, 3]], dtype=int32)
    """
    x = as_tensor(x)
    if x.shape.rank != 1 or r < 0:
        raise BlitzError(f"combinations: x must be a vector and r ≥ 0, not {x.shape} and {r}")
    if r == 0:
        return x[:0]
    places = list((combinations_with_replacement if with_replacement else subsets)(range(x.shape[0]), r))
    return tf.gather(x, tf.constant(places, tf.int64, [len(places), r]))


def block_diag(*tensors):
    """Return matrices along the diagonal of one, zeros beside them; vectors are rows.

    NumPy `scipy.linalg.block_diag(a, b)`, PyTorch `torch.block_diag(*tensors)`, TensorFlow
    tf.linalg.LinearOperatorBlockDiag.

    >>> block_diag(tf.constant([[1, 2]]), tf.constant([[3]])).numpy()
    array([[1, 2, 0],
           [0, 0, 3]], dtype=int32)
    """
    if any(as_tensor(each).shape.rank > 2 for each in tensors):
        raise BlitzError("block_diag: all tensors must be matrices, vectors or scalars")
    blocks = [atleast_2d(each) for each in (_common("block_diag", tensors) if tensors else [tf.zeros((1, 0))])]
    width, left, rows = sum(block.shape[1] for block in blocks), 0, []
    for block in blocks:
        rows.append(tf.pad(block, [[0, 0], [left, width - left - block.shape[1]]]))
        left += block.shape[1]
    return tf.concat(rows, 0)
