"""T14: products of tensors, and what is made of them."""

import tensorflow as tf

from keras_blitz.errors import BlitzError
from keras_blitz.ops.elementwise import mul
from keras_blitz.ops.linalg import bmm, mm, mv
from keras_blitz.ops.promotion import (
    as_tensor,
    broadcast,
    dimension,
    floating,
    not_bool,
    only_floating,
    promote,
    promoted,
    scalar,
)
from keras_blitz.ops.reduction import last, norm


def matmul(x, y):
    """Return the matrix product of the last two dimensions; the others are broadcast, a vector is a row or a column.

    NumPy `x @ y`, PyTorch `torch.matmul(x, y)`, TensorFlow `tf.matmul(x, y)`.
    Trap: TensorFlow refuses vectors (gap op-matmul-1d). PyTorch does not promote here.

    >>> matmul(tf.constant([1.0, 2.0]), tf.constant([3.0, 4.0])).numpy()
    np.float32(11.0)
    """
    x, y = _of_one_dtype("matmul", x, y)
    if not x.shape.rank or not y.shape.rank:
        raise BlitzError("matmul: both tensors need at least 1 dimension; mul multiplies by a scalar")
    left = x if x.shape.rank > 1 else x[tf.newaxis]
    right = y if y.shape.rank > 1 else y[:, tf.newaxis]
    if left.shape[-1] != right.shape[-2]:
        raise BlitzError(
            f"matmul: the inner sizes of {x.shape} and {y.shape} must be the same, and the batches must broadcast"
        )
    broadcast("matmul", tf.zeros(left.shape[:-2]), tf.zeros(right.shape[:-2]))
    found = tf.matmul(left, right)
    gone = ([-1] if y.shape.rank == 1 else []) + ([-2] if x.shape.rank == 1 else [])
    return tf.squeeze(found, gone) if gone else found


def _of_one_dtype(name: str, *tensors) -> list[tf.Tensor]:
    alike = [not_bool(name, each) for each in tensors]
    if len({each.dtype for each in alike}) > 1:
        kinds = " and ".join(each.dtype.name for each in alike)
        raise BlitzError(f"{name}: all dtypes must be the same, not {kinds}; PyTorch does not promote here")
    return alike


def _added(name: str, x, product, beta, alpha):
    """Return beta · x + alpha · product, where beta = 0 leaves out even a NaN of x."""
    x = as_tensor(x)
    if x.dtype != product.dtype:
        raise BlitzError(
            f"{name}: input must be {product.dtype.name}, not {x.dtype.name}; PyTorch does not promote here"
        )
    if list(broadcast(name, x, product)) != list(product.shape):
        raise BlitzError(f"{name}: input {x.shape} must broadcast to the product's shape {product.shape}")
    scaled = product if alpha == 1 else product * scalar(alpha, x.dtype)
    if beta == 0:  # the gradient of x is then 0
        x = tf.where(tf.ones_like(x, tf.bool), tf.zeros_like(x), x)
    return scaled + (x if beta in (0, 1) else x * scalar(beta, x.dtype))


def addmm(x, a, b, beta=1, alpha=1):
    """Return beta · x + alpha · a b of matrices a and b.

    NumPy `beta * x + alpha * a @ b`, PyTorch `torch.addmm(x, a, b, beta=1, alpha=1)`, TensorFlow the expression.
    Trap: with beta = 0 not even a NaN of x counts.

    >>> addmm(tf.constant([[1.0]]), tf.constant([[2.0]]), tf.constant([[3.0]]), beta=2).numpy()
    array([[8.]], dtype=float32)
    """
    return _added("addmm", x, mm(a, b), beta, alpha)


def addmv(x, a, b, beta=1, alpha=1):
    """Return beta · x + alpha · a b of a matrix a and a vector b.

    NumPy `beta * x + alpha * a @ b`, PyTorch `torch.addmv(x, a, b, beta=1, alpha=1)`, TensorFlow the expression.

    >>> addmv(tf.constant([1.0]), tf.constant([[2.0]]), tf.constant([3.0])).numpy()
    array([7.], dtype=float32)
    """
    return _added("addmv", x, mv(a, b), beta, alpha)


def addr(x, a, b, beta=1, alpha=1):
    """Return beta · x + alpha · a bᵀ of vectors a and b.

    NumPy `beta * x + alpha * np.outer(a, b)`, PyTorch `torch.addr(x, a, b, beta=1, alpha=1)`, TensorFlow the
    expression.

    >>> addr(tf.constant([[1.0]]), tf.constant([2.0]), tf.constant([3.0])).numpy()
    array([[7.]], dtype=float32)
    """
    x, a, b = as_tensor(x), as_tensor(a), as_tensor(b)
    return _added("addr", x, outer(a, b), beta, alpha)


