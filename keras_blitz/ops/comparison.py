"""T11: comparisons, and what is largest."""

import tensorflow as tf

from keras_blitz.errors import BlitzError
from keras_blitz.ops.promotion import as_tensor, promoted, summed_to
from keras_blitz.ops.reduction import Reduced, last, placed, shared


def eq(x, y):
    """Return x = y, element by element.

    NumPy `np.equal(x, y)`, PyTorch `torch.eq(x, y)`, TensorFlow `tf.equal(x, y)`.
    Trap: `torch.equal` is one bool (gap op-eq).

    >>> eq(tf.constant([1, 2]), 2.0).numpy()
    array([False,  True])
    """
    return tf.equal(*promoted("eq", x, y))


def ne(x, y):
    """Return x ≠ y, element by element.

    NumPy `np.not_equal(x, y)`, PyTorch `torch.ne(x, y)`, TensorFlow `tf.not_equal(x, y)`.

    >>> ne(tf.constant([1, 2]), 2).numpy()
    array([ True, False])
    """
    return tf.not_equal(*promoted("ne", x, y))


def ge(x, y):
    """Return x ≥ y, element by element.

    NumPy `np.greater_equal(x, y)`, PyTorch `torch.ge(x, y)`, TensorFlow `tf.greater_equal(x, y)`.

    >>> ge(tf.constant([1, 2]), 2).numpy()
    array([False,  True])
    """
    return tf.greater_equal(*_order("ge", x, y))


def gt(x, y):
    """Return x > y, element by element.

    NumPy `np.greater(x, y)`, PyTorch `torch.gt(x, y)`, TensorFlow `tf.greater(x, y)`.

    >>> gt(tf.constant([1, 2]), 1).numpy()
    array([False,  True])
    """
    return tf.greater(*_order("gt", x, y))


def le(x, y):
    """Return x ≤ y, element by element.

    NumPy `np.less_equal(x, y)`, PyTorch `torch.le(x, y)`, TensorFlow `tf.less_equal(x, y)`.

    >>> le(tf.constant([1, 2]), 1).numpy()
    array([ True, False])
    """
    return tf.less_equal(*_order("le", x, y))


def lt(x, y):
    """Return x < y, element by element.

    NumPy `np.less(x, y)`, PyTorch `torch.lt(x, y)`, TensorFlow `tf.less(x, y)`.

    >>> lt(tf.constant([1, 2]), 2).numpy()
    array([ True, False])
    """
    return tf.less(*_order("lt", x, y))


def _order(name: str, x, y) -> list[tf.Tensor]:
    """Return both in one dtype, bool as integers, because TensorFlow does not order bool."""
    x, y = promoted(name, x, y)
    return [tf.cast(each, tf.uint8) for each in (x, y)] if x.dtype == tf.bool else [x, y]


def equal(x, y) -> bool:
    """Return whether two tensors have the same shape and elements; NaN is equal to nothing.

    NumPy `np.array_equal(x, y)`, PyTorch `torch.equal(x, y)`, TensorFlow by hand.
    Trap: `tf.equal` is `eq`, element by element (gap op-eq).

    >>> equal(tf.constant([1, 2]), tf.constant([1, 2]))
    True
    """
    x, y = as_tensor(x), as_tensor(y)
    return x.shape == y.shape and bool(tf.reduce_all(eq(x, y)))


def max(x, dim=None, keepdim: bool = False):
    """Return the largest element; with a dimension values and indices; with a tensor the larger of each pair.

    NumPy `np.max(x)`, PyTorch `torch.max(x)`, TensorFlow `tf.reduce_max(x)` and `tf.argmax(x, axis)`.
    Traps: NaN is the largest of all, `tf.argmax` passes it over (gap op-argmax-ties). Equal largest elements share the
    gradient of the largest of all, along a dimension the one whose index is given has it (gap max-dim-ties), and the
    larger of two equal ones gives each a half, TensorFlow's all to the first (gap maximum-ties). Of nothing it raises.

    >>> max(tf.constant([[1, 5, 3]]), 1)._asdict().keys()
    dict_keys(['values', 'indices'])
    >>> max(tf.constant([1.0, 5.0])).numpy()
    np.float32(5.0)
    """
    return _extreme("max", x, dim, keepdim)


def min(x, dim=None, keepdim: bool = False):
    """Return the least element; with a dimension values and indices; with a tensor the smaller of each pair.

    NumPy `np.min(x)`, PyTorch `torch.min(x)`, TensorFlow `tf.reduce_min(x)` and `tf.argmin(x, axis)`. As `max`; NaN is
    the least, too.

    >>> min(tf.constant([2.0, 5.0]), tf.constant([3.0, 4.0])).numpy()
    array([2., 4.], dtype=float32)
    """
    return _extreme("min", x, dim, keepdim)


