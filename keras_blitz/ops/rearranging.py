"""T14: the same elements in another order or shape."""

from math import prod

import tensorflow as tf

from keras_blitz.errors import BlitzError
from keras_blitz.ops.creation import shape_of
from keras_blitz.ops.promotion import as_tensor, broadcast, dimension
from keras_blitz.ops.reduction import last
from keras_blitz.ops.shape import view


def transpose(x, dim0: int, dim1: int):
    """Return x with two dimensions exchanged.

    NumPy `np.swapaxes(x, 0, 1)`, PyTorch `torch.transpose(x, dim0, dim1)`, TensorFlow `tf.transpose(x, order)`.
    Trap: `np.transpose` and `tf.transpose` turn all dimensions round (gap op-t-transpose).

    >>> transpose(tf.zeros((2, 3, 4)), 0, -1).shape.as_list()
    [4, 3, 2]
    """
    x = as_tensor(x)
    first, second = (dimension("transpose", dim, x.shape.rank) for dim in (dim0, dim1))
    order = list(range(x.shape.rank))
    if order:
        order[first], order[second] = second, first
    return tf.transpose(x, order)


def swapaxes(x, axis0: int, axis1: int):
    """Return x with two dimensions exchanged: `transpose` by NumPy's name.

    NumPy `np.swapaxes(x, 0, 1)`, PyTorch `torch.swapaxes(x, axis0, axis1)`, TensorFlow `tf.transpose(x, order)`.

    >>> swapaxes(tf.zeros((2, 3)), 0, 1).shape.as_list()
    [3, 2]
    """
    return transpose(x, axis0, axis1)


def movedim(x, source, destination):
    """Return x with dimensions at other places, the others in their order.

    NumPy `np.moveaxis(x, source, destination)`, PyTorch `torch.movedim(x, source, destination)`, TensorFlow
    `tf.experimental.numpy.moveaxis(x, source, destination)`.

    >>> movedim(tf.zeros((2, 3, 4)), 0, -1).shape.as_list()
    [3, 4, 2]
    """
    x, rank = as_tensor(x), as_tensor(x).shape.rank
    pairs = [shape_of((each,)) if not isinstance(each, int) else [each] for each in (source, destination)]
    origins, places = ([dimension("movedim", dim, rank) for dim in dims] for dims in pairs)
    if len(origins) != len(places) or len(set(origins)) < len(origins) or len(set(places)) < len(places):
        raise BlitzError(
            f"movedim: source and destination must name dimensions one to one, not {source} and {destination}"
        )
    if not rank:
        return x
    rest = iter(d for d in range(rank) if d not in origins)
    return tf.transpose(x, [origins[places.index(d)] if d in places else next(rest) for d in range(rank)])


def flatten(x, start_dim: int = 0, end_dim: int = -1):
    """Return x with the dimensions from `start_dim` to `end_dim` made one, row by row.

    NumPy `x.reshape(len(x), -1)`, PyTorch `torch.flatten(x, start_dim, end_dim)`, TensorFlow `tf.reshape(x, (len(x),
    -1))`.
    Trap: `keras.layers.Flatten` keeps the batch, and goes through N, H, W, C (gap op-reshape-order).

    >>> flatten(tf.zeros((2, 3, 4)), 1).shape.as_list()
    [2, 12]
    """
    x = as_tensor(x)
    start, end = (dimension("flatten", dim, x.shape.rank) for dim in (start_dim, end_dim))
    if start > end:
        raise BlitzError(f"flatten: start_dim must not be after end_dim, {end_dim}, as {start_dim} is")
    return tf.reshape(x, [*x.shape[:start], prod(x.shape[start : end + 1]), *x.shape[end + 1 :]])


def ravel(x):
    """Return all elements in one dimension, row by row.

    NumPy `np.ravel(x)`, PyTorch `torch.ravel(x)`, TensorFlow `tf.reshape(x, [-1])`.

    >>> ravel(tf.constant([[1, 2], [3, 4]])).numpy()
    array([1, 2, 3, 4], dtype=int32)
    """
    return flatten(x)


def unflatten(x, dim: int, sizes):
    """Return x with one dimension made several; one size may be −1.

    NumPy `x.reshape(…)`, PyTorch `torch.unflatten(x, dim, sizes)`, TensorFlow `tf.reshape(x, …)`.

    >>> unflatten(tf.zeros((2, 6)), 1, (3, -1)).shape.as_list()
    [2, 3, 2]
    """
    x = as_tensor(x)
    dim = dimension("unflatten", dim, x.shape.rank)
    if not x.shape.rank or not sizes:
        raise BlitzError(f"unflatten: x and sizes must not be empty, not {x.shape} and {tuple(sizes)}")
    parts = view(tf.zeros([x.shape[dim]]), *sizes).shape
    return tf.reshape(x, [*x.shape[:dim], *parts, *x.shape[dim + 1 :]])


