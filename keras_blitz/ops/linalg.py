"""T12: products of vectors and matrices."""

from typing import NamedTuple

import tensorflow as tf

from keras_blitz.errors import BlitzError
from keras_blitz.ops.promotion import as_tensor, only_floating


class SVD(NamedTuple):
    """x = U · diag(S) · Vᵀ."""

    U: tf.Tensor
    S: tf.Tensor
    V: tf.Tensor


def dot(x, y):
    """Return Σ xᵢ yᵢ of two vectors of one dtype.

    NumPy `np.dot(x, y)`, PyTorch `torch.dot(x, y)`, TensorFlow `tf.tensordot(x, y, 1)`.
    Trap: NumPy's is a matrix product, too; PyTorch's is not (gap op-matmul-1d).

    >>> dot(tf.constant([1.0, 2.0]), tf.constant([3.0, 4.0])).numpy()
    np.float32(11.0)
    """
    x, y = alike("dot", x, y, 1, 1)
    if x.shape != y.shape:
        raise BlitzError(f"dot: the vectors must have the same size, not {x.shape[0]} and {y.shape[0]}")
    return tf.reduce_sum(x * y)


def mv(x, y):
    """Return the product of a matrix (n, m) and a vector (m,): (n,).

    NumPy `x @ y`, PyTorch `torch.mv(x, y)`, TensorFlow `tf.linalg.matvec(x, y)`.
    Trap: `tf.matmul` refuses a vector (gap op-matmul-1d).

    >>> mv(tf.constant([[1.0, 2.0]]), tf.constant([3.0, 4.0])).numpy()
    array([11.], dtype=float32)
    """
    x, y = alike("mv", x, y, 2, 1)
    return tf.linalg.matvec(x, y)


def mm(x, y):
    """Return the product of matrices (n, m) and (m, p): (n, p).

    NumPy `x @ y`, PyTorch `torch.mm(x, y)`, TensorFlow `tf.matmul(x, y)`.
    Trap: `*` multiplies element by element in all three; `mm` does not broadcast.

    >>> mm(tf.constant([[1.0, 2.0]]), tf.constant([[3.0], [4.0]])).numpy()
    array([[11.]], dtype=float32)
    """
    return tf.matmul(*alike("mm", x, y, 2, 2))


def bmm(x, y):
    """Return the products of matrices (b, n, m) and (b, m, p): (b, n, p).

    NumPy `x @ y`, PyTorch `torch.bmm(x, y)`, TensorFlow `tf.matmul(x, y)`.
    Trap: `@` and `tf.matmul` broadcast the batch, `bmm` does not.

    >>> bmm(tf.ones((2, 1, 3)), tf.ones((2, 3, 1))).shape.as_list()
    [2, 1, 1]
    """
    x, y = alike("bmm", x, y, 3, 3)
    if x.shape[0] != y.shape[0]:
        raise BlitzError(f"bmm: the batches must have the same size, not {x.shape[0]} and {y.shape[0]}")
    return tf.matmul(x, y)


def t(x):
    """Return the transposed matrix; a vector or a single value as it is.

    NumPy `x.T`, PyTorch `x.t()`, TensorFlow `tf.transpose(x)`.
    Trap: NumPy's and TensorFlow's turn all dimensions round; PyTorch refuses more than two (gap op-t-transpose).

    >>> t(tf.zeros((2, 3))).shape.as_list()
    [3, 2]
    """
    x = as_tensor(x)
    if x.shape.rank > 2:
        raise BlitzError(f"t takes at most 2 dimensions, not {x.shape.rank}; use permute")
    return tf.transpose(x)


def svd(x, some: bool = True):
    """Return the singular value decomposition (U, S, V) of matrices (…, n, m), S falling.

    NumPy `np.linalg.svd(x)`, PyTorch `torch.svd(x)`, TensorFlow `tf.linalg.svd(x)`.
    Traps: the order is U, S, V here, U, S, Vᵀ in NumPy, S, U, V in TensorFlow (gap op-svd). The signs of U's columns
    with V's are anybody's choice.

    Args:
        x: floating.
        some: U (…, n, k), V (…, m, k) with k = min(n, m); otherwise square.

    >>> svd(tf.constant([[0.0, 2.0], [1.0, 0.0]])).S.numpy()
    array([2., 1.], dtype=float32)
    """
    x = only_floating("svd", x)
    if x.shape.rank < 2:
        raise BlitzError(f"svd: needs a matrix, not {x.shape}")
    s, u, v = tf.linalg.svd(x, full_matrices=not some)
    return SVD(u, s, v)


def alike(name: str, x, y, *ranks: int):
    """Return both as tensors, of these numbers of dimensions and of one dtype."""
    x, y = as_tensor(x), as_tensor(y)
    if (x.shape.rank, y.shape.rank) != ranks:
        raise BlitzError(f"{name}: needs tensors of {ranks[0]} and {ranks[1]} dimensions, not {x.shape} and {y.shape}")
    if x.dtype != y.dtype:
        raise BlitzError(
            f"{name}: y must have x's dtype {x.dtype.name}, not {y.dtype.name}; PyTorch does not promote here"
        )
    if x.dtype == tf.bool:
        raise BlitzError(f"{name} does not take bool tensors; tf.cast them first")
    if x.shape[-1] != y.shape[-2 if y.shape.rank > 1 else 0]:
        raise BlitzError(f"{name}: the inner sizes of {x.shape} and {y.shape} must be the same")
    return x, y