def baddbmm(x, a, b, beta=1, alpha=1):
    """Return beta · x + alpha · a b of batches of matrices.

    NumPy `beta * x + alpha * a @ b`, PyTorch `torch.baddbmm(x, a, b, beta=1, alpha=1)`, TensorFlow the expression.

    >>> baddbmm(tf.ones((1, 1, 1)), tf.ones((1, 1, 2)), tf.ones((1, 2, 1))).numpy()
    array([[[3.]]], dtype=float32)
    """
    return _added("baddbmm", x, bmm(a, b), beta, alpha)


def addbmm(x, a, b, beta=1, alpha=1):
    """Return beta · x + alpha · Σ a b, summed over a batch of matrices.

    NumPy `beta * x + alpha * (a @ b).sum(0)`, PyTorch `torch.addbmm(x, a, b, beta=1, alpha=1)`, TensorFlow the
    expression.

    >>> addbmm(tf.ones((1, 1)), tf.ones((2, 1, 1)), tf.ones((2, 1, 1))).numpy()
    array([[3.]], dtype=float32)
    """
    return _added("addbmm", x, tf.reduce_sum(bmm(a, b), 0), beta, alpha)


def outer(x, y):
    """Return the products xᵢ yⱼ of two vectors.

    NumPy `np.outer(x, y)`, PyTorch `torch.outer(x, y)`, TensorFlow `tf.tensordot(x, y, 0)`.

    >>> outer(tf.constant([1, 2]), tf.constant([3, 4])).numpy()
    array([[3, 4],
           [6, 8]], dtype=int32)
    """
    x, y = as_tensor(x), as_tensor(y)
    if (x.shape.rank, y.shape.rank) != (1, 1):
        raise BlitzError(f"outer: needs vectors, not {x.shape} and {y.shape}")
    return mul(x[:, tf.newaxis], y)


def inner(x, y):
    """Return the sums of products along the last dimensions, of all pairs of the others.

    NumPy `np.inner(x, y)`, PyTorch `torch.inner(x, y)`, TensorFlow `tf.tensordot(x, y, [[-1], [-1]])`.

    >>> inner(tf.constant([1.0, 2.0]), tf.constant([3.0, 4.0])).numpy()
    np.float32(11.0)
    """
    x, y = as_tensor(x), as_tensor(y)
    if not x.shape.rank or not y.shape.rank:
        return mul(x, y)
    x, y = _of_one_dtype("inner", x, y)
    if x.shape[-1] != y.shape[-1]:
        raise BlitzError(f"inner: the last sizes must be the same, not {x.shape[-1]} and {y.shape[-1]}")
    return tf.tensordot(x, y, [[-1], [-1]])


def kron(x, y):
    """Return Kronecker's product: each element of x times all of y.

    NumPy `np.kron(x, y)`, PyTorch `torch.kron(x, y)`, TensorFlow `tf.experimental.numpy.kron(x, y)`.

    >>> kron(tf.constant([1, 2]), tf.constant([1, 10])).numpy()
    array([ 1, 10,  2, 20], dtype=int32)
    """
    x, y = as_tensor(x), as_tensor(y)
    rank = max(x.shape.rank, y.shape.rank)
    sizes = [[1] * (rank - each.shape.rank) + list(each.shape) for each in (x, y)]
    spread = [
        tf.reshape(x, [n for size in sizes[0] for n in (size, 1)]),
        tf.reshape(y, [n for size in sizes[1] for n in (1, size)]),
    ]
    return tf.reshape(mul(*spread), [a * b for a, b in zip(*sizes, strict=True)])


def cross(x, y, dim: int | None = None):
    """Return the vector products along a dimension of 3, by default the first one of that size.

    NumPy `np.cross(x, y, axis)`, PyTorch `torch.cross(x, y, dim)`, TensorFlow `tf.linalg.cross(x, y)`.
    Trap: TensorFlow's is along the last dimension; so is `torch.linalg.cross`.

    >>> cross(tf.constant([1, 0, 0]), tf.constant([0, 1, 0])).numpy()
    array([0, 0, 1], dtype=int32)
    """
    x, y = promoted("cross", x, y)
    not_bool("cross", x)
    if x.shape.rank != y.shape.rank:
        raise BlitzError(f"cross: {x.shape} and {y.shape} must have the same number of dimensions")
    shape = broadcast("cross", x, y)
    if dim is None and 3 not in x.shape:
        raise BlitzError(f"cross: one dimension must have size 3, but the shape is {x.shape}")
    dim = list(x.shape).index(3) if dim is None else dimension("cross", dim, x.shape.rank)
    if x.shape[dim] != 3 or y.shape[dim] != 3:
        raise BlitzError(f"cross: dimension {dim} of {x.shape} and {y.shape} must have size 3")
    (a, back), (b, _) = (last("cross", tf.broadcast_to(each, shape), dim) for each in (x, y))
    turned = [tf.roll(each, shift, -1) for each, shift in ((a, -1), (b, -2), (a, -2), (b, -1))]
    return back(turned[0] * turned[1] - turned[2] * turned[3])


