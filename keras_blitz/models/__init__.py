"""The networks, one family a file, and the names the command line knows them by."""

import os
from functools import partial
from importlib import import_module
from typing import Any

from keras_blitz.errors import BlitzError

# class -> the file that has it
_CLASSES = {
    "LeNet": "lenet",
    "CifarNet": "cifar",
    "NeuralNetwork": "mlp",
    "Network0": "mnist",
    "Network1": "mnist",
    "Network2": "mnist",
    "ResNet": "resnet",
    "VGG": "vgg",
    "AlexNet": "alexnet",
    "InceptionV3": "inception",
}

# name on the command line -> class, constructor arguments, the layer whose outputs are the classes (None: no head)
NETWORKS: dict[str, tuple[str, dict[str, Any], str | None]] = {
    "lenet": ("LeNet", {}, "fc3"),
    "cifar": ("CifarNet", {}, "fc3"),
    "mlp": ("NeuralNetwork", {"last_relu": False}, "linear_relu_stack.4"),
    "mlp-last-relu": ("NeuralNetwork", {"last_relu": True}, "linear_relu_stack.4"),
    "mnist0": ("Network0", {}, None),
    "mnist1": ("Network1", {}, None),
    "mnist": ("Network2", {}, "out"),
    **{name: ("ResNet", {"variant": name}, "fc") for name in (f"resnet{depth}" for depth in (18, 34, 50, 101, 152))},
    **{
        name: ("VGG", {"variant": name}, "classifier.6")
        for name in (f"vgg{depth}{suffix}" for depth in (11, 13, 16, 19) for suffix in ("", "_bn"))
    },
    "alexnet": ("AlexNet", {}, "classifier.6"),
    "inception_v3": ("InceptionV3", {"aux_logits": True}, "fc"),
    "inception_v3_no_aux": ("InceptionV3", {"aux_logits": False}, "fc"),
}

__all__ = ["NETWORKS", "build", "head", "load_model", "register", *_CLASSES]


def __getattr__(name: str):
    if name in _CLASSES:
        return getattr(import_module(f"keras_blitz.models.{_CLASSES[name]}"), name)
    if name == "load_model":
        return import_module("keras_blitz.models.saved").load_model
    if name in _CLASSES.values():  # a file of this folder, whether it is loaded yet or not
        return import_module(f"keras_blitz.models.{name}")
    if name in NETWORKS:
        return partial(build, name)
    raise AttributeError(f"module 'keras_blitz.models' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)


def register() -> None:
    """Import every class, which registers it with Keras: a `.keras` file names its class."""
    for name in _CLASSES:
        __getattr__(name)


def _row(name: str) -> tuple[str, dict[str, Any], str | None]:
    if name not in NETWORKS:
        raise BlitzError(f"unknown model {name!r}; known: {', '.join(NETWORKS)}")
    return NETWORKS[name]


def build(name: str, *, weights: str | os.PathLike[str] | None = None, **config):
    """Build the network a command-line name stands for.

    `models.resnet18(…)` is `build("resnet18", …)`, and so on where no file has the name.

    Args:
        name: a key of `NETWORKS`.
        weights: "imagenet" for torchvision's pretrained weights, found on this machine or downloaded, or the path of a
            PyTorch checkpoint. With "imagenet" and another `num_classes` than 1000 the head keeps its initial values.
        config: further constructor arguments, such as `num_classes` and `dtype`.

    Raises:
        BlitzError: no network has this name, or the weights are missing, broken or do not fit.
    """
    class_name, fixed, last = _row(name)
    if weights is None:
        return __getattr__(class_name)(**fixed, **config)
    from keras_blitz.weights import load_checkpoint, pretrained

    path = pretrained.find(name, weights)
    if weights == "imagenet" and class_name == "InceptionV3":
        config = {"transform_input": True, **config}  # what its weights were trained on
    network = __getattr__(class_name)(**fixed, **config)
    load_checkpoint(network, path, skip=_not_loaded(fixed, last, config) if weights == "imagenet" else ())
    return network


def _not_loaded(fixed: dict, last: str | None, config: dict) -> list[str]:
    """Return the modules that torchvision's weights are not for: heads of another size, an auxiliary head left out."""
    aux_logits = fixed.get("aux_logits")
    heads: list[str] = []
    if last is not None and config.get("num_classes", 1000) != 1000:
        heads = [last, *(["AuxLogits.fc"] if aux_logits else [])]
    return [*heads, *(["AuxLogits"] if aux_logits is False else [])]


def head(name: str) -> str | None:
    """Return the PyTorch path of the network's last layer with weights, or None where it has no `num_classes`."""
    return _row(name)[2]
