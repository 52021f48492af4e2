"""What is put around images: as many values on both sides of an axis, or another number on each, in PyTorch's modes."""

import tensorflow as tf

Pads = tuple[tuple[int, int], ...]  # (before, after) for each axis between examples and channels

MODES = ("zeros", "reflect", "replicate", "circular")


def pad_images(inputs: tf.Tensor, padding: tuple[int, int]) -> tf.Tensor:
    """Return images (N, H, W, C) with `padding` = (rows, columns) of zeros on each side."""
    top, left = padding
    return tf.pad(inputs, [[0, 0], [top, top], [left, left], [0, 0]]) if top or left else inputs


def pad_axes(inputs: tf.Tensor, pads: Pads, mode: str = "zeros", value: float = 0.0) -> tf.Tensor:
    """Return a tensor (N, …, C) padded along the axes between N and C.

    Args:
        inputs: the tensor.
        pads: (before, after) for each axis; less than 0 takes values away, with zeros alone.
        mode: "zeros" (of `value`), "reflect" (without repeating the edge), "replicate" (the edge), "circular".
        value: what "zeros" are.

    Raises:
        ValueError: the mode is unknown, or an axis is too short for it.
    """
    check_mode(mode)
    if not any(map(any, pads)):
        return inputs
    if mode == "zeros":
        return _pad_constant(inputs, pads, value)
    _check_sizes(inputs, pads, mode)
    if mode == "reflect":
        return tf.pad(inputs, [[0, 0], *map(list, pads), [0, 0]], "REFLECT")
    for axis, (before, after) in enumerate(pads, 1):
        inputs = _pad_axis(inputs, axis, before, after, mode)
    return inputs


def check_mode(mode: str) -> None:
    """Raise a ValueError for an unknown mode."""
    if mode not in MODES:
        raise ValueError(f"padding_mode must be one of {', '.join(MODES)}, not {mode!r}")


def _check_sizes(inputs: tf.Tensor, pads: Pads, mode: str) -> None:
    for size, sides in zip(inputs.shape[1:-1], pads, strict=True):
        most = size if size is None or mode == "circular" else size - 1
        if min(sides) < 0 or (size is not None and mode != "replicate" and max(sides) > most):
            raise ValueError(f"{mode} padding must be from 0 to {most} on an axis of {size}, not {sides}")


def _pad_constant(inputs: tf.Tensor, pads: Pads, value: float) -> tf.Tensor:
    if any(side < 0 for sides in pads for side in sides):
        crops = [slice(max(-before, 0), -max(-after, 0) or None) for before, after in pads]
        inputs = inputs[(slice(None), *crops)]
    added = [[max(before, 0), max(after, 0)] for before, after in pads]
    return tf.pad(inputs, [[0, 0], *added, [0, 0]], constant_values=tf.constant(value, inputs.dtype))


def _pad_axis(inputs: tf.Tensor, axis: int, before: int, after: int, mode: str) -> tf.Tensor:
    size = tf.shape(inputs)[axis]
    if mode == "circular":
        starts = tf.range(size - before, size), tf.range(after)
    else:
        starts = tf.zeros(before, tf.int32), tf.fill([after], size - 1)
    parts = [tf.gather(inputs, starts[0], axis=axis), inputs, tf.gather(inputs, starts[1], axis=axis)]
    return tf.concat([part for part, count in zip(parts, (before, 1, after), strict=True) if count], axis)


def repeat_edges(inputs, pads):
    """Return inputs with the first and last values of each axis repeated, pads of them [before, after]."""
    for axis in (axis for axis, both in enumerate(pads) if any(both)):
        size = inputs.shape[axis] or tf.shape(inputs)[axis]
        places = tf.clip_by_value(tf.range(-pads[axis][0], size + pads[axis][1]), 0, size - 1)
        inputs = tf.gather(inputs, places, axis=axis)
    return inputs