def tensordot(x, y, dims=2):
    """Return the sums of products over dimensions, the last of x with the first of y, or those listed for each.

    NumPy `np.tensordot(x, y, dims)`, PyTorch `torch.tensordot(x, y, dims)`, TensorFlow `tf.tensordot(x, y, dims)`.

    >>> tensordot(tf.ones((2, 3)), tf.ones((3, 4)), 1).shape.as_list()
    [2, 4]
    """
    x, y = _of_one_dtype("tensordot", x, y)
    if isinstance(dims, int):
        if dims < 0 or dims > min(x.shape.rank, y.shape.rank):
            raise BlitzError(
                f"tensordot: dims must be from 0 to {min(x.shape.rank, y.shape.rank)} for these tensors, not {dims}"
            )
        dims = (list(range(x.shape.rank - dims, x.shape.rank)), list(range(dims)))
    axes = [[dimension("tensordot", d, each.shape.rank) for d in part] for each, part in zip((x, y), dims, strict=True)]
    if [x.shape[a] for a in axes[0]] != [y.shape[b] for b in axes[1]]:
        raise BlitzError(f"tensordot: sizes of {x.shape} at {axes[0]} and {y.shape} at {axes[1]} differ")
    return tf.tensordot(x, y, axes)


def einsum(equation: str, *operands):
    """Return the sum of products that Einstein's notation says: "ij,jk->ik" is a matrix product.

    NumPy `np.einsum(equation, x, y)`, PyTorch `torch.einsum(equation, x, y)`, TensorFlow `tf.einsum(equation, x, y)`.

    >>> einsum("ij->j", tf.constant([[1.0, 2.0], [3.0, 4.0]])).numpy()
    array([4., 6.], dtype=float32)
    """
    tensors = _of_one_dtype(
        "einsum", *(operands[0] if len(operands) == 1 and isinstance(operands[0], list | tuple) else operands)
    )
    equation = equation.replace(" ", "")
    if len(tensors) == 1 and tensors[0].dtype.is_integer and _sums(equation):
        tensors = [tf.cast(tensors[0], tf.int64)]  # PyTorch's sum of whole numbers
    try:
        return tf.einsum(equation, *tensors)
    except (ValueError, tf.errors.InvalidArgumentError) as error:
        shapes = ", ".join(str(each.shape) for each in tensors)
        raise BlitzError(f"einsum: {equation!r} does not fit {shapes}") from error


def _sums(equation: str) -> bool:
    """Whether a letter of one operand is left out of the result."""
    given, arrow, kept = equation.partition("->")
    return bool(arrow) and any(letter.isalpha() and letter not in kept for letter in given)


def cdist(x, y, p: float = 2.0):
    """Return the distances of all pairs of rows, (…, n, d) and (…, m, d): (…, n, m).

    NumPy `scipy.spatial.distance.cdist(x, y)`, PyTorch `torch.cdist(x, y, p)`, TensorFlow `tf.norm(x[:, None] - y, p,
    -1)`.
    Trap: at distance 0 PyTorch's gradient is 0, TensorFlow's NaN (gap norm-0).

    >>> cdist(tf.constant([[0.0, 0.0]]), tf.constant([[3.0, 4.0]])).numpy()
    array([[5.]], dtype=float32)
    """
    x, y = _of_one_dtype("cdist", only_floating("cdist", x), only_floating("cdist", y))
    if min(x.shape.rank, y.shape.rank) < 2 or x.shape[-1] != y.shape[-1] or p < 0:
        raise BlitzError(f"cdist: needs p ≥ 0 and matrices with rows of one length, not {p}, {x.shape} and {y.shape}")
    apart = x[..., :, tf.newaxis, :] - y[..., tf.newaxis, :, :]
    return norm(apart, p, -1) if x.shape[-1] else tf.reduce_sum(apart, -1)


