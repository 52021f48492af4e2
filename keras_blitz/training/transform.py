"""The images and labels of a batch, as a network takes them."""

import tensorflow as tf

from keras_blitz.data.datasets import Split


class Transform:
    """ToTensor and Normalize in the graph, in torchvision's order and in float32: (x / 255 − mean) / std.

    Args:
        normalize: (mean, std); None: x / 255 alone.
        dtype: the result is cast to it.
    """

    def __init__(self, normalize: tuple[float, float] | None, dtype: str = "float32"):
        # The graph is given tensors, not constants: it would turn x / 255 into x · (1/255).
        self._scale = tf.constant(255.0, tf.float32)
        self._normalize = normalize and tuple(tf.constant(value, tf.float32) for value in normalize)
        self._dtype = dtype

    def __call__(self, images: tf.Tensor) -> tf.Tensor:
        """Return uint8 images as the network takes them."""
        images = tf.cast(images, tf.float32) / self._scale
        if self._normalize:
            mean, std = self._normalize
            images = (images - mean) / std
        return tf.cast(images, self._dtype)


class Batches:
    """Batches of a data set that is in memory as uint8, gathered and transformed inside the graph.

    Args:
        data: the images and labels.
        transform: what a network takes in place of the uint8 images.
    """

    def __init__(self, data: Split, transform: Transform):
        self._images, self._labels = tf.constant(data.images), tf.constant(data.labels)
        self._transform = transform

    def __call__(self, indices: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Return the transformed images (N, H, W, C) and the labels (N,) at these indices (N,)."""
        return self._transform(tf.gather(self._images, indices)), tf.gather(self._labels, indices)
