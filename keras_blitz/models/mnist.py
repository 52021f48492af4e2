"""N4, the MNIST CNN `Network2`, and N5, the two stages that lead to it, `Network0` and `Network1`."""

import keras
from keras import layers

from keras_blitz.initializers import initialize
from keras_blitz.layers import Conv2d
from keras_blitz.models.network import Network, rebuilt


@keras.saving.register_keras_serializable("keras_blitz")
class Network0(Network):
    """The first stage: a placeholder layer, and a forward that returns its input.

    Shapes:
        input and output (N, 28, 28, 1).
    """

    def __init__(self, *, dtype: str | None = None, name: str = "mnist0"):
        inputs = keras.Input((28, 28, 1), dtype=dtype)
        outputs = layers.Identity(dtype=dtype, name="layer")(inputs)
        super().__init__(inputs, outputs, name=name, dtype=dtype)


@keras.saving.register_keras_serializable("keras_blitz")
class Network1(keras.Model):
    """The second stage: the layers of `Network2`, and still a forward that returns its input.

    Subclassed, not functional: a functional model holds only the layers its forward uses.

    Shapes:
        input and output (N, 28, 28, 1).
    """

    # No graph leads to fc1; this is what its input would be flattened from, (H, W, C).
    flattened_inputs = {"fc1": (4, 4, 12)}  # noqa: RUF012 - Keras would track an instance's dict

    def __init__(self, *, dtype: str | None = None, name: str = "mnist1"):
        super().__init__(name=name, dtype=dtype)
        self.conv1 = layers.Conv2D(6, 5, dtype=dtype, name="conv1")
        self.conv2 = Conv2d(12, 5, banded=True, dtype=dtype, name="conv2")
        self.fc1 = layers.Dense(120, dtype=dtype, name="fc1")
        self.fc2 = layers.Dense(60, dtype=dtype, name="fc2")
        self.out = layers.Dense(10, dtype=dtype, name="out")
        self.build((None, 28, 28, 1))
        initialize(self)

    def build(self, input_shape):
        """Make the weights; no forward pass will."""
        for layer, shape in (
            (self.conv1, (None, 28, 28, 1)),
            (self.conv2, (None, 12, 12, 6)),
            (self.fc1, (None, 192)),
            (self.fc2, (None, 120)),
            (self.out, (None, 60)),
        ):
            if not layer.built:
                layer.build(shape)
        self.built = True

    def call(self, inputs):
        """Return the input."""
        return inputs

    def get_config(self) -> dict:
        """Return the constructor's arguments."""
        return {"name": self.name, "dtype": self.dtype_policy.name}

    from_config = classmethod(rebuilt)


@keras.saving.register_keras_serializable("keras_blitz")
class Network2(Network):
    """The MNIST CNN: two convolutions with max pooling, three dense layers; 32,998 values.

    Args:
        num_classes: size of the head `out`, ≥ 1.
        dtype: "float32", "float64" or None for Keras's `floatx`.

    Shapes:
        input (N, 28, 28, 1), output (N, num_classes) logits.
    """

    def __init__(self, num_classes: int = 10, *, dtype: str | None = None, name: str = "mnist"):
        inputs = keras.Input((28, 28, 1), dtype=dtype)
        x = layers.Conv2D(6, 5, dtype=dtype, name="conv1")(inputs)  # (N, 24, 24, 6)
        x = layers.ReLU(dtype=dtype, name="relu1")(x)
        x = layers.MaxPooling2D(2, strides=2, dtype=dtype, name="pool1")(x)  # (N, 12, 12, 6)
        # Not for exactness: on a CPU, training is a tenth faster than with Keras's.
        x = Conv2d(12, 5, banded=True, dtype=dtype, name="conv2")(x)  # (N, 8, 8, 12)
        x = layers.ReLU(dtype=dtype, name="relu2")(x)
        x = layers.MaxPooling2D(2, strides=2, dtype=dtype, name="pool2")(x)  # (N, 4, 4, 12)
        x = layers.Flatten(dtype=dtype, name="flatten")(x)  # (N, 192)
        x = layers.Dense(120, dtype=dtype, name="fc1")(x)
        x = layers.ReLU(dtype=dtype, name="relu3")(x)
        x = layers.Dense(60, dtype=dtype, name="fc2")(x)
        x = layers.ReLU(dtype=dtype, name="relu4")(x)
        outputs = layers.Dense(num_classes, dtype=dtype, name="out")(x)
        super().__init__(inputs, outputs, name=name, num_classes=num_classes, dtype=dtype)
