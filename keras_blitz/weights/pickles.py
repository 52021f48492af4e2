"""PyTorch's pickled checkpoints: read without running anything that is in them, and not all at once."""

import pickle
import re
import warnings
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from keras_blitz.errors import CheckpointError, first_sentence
from keras_blitz.weights.state import Keys, inside
from keras_blitz.weights.tensors import Tensor, rows_of, tensor_of

# Bytes read before the file is mapped again: pages that were read stay in memory as long as it is.
KEPT = 64 << 20

# What scripts save beside the weights. An `Inert` object is made in the place of each; none of this is run.
BESIDE = (
    "argparse.Namespace", "types.SimpleNamespace", "numpy.dtype", "numpy._core.multiarray.scalar",
    "numpy.core.multiarray.scalar", "pathlib.PosixPath", "pathlib.WindowsPath", "pathlib._local.PosixPath",
    "pathlib._local.WindowsPath", "datetime.datetime", "datetime.timedelta", "_codecs.encode",
)  # fmt: skip


class Inert:
    """What stands in a checkpoint for an object that is not needed and is not made."""

    def __new__(cls, *arguments: Any) -> "Inert":
        """Take whatever the object would have been made of."""
        return super().__new__(cls)

    def __setstate__(self, state: Any) -> None:
        """Take whatever the object would have held."""


class Pickles:
    """Pickled files, of which one at a time is in memory: the shards of a checkpoint, or the one file that it is."""

    def __init__(self) -> None:
        self._path: Path | None = None
        self._loaded: Any = None
        self._read = 0

    def open(self, path: Path) -> Any:
        """Return what a file holds; its tensors are mapped, and read when they are used.

        Raises:
            CheckpointError: the file is broken, or refused.
        """
        check_sums(path)
        return self._open(path)

    def tensors(self, path: Path, keys: Keys) -> dict[str, Tensor]:
        """Return the tensors under these keys of a file, by name.

        Raises:
            CheckpointError: one is not a plain array of real numbers.
        """
        part = inside(self._open(path), keys)
        return {str(name): self._tensor(path, keys, name, value) for name, value in part.items() if _is_tensor(value)}

    def _open(self, path: Path) -> Any:
        if path != self._path:
            self._loaded = None  # before the next one is there
            self._loaded, self._path, self._read = load(path), path, 0
        return self._loaded

    def _tensor(self, path: Path, keys: Keys, name: Any, value: Any) -> Tensor:
        known = tensor_of(str(name), value)

        def read(start: int, stop: int) -> np.ndarray:
            array = np.array(rows_of(str(name), inside(self._open(path), keys)[name], start, stop))
            self._read += array.nbytes
            if self._read > KEPT and _can_be_mapped(path):
                self._path = self._loaded = None
            return array

        return Tensor(known.shape, known.dtype, read)


def load(path: Path) -> Any:
    """Return what a file holds, with `weights_only=True`: a pickle that would run code is refused.

    Raises:
        CheckpointError: the file is broken, or refused.
    """
    torch = import_torch(path)
    try:
        with warnings.catch_warnings(), torch.serialization.safe_globals([(Inert, name) for name in BESIDE]):
            warnings.simplefilter("ignore")  # of pickle protocols; what cannot be read raises
            return torch.load(path, map_location="cpu", weights_only=True, mmap=_can_be_mapped(path))
    except Exception as error:  # a broken archive raises RuntimeError, EOFError, UnpicklingError, KeyError …
        raise CheckpointError(f"{path}: {_problem(error)}") from None


def _is_tensor(value: Any) -> bool:
    return hasattr(value, "shape") and not isinstance(value, Mapping)


def _is_archive(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(4) == b"PK\x03\x04"


def _can_be_mapped(path: Path) -> bool:
    """Whether the tensors are in the file as they are in memory; somebody may have compressed the archive."""
    if not _is_archive(path):
        return False
    with zipfile.ZipFile(path) as archive:
        return all(entry.compress_type == zipfile.ZIP_STORED for entry in archive.infolist())


def check_sums(path: Path, kind: str = "PyTorch checkpoint") -> None:
    """Raise where an entry of a zip archive does not have the CRC-32 that it was written with.

    `torch.load` does not look at it: flipped bytes would be other weights. A `.pth` from before PyTorch 1.6 is not an
    archive and has no checksums, nor has one written after `torch.serialization.set_crc32_options(False)`: those are
    left as they are. NumPy checks its archives itself, and Keras does so on Python 3.11, but not on 3.13;
    `.safetensors` and `.h5` have no checksums.

    Args:
        path: of the file.
        kind: what it should be.

    Raises:
        CheckpointError: names the first damaged entry.
    """
    if not _is_archive(path):
        return
    try:
        with zipfile.ZipFile(path) as archive:
            damaged = archive.testzip() if any(entry.CRC for entry in archive.infolist()) else None
    except Exception as error:  # a broken archive raises BadZipFile, EOFError, zlib.error, NotImplementedError …
        raise CheckpointError(f"{path}: truncated, or not a {kind} ({first_sentence(error)})") from None
    if damaged is not None:
        raise CheckpointError(
            f"{path}: damaged: the CRC-32 checksum of its entry {damaged} does not match; copy or download it again"
        )


def _problem(error: Exception) -> str:
    code = re.search(r"GLOBAL (\S+)", str(error))
    if code:
        return (
            f"refused: loading it would run code or build objects ({code[1]}); "
            "save it with torch.save(model.state_dict(), path)"
        )
    if "TorchScript" in str(error):
        return "a TorchScript archive, not a state_dict; save torch.jit.load(path).state_dict() with torch.save"
    if isinstance(error, pickle.UnpicklingError):
        found = re.search(r"Unsupported \w+ \w+|invalid load key.*", str(error))
        return f"refused: not a file of plain tensors ({found[0] if found else first_sentence(error)})"
    return f"truncated, or not a PyTorch checkpoint ({first_sentence(error)})"


def import_torch(path: Path) -> Any:
    """Return PyTorch, for a file that cannot be read or written without.

    Raises:
        CheckpointError: it is not installed.
    """
    try:
        import torch
    except ImportError:
        raise CheckpointError(
            f"{path}: this kind of file needs PyTorch: pip install 'keras-blitz[torch]', or use .safetensors"
        ) from None
    return torch
