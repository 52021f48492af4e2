"""NumPy's archives (.npz) looked at before they are read: a small file may unpack to any size."""

import os
import zipfile
from math import prod
from typing import BinaryIO

import numpy as np
from numpy.lib import format as npy

__all__ = ["check_members", "half_of_memory"]

_READERS = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}


def check_members(file: BinaryIO, most: int | None = None) -> dict[str, tuple[tuple[int, ...], np.dtype]]:
    """Return the shape and type of each array, by name; only the headers are unpacked, and `file` is rewound.

    Args:
        file: of an archive.
        most: bytes that all arrays may take together; None: half of this machine's memory.

    Raises:
        ValueError: a member is not an array, has another size than its header says, or there is more than `most`.
        Exception: what a damaged archive raises.
    """
    most = half_of_memory() if most is None else most
    arrays = {}
    with zipfile.ZipFile(file) as archive:
        total = sum(member.file_size for member in archive.infolist())
        if total > most:
            raise ValueError(f"it unpacks to {total:,} bytes, more than the {most:,} that are allowed")
        for member in archive.infolist():
            arrays[member.filename.removesuffix(".npy")] = _header(archive, member)
    file.seek(0)
    return arrays


def _header(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> tuple[tuple[int, ...], np.dtype]:
    with archive.open(member) as opened:
        version = npy.read_magic(opened)
        if version not in _READERS:
            raise ValueError(f"{member.filename} is of version {version} of NumPy's format")
        shape, _, dtype = _READERS[version](opened)
        if opened.tell() + prod(shape) * dtype.itemsize != member.file_size:
            raise ValueError(f"{member.filename} has another size than its header says")
    return shape, dtype


def half_of_memory() -> int:
    """Return half of this machine's memory in bytes; 8 GB where the system does not say."""
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2
    except (AttributeError, ValueError, OSError):  # Windows has no sysconf
        return 8_000_000_000
