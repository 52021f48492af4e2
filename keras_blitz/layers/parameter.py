"""`torch.nn.Parameter` used directly, and a constant array, as layers of a functional model."""

import keras
import tensorflow as tf


@keras.saving.register_keras_serializable("keras_blitz")
class Parameter(keras.layers.Layer):
    """A tensor of the model's own: a class token, a position embedding, a scale; with trainable=False a constant.

    A functional model has no place for a variable outside a layer. What the layer is called with says only where in the
    graph it stands; its values are not read.

    Args:
        shape: of the tensor, PyTorch's.

    Shapes:
        input any, output `shape`.
    """

    def __init__(self, shape: tuple[int, ...], **options):
        super().__init__(**options)
        self.shape = tuple(shape)

    def build(self, input_shape):
        """Make the tensor, of zeros."""
        self.value = self.add_weight(name="value", shape=self.shape, initializer="zeros")

    def call(self, inputs):
        """Return the tensor."""
        return tf.identity(self.value)

    def compute_output_spec(self, inputs):
        """Return the tensor's shape and type."""
        return keras.KerasTensor(self.shape, dtype=self.compute_dtype)

    def get_config(self) -> dict:
        """Return the constructor's arguments."""
        return {**super().get_config(), "shape": self.shape}


@keras.saving.register_keras_serializable("keras_blitz")
class RepeatBatch(keras.layers.Layer):
    """Repeat a tensor until it has as many rows as another: PyTorch's `token.expand(len(x), -1, -1)`.

    A token (1, …) is repeated for each sample; masks of K windows are repeated for the K windows of each sample.

    Shapes:
        inputs (K, …) and (N · K, …), output (N · K, …) with the first's other sizes.
    """

    def call(self, values, like):
        """Return the repeated tensor."""
        count = tf.shape(like)[0] // tf.shape(values)[0]
        return tf.tile(values, [count, *[1] * (len(values.shape) - 1)])

    def compute_output_spec(self, values, like):
        """Return the first's shape with the second's batch size."""
        return keras.KerasTensor((like.shape[0], *values.shape[1:]), dtype=values.dtype)
