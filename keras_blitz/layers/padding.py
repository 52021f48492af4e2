"""Zeros around images, as PyTorch pads: as many on both sides."""

import tensorflow as tf


def pad_images(inputs: tf.Tensor, padding: tuple[int, int]) -> tf.Tensor:
    """Return images (N, H, W, C) with `padding` = (rows, columns) of zeros on each side."""
    top, left = padding
    return tf.pad(inputs, [[0, 0], [top, top], [left, left], [0, 0]]) if top or left else inputs
