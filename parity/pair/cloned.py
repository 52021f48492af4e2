"""A functional or Sequential model copied layer by layer, where its configuration cannot say what a layer does.

A lambda has no name to be found by, and a layer without `get_config` no arguments. Both are taken as they are.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import keras

from keras_blitz import keras_internals
from parity.core.modes import PRECISIONS
from parity.pair.feed import is_functional


def is_graph(layer: Any) -> bool:
    """Whether a layer is a model that knows which layer is called on what: a functional or a Sequential one."""
    return is_functional(layer) or isinstance(layer, keras.Sequential)


def cloned(model: Any, dtype: str, copied: Callable[[Any], Any]) -> Any:
    """Return a model of the same graph, not compiled.

    Args:
        model: a functional or Sequential model.
        dtype: a name in `PRECISIONS`, "" for the types that its inputs have.
        copied: layer -> its copy; the same for a layer that is called twice.
    """
    struct = keras_internals.input_structure(model)
    known = (model.inputs[0] if struct is None else struct) if is_functional(model) else None
    inputs = None if known is None else keras.tree.map_structure(lambda x: _input(x, dtype), known)
    with _never_compiled(model):
        return keras.models.clone_model(model, inputs, copied)


def configuration(layer: Any) -> dict[str, Any]:
    """Return a layer's configuration, with the user's own functions, such as a lambda, as they are."""
    own = {name: value for name, value in vars(layer).items() if not name.startswith("_") and _is_own(value)}
    try:
        for name in own:
            keras_internals.set_untracked(layer, name, keras.activations.linear)
        config = layer.get_config()
    finally:
        for name, value in own.items():
            keras_internals.set_untracked(layer, name, value)
    return {**config, **{name: value for name, value in own.items() if name in config}}


def _is_own(value: Any) -> bool:
    if not callable(value) or isinstance(value, type | keras.Layer | keras.Initializer | keras.Regularizer):
        return False
    return not keras_internals.is_own(value if hasattr(value, "__module__") else type(value))


def _input(tensor: Any, dtype: str) -> Any:
    kind = PRECISIONS[dtype].arrays if dtype and "float" in tensor.dtype else tensor.dtype
    return keras.Input(batch_shape=tensor.shape, dtype=kind, name=tensor.name)


@contextmanager
def _never_compiled(model: Any) -> Iterator[None]:
    """Let a model seem not compiled for a block: a clone would be compiled of what may have no configuration."""
    before = model.compiled
    try:
        keras_internals.set_untracked(model, "compiled", False)
        yield
    finally:
        keras_internals.set_untracked(model, "compiled", before)
