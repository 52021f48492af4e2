"""Checkpoint files: PyTorch's (.safetensors, .pth and the like, shards) and Keras's (.keras, .weights.h5)."""

import os
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

import numpy as np

from keras_blitz import keras_internals
from keras_blitz.errors import BlitzError, CheckpointError, first_sentence
from keras_blitz.files import atomic_path, check_source
from keras_blitz.weights import blocks, safetensors_file, shards
from keras_blitz.weights.mapping import fill, weights
from keras_blitz.weights.pickles import Pickles, import_torch
from keras_blitz.weights.safetensors_file import Entry
from keras_blitz.weights.state import choose
from keras_blitz.weights.tensors import Tensor

TORCH_ENDINGS = (".safetensors", ".pth", ".pt")  # that are written, too
READ_ENDINGS = (*TORCH_ENDINGS, ".pth.tar", ".ckpt", ".bin", shards.INDEX_ENDING)
KERAS_ENDINGS = (".keras", ".weights.h5")


@dataclass(frozen=True)
class State:
    """A checkpoint's weights.

    Args:
        tensors: by name, not read yet.
        others: the paths of other parts of the file that hold tensors, such as averaged weights.
    """

    tensors: dict[str, Tensor]
    others: list[str]


def ending(path: str | os.PathLike[str], known: tuple[str, ...] = (*READ_ENDINGS, *KERAS_ENDINGS)) -> str:
    """Return which of the known endings the path has.

    Raises:
        CheckpointError: none of them.
    """
    for candidate in known:
        if str(path).endswith(candidate):
            return candidate
    raise CheckpointError(f"{path}: unknown kind of file; the name must end in one of {', '.join(known)}")


def existing(path: str | os.PathLike[str]) -> Path:
    """Return the path of a file that can be read.

    Raises:
        CheckpointError: the path does not exist, is a folder, or may not be read.
    """
    return check_source(Path(path), error=CheckpointError)


def open_state(path: str | os.PathLike[str], key: str | None = None) -> State:
    """Look into a PyTorch checkpoint; its tensors are read when they are used, and of its shards one at a time.

    Args:
        path: a `.safetensors`, `.pth`, `.pth.tar`, `.pt`, `.ckpt` or `.bin` file, the index of shards, or a folder with
            one of `model.safetensors`, `pytorch_model.bin` and their indexes.
        key: the part of a pickled dictionary that is wanted, its keys joined by dots.

    Raises:
        CheckpointError: the file is missing, truncated, damaged, of another kind, refused, or holds no tensors.
    """
    path = shards.in_folder(Path(path)) if Path(path).is_dir() else existing(path)
    kind = ending(path)
    if kind in KERAS_ENDINGS:
        raise CheckpointError(f"{path}: a Keras file, not a PyTorch checkpoint ({', '.join(READ_ENDINGS)})")
    shards.check_whole(path)
    if key is not None and kind in (".safetensors", shards.INDEX_ENDING):
        raise CheckpointError(f"{path}: this kind of file has no keys to choose from; leave --key out")
    if kind == shards.INDEX_ENDING:
        return State(_read_shards(path), [])
    return _open(path, key, Pickles())


def _open(path: Path, key: str | None, pickles: Pickles) -> State:
    if ending(path) == ".safetensors":
        return State(safetensors_file.read(path), [])
    try:
        keys, others = choose(pickles.open(path), key)
        return State(pickles.tensors(path, keys), others)
    except RecursionError:
        raise CheckpointError(f"{path}: its dictionaries are too deep, or hold each other") from None
    except CheckpointError as error:
        raise CheckpointError(_once(path, error)) from None


def _read_shards(path: Path) -> dict[str, Tensor]:
    pickles, tensors = Pickles(), dict[str, Tensor]()
    for shard, names in shards.read_index(path).items():
        held = _open(existing(shard), None, pickles).tensors
        shards.check_names(path, shard, names, list(held))
        tensors |= held
    return tensors


def _once(path: Path, error: CheckpointError) -> str:
    """Return an error's message with the file's name before it, unless it has it."""
    return str(error) if str(error).startswith(str(path)) else f"{path}: {error}"


def read_state(path: str | os.PathLike[str], key: str | None = None) -> dict[str, np.ndarray]:
    """Read the tensors of a PyTorch checkpoint; arguments as for `open_state`.

    What is pickled is read with `weights_only=True`: a pickle that would run code is refused.

    Raises:
        CheckpointError: the file is missing, truncated, damaged, of another kind, refused, or holds no tensors.
    """
    state = open_state(path, key)
    if not state.tensors:
        raise CheckpointError(f"{path}: holds no tensors")
    return {name: tensor.array() for name, tensor in state.tensors.items()}