def _extreme(name: str, x, dim, keepdim: bool):
    x, largest = as_tensor(x), name == "max"
    if dim is not None and not isinstance(dim, int):
        first, second = promoted(name, x, dim)
        return of_pairs(first, second, largest)
    if x.dtype == tf.bool:
        found = _extreme(name, tf.cast(x, tf.uint8), dim, keepdim)
        return Reduced(found[0] == 1, found[1]) if isinstance(found, Reduced) else found == 1
    if dim is None:
        if not x.shape.num_elements():
            raise BlitzError(f"{name}: the tensor is empty; give a dim whose size is not 0")
        flat = tf.reshape(x, [-1])
        return shared(flat, (tf.reduce_max if largest else tf.reduce_min)(flat))
    moved, back = last(name, x, dim)
    if not moved.shape[-1]:
        raise BlitzError(f"{name}: dimension {dim} must not be empty")
    at = tf.argmax(_rank(moved, largest), -1) if largest else tf.argmin(_rank(moved, largest), -1)
    if x.dtype.is_floating:
        wrong = tf.math.is_nan(moved)
        at = tf.where(tf.reduce_any(wrong, -1), tf.argmax(wrong, -1), at)
    return placed(x, Reduced(tf.gather(moved, at, batch_dims=moved.shape.rank - 1), at), dim, keepdim, back)


def _rank(x, largest: bool):
    """Return x without NaN, which `tf.argmax` and `tf.argmin` pass over or not as they please."""
    if not x.dtype.is_floating:
        return x
    return tf.where(tf.math.is_nan(x), tf.constant(float("inf" if largest else "-inf"), x.dtype), x)


def of_pairs(x, y, largest: bool):
    """Return the larger or the smaller of each pair; equal ones share the gradient."""
    if x.dtype == tf.bool:
        return x | y if largest else x & y
    function = tf.maximum if largest else tf.minimum
    if not x.dtype.is_floating:
        return function(x, y)

    @tf.custom_gradient
    def chosen(x, y):
        def gradient(upstream):
            # Equal ones share it; where one is NaN, both have it all.
            none, half = tf.zeros_like(upstream), upstream / 2
            of_x = tf.where(x == y, half, tf.where(x < y if largest else x > y, none, upstream))
            of_y = tf.where(x == y, half, tf.where(x > y if largest else x < y, none, upstream))
            return summed_to(of_x, x), summed_to(of_y, y)

        return function(x, y), gradient

    return chosen(x, y)


def topk(x, k: int, dim: int = -1, largest: bool = True, sorted: bool = True):
    """Return the k largest elements along a dimension, or the least, and their indices; among equal ones the first.

    NumPy `np.sort(x)[..., ::-1][..., :k]`, PyTorch `torch.topk(x, k)`, TensorFlow `tf.math.top_k(x, k)`.
    Traps: which of equal elements PyTorch takes, nobody says (gap op-topk-ties). NaN is the largest. TensorFlow's is
    of the last dimension.

    >>> topk(tf.constant([1.0, 4.0, 3.0]), 2).indices.numpy()
    array([1, 2])
    """
    x = as_tensor(x)
    moved, back = last("topk", x, dim)
    if not (0 if x.shape.rank else 1) <= k <= moved.shape[-1]:
        raise BlitzError(f"topk: k must be from 0 to the size of the dimension, {moved.shape[-1]}, not {k}")
    if x.dtype == tf.bool:
        raise BlitzError("topk does not take bool tensors; tf.cast x first")
    order = order_of(moved, largest)[..., :k]
    values = tf.gather(moved, order, batch_dims=moved.shape.rank - 1)
    return Reduced(back(values), back(tf.cast(order, tf.int64)))


def order_of(x, largest: bool):
    """Return the order of the last dimension, stable, NaN as the largest."""
    if x.dtype.is_floating:
        wrong = tf.math.is_nan(x)
        sane = tf.where(wrong, tf.zeros_like(x), x)
        by_value = tf.argsort(-sane if largest else sane, axis=-1, stable=True)
        last = tf.gather(wrong, by_value, batch_dims=x.shape.rank - 1)
        by_nan = tf.argsort(tf.cast(~last if largest else last, tf.int32), axis=-1, stable=True)
        return tf.gather(by_value, by_nan, batch_dims=x.shape.rank - 1)
    return tf.argsort(~x if largest else x, axis=-1, stable=True)  # −x would overflow at the least integer
