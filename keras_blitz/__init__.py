"""The PyTorch 60-minute blitz in Keras 3 on TensorFlow.

Importing the package is cheap: TensorFlow is loaded by the first name that needs it.
"""

from importlib import import_module
from importlib.metadata import version

__version__ = version("keras-blitz")

_MODULES = (
    "autograd", "data", "export", "initializers", "losses", "models", "ops", "optim", "random", "speed", "training",
    "weights",
)  # fmt: skip

# public name -> the module that has it
_HOMES = {
    "manual_seed": "keras_blitz.random",
    "precision": "keras_blitz.floatx",
    "load_checkpoint": "keras_blitz.weights",
    "load_model": "keras_blitz.weights",
    "load_state_dict": "keras_blitz.weights",
    "named_parameters": "keras_blitz.weights",
    "state_dict": "keras_blitz.weights",
    "CheckpointError": "keras_blitz.errors",
}

__all__ = ["__version__", *_MODULES, *_HOMES]


def __getattr__(name: str):
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    if name in _MODULES:
        return import_module(f"keras_blitz.{name}")
    raise AttributeError(f"module 'keras_blitz' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
