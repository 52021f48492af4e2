"""The dtype policies of a user's Keras model: which reduced precision it runs in."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import keras

from keras_blitz import keras_internals
from keras_blitz.floatx import precision
from keras_blitz.weights import kinds
from parity.core.modes import DTYPES, PRECISIONS, ulp

_PLAIN = frozenset(DTYPES)


def running_in(dtype: str) -> AbstractContextManager[None]:
    """Return a block in which Keras makes layers of this precision; losses stay as they are in a reduced one.

    Args:
        dtype: a name in `PRECISIONS`.
    """
    return precision(dtype) if dtype in _PLAIN else _policy(dtype)


@contextmanager
def _policy(name: str) -> Iterator[None]:
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(name)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)


def policies(model: Any) -> list[str]:
    """Return the names of the reduced policies that a Keras model's layers have; of a function that makes one none."""
    if not isinstance(model, keras.Layer):
        return []
    layers = keras_internals.inner_layers(model, itself=True)
    names = {layer.dtype_policy.name for layer in layers if not isinstance(layer, keras.layers.InputLayer)}
    return sorted(names - _PLAIN)


def plain_precision(model: keras.Layer) -> str:
    """Return the precision that a model is written in, "float64" or "float32"; "" where its layers have several.

    Functional models and Sequentials compute nothing themselves: their own policy says nothing.
    """
    layers = keras_internals.inner_layers(model, itself=True)
    computing = [each for each in layers if not isinstance(each, keras.layers.InputLayer | keras.Sequential)]
    names = {each.dtype_policy.name for each in computing if not keras_internals.has_graph(each)}
    return min(names, default="float32") if len(names) < 2 and names <= _PLAIN else ""


def own_precision(model: Any) -> str:
    """Return the reduced precision that a Keras model runs in, layers in float32 aside; "" where there is none.

    Also "" where its layers have several such policies, or one that PyTorch has no counterpart of: int8, or float16 in
    some layers with weights and not in others.
    """
    found = policies(model)
    if len(found) != 1 or found[0] not in PRECISIONS or (not PRECISIONS[found[0]].is_mixed and _has_plain(model)):
        return ""
    return found[0]


def _has_plain(model: keras.Layer) -> bool:
    """Whether some of a model's layers that have weights compute in float32 or float64."""
    layers = keras_internals.inner_layers(model, itself=True)
    known = ((layer, kinds.of_keras(layer)) for layer in layers)
    return any(kind and kind.has_weights and layer.dtype_policy.name in _PLAIN for layer, kind in known)


def copy_rounding(model: Any) -> float:
    """Return how far a float32 copy may be from a Keras model, of its values: by what the model itself rounds."""
    return max([1e-2, *(32 * ulp(1.0, PRECISIONS[name].compute) for name in policies(model) if name in PRECISIONS)])


def default_dtypes(model: Any) -> tuple[str, ...]:
    """Return what a Keras model is compared in where nothing is asked for: its own reduced precision is added."""
    return (*DTYPES, *filter(None, [own_precision(model)]))
