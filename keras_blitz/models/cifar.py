"""N2, the CIFAR-10 `Net` (PyTorch blitz, cifar10_tutorial)."""

import keras
from keras import layers

from keras_blitz.models.network import Network


@keras.saving.register_keras_serializable("keras_blitz")
class CifarNet(Network):
    """LeNet's layers on 32×32 color images, with one max pooling layer used twice; 62,006 values.

    Args:
        num_classes: size of the head `fc3`, ≥ 1.
        dtype: "float32", "float64" or None for Keras's `floatx`.

    Shapes:
        input (N, 32, 32, 3), output (N, num_classes) logits.
    """

    def __init__(self, num_classes: int = 10, *, dtype: str | None = None, name: str = "cifar"):
        pool = layers.MaxPooling2D(2, dtype=dtype, name="pool")
        inputs = keras.Input((32, 32, 3), dtype=dtype)
        x = layers.Conv2D(6, 5, dtype=dtype, name="conv1")(inputs)  # (N, 28, 28, 6)
        x = pool(layers.ReLU(dtype=dtype, name="relu1")(x))  # (N, 14, 14, 6)
        x = layers.Conv2D(16, 5, dtype=dtype, name="conv2")(x)  # (N, 10, 10, 16)
        x = pool(layers.ReLU(dtype=dtype, name="relu2")(x))  # (N, 5, 5, 16)
        x = layers.Flatten(dtype=dtype, name="flatten")(x)  # (N, 400)
        x = layers.Dense(120, dtype=dtype, name="fc1")(x)
        x = layers.ReLU(dtype=dtype, name="relu3")(x)
        x = layers.Dense(84, dtype=dtype, name="fc2")(x)
        x = layers.ReLU(dtype=dtype, name="relu4")(x)
        outputs = layers.Dense(num_classes, dtype=dtype, name="fc3")(x)
        super().__init__(inputs, outputs, name=name, num_classes=num_classes, dtype=dtype)
