"""PyTorch's weights in Keras models, bit for bit, both ways."""

from importlib import import_module

from keras_blitz.weights.checkpoint import load_checkpoint, read_state, write_model, write_state
from keras_blitz.weights.mapping import load_state_dict, named_parameters, state_dict, weights

__all__ = [
    "load_checkpoint",
    "load_state_dict",
    "named_parameters",
    "read_state",
    "state_dict",
    "weights",
    "write_model",
    "write_state",
]


def __getattr__(name: str) -> object:
    if name == "convert":  # it needs the models, which nothing here imports; scripts still ask for it by its first name
        return import_module("keras_blitz.convert").convert
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
