"""Arguments that cannot be right: each is one sentence that names the argument, what it is, and what to give."""

from collections.abc import Iterable, Mapping
from os import PathLike
from typing import Any

import keras

from keras_blitz.errors import BlitzError
from parity.record import torch_recorder


def require_models(torch_module: Any, keras_model: Any) -> None:
    """Raise where one of the two models is not what its place asks for; a function that makes a model is called later.

    Raises:
        BlitzError: they are exchanged, or one is a class, a file's name, a state_dict or of the other framework.
    """
    if isinstance(torch_module, keras.Layer) and torch_recorder.is_module(keras_model):
        raise BlitzError("torch_module is the Keras model and keras_model PyTorch's: give PyTorch's module first")
    require_module(torch_module)
    if torch_recorder.is_module(keras_model):
        raise BlitzError(
            f"keras_model must be a Keras model; {type(keras_model).__name__} is a PyTorch module: parity.translate "
            "writes a Keras port of it"
        )
    if isinstance(keras_model, str | PathLike):
        raise BlitzError(
            f"keras_model must be a Keras model, not a file's name: keras.models.load_model({str(keras_model)!r})"
        )


def require_module(module: Any) -> None:
    """Raise where something is not a PyTorch module that can run here.

    Raises:
        BlitzError: it is not a module, or its values are not in this machine's memory.
    """
    if not torch_recorder.is_module(module):
        raise BlitzError(f"torch_module must be a torch.nn.Module, not {_describe(module)}")
    for name, tensor in (*module.named_parameters(), *module.named_buffers()):
        if tensor.device.type == "meta":
            raise BlitzError(f"torch_module has no values in {name}, on the meta device: load its weights first")
        if tensor.device.type != "cpu":
            raise BlitzError(f"torch_module has {name} on {tensor.device}: give torch_module.cpu()")


def _describe(value: Any) -> str:
    """Return what stands in place of a module, with the remedy where there is one."""
    kind = type(value).__name__
    if isinstance(value, type):
        return f"the class {value.__name__}: give an instance, {value.__name__}(…)"
    if isinstance(value, str | PathLike):
        return "a file's name: build the module and call its load_state_dict(torch.load(…))"
    if isinstance(value, Mapping):
        return f"weights, as {kind}: build the module and call its load_state_dict"
    if isinstance(value, keras.Layer):
        return f"the Keras model {value.name!r}"
    if callable(value):
        return f"{kind}: call it in the forward of a module, or give the module that it is the layer of"
    return kind


def require_arrays(inputs: Any) -> None:
    """Raise where inputs are not arrays, but what newcomers give in their place.

    Raises:
        BlitzError: a shape, a loader of batches, a symbolic tensor, a text.
    """
    kind = type(inputs).__name__
    if inputs is None:
        raise BlitzError("inputs is None: give an array in PyTorch's layout, a tuple of arrays, or a dict by argument")
    if isinstance(inputs, keras.KerasTensor):
        raise BlitzError("inputs must be arrays; a KerasTensor has a shape and no values: give a batch of examples")
    if isinstance(inputs, str | bytes | PathLike):
        raise BlitzError(f"inputs must be numbers, not {inputs!r}: give an array, or several arrays as a tuple")
    if isinstance(inputs, tuple) and inputs and all(isinstance(size, int) for size in inputs):
        raise BlitzError(f"inputs must be arrays; {inputs} is a shape: np.random.randn{inputs}.astype('float32')")
    if isinstance(inputs, Iterable) and not isinstance(inputs, Mapping | tuple | list) and not hasattr(inputs, "shape"):
        raise BlitzError(f"inputs must be arrays; a {kind} yields batches: give one of them, next(iter(inputs))")
