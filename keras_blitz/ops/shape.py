"""T7, T13: sizes and shapes.

PyTorch's `view`, `t`, `squeeze`, `permute` and slices share their tensor's storage: what is written into one is seen in
the other. A tensor of TensorFlow is never written into, so that every one of these is as good as a copy.
"""

from math import prod

import tensorflow as tf

from keras_blitz.errors import BlitzError
from keras_blitz.ops.creation import shape_of
from keras_blitz.ops.promotion import as_tensor, dimension, result_type


def size(x, dim: int | None = None):
    """Return the shape as a tuple, or one of its sizes.

    NumPy `x.shape`, PyTorch `x.size()`, TensorFlow `x.shape`.
    Trap: NumPy's `x.size` is the number of elements.

    >>> size(tf.zeros((2, 3))), size(tf.zeros((2, 3)), -1)
    ((2, 3), 3)
    """
    shape = tuple(as_tensor(x).shape)
    return shape if dim is None else shape[dimension("size", dim, len(shape))]


def numel(x) -> int:
    """Return the number of elements.

    NumPy `x.size`, PyTorch `x.numel()`, TensorFlow `tf.size(x)`.

    >>> numel(tf.zeros((2, 3)))
    6
    """
    return prod(size(x))


def dim(x) -> int:
    """Return the number of dimensions.

    NumPy `x.ndim`, PyTorch `x.dim()`, TensorFlow `tf.rank(x)`.

    >>> dim(tf.zeros((2, 3)))
    2
    """
    return len(size(x))


def item(x):
    """Return the only value as a Python number.

    NumPy `x.item()`, PyTorch `x.item()`, TensorFlow `x.numpy().item()`.

    >>> item(tf.constant([2.5]))
    2.5
    """
    if numel(x) != 1:
        raise BlitzError(f"item: the tensor must have one element, not {numel(x)}")
    return as_tensor(x).numpy().item()


def view(x, *shape):
    """Return the elements, row by row, in another shape; one size may be −1.

    NumPy `x.reshape(2, 3)`, PyTorch `x.view(2, 3)`, TensorFlow `tf.reshape(x, (2, 3))`.
    Traps: PyTorch's `view` shares storage and refuses a tensor that is not contiguous, such as a transposed one, where
    `reshape` copies; TensorFlow always copies. Row by row is of N, C, H, W there, of N, H, W, C here (gap
    op-reshape-order).

    >>> view(tf.range(6), 2, -1).numpy()
    array([[0, 1, 2],
           [3, 4, 5]], dtype=int32)
    """
    x, sizes = as_tensor(x), shape_of(shape)
    known = prod(number for number in sizes if number != -1)
    unknown = sizes.count(-1)
    if unknown > 1 or min(sizes, default=0) < -1:
        raise BlitzError(f"view: only one size may be −1 and none below it, not {sizes}")
    fits = numel(x) == known if not unknown else known and numel(x) % known == 0
    if not fits:
        raise BlitzError(f"view: {numel(x)} elements cannot have the shape {sizes}")
    return tf.reshape(x, sizes)


def reshape(x, *shape):
    """Return the elements, row by row, in another shape; one size may be −1.

    NumPy `x.reshape(2, 3)`, PyTorch `x.reshape(2, 3)`, TensorFlow `tf.reshape(x, (2, 3))`. See `view`.

    >>> reshape(tf.range(4), 2, 2).numpy()
    array([[0, 1],
           [2, 3]], dtype=int32)
    """
    return view(x, *shape)


def resize(x, *shape):
    """Return the first elements, row by row, in another shape.

    NumPy `np.resize(x, shape)` repeats the array to fill it, PyTorch `x.resize_(2, 2)`, TensorFlow has none.
    Trap: what PyTorch's grows by, nobody has set; here it raises (gap op-resize).

    >>> resize(tf.range(6), 2, 2).numpy()
    array([[0, 1],
           [2, 3]], dtype=int32)
    """
    sizes = shape_of(shape)
    if prod(sizes) > numel(x):
        raise BlitzError(f"resize: {sizes} must not have more elements than the tensor, {numel(x)}")
    return tf.reshape(tf.reshape(as_tensor(x), [-1])[: prod(sizes)], sizes)


