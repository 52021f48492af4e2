"""A PyTorch checkpoint to a Keras file, and back."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

import numpy as np

from keras_blitz import models
from keras_blitz.errors import CheckpointError
from keras_blitz.weights import checkpoint
from keras_blitz.weights.mapping import PREFIXES, load_state_dict, weights

__all__ = ["Conversion", "convert"]


@dataclass(frozen=True)
class Conversion:
    """What a conversion did: the network's class, how many tensors and values it holds, and their type."""

    network: str
    tensors: int
    values: int
    dtype: str


def convert(
    source: str | os.PathLike[str],
    target: str | os.PathLike[str],
    model: str,
    *,
    prefix: str | None = None,
    num_classes: int | None = None,
) -> Conversion:
    """Convert a checkpoint of a known network; the endings of the paths say from what and to what.

    Args:
        source: `.safetensors`, `.pth`, `.pt`, `.keras` or `.weights.h5`.
        target: the same endings. Written whole or not at all.
        model: a key of `keras_blitz.models.NETWORKS`.
        prefix: take only the entries of a PyTorch checkpoint under this prefix.
        num_classes: size of the head; None reads it off the checkpoint (the default size for `.weights.h5`).

    Raises:
        BlitzError: unknown model, a file that is broken, refused or does not fit, or a target that cannot be written.
    """
    head = models.head(model)
    kind = checkpoint.ending(source)
    checkpoint.ending(target)
    if prefix and kind in checkpoint.KERAS_ENDINGS:
        raise CheckpointError(f"{source}: a Keras file has no prefixes; leave --prefix out")
    if num_classes and (kind == ".keras" or head is None):
        raise CheckpointError(f"{source}: the number of classes is not to be chosen here; leave --num-classes out")
    if kind == ".keras":
        network = _same_kind(models.load_model(source), model, source)
    elif kind == ".weights.h5":
        network = models.build(model, dtype=checkpoint.weights_dtype(source), **_classes(head, num_classes))
        checkpoint.read_weights(network, source)
    else:
        state = checkpoint.read_state(source)
        found = num_classes or _head_size(state, head, prefix)
        network = models.build(model, dtype=_dtype(state), **_classes(head, found))
        try:
            load_state_dict(network, state, prefix=prefix)
        except CheckpointError as error:
            raise CheckpointError(f"{source}: {error}") from None
    checkpoint.write_model(network, target)
    held = weights(network)
    return Conversion(
        type(network).__name__, len(held), sum(prod(weight.shape) for weight in held), network.dtype_policy.name
    )


def _same_kind(network, model: str, source: str | os.PathLike[str]):
    class_name, fixed, _ = models.NETWORKS[model]
    config = network.get_config()
    if type(network).__name__ != class_name or any(config.get(key) != value for key, value in fixed.items()):
        raise CheckpointError(f"{Path(source)}: holds a {type(network).__name__}, not the model {model!r}")
    return network


def _classes(head: str | None, num_classes: int | None) -> dict[str, Any]:
    return {"num_classes": num_classes} if head and num_classes else {}


def _head_size(state: Mapping[str, np.ndarray], head: str | None, prefix: str | None) -> int | None:
    """Read the number of classes off the head's weight; None where there is none, and loading will say so."""
    if head is None:
        return None
    wanted = f"{prefix or ''}{head}.weight"
    sizes = [
        array.shape[0]
        for name, array in state.items()
        if array.ndim == 2 and (name == wanted or (prefix is None and name.removeprefix(_wrap(name)) == wanted))
    ]
    return sizes[0] if sizes else None


def _wrap(name: str) -> str:
    """Return the known prefixes at the start of a name."""
    length = 0
    while found := next((p for p in PREFIXES if name.startswith(p, length)), None):
        length += len(found)
    return name[:length]


def _dtype(state: Mapping[str, np.ndarray]) -> str:
    """Return the narrowest of float32 and float64 that holds every value as it is."""
    return "float64" if any(array.dtype == np.float64 for array in state.values()) else "float32"