def expand(x, *sizes):
    """Return x repeated along dimensions of size 1, and along new ones in front; −1 keeps a size.

    NumPy `np.broadcast_to(x, shape)`, PyTorch `x.expand(2, -1)`, TensorFlow `tf.broadcast_to(x, shape)`.
    Trap: PyTorch's shares the storage; TensorFlow has no −1.

    >>> expand(tf.constant([[1], [2]]), -1, 3).numpy()
    array([[1, 1, 1],
           [2, 2, 2]], dtype=int32)
    """
    x, shape = as_tensor(x), shape_of(sizes)
    more = len(shape) - x.shape.rank
    if more < 0 or -1 in shape[:more]:
        raise BlitzError(f"expand: {x.shape} cannot become {tuple(shape)}; new dimensions come first, with their sizes")
    target = [own if size == -1 else size for size, own in zip(shape, [1] * more + list(x.shape), strict=True)]
    return broadcast_to(x, target)


def broadcast_to(x, shape):
    """Return x repeated along dimensions of size 1, and along new ones in front.

    NumPy `np.broadcast_to(x, shape)`, PyTorch `torch.broadcast_to(x, shape)`, TensorFlow `tf.broadcast_to(x, shape)`.

    >>> broadcast_to(tf.constant([1, 2]), (2, 2)).numpy()
    array([[1, 2],
           [1, 2]], dtype=int32)
    """
    x, shape = as_tensor(x), shape_of((shape,))
    if min(shape, default=0) < 0 or list(broadcast("broadcast_to", x, tf.TensorSpec(shape))) != shape:
        raise BlitzError(f"broadcast_to: {x.shape} cannot be broadcast to {tuple(shape)}")
    return tf.broadcast_to(x, shape)


def broadcast_tensors(*tensors):
    """Return tensors broadcast to one shape.

    NumPy `np.broadcast_arrays(a, b)`, PyTorch `torch.broadcast_tensors(*tensors)`, TensorFlow tf.broadcast_to(a,
    shape), each.

    >>> [each.shape.as_list() for each in broadcast_tensors(tf.zeros((2, 1)), tf.zeros(3))]
    [[2, 3], [2, 3]]
    """
    tensors = tuple(map(as_tensor, tensors))
    shape = broadcast("broadcast_tensors", *tensors)
    return tuple(tf.broadcast_to(each, shape) for each in tensors)


def tile(x, dims):
    """Return x repeated so many times along each dimension, the last ones where there are fewer numbers.

    NumPy `np.tile(x, (2, 1))`, PyTorch `torch.tile(x, (2, 1))`, TensorFlow `tf.tile(x, (2, 1))`.
    Trap: TensorFlow wants a number for every dimension.

    >>> tile(tf.constant([1, 2]), (2, 1)).numpy()
    array([[1, 2],
           [1, 2]], dtype=int32)
    """
    return _tile("tile", x, shape_of((dims,)), fewer=True)


def repeat(x, *sizes):
    """Return x repeated so many times along each dimension.

    NumPy `np.tile(x, (2, 1))`, PyTorch `x.repeat(2, 1)`, TensorFlow `tf.tile(x, (2, 1))`.
    Trap: `np.repeat` and `tf.repeat` are `repeat_interleave`.

    >>> repeat(tf.constant([1, 2]), 2).numpy()
    array([1, 2, 1, 2], dtype=int32)
    """
    return _tile("repeat", x, shape_of(sizes), fewer=False)


def _tile(name: str, x, times: list[int], fewer: bool):
    x = as_tensor(x)
    if min(times, default=0) < 0 or (len(times) < x.shape.rank and not fewer):
        raise BlitzError(f"{name}: needs a number ≥ 0 for each of the {x.shape.rank} dimensions, not {tuple(times)}")
    times = [1] * (x.shape.rank - len(times)) + times
    return tf.tile(tf.reshape(x, [1] * (len(times) - x.shape.rank) + list(x.shape)), times)


def repeat_interleave(x, repeats, dim: int | None = None):
    """Return x with each element repeated, or each slice of a dimension; several numbers are one for each.

    NumPy `np.repeat(x, 2, axis)`, PyTorch `torch.repeat_interleave(x, repeats, dim)`, TensorFlow `tf.repeat(x, 2,
    axis)`.
    Trap: `x.repeat` is `np.tile`.

    >>> repeat_interleave(tf.constant([1, 2]), 2).numpy()
    array([1, 1, 2, 2], dtype=int32)
    """
    x = as_tensor(x)
    if dim is None:
        x, dim = tf.reshape(x, [-1]), 0
    dim = dimension("repeat_interleave", dim, x.shape.rank)
    x = x if x.shape.rank else tf.reshape(x, [1])
    times = tf.reshape(as_tensor(repeats), [-1])
    if times.dtype not in (tf.int32, tf.int64) or times.shape[0] not in (1, x.shape[dim]):
        raise BlitzError(f"repeat_interleave: needs one whole number, or {x.shape[dim]}, not {times.shape[0]}")
    if tf.executing_eagerly() and times.shape[0] and int(tf.reduce_min(times)) < 0:
        raise BlitzError("repeat_interleave: each number of times must be ≥ 0")
    places = tf.repeat(tf.range(x.shape[dim]), tf.broadcast_to(times, [x.shape[dim]]))
    return tf.gather(x, places, axis=dim)


