"""A PyTorch checkpoint to a Keras file, and back."""

import os
from collections.abc import Collection, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

import numpy as np

from keras_blitz import models
from keras_blitz.errors import CheckpointError
from keras_blitz.initializers import all_zero, skip_init
from keras_blitz.weights import checkpoint
from keras_blitz.weights.checkpoint import State
from keras_blitz.weights.families import renamed
from keras_blitz.weights.mapping import weights
from keras_blitz.weights.tensors import Tensor

__all__ = ["Conversion", "convert"]

MOST_CLASSES = 10_000_000  # the smallest network's weights for them take 2 GB
DTYPES = ("float16", "bfloat16", "float32", "float64")


@dataclass(frozen=True)
class Conversion:
    """What a conversion did: the network's class, how many tensors and values it holds, and their type.

    `notes` are what is worth knowing: parts of the file that were not taken.
    """

    network: str
    tensors: int
    values: int
    dtype: str
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Wanted:
    """Which parts of a PyTorch checkpoint to convert, and how; the arguments of `convert`."""

    model: str
    num_classes: int | None
    prefix: str | None
    skip: tuple[str, ...]
    key: str | None
    dtype: str | None


def convert(
    source: str | os.PathLike[str],
    target: str | os.PathLike[str],
    model: str,
    *,
    prefix: str | None = None,
    num_classes: int | None = None,
    skip: Collection[str] = (),
    key: str | None = None,
    dtype: str | None = None,
) -> Conversion:
    """Convert a checkpoint of a known network; the endings of the paths say from what and to what.

    Args:
        source: `.safetensors`, `.pth`, `.pth.tar`, `.pt`, `.ckpt`, `.bin`, the index of shards or the folder that has
            it, `.keras` or `.weights.h5`.
        target: `.keras`, `.weights.h5`, `.safetensors`, `.pth` or `.pt`. Written whole or not at all.
        model: a key of `keras_blitz.models.NETWORKS`.
        prefix: take only the entries of a PyTorch checkpoint under this prefix.
        num_classes: size of the head; None reads it off the checkpoint (the default size for `.weights.h5`).
        skip: PyTorch's modules to leave at their initial values, such as a replaced head; or that only the file has.
        key: the part of a pickled dictionary that has the weights, its keys joined by dots.
        dtype: the type that the weights get, one of `DTYPES`, rounded where it is narrower. None keeps their bits.

    Raises:
        BlitzError: unknown model, a file that is broken, refused or does not fit, or a target that cannot be written.
    """
    head = models.head(model)
    kind = "" if Path(source).is_dir() else checkpoint.ending(source)
    checkpoint.ending(target, (*checkpoint.TORCH_ENDINGS, *checkpoint.KERAS_ENDINGS))
    if kind in checkpoint.KERAS_ENDINGS:
        _check_unused(source, {"prefix": prefix, "skip": skip, "key": key, "dtype": dtype})
    if num_classes and (kind == ".keras" or head is None):
        raise CheckpointError(f"{source}: its head has a fixed number of classes; leave --num-classes out")
    if num_classes and num_classes > MOST_CLASSES:
        raise CheckpointError(f"--num-classes {num_classes}: a head has at most {MOST_CLASSES:,} outputs")
    if dtype is not None and dtype not in DTYPES:
        raise CheckpointError(f"dtype must be one of {', '.join(DTYPES)}, not {dtype!r}")
    notes: list[str] = []
    if kind == ".keras":
        network = _same_kind(models.load_model(source), model, source)
    elif kind == ".weights.h5":
        network = _build(model, checkpoint.weights_dtype(source), _classes(head, num_classes))
        checkpoint.read_weights(network, source)
    else:
        network, notes = _from_torch(source, _Wanted(model, num_classes, prefix, tuple(skip), key, dtype))
    checkpoint.write_model(network, target)
    held = weights(network)
    values = sum(prod(weight.shape) for weight in held)
    return Conversion(type(network).__name__, len(held), values, network.dtype_policy.name, tuple(notes))


def _from_torch(source: str | os.PathLike[str], wanted: _Wanted) -> tuple[Any, list[str]]:
    """Build a network, fill it from a PyTorch checkpoint, and return it and what is worth knowing."""
    state = checkpoint.open_state(source, wanted.key)
    head = models.head(wanted.model)
    found = wanted.num_classes or _head_size(state.tensors, head, wanted.prefix)
    # What is skipped keeps PyTorch's initial values; all others are about to be overwritten.
    with ExitStack() as stack:
        for undrawn in () if wanted.skip else (skip_init, all_zero):
            stack.enter_context(undrawn())
        network = _build(wanted.model, wanted.dtype or _dtype(state.tensors), _classes(head, found))
    left_out = checkpoint.fill_from(
        network, state, source, prefix=wanted.prefix, skip=wanted.skip, rounds=wanted.dtype is not None
    )
    return network, _notes(state, left_out, wanted.skip)


def _build(model: str, dtype: str, classes: dict[str, Any]) -> Any:
    """Build a network, or say that its head does not fit into memory."""
    import tensorflow as tf

    try:
        return models.build(model, dtype=dtype, **classes)
    except (MemoryError, tf.errors.ResourceExhaustedError):
        size = f" with {classes['num_classes']:,} classes" if classes else ""
        raise CheckpointError(f"{model}{size} does not fit into this machine's memory") from None


def _notes(state: State, left_out: list[str], skip: tuple[str, ...]) -> list[str]:
    notes = []
    if state.others:
        notes.append(f"also in the file: {', '.join(state.others)}; --key takes one of them")
    if left_out:
        notes.append(f"left out, as not below the model's prefix: {', '.join(left_out)}")
    if skip:
        notes.append(f"skipped: {', '.join(skip)}")
    return notes


def _check_unused(source: str | os.PathLike[str], options: Mapping[str, Any]) -> None:
    for name, value in options.items():
        if value:
            raise CheckpointError(
                f"{source}: --{name} does not apply to a Keras file, which has no prefixes or parts; leave it out"
            )


def _same_kind(network, model: str, source: str | os.PathLike[str]):
    class_name, fixed, _ = models.NETWORKS[model]
    config = network.get_config()
    if type(network).__name__ != class_name or any(config.get(key) != value for key, value in fixed.items()):
        raise CheckpointError(f"{Path(source)}: holds a {type(network).__name__}, not the model {model!r}")
    return network


def _classes(head: str | None, num_classes: int | None) -> dict[str, Any]:
    return {"num_classes": num_classes} if head and num_classes else {}


def _head_size(tensors: Mapping[str, Tensor], head: str | None, prefix: str | None) -> int | None:
    """Read the number of classes off the head's weight; None where there is none, and loading will say so."""
    if head is None:
        return None
    wanted = f"{prefix or ''}{head}.weight"
    sizes = {
        tensor.shape[0]
        for spelled in (tensors, *renamed(tensors))
        for name, tensor in spelled.items()
        if tensor.ndim == 2 and (name == wanted or (prefix is None and name.endswith("." + wanted)))
    }
    return sizes.pop() if len(sizes) == 1 else None


def _dtype(tensors: Mapping[str, Tensor]) -> str:
    """Return the narrowest of float32 and float64 that holds every value as it is."""
    return "float64" if any(tensor.dtype == np.float64 for tensor in tensors.values()) else "float32"
