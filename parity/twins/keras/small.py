"""The port of parity/twins/torch/small.py."""

import keras
from keras.layers import Add, Dense, Flatten, ReLU

from keras_blitz.layers import AvgPool2d, BatchNorm, Conv2d, Dropout, MaxPool2d


def network(dtype: str) -> keras.Model:
    """Return the Keras model; input (N, 32, 24, 3), output (N, 10) logits."""

    def made(layer, *args, name: str, **options):
        return layer(*args, dtype=dtype, name=name, **options)

    image = keras.Input((32, 24, 3), dtype=dtype)
    x = made(Conv2d, 6, 3, stride=2, padding=1, bias=False, name="conv1")(image)  # (N, 16, 12, 6)
    x = made(BatchNorm, name="bn1")(x)
    x = made(MaxPool2d, 3, stride=2, padding=1, name="pool1")(x)  # (N, 8, 6, 6)
    x = shortcut = made(ReLU, name="relu1")(x)
    x = made(Conv2d, 6, 3, padding=1, name="conv2")(x)
    x = made(BatchNorm, name="bn2")(x)
    x = made(Add, name="add")([x, shortcut])
    x = made(ReLU, name="relu2")(x)
    x = made(Conv2d, 8, 3, stride=2, padding=1, groups=2, bias=False, name="conv3")(x)  # (N, 4, 3, 8)
    x = made(BatchNorm, name="bn3")(x)
    x = made(ReLU, name="relu3")(x)
    x = made(Dropout, 0.3, name="drop1")(x)
    x = made(AvgPool2d, 3, stride=2, padding=1, name="pool2")(x)  # (N, 2, 2, 8)
    x = made(Flatten, name="flatten")(x)  # (N, 32)
    x = made(Dense, 20, name="fc1")(x)
    x = made(ReLU, name="relu4")(x)
    x = made(Dropout, 0.3, name="drop2")(x)
    x = made(Dense, 20, name="fc2")(x)
    x = made(ReLU, name="relu5")(x)
    return keras.Model(image, made(Dense, 10, name="fc3")(x), name="small")