def roll(x, shifts, dims=None):
    """Return x with elements shifted along dimensions, what falls off at one end coming in at the other.

    NumPy `np.roll(x, shifts, dims)`, PyTorch `torch.roll(x, shifts, dims)`, TensorFlow `tf.roll(x, shifts, dims)`.
    Trap: without dimensions that of all elements in a row.

    >>> roll(tf.constant([1, 2, 3]), 1).numpy()
    array([3, 1, 2], dtype=int32)
    """
    x = as_tensor(x)
    shifts = [shifts] if isinstance(shifts, int) else list(shifts)
    if dims is None:
        if len(shifts) != 1:
            raise BlitzError(
                f"roll: dims must be given for {len(shifts)} shifts; one shift alone rolls the flattened tensor"
            )
        return tf.reshape(tf.roll(tf.reshape(x, [-1]), shifts[0], 0), x.shape)
    axes = [dimension("roll", dim, x.shape.rank) for dim in ([dims] if isinstance(dims, int) else dims)]
    if len(axes) != len(shifts):
        raise BlitzError(f"roll: as many shifts as dims are needed, not {len(shifts)} and {len(axes)}")
    return tf.roll(x, shifts, axes) if x.shape.rank else x


def flip(x, dims):
    """Return x with the order along dimensions turned round.

    NumPy `np.flip(x, dims)`, PyTorch `torch.flip(x, dims)`, TensorFlow `tf.reverse(x, dims)`.

    >>> flip(tf.constant([1, 2, 3]), (0,)).numpy()
    array([3, 2, 1], dtype=int32)
    """
    x = as_tensor(x)
    axes = [dimension("flip", dim, x.shape.rank) for dim in ([dims] if isinstance(dims, int) else dims)]
    if len(set(axes)) < len(axes):
        raise BlitzError(f"flip: {dims} names a dimension twice")
    return tf.reverse(x, axes) if x.shape.rank and axes else x


def fliplr(x):
    """Return x with its columns turned round.

    NumPy `np.fliplr(x)`, PyTorch `torch.fliplr(x)`, TensorFlow `tf.reverse(x, [1])`.

    >>> fliplr(tf.constant([[1, 2], [3, 4]])).numpy()
    array([[2, 1],
           [4, 3]], dtype=int32)
    """
    if as_tensor(x).shape.rank < 2:
        raise BlitzError("fliplr: needs at least 2 dimensions")
    return flip(x, (1,))


def flipud(x):
    """Return x with its rows turned round.

    NumPy `np.flipud(x)`, PyTorch `torch.flipud(x)`, TensorFlow `tf.reverse(x, [0])`.

    >>> flipud(tf.constant([[1, 2], [3, 4]])).numpy()
    array([[3, 4],
           [1, 2]], dtype=int32)
    """
    if not as_tensor(x).shape.rank:
        raise BlitzError("flipud: needs at least 1 dimension")
    return flip(x, (0,))


def rot90(x, k: int = 1, dims=(0, 1)):
    """Return x turned k times by 90° in the plane of two dimensions, from the first to the second.

    NumPy `np.rot90(x, k, dims)`, PyTorch `torch.rot90(x, k, dims)`, TensorFlow tf.image.rot90(x, k) of images.

    >>> rot90(tf.constant([[1, 2], [3, 4]])).numpy()
    array([[2, 4],
           [1, 3]], dtype=int32)
    """
    x = as_tensor(x)
    if len(dims) != 2 or x.shape.rank < 2:
        raise BlitzError(f"rot90: dims must name two of {x.shape.rank} dimensions, not {tuple(dims)}")
    first, second = (dimension("rot90", dim, x.shape.rank) for dim in dims)
    if first == second:
        raise BlitzError(f"rot90: dims must be two dimensions, and {tuple(dims)} are the same one")
    turned = flip(x, ([], [second], [first, second], [first])[k % 4])
    return transpose(turned, first, second) if k % 2 else turned


def unfold(x, dimension: int, size: int, step: int):
    """Return the windows of a dimension, `step` apart, as a new last dimension.

    NumPy `np.lib.stride_tricks.sliding_window_view(x, size, axis)`, PyTorch `x.unfold(dimension, size, step)`,
    TensorFlow `tf.signal.frame(x, size, step, axis=dimension)`.
    Trap: `torch.nn.functional.unfold` is another function, of images.

    >>> unfold(tf.constant([1, 2, 3, 4]), 0, 2, 1).numpy()
    array([[1, 2],
           [2, 3],
           [3, 4]], dtype=int32)
    """
    x = as_tensor(x)
    moved, _ = last("unfold", x, dimension)
    if size < 0 or step <= 0 or size > moved.shape[-1]:
        raise BlitzError(
            f"unfold: size must be from 0 to the dimension's {moved.shape[-1]} and step ≥ 1, not {size} and {step}"
        )
    starts = tf.range(0, moved.shape[-1] - size + 1, step)
    windows = tf.gather(moved, starts[:, tf.newaxis] + tf.range(size), axis=-1)  # (…, windows, size)
    if not x.shape.rank:
        return windows[0]
    return movedim(windows, -2, dimension % x.shape.rank)