def unsqueeze(x, dim: int):
    """Return x with a dimension of size 1 more.

    NumPy `np.expand_dims(x, 0)`, PyTorch `x.unsqueeze(0)`, TensorFlow `tf.expand_dims(x, 0)`.

    >>> unsqueeze(tf.zeros(3), -1).shape.as_list()
    [3, 1]
    """
    x = as_tensor(x)
    return tf.expand_dims(x, dimension("unsqueeze", dim, x.shape.rank + 1))


def squeeze(x, dim=None):
    """Return x without its dimensions of size 1, or without those named, where they have it.

    NumPy `np.squeeze(x, 0)`, PyTorch `x.squeeze(0)`, TensorFlow `tf.squeeze(x, 0)`.
    Trap: of a dimension of another size PyTorch changes nothing, NumPy and TensorFlow raise (gap op-squeeze).

    >>> squeeze(tf.zeros((1, 3)), 1).shape.as_list(), squeeze(tf.zeros((1, 3))).shape.as_list()
    ([1, 3], [3])
    """
    x = as_tensor(x)
    asked = range(x.shape.rank) if dim is None else [dim] if isinstance(dim, int) else dim
    gone = [d for d in (dimension("squeeze", d, x.shape.rank) for d in asked) if x.shape.rank and x.shape[d] == 1]
    return tf.squeeze(x, gone) if gone else x


def permute(x, *dims):
    """Return x with its dimensions in this order.

    NumPy `np.transpose(x, dims)`, PyTorch `x.permute(2, 0, 1)`, TensorFlow `tf.transpose(x, (2, 0, 1))`.
    Trap: `tf.transpose(x)` turns all of them round, PyTorch's `transpose` swaps two (gap op-t-transpose).

    >>> permute(tf.zeros((2, 3, 4)), 2, 0, 1).shape.as_list()
    [4, 2, 3]
    """
    x, axes = as_tensor(x), shape_of(dims)
    order = [dimension("permute", d, x.shape.rank) for d in axes]
    if sorted(order) != list(range(x.shape.rank)):
        raise BlitzError(f"permute: dims must name each of the {x.shape.rank} dimensions once, not {axes}")
    return tf.transpose(x, order)


def contiguous(x):
    """Return x: a TensorFlow tensor is always stored row by row.

    NumPy `np.ascontiguousarray(x)`, PyTorch `x.t().contiguous()`, TensorFlow nothing.

    >>> contiguous(tf.transpose(tf.zeros((2, 3)))).shape.as_list()
    [3, 2]
    """
    return as_tensor(x)


def clone(x):
    """Return a copy.

    NumPy `x.copy()`, PyTorch `x.clone()`, TensorFlow `tf.identity(x)`. The gradient passes through.

    >>> clone(tf.constant([1])).numpy()
    array([1], dtype=int32)
    """
    return tf.identity(as_tensor(x))


def cat(tensors, dim: int = 0):
    """Return tensors joined along a dimension, of their common dtype.

    NumPy `np.concatenate((a, b))`, PyTorch `torch.cat((a, b))`, TensorFlow `tf.concat((a, b), axis=0)`.
    Trap: TensorFlow raises on mixed dtypes (gap op-cat-stack).

    >>> cat((tf.constant([1]), tf.constant([0.5]))).numpy()
    array([1. , 0.5], dtype=float32)
    """
    tensors = [as_tensor(each) for each in tensors]
    dtype = result_type(*tensors)
    tensors = [tf.cast(each, dtype) for each in tensors]
    if all(each.shape == (0,) for each in tensors):
        return tf.concat(tensors, 0)
    if max(each.shape.rank for each in tensors) != 1:  # PyTorch's old empty tensor goes with any other
        tensors = [each for each in tensors if each.shape != (0,)]
    rank = tensors[0].shape.rank
    if not rank or any(each.shape.rank != rank for each in tensors):
        raise BlitzError("cat: needs tensors of the same number of dimensions, at least one")
    dim = dimension("cat", dim, rank)
    if len({(*each.shape[:dim], *each.shape[dim + 1 :]) for each in tensors}) > 1:
        raise BlitzError(
            f"cat: sizes must be the same in every dimension but {dim}, not {[tuple(each.shape) for each in tensors]}"
        )
    return tf.concat(tensors, dim)
