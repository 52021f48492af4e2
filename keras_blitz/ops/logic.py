"""T14: truth values, bits, and what is close to what."""

import tensorflow as tf

from keras_blitz.errors import BlitzError
from keras_blitz.ops.comparison import eq
from keras_blitz.ops.promotion import as_tensor, broadcast, floating, promoted
from keras_blitz.ops.rounding import isfinite, isnan


def logical_not(x):
    """Return where x is 0.

    NumPy `np.logical_not(x)`, PyTorch `torch.logical_not(x)`, TensorFlow `tf.logical_not(x)`.
    Trap: TensorFlow's is for bool alone.

    >>> logical_not(tf.constant([0.0, 2.0])).numpy()
    array([ True, False])
    """
    return ~_truth(x)


def logical_and(x, y):
    """Return where neither is 0.

    NumPy `np.logical_and(x, y)`, PyTorch `torch.logical_and(x, y)`, TensorFlow `tf.logical_and(x, y)`.
    Trap: TensorFlow's is for bool alone.

    >>> logical_and(tf.constant([0, 2]), tf.constant([1.0, 1.0])).numpy()
    array([False,  True])
    """
    return tf.logical_and(*_truths("logical_and", x, y))


def logical_or(x, y):
    """Return where one is not 0.

    NumPy `np.logical_or(x, y)`, PyTorch `torch.logical_or(x, y)`, TensorFlow `tf.logical_or(x, y)`.
    Trap: TensorFlow's is for bool alone.

    >>> logical_or(tf.constant([0, 2]), tf.constant([0.0, 0.0])).numpy()
    array([False,  True])
    """
    return tf.logical_or(*_truths("logical_or", x, y))


def logical_xor(x, y):
    """Return where exactly one is not 0.

    NumPy `np.logical_xor(x, y)`, PyTorch `torch.logical_xor(x, y)`, TensorFlow `tf.math.logical_xor(x, y)`.
    Trap: TensorFlow's is for bool alone.

    >>> logical_xor(tf.constant([1, 2]), tf.constant([0.0, 1.0])).numpy()
    array([ True, False])
    """
    return tf.not_equal(*_truths("logical_xor", x, y))


def _truth(x):
    """Return where x is not 0; NaN is not."""
    x = as_tensor(x)
    return x if x.dtype == tf.bool else tf.not_equal(x, tf.zeros_like(x))


def _truths(name: str, x, y):
    x, y = _truth(x), _truth(y)
    broadcast(name, x, y)
    return x, y


def bitwise_not(x):
    """Return each bit turned round, of bool the negation.

    NumPy `np.bitwise_not(x)`, PyTorch `torch.bitwise_not(x)`, TensorFlow `tf.bitwise.invert(x)`.
    Trap: TensorFlow's of bool is `tf.logical_not`.

    >>> bitwise_not(tf.constant([0, 5])).numpy()
    array([-1, -6], dtype=int32)
    """
    (x,) = _bits("bitwise_not", x)
    return ~x


def bitwise_and(x, y):
    """Return the bits that are set in both.

    NumPy `np.bitwise_and(x, y)`, PyTorch `torch.bitwise_and(x, y)`, TensorFlow `tf.bitwise.bitwise_and(x, y)`.

    >>> bitwise_and(tf.constant([6]), 3).numpy()
    array([2], dtype=int32)
    """
    x, y = _bits("bitwise_and", x, y)
    return x & y


def bitwise_or(x, y):
    """Return the bits that are set in one or both.

    NumPy `np.bitwise_or(x, y)`, PyTorch `torch.bitwise_or(x, y)`, TensorFlow `tf.bitwise.bitwise_or(x, y)`.

    >>> bitwise_or(tf.constant([6]), 3).numpy()
    array([7], dtype=int32)
    """
    x, y = _bits("bitwise_or", x, y)
    return x | y


def bitwise_xor(x, y):
    """Return the bits that are set in exactly one.

    NumPy `np.bitwise_xor(x, y)`, PyTorch `torch.bitwise_xor(x, y)`, TensorFlow `tf.bitwise.bitwise_xor(x, y)`.

    >>> bitwise_xor(tf.constant([6]), 3).numpy()
    array([5], dtype=int32)
    """
    x, y = _bits("bitwise_xor", x, y)
    return x ^ y


