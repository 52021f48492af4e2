"""N8, torchvision's AlexNet (Krizhevsky 2014, "One weird trick"; torchvision/models/alexnet.py)."""

import keras

from keras_blitz.layers import AdaptiveAvgPool2d, Conv2d, Dropout
from keras_blitz.models.network import Network


@keras.saving.register_keras_serializable("keras_blitz")
class AlexNet(Network):
    """Five convolutions, three dense layers; 61,100,840 parameters.

    Args:
        num_classes: size of the head `classifier.6`, ≥ 1.
        dropout: of the classifier, 0–1.
        input_shape: (H, W, C) of the images, H and W ≥ 63.
        dtype: "float32", "float64" or None for Keras's `floatx`.

    Shapes:
        input (N, H, W, C), output (N, num_classes) logits.
    """

    takes_any_size = True

    def __init__(
        self,
        num_classes: int = 1000,
        *,
        dropout: float = 0.5,
        input_shape: tuple[int, int, int] = (224, 224, 3),
        dtype: str | None = None,
        name: str = "alexnet",
    ):
        def relu(path: str):
            return keras.layers.ReLU(dtype=dtype, name=path)

        def pool(path: str):
            return keras.layers.MaxPooling2D(3, strides=2, dtype=dtype, name=path)

        inputs = keras.Input(input_shape, dtype=dtype)
        x = relu("features.1")(Conv2d(64, 11, 4, 2, dtype=dtype, name="features.0")(inputs))  # (N, 55, 55, 64)
        x = pool("features.2")(x)  # (N, 27, 27, 64)
        x = relu("features.4")(Conv2d(192, 5, padding=2, dtype=dtype, name="features.3")(x))
        x = pool("features.5")(x)  # (N, 13, 13, 192)
        x = relu("features.7")(Conv2d(384, 3, padding=1, dtype=dtype, name="features.6")(x))
        x = relu("features.9")(Conv2d(256, 3, padding=1, dtype=dtype, name="features.8")(x))
        x = relu("features.11")(Conv2d(256, 3, padding=1, dtype=dtype, name="features.10")(x))
        x = pool("features.12")(x)  # (N, 6, 6, 256)
        x = AdaptiveAvgPool2d(6, dtype=dtype, name="avgpool")(x)
        x = keras.layers.Flatten(dtype=dtype, name="flatten")(x)  # (N, 9216)
        x = Dropout(dropout, dtype=dtype, name="classifier.0")(x)
        x = relu("classifier.2")(keras.layers.Dense(4096, dtype=dtype, name="classifier.1")(x))
        x = Dropout(dropout, dtype=dtype, name="classifier.3")(x)
        x = relu("classifier.5")(keras.layers.Dense(4096, dtype=dtype, name="classifier.4")(x))
        outputs = keras.layers.Dense(num_classes, dtype=dtype, name="classifier.6")(x)
        super().__init__(
            inputs, outputs, name=name, num_classes=num_classes, dropout=dropout, input_shape=input_shape, dtype=dtype
        )
