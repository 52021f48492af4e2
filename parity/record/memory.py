"""What TensorFlow's tensors hold, without a copy: of BERT's weights one is 0.9 GB in float64."""

import ctypes
import sys
from collections.abc import Iterable, Mapping
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from parity.record.weight import Weight


def held(variable: keras.Variable) -> tf.Tensor:
    """Return what a Keras variable holds now, in the same memory.

    TensorFlow overwrites no memory that something else refers to. A variable that is assigned or updated after this
    gets other memory: in eager mode, in a `tf.function`, and under XLA. Assigned again, the tensor's memory is shared.
    """
    return tf.convert_to_tensor(variable.value)


def view(tensor: Any) -> np.ndarray:
    """Return what a tensor, or a Keras variable, holds now, as a read-only array in the same memory; see `held`."""
    return np.asarray(held(tensor) if isinstance(tensor, keras.Variable) else tf.convert_to_tensor(tensor))


def load(weights: Iterable[Weight], state: Mapping[str, np.ndarray]) -> None:
    """Give weights their values in a state; those that have them keep their memory."""
    for weight in weights:
        if not np.array_equal(weight.value(view), state[weight.name]):
            weight.assign(state[weight.name])


def release() -> None:
    """Give the system back what was freed, which glibc keeps for later: 0.6 of the 5.9 GB that BERT's sizes take.

    Where the C library has no such function, as on macOS and Windows, nothing is done.
    """
    if sys.platform == "linux":
        getattr(ctypes.CDLL(None), "malloc_trim", int)(0)  # musl has none
