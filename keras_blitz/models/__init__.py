"""The networks, one family a file, and the names the command line knows them by."""

from importlib import import_module

from keras_blitz.errors import BlitzError

# class -> the file that has it
_CLASSES = {
    "LeNet": "lenet",
    "CifarNet": "cifar",
    "NeuralNetwork": "mlp",
    "Network0": "mnist",
    "Network1": "mnist",
    "Network2": "mnist",
}

# name on the command line -> class, constructor arguments, the layer whose outputs are the classes (None: no head)
NETWORKS = {
    "lenet": ("LeNet", {}, "fc3"),
    "cifar": ("CifarNet", {}, "fc3"),
    "mlp": ("NeuralNetwork", {"last_relu": False}, "linear_relu_stack.4"),
    "mlp-last-relu": ("NeuralNetwork", {"last_relu": True}, "linear_relu_stack.4"),
    "mnist0": ("Network0", {}, None),
    "mnist1": ("Network1", {}, None),
    "mnist": ("Network2", {}, "out"),
}

__all__ = ["NETWORKS", "build", "head", "register", *_CLASSES]


def __getattr__(name: str):
    if name in _CLASSES:
        return getattr(import_module(f"keras_blitz.models.{_CLASSES[name]}"), name)
    raise AttributeError(f"module 'keras_blitz.models' has no attribute {name!r}")


def register() -> None:
    """Import every class, which registers it with Keras: a `.keras` file names its class."""
    for name in _CLASSES:
        __getattr__(name)


def _row(name: str) -> tuple[str, dict, str | None]:
    if name not in NETWORKS:
        raise BlitzError(f"unknown model {name!r}; known: {', '.join(NETWORKS)}")
    return NETWORKS[name]


def build(name: str, **config):
    """Build the network a command-line name stands for.

    Args:
        name: a key of `NETWORKS`.
        config: further constructor arguments, such as `num_classes` and `dtype`.

    Raises:
        BlitzError: no network has this name.
    """
    class_name, fixed, _ = _row(name)
    return __getattr__(class_name)(**fixed, **config)


def head(name: str) -> str | None:
    """Return the PyTorch path of the network's last layer with weights, or None where it has no `num_classes`."""
    return _row(name)[2]
