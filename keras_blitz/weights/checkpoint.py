"""Checkpoint files: PyTorch's (.safetensors, .pth, .pt) and Keras's (.keras, .weights.h5)."""

import os
import pickle
import re
import textwrap
import warnings
import zipfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from math import prod
from pathlib import Path
from typing import Any

import numpy as np

from keras_blitz.errors import BlitzError, CheckpointError
from keras_blitz.files import atomic_path
from keras_blitz.weights.mapping import arrays_of, load_state_dict, state_dict

TORCH_ENDINGS = (".safetensors", ".pth", ".pt")
KERAS_ENDINGS = (".keras", ".weights.h5")


def ending(path: str | os.PathLike[str]) -> str:
    """Return which of the known endings the path has.

    Raises:
        CheckpointError: none of them.
    """
    known = (*TORCH_ENDINGS, *KERAS_ENDINGS)
    for candidate in known:
        if str(path).endswith(candidate):
            return candidate
    raise CheckpointError(f"{path}: unknown kind of file; the name must end in one of {', '.join(known)}")


def existing(path: str | os.PathLike[str]) -> Path:
    """Return the path of a file that can be read.

    Raises:
        CheckpointError: the path does not exist, is a folder, or may not be read.
    """
    path = Path(path)
    if not path.exists():
        raise CheckpointError(f"{path}: no such file")
    if path.is_dir():
        raise CheckpointError(f"{path}: is a folder, not a file")
    if not os.access(path, os.R_OK):
        raise CheckpointError(f"{path}: cannot be read (permission denied)")
    return path


def read_state(path: str | os.PathLike[str]) -> dict[str, np.ndarray]:
    """Read the tensors of a PyTorch checkpoint.

    A `.pth` or `.pt` is read with `weights_only=True`: a pickle that would run code is refused.

    Args:
        path: a `.safetensors`, `.pth` or `.pt` file.

    Raises:
        CheckpointError: the file is missing, truncated, damaged, of another kind, refused, or holds no tensors.
    """
    path = existing(path)
    kind = ending(path)
    if kind in KERAS_ENDINGS:
        raise CheckpointError(f"{path}: a Keras file, not a PyTorch checkpoint ({', '.join(TORCH_ENDINGS)})")
    loaded = _read_safetensors(path) if kind == ".safetensors" else _read_pickle(path)
    try:
        return arrays_of(loaded)
    except CheckpointError as error:
        raise CheckpointError(f"{path}: {error}") from None
    except RecursionError:
        raise CheckpointError(f"{path}: its dictionaries are too deep, or hold each other") from None


def load_checkpoint(
    model: Any, path: str | os.PathLike[str], *, prefix: str | None = None, skip: Iterable[str] = ()
) -> None:
    """Read a PyTorch checkpoint into a Keras model; arguments as for `load_state_dict`.

    Raises:
        CheckpointError: the file cannot be read, or does not fit; nothing is changed then.
    """
    state = read_state(path)
    try:
        load_state_dict(model, state, prefix=prefix, skip=skip)
    except CheckpointError as error:
        raise CheckpointError(f"{path}: {error}") from None


def write_state(state: dict[str, np.ndarray], path: str | os.PathLike[str]) -> None:
    """Write tensors as a PyTorch checkpoint, `.safetensors`, `.pth` or `.pt`; whole or not at all.

    Raises:
        CheckpointError: another ending, or a `.pth` without PyTorch installed.
        BlitzError: the file cannot be written.
    """
    kind = ending(path)
    if kind == ".safetensors":
        from safetensors.numpy import save_file

        with _written(path) as temporary:
            save_file(state, temporary, metadata={"format": "pt"})
    elif kind in TORCH_ENDINGS:
        torch = _torch(path)
        with _written(path) as temporary:
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
    kind = ending(path)
    if kind == ".keras":
        with _written(path) as temporary:
            model.save(temporary)
    elif kind == ".weights.h5":
        with _written(path) as temporary:
            model.save_weights(temporary, overwrite=True)
    else:
        write_state(state_dict(model), path)


@contextmanager
def _written(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Write through `atomic_path`; each format's writer has errors of its own for a full disk."""
    try:
        with atomic_path(path) as temporary:
            yield temporary
    except BlitzError:
        raise
    except Exception as error:
        raise CheckpointError(f"{path}: cannot be written ({first_sentence(error)})") from None


def _read_safetensors(path: Path) -> dict[str, np.ndarray]:
    import ml_dtypes  # noqa: F401 (NumPy's bfloat16)
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    try:
        return load_file(path)
    except AttributeError as error:  # NumPy's, by the name of the type it lacks
        raise CheckpointError(f"{path}: holds a type that NumPy has not ({first_sentence(error)})") from None
    except (SafetensorError, OSError, ValueError, KeyError, TypeError) as error:
        raise CheckpointError(f"{path}: truncated, or not a safetensors file ({first_sentence(error)})") from None


def _check_sums(path: Path) -> None:
    """Raise where an entry of a zip archive does not have the CRC-32 that it was written with.

    `torch.load` does not look at it: flipped bytes would be other weights. A `.pth` from before PyTorch 1.6 is not an
    archive and has no checksums, nor has one written after `torch.serialization.set_crc32_options(False)`: those are
    left as they are. Keras and NumPy check their archives themselves; `.safetensors` and `.h5` have no checksums.

    Raises:
        CheckpointError: names the first damaged entry.
    """
    with path.open("rb") as file:
        if file.read(4) != b"PK\x03\x04":
            return
    try:
        with zipfile.ZipFile(path) as archive:
            damaged = archive.testzip() if any(entry.CRC for entry in archive.infolist()) else None
    except Exception as error:  # a broken archive raises BadZipFile, EOFError, zlib.error, NotImplementedError …
        raise CheckpointError(f"{path}: truncated, or not a PyTorch checkpoint ({first_sentence(error)})") from None
    if damaged is not None:
        raise CheckpointError(
            f"{path}: damaged: the CRC-32 checksum of its entry {damaged} does not match; copy or download it again"
        )


def _read_pickle(path: Path) -> Any:
    torch = _torch(path)
    _check_sums(path)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of pickle protocols; what cannot be read raises
            return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # a broken archive raises RuntimeError, EOFError, UnpicklingError, KeyError …
        raise CheckpointError(f"{path}: {_pickle_problem(error)}") from None


def _pickle_problem(error: Exception) -> str:
    code = re.search(r"GLOBAL (\S+)", str(error))
    if code:
        return (
            f"refused: loading it would run code or build objects ({code[1]}); "
            "save it with torch.save(model.state_dict(), path)"
        )
    if isinstance(error, pickle.UnpicklingError):
        found = re.search(r"Unsupported \w+ \w+|invalid load key.*", str(error))
        return f"refused: not a file of plain tensors ({found[0] if found else first_sentence(error)})"
    return f"truncated, or not a PyTorch checkpoint ({first_sentence(error)})"


def _torch(path: str | os.PathLike[str]) -> Any:
    try:
        import torch
    except ImportError:
        raise CheckpointError(
            f"{path}: this kind of file needs PyTorch: pip install 'keras-blitz[torch]', or use .safetensors"
        ) from None
    return torch


def first_sentence(error: BaseException) -> str:
    """Return the first sentence of an error's message, shortened; its class where it has none."""
    lines = str(error).strip().splitlines()
    if not lines:
        return type(error).__name__
    return textwrap.shorten(lines[0].split(". ")[0], 160, placeholder=" …").rstrip(" .")