def bitwise_left_shift(x, y):
    """Return x · 2ʸ in the bits of its dtype; 0 from as many places on as there are bits.

    NumPy `np.left_shift(x, y)`, PyTorch `torch.bitwise_left_shift(x, y)`, TensorFlow `tf.bitwise.left_shift(x, y)`.
    Trap: TensorFlow does not define a shift by too many places.

    >>> bitwise_left_shift(tf.constant([1, 3]), tf.constant([4, 32])).numpy()
    array([16,  0], dtype=int32)
    """
    x, y = _bits("bitwise_left_shift", x, y)
    within = (y >= 0) & (y < x.dtype.size * 8)
    return tf.where(within, tf.bitwise.left_shift(x, tf.where(within, y, tf.zeros_like(y))), tf.zeros_like(x))


def bitwise_right_shift(x, y):
    """Return x / 2ʸ rounded down; 0, or −1 of negative integers, from as many places on as there are bits.

    NumPy `np.right_shift(x, y)`, PyTorch `torch.bitwise_right_shift(x, y)`, TensorFlow `tf.bitwise.right_shift(x, y)`.
    Trap: TensorFlow does not define a shift by too many places.

    >>> bitwise_right_shift(tf.constant([9, -9]), tf.constant([1, 40])).numpy()
    array([ 4, -1], dtype=int32)
    """
    x, y = _bits("bitwise_right_shift", x, y)
    most = tf.constant(x.dtype.size * 8 - 1, x.dtype)
    return tf.bitwise.right_shift(x, tf.where((y >= 0) & (y < most), y, most))


def _bits(name: str, *operands):
    """Return tensors of one integer dtype, or bool.

    Raises:
        BlitzError: they are floating, or bool where bits are shifted.
    """
    tensors = promoted(name, *operands)
    if tensors[0].dtype.is_floating or ("shift" in name and tensors[0].dtype == tf.bool):
        raise BlitzError(f"{name}: needs integers, not {tensors[0].dtype.name}")
    return tensors


def isclose(x, y, rtol: float = 1e-05, atol: float = 1e-08, equal_nan: bool = False):
    """Return where |x − y| ≤ atol + rtol · |y|, and where both are equal.

    NumPy `np.isclose(x, y)`, PyTorch `torch.isclose(x, y)`, TensorFlow by hand.
    Trap: it is not symmetric; x and y must have one dtype.

    >>> isclose(tf.constant([1.0, 1.0]), tf.constant([1.0 + 1e-6, 1.1])).numpy()
    array([ True, False])
    """
    x, y = as_tensor(x), as_tensor(y)
    if x.dtype != y.dtype:
        raise BlitzError(f"isclose: y must have x's dtype {x.dtype.name}, not {y.dtype.name}")
    if rtol < 0 or atol < 0:
        raise BlitzError(f"isclose: rtol and atol must be ≥ 0, not {rtol} and {atol}")
    same = eq(x, y)
    if equal_nan and x.dtype.is_floating:
        same |= isnan(x) & isnan(y)
    if not (rtol or atol):
        return same
    apart = tf.abs(floating(x) - floating(y))
    return same | (isfinite(apart) & (apart <= atol + tf.abs(rtol * floating(y))))


def allclose(x, y, rtol: float = 1e-05, atol: float = 1e-08, equal_nan: bool = False) -> bool:
    """Return whether all pairs are close, as in `isclose`.

    NumPy `np.allclose(x, y)`, PyTorch `torch.allclose(x, y)`, TensorFlow by hand.

    >>> allclose(tf.constant([1.0]), tf.constant([1.0 + 1e-6]))
    True
    """
    return bool(tf.reduce_all(isclose(x, y, rtol, atol, equal_nan)))


def isin(elements, test_elements, invert: bool = False):
    """Return where an element is one of `test_elements`.

    NumPy `np.isin(elements, test_elements)`, PyTorch `torch.isin(elements, test_elements)`, TensorFlow by hand.

    >>> isin(tf.constant([1, 2, 3]), tf.constant([2, 5])).numpy()
    array([False,  True, False])
    """
    elements, wanted = as_tensor(elements), tf.reshape(as_tensor(test_elements), [-1])
    inside = tf.reduce_any(eq(elements[..., tf.newaxis], wanted), -1)
    return ~inside if invert else inside
