"""The points of the test functions, and a small network whose true gradient is zero in one place."""

import keras

from keras_blitz.layers import BatchNorm, Conv2d
from parity.twins.functions import SIZES


def points(dtype: str):
    """Return the Keras model of the three points."""
    one = keras.Input((1,), dtype=dtype)
    dense = {n: keras.layers.Dense(size, use_bias=False, dtype=dtype, name=n) for n, size in SIZES.items()}
    return keras.Model(one, {name: layer(one) for name, layer in dense.items()}, name="functions")


def zero_gradient(dtype: str):
    """Return the Keras model of a convolution with a bias before a BatchNorm, and a dense layer."""
    image = keras.Input((8, 8, 2), dtype=dtype)
    x = Conv2d(4, 3, dtype=dtype, name="conv")(image)  # (N, 6, 6, 4)
    x = BatchNorm(dtype=dtype, name="bn")(x)
    x = keras.layers.ReLU(dtype=dtype, name="relu")(x)
    x = keras.layers.Flatten(dtype=dtype, name="flatten")(x)
    return keras.Model(image, keras.layers.Dense(10, dtype=dtype, name="fc")(x), name="zero_gradient")
