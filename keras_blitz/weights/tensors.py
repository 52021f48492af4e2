"""Tensors of a checkpoint, read when they are needed and some rows at a time.

A tensor of 400 MB that is read whole, transposed and handed to TensorFlow takes 1.2 GB beside the model; in blocks of
32 MB it takes a tenth of that.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np

from keras_blitz.errors import CheckpointError

BLOCK = 32 << 20  # bytes


@dataclass(frozen=True)
class Tensor:
    """A tensor in PyTorch's layout that has not been read.

    Args:
        shape: PyTorch's.
        dtype: NumPy's, of what is read; float32 where the file has bfloat16.
        read: (start, stop) -> the rows of its first axis; the whole where it has no axes.
    """

    shape: tuple[int, ...]
    dtype: np.dtype
    read: Callable[[int, int], np.ndarray]

    @property
    def ndim(self) -> int:
        """The number of axes."""
        return len(self.shape)

    def array(self) -> np.ndarray:
        """Read all of it."""
        return self.read(0, self._rows)

    def blocks(self) -> Iterator[tuple[int, np.ndarray]]:
        """Yield (start, rows) block by block, of at most `BLOCK` bytes where a row is not larger."""
        row = prod(self.shape[1:]) * self.dtype.itemsize
        step = max(1, BLOCK // max(1, row))
        for start in range(0, self._rows, step):
            yield start, self.read(start, min(start + step, self._rows))

    @property
    def _rows(self) -> int:
        return self.shape[0] if self.shape else 1


def tensor_of(name: str, value: Any) -> Tensor:
    """Return an array or PyTorch tensor as one that is converted when it is read.

    Args:
        name: for messages.
        value: what has a shape.

    Raises:
        CheckpointError: NumPy cannot hold it, or it says that it is larger than it is.
    """
    if isinstance(value, Tensor):
        return value
    shape = tuple(int(size) for size in value.shape)
    if _hollow(value):
        raise CheckpointError(f"{name} has shape {shape}, but the file has fewer values")

    def read(start: int, stop: int) -> np.ndarray:
        return rows_of(name, value, start, stop)

    return Tensor(shape, read(0, 0).dtype, read)


def rows_of(name: str, value: Any, start: int, stop: int) -> np.ndarray:
    """Return rows of an array or PyTorch tensor as a NumPy array of real numbers, bfloat16 as float32.

    Args:
        name: for messages.
        value: the whole.
        start: the first row; of what has no axes, all of it is returned.
        stop: the row after the last.

    Raises:
        CheckpointError: NumPy cannot hold it.
    """
    dtype = value.dtype
    try:
        value = value[start:stop] if len(value.shape) else value
        if hasattr(value, "detach"):
            if str(value.device) == "meta":
                raise TypeError("it has no values")
            value = value.detach().cpu()
            # NumPy has no bfloat16; float32 holds every bfloat16 exactly.
            value = value.float() if str(value.dtype) == "torch.bfloat16" else value
            value = value.numpy()
        array = np.asarray(value)
        array = array.astype(np.float32) if array.dtype.name == "bfloat16" else array  # as safetensors reads it
    except (TypeError, ValueError, RuntimeError, NotImplementedError):  # sparse, quantized, float8, on no device …
        raise CheckpointError(f"{name} is a {dtype} tensor that cannot be read as a plain array") from None
    if array.dtype.kind not in "fiub":
        raise CheckpointError(f"{name} has dtype {array.dtype}; weights must be real numbers")
    return array


def _hollow(value: Any) -> bool:
    """Whether a tensor is some bytes expanded (stride 0) to over 1 GB: reading it might take all the memory."""
    if getattr(value, "layout", None) is None or str(value.layout) != "torch.strided":
        return False
    size = value.numel() * value.element_size()
    return bool(size > max(1 << 30, value.untyped_storage().nbytes()))
