"""`.safetensors` files, read and written some rows at a time; the library's own readers and writers take all of it."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

import numpy as np

from keras_blitz.errors import CheckpointError
from keras_blitz.weights.tensors import Tensor

# The format's types that NumPy has; bfloat16 is ml_dtypes'.
DTYPES = {
    "F64": "float64", "F32": "float32", "F16": "float16", "BF16": "bfloat16", "I64": "int64", "I32": "int32",
    "I16": "int16", "I8": "int8", "U64": "uint64", "U32": "uint32", "U16": "uint16", "U8": "uint8", "BOOL": "bool",
}  # fmt: skip
_CODES = {name: code for code, name in DTYPES.items()}
_FLOAT8 = {"F8_E4M3": "float8_e4m3fn", "F8_E5M2": "float8_e5m2"}


@dataclass(frozen=True)
class Entry:
    """A tensor to write: its name, shape and type, and its rows in blocks."""

    name: str
    shape: tuple[int, ...]
    dtype: np.dtype
    blocks: Iterable[np.ndarray]


def read(path: Path) -> dict[str, Tensor]:
    """Return a file's tensors by name.

    Raises:
        CheckpointError: the file is broken, or holds a type that NumPy has not.
    """
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="np"):  # checks the whole header against the size of the file
            pass
        with path.open("rb") as file:
            size = int.from_bytes(file.read(8), "little")
            header = json.loads(file.read(size))
    except (SafetensorError, OSError, ValueError, KeyError, TypeError) as error:
        said = str(error).strip().splitlines()[0][:160] if str(error).strip() else type(error).__name__
        raise CheckpointError(f"{path}: truncated, or not a safetensors file ({said.rstrip(' .')})") from None
    header.pop("__metadata__", None)
    return {name: _tensor(path, name, entry, 8 + size) for name, entry in header.items()}


def _tensor(path: Path, name: str, entry: dict[str, Any], data: int) -> Tensor:
    import ml_dtypes  # noqa: F401 (NumPy's bfloat16)

    code = entry["dtype"]
    if code not in DTYPES:
        raise CheckpointError(f"{path}: has a dtype that NumPy does not have ({_FLOAT8.get(code, code)}, {name})")
    shape, dtype = tuple(entry["shape"]), np.dtype(DTYPES[code])
    row, begin = prod(shape[1:]), data + entry["data_offsets"][0]

    def rows(start: int, stop: int) -> np.ndarray:
        count = (stop - start) * row if shape else 1
        array = np.fromfile(path, dtype, count, offset=begin + start * row * dtype.itemsize)
        array = array.reshape(stop - start, *shape[1:]) if shape else array.reshape(())
        return array.astype(np.float32) if code == "BF16" else array

    return Tensor(shape, np.dtype(np.float32) if code == "BF16" else dtype, rows)


def write(path: Path, entries: Iterable[Entry]) -> None:
    """Write tensors, the widest types first, so that each begins at a multiple of its size.

    Raises:
        OSError: the disk is full, and so on.
        KeyError: a type that the format does not have.
    """
    ordered = sorted(entries, key=lambda entry: -entry.dtype.itemsize)
    header: dict[str, object] = {"__metadata__": {"format": "pt"}}
    end = 0
    for entry in ordered:
        begin, end = end, end + prod(entry.shape) * entry.dtype.itemsize
        code = _CODES[entry.dtype.name]
        header[entry.name] = {"dtype": code, "shape": list(entry.shape), "data_offsets": [begin, end]}
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with path.open("wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        for entry in ordered:
            for block in entry.blocks:
                file.write(np.ascontiguousarray(block).reshape(-1).view(np.uint8).data)  # bfloat16 is not a buffer
