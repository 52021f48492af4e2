"""The PyTorch 60-minute blitz in Keras 3 on TensorFlow.

Importing the package is cheap: TensorFlow is loaded by the first name that needs it.
"""

from importlib import import_module
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # for type checkers and editors, which do not call __getattr__
    from keras_blitz import (
        autograd,
        convert,
        data,
        errors,
        export,
        initializers,
        layers,
        losses,
        models,
        ops,
        optim,
        random,
        speed,
        training,
        weights,
    )
    from keras_blitz.errors import CheckpointError
    from keras_blitz.floatx import precision
    from keras_blitz.models.saved import load_model
    from keras_blitz.random import manual_seed
    from keras_blitz.weights import load_checkpoint, load_state_dict, named_parameters, state_dict

__version__ = version("keras-blitz")

# The public names: `__version__`, the subpackages and modules, and what `_HOMES` has.
__all__ = [
    "CheckpointError",
    "__version__",
    "autograd",
    "convert",
    "data",
    "errors",
    "export",
    "initializers",
    "layers",
    "load_checkpoint",
    "load_model",
    "load_state_dict",
    "losses",
    "manual_seed",
    "models",
    "named_parameters",
    "ops",
    "optim",
    "precision",
    "random",
    "speed",
    "state_dict",
    "training",
    "weights",
]

# public name -> the module that has it
_HOMES = {
    "CheckpointError": "keras_blitz.errors",
    "load_checkpoint": "keras_blitz.weights",
    "load_model": "keras_blitz.models.saved",
    "load_state_dict": "keras_blitz.weights",
    "manual_seed": "keras_blitz.random",
    "named_parameters": "keras_blitz.weights",
    "precision": "keras_blitz.floatx",
    "state_dict": "keras_blitz.weights",
}


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    if name in __all__:
        return import_module(f"keras_blitz.{name}")
    raise AttributeError(f"module 'keras_blitz' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
