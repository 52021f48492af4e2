"""T14: diagonals and triangles of matrices."""

import tensorflow as tf

from keras_blitz.errors import BlitzError
from keras_blitz.ops.promotion import as_tensor, dimension
from keras_blitz.ops.reduction import sum


def tril(x, diagonal: int = 0):
    """Return matrices with zeros above a diagonal; 0 is the main one, 1 that above it.

    NumPy `np.tril(x, k)`, PyTorch `torch.tril(x, diagonal)`, TensorFlow `tf.linalg.band_part(x, -1, 0)`.

    >>> tril(tf.constant([[1, 2], [3, 4]])).numpy()
    array([[1, 0],
           [3, 4]], dtype=int32)
    """
    return _triangle("tril", x, lambda rows, columns: columns <= rows + diagonal)


def triu(x, diagonal: int = 0):
    """Return matrices with zeros below a diagonal; 0 is the main one, 1 that above it.

    NumPy `np.triu(x, k)`, PyTorch `torch.triu(x, diagonal)`, TensorFlow `tf.linalg.band_part(x, 0, -1)`.

    >>> triu(tf.constant([[1, 2], [3, 4]])).numpy()
    array([[1, 2],
           [0, 4]], dtype=int32)
    """
    return _triangle("triu", x, lambda rows, columns: columns >= rows + diagonal)


def _triangle(name: str, x, kept):
    x = as_tensor(x)
    if x.shape.rank < 2:
        raise BlitzError(f"{name}: needs matrices, not {x.shape}")
    mask = kept(tf.range(x.shape[-2])[:, tf.newaxis], tf.range(x.shape[-1]))
    return tf.where(mask, x, tf.zeros_like(x))


def tril_indices(row: int, col: int, offset: int = 0):
    """Return the rows and columns (2, n) of what `tril` keeps, row by row.

    NumPy `np.tril_indices(row, offset, col)`, PyTorch `torch.tril_indices(row, col, offset)`, TensorFlow by hand.

    >>> tril_indices(2, 2).numpy()
    array([[0, 1, 1],
           [0, 0, 1]])
    """
    return _indices("tril_indices", tril, row, col, offset)


def triu_indices(row: int, col: int, offset: int = 0):
    """Return the rows and columns (2, n) of what `triu` keeps, row by row.

    NumPy `np.triu_indices(row, offset, col)`, PyTorch `torch.triu_indices(row, col, offset)`, TensorFlow by hand.

    >>> triu_indices(2, 2).numpy()
    array([[0, 0, 1],
           [0, 1, 1]])
    """
    return _indices("triu_indices", triu, row, col, offset)


def _indices(name: str, function, row: int, col: int, offset: int):
    if row < 0 or col < 0:
        raise BlitzError(f"{name}: row and col must be ≥ 0, not {row} and {col}")
    return tf.transpose(tf.where(function(tf.ones((row, col), tf.bool), offset)))


def diagonal(x, offset: int = 0, dim1: int = 0, dim2: int = 1):
    """Return the diagonals of the matrices in two dimensions, as the last dimension.

    NumPy `np.diagonal(x, offset, dim1, dim2)`, PyTorch `torch.diagonal(x, offset, dim1, dim2)`, TensorFlow
    `tf.linalg.diag_part(x, k=offset)`.
    Trap: TensorFlow's matrices are the last two dimensions, in PyTorch and NumPy the first two.

    >>> diagonal(tf.constant([[1, 2], [3, 4]])).numpy()
    array([1, 4], dtype=int32)
    """
    return _part(x, offset, dim1, dim2)


def _part(x, offset: int, dim1: int, dim2: int):
    x = as_tensor(x)
    rank = x.shape.rank
    first, second = (dimension("diagonal", dim, rank) for dim in (dim1, dim2))
    if first == second:
        raise BlitzError(f"diagonal: dim1 and dim2 must be two dimensions; {dim1} and {dim2} are the same one")
    moved = tf.transpose(x, [*(d for d in range(rank) if d not in (first, second)), first, second])
    rows, columns = moved.shape[-2:]
    length = max(0, min(rows, columns - offset) if offset >= 0 else min(rows + offset, columns))
    start = offset if offset >= 0 else -offset * columns
    flat = tf.reshape(moved, [*moved.shape[:-2], rows * columns])
    return tf.gather(flat, start + (columns + 1) * tf.range(length), axis=-1)


def diag_embed(x, offset: int = 0, dim1: int = -2, dim2: int = -1):
    """Return matrices whose diagonals are the last dimension of x, zeros beside them.

    NumPy np.zeros(…), filled, PyTorch `torch.diag_embed(x, offset)`, TensorFlow `tf.linalg.diag(x, k=offset)`.

    >>> diag_embed(tf.constant([1, 2])).numpy()
    array([[1, 0],
           [0, 2]], dtype=int32)
    """
    x = as_tensor(x)
    rank = x.shape.rank + 1
    first, second = (dimension("diag_embed", dim, rank) for dim in (dim1, dim2))
    if first == second or rank == 1:
        raise BlitzError(
            f"diag_embed: dim1 and dim2 must be two dimensions of the result, not {dim1} and {dim2} (x is {x.shape})"
        )
    if first > second:
        first, second, offset = second, first, -offset
    size = x.shape[-1] + abs(offset)
    ahead = tf.range(size)[:, tf.newaxis] + offset
    mask = ahead == tf.range(size)
    padded = tf.pad(x, [[0, 0]] * (rank - 2) + [[max(-offset, 0), max(offset, 0)]])  # by rows
    matrices = tf.where(mask, padded[..., tf.newaxis], tf.zeros([], x.dtype))
    rest = iter(range(rank - 2))
    return tf.transpose(
        matrices, [rank - 2 if d == first else rank - 1 if d == second else next(rest) for d in range(rank)]
    )


def diag(x, diagonal: int = 0):
    """Return a matrix with a vector on a diagonal, or the diagonal of a matrix.

    NumPy `np.diag(x, k)`, PyTorch `torch.diag(x, diagonal)`, TensorFlow tf.linalg.diag(x, k=diagonal) and
    `tf.linalg.diag_part`.

    >>> diag(tf.constant([1, 2])).numpy()
    array([[1, 0],
           [0, 2]], dtype=int32)
    """
    x = as_tensor(x)
    if x.shape.rank not in (1, 2):
        raise BlitzError(f"diag: needs a vector or a matrix, not {x.shape}")
    return diag_embed(x, diagonal) if x.shape.rank == 1 else _part(x, diagonal, 0, 1)


def trace(x):
    """Return the sum of the diagonal of a matrix; of integers in int64.

    NumPy `np.trace(x)`, PyTorch `torch.trace(x)`, TensorFlow `tf.linalg.trace(x)`.
    Trap: TensorFlow keeps the dtype of integers.

    >>> trace(tf.constant([[1, 2], [3, 4]])).numpy()
    np.int64(5)
    """
    if as_tensor(x).shape.rank != 2:
        raise BlitzError(f"trace: needs a matrix, not {as_tensor(x).shape}")
    return sum(diagonal(x))