def cov(x, correction: int = 1, fweights=None, aweights=None):
    """Return the covariances of variables, a row each, over their observations, the columns.

    NumPy `np.cov(x, ddof=1)`, PyTorch `torch.cov(x, correction=1)`, TensorFlow `tfp.stats.covariance(x,
    sample_axis=1)`.

    >>> cov(tf.constant([[1.0, 2.0, 3.0], [1.0, 0.0, -1.0]])).numpy()
    array([[ 1., -1.],
           [-1.,  1.]], dtype=float32)
    """
    given = x = as_tensor(x)
    if x.shape.rank > 2:
        raise BlitzError(f"cov: needs a vector or a matrix with one row for each variable, not {x.shape}")
    x = floating(not_bool("cov", x))
    if aweights is not None:
        x = tf.cast(x, promote(given.dtype, as_tensor(aweights).dtype))
    rows = tf.reshape(x, [1, -1]) if x.shape.rank < 2 else x
    ones = tf.ones([rows.shape[1]], x.dtype)
    counts, shares = (ones if each is None else tf.cast(as_tensor(each), x.dtype) for each in (fweights, aweights))
    weights = counts * shares
    sum_of = tf.reduce_sum(weights)
    # What one observation takes of the sum: 1 by counts alone.
    left = sum_of - correction * (1 if aweights is None else tf.reduce_sum(weights * shares) / sum_of)
    rest = rows - tf.reduce_sum(rows * weights, 1, keepdims=True) / sum_of
    found = tf.matmul(rest, rest * weights, transpose_b=True) / tf.maximum(left, 0)
    return found if x.shape.rank == 2 else tf.reshape(found, [])


def corrcoef(x):
    """Return the correlations of variables, a row each, within [−1, 1].

    NumPy `np.corrcoef(x)`, PyTorch `torch.corrcoef(x)`, TensorFlow `tfp.stats.correlation(x, sample_axis=1)`.

    >>> corrcoef(tf.constant([[1.0, 2.0, 3.0], [2.0, 4.0, 6.0]])).numpy()
    array([[1., 1.],
           [1., 1.]], dtype=float32)
    """
    found = cov(x)
    if not found.shape.rank:
        return found / found
    scale = tf.sqrt(tf.linalg.diag_part(found))
    return tf.clip_by_value(found / scale[:, tf.newaxis] / scale, -1, 1)


def vander(x, N: int | None = None, increasing: bool = False):
    """Return the powers of a vector as columns, falling, or rising from 0.

    NumPy `np.vander(x, N, increasing)`, PyTorch `torch.vander(x, N, increasing)`, TensorFlow by hand.

    >>> vander(tf.constant([1, 2, 3])).numpy()
    array([[1, 1, 1],
           [4, 2, 1],
           [9, 3, 1]])
    """
    x = as_tensor(x)
    if x.shape.rank != 1:
        raise BlitzError(f"vander: needs a vector, not {x.shape}")
    x = x if x.dtype.is_floating else tf.cast(x, tf.int64)
    powers = [tf.ones_like(x)]
    for _ in range((x.shape[0] if N is None else N) - 1):
        powers.append(powers[-1] * x)
    powers = powers[: x.shape[0] if N is None else N]
    if not powers:
        return tf.zeros([x.shape[0], 0], x.dtype)
    return tf.stack(powers if increasing else powers[::-1], 1)


def renorm(x, p: float, dim: int, maxnorm: float):
    """Return x with each slice of a dimension whose p-norm is above `maxnorm` scaled down to it.

    NumPy by hand, PyTorch `torch.renorm(x, p, dim, maxnorm)`, TensorFlow `tf.clip_by_norm(x, maxnorm, axes)`.
    Trap: PyTorch adds 1e-7 to the norm that it divides by.

    >>> renorm(tf.constant([[3.0, 4.0], [0.0, 1.0]]), 2, 0, 1.0).numpy()
    array([[0.6, 0.8],
           [0. , 1. ]], dtype=float32)
    """
    x = only_floating("renorm", x)
    if x.shape.rank < 2 or p <= 0 or maxnorm < 0:
        raise BlitzError(
            f"renorm: needs p > 0, maxnorm ≥ 0 and at least 2 dimensions, not {p}, {maxnorm} and {x.shape.rank}"
        )
    dim = dimension("renorm", dim, x.shape.rank)
    rest = [d for d in range(x.shape.rank) if d != dim]
    above = norm(x, p, rest, keepdim=True) > maxnorm
    size = norm(tf.where(above, x, tf.ones_like(x)), p, rest, keepdim=True)  # where x stays, no gradient goes through
    return x * tf.where(above, scalar(maxnorm, x.dtype) / (size + 1e-7), tf.ones_like(size))