def load_checkpoint(
    model: Any,
    path: str | os.PathLike[str],
    *,
    prefix: str | None = None,
    skip: Iterable[str] = (),
    key: str | None = None,
) -> None:
    """Read a PyTorch checkpoint into a Keras model; arguments as for `load_state_dict` and `open_state`.

    Raises:
        CheckpointError: the file cannot be read, or does not fit; nothing is changed then.
    """
    fill_from(model, open_state(path, key), path, prefix=prefix, skip=skip)


def fill_from(
    model: Any,
    state: State,
    path: str | os.PathLike[str],
    *,
    prefix: str | None = None,
    skip: Iterable[str] = (),
    rounds: bool = False,
) -> list[str]:
    """Fill a model with what `open_state` found in a file, and return the names that were left out; see `fill`.

    Raises:
        CheckpointError: names the file and all that does not fit; nothing is changed then.
    """
    try:
        return fill(model, state.tensors, prefix=prefix, skip=skip, rounds=rounds)
    except CheckpointError as error:
        raise CheckpointError(_once(Path(path), error)) from None


def write_state(state: dict[str, np.ndarray], path: str | os.PathLike[str]) -> None:
    """Write tensors as a PyTorch checkpoint, `.safetensors`, `.pth` or `.pt`; whole or not at all.

    Raises:
        CheckpointError: another ending, or a `.pth` without PyTorch installed.
        BlitzError: the file cannot be written.
    """
    kind = ending(path)
    if kind == ".safetensors":
        entries = [Entry(name, array.shape, array.dtype, [array]) for name, array in state.items()]
        with _write(path) as temporary:
            safetensors_file.write(temporary, entries)
    elif kind in TORCH_ENDINGS:
        torch = import_torch(Path(path))
        with _write(path) as temporary:
            # A copy: a tensor must not share memory with a read-only array.
            torch.save({name: torch.from_numpy(np.array(array)) for name, array in state.items()}, temporary)
    else:
        raise CheckpointError(f"{path}: a state_dict is written as {', '.join(TORCH_ENDINGS)}")


def read_weights(model: Any, path: str | os.PathLike[str]) -> None:
    """Load a `.weights.h5` file into a model.

    Raises:
        CheckpointError: the file is missing, broken, or does not fit the model.
    """
    path = existing(path)
    largest = max((prod(variable.shape) for variable in model.variables), default=0)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what does not load raises
            _check_sizes(path, max(largest, 1_000_000))
            model.load_weights(path)
    except Exception as error:  # h5py and Keras raise OSError, ValueError, KeyError …
        raise CheckpointError(
            f"{path}: does not load into {model.name} ({first_sentence(error)}); "
            "is it this network, and has its head num_classes outputs?"
        ) from None


def _check_sizes(path: Path, largest: int) -> None:
    """Raise for an array of more values than `largest`: a few bytes may declare any size, and Keras reads it first."""
    import h5py

    def check(name: str, item: Any) -> None:
        if isinstance(item, h5py.Dataset) and item.size and item.size > largest:
            raise ValueError(f"{name} has {item.size:,} values")

    with h5py.File(path, "r") as file:
        file.visititems(check)


def weights_dtype(path: str | os.PathLike[str]) -> str:
    """Return the widest floating-point type in a `.weights.h5` file, "float32" or "float64".

    Raises:
        CheckpointError: the file is missing or broken.
    """
    import h5py

    path = existing(path)
    found = set()

    def note(_: str, item: Any) -> None:
        found.add(str(getattr(item, "dtype", "")))

    try:
        with h5py.File(path, "r") as file:
            file.visititems(note)
    except Exception as error:
        raise CheckpointError(f"{path}: truncated, or not a .weights.h5 file ({first_sentence(error)})") from None
    return "float64" if "float64" in found else "float32"


def write_model(model: Any, path: str | os.PathLike[str]) -> None:
    """Write a Keras model by the ending of the path: `.keras`, `.weights.h5`, or its state as a PyTorch checkpoint.

    Raises:
        BlitzError: unknown ending, or the file cannot be written.
    """
    kind = ending(path, (*TORCH_ENDINGS, *KERAS_ENDINGS))
    if kind == ".keras":
        with _write(path) as temporary, keras_internals.saved_in_little_memory(blocks.view):
            model.save(temporary)
    elif kind == ".weights.h5":
        with _write(path) as temporary, keras_internals.saved_in_little_memory(blocks.view):
            model.save_weights(temporary, overwrite=True)
    elif kind == ".safetensors":
        held = weights(model)
        entries = [Entry(weight.name, weight.shape, np.dtype(weight.dtype), blocks.rows(weight)) for weight in held]
        with _write(path) as temporary:
            safetensors_file.write(temporary, entries)
    else:
        write_state({weight.name: weight.value() for weight in weights(model)}, path)


@contextmanager
def _write(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Write through `atomic_path`; each format's writer has errors of its own for a full disk."""
    try:
        with atomic_path(path) as temporary:
            yield temporary
    except BlitzError:
        raise
    except Exception as error:
        raise CheckpointError(f"{path}: cannot be written ({first_sentence(error)})") from None
