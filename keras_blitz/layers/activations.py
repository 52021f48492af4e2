"""PyTorch's activations where Keras's are not exact in float64: constants that TensorFlow rounds to float32."""

import math

import keras
import numpy as np
import tensorflow as tf

SIXTH = float(np.float32(1) / np.float32(6))  # what PyTorch multiplies gradients by, also in float64


class _Activation(keras.layers.Layer):
    """What all share: the output has the input's shape."""

    def compute_output_shape(self, input_shape):
        """Return the input's shape."""
        return input_shape


@keras.saving.register_keras_serializable("keras_blitz")
class GELU(_Activation):
    """x·Φ(x), or 0.5·x·(1 + tanh(√(2/π)·(x + 0.044715·x³))) with approximate="tanh".

    `keras.activations.gelu` has √2, √(2/π) and 0.044715 of float32 in float64, too.

    Args:
        approximate: "none" or "tanh".
    """

    def __init__(self, approximate: str = "none", **options):
        super().__init__(**options)
        self.approximate = approximate

    def call(self, inputs):
        """Return the activation."""
        if self.approximate == "none":
            return 0.5 * inputs * (1.0 + tf.math.erf(inputs * math.sqrt(0.5)))
        inner = math.sqrt(2 / math.pi) * (inputs + 0.044715 * inputs * inputs * inputs)
        return 0.5 * inputs * (1.0 + tf.math.tanh(inner))

    def get_config(self) -> dict:
        """Return the constructor's arguments."""
        return {**super().get_config(), "approximate": self.approximate}


@keras.saving.register_keras_serializable("keras_blitz")
class LeakyReLU(_Activation):
    """max(0, x) + negative_slope·min(0, x); the slope of `keras.layers.LeakyReLU` is rounded to float32.

    Args:
        negative_slope: below zero; Keras's default is 0.3.
    """

    def __init__(self, negative_slope: float = 0.01, **options):
        super().__init__(**options)
        self.negative_slope = negative_slope

    def call(self, inputs):
        """Return the activation."""
        return tf.where(inputs > 0, inputs, inputs * self.negative_slope)

    def get_config(self) -> dict:
        """Return the constructor's arguments."""
        return {**super().get_config(), "negative_slope": self.negative_slope}


@keras.saving.register_keras_serializable("keras_blitz")
class Hardsigmoid(_Activation):
    """min(max(0, x + 3), 6) / 6, with PyTorch's gradient: float32's 1/6 between −3 and 3."""

    def call(self, inputs):
        """Return the activation."""

        @tf.custom_gradient
        def hardsigmoid(x):
            inside = tf.cast((x > -3) & (x < 3), x.dtype)
            return tf.clip_by_value(x + 3, 0, 6) / 6, lambda upstream: upstream * inside * SIXTH

        return hardsigmoid(inputs)


@keras.saving.register_keras_serializable("keras_blitz")
class Hardswish(_Activation):
    """x · min(max(0, x + 3), 6) / 6, with PyTorch's gradient: x/3 + 1/2 between −3 and 3."""

    def call(self, inputs):
        """Return the activation."""

        @tf.custom_gradient
        def hardswish(x):
            slope = tf.where(x < -3, tf.zeros_like(x), tf.where(x <= 3, x / 3 + 0.5, tf.ones_like(x)))
            return x * tf.clip_by_value(x + 3, 0, 6) / 6, lambda upstream: upstream * slope

        return hardswish(inputs)
