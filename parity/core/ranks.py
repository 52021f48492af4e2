"""Arrays that hold the same values in the same order, with their leading axes merged or apart."""

from math import prod

import numpy as np


def regrouped(array: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Return an array (2, 4, 5, 6) as (8, 5, 6), or back; itself where more than its leading axes differ.

    Patches, heads or time steps are an axis of their own in one framework, and part of the batch in the other.

    Args:
        array: any.
        shape: as which it is compared.
    """
    alike = 0
    while alike < min(array.ndim, len(shape)) and array.shape[-1 - alike] == shape[-1 - alike]:
        alike += 1
    leading = prod(shape[: len(shape) - alike]) == prod(array.shape[: array.ndim - alike])
    return array.reshape(shape) if alike and array.ndim != len(shape) and leading else array


def aligned(array: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Return an array (2, 6) as (2, 6, 1, 1), or back; itself where more than axes of 1 differ.

    A global pooling keeps the axes of the image in one framework, and drops them in the other.

    Args:
        array: any, in PyTorch's layout.
        shape: as which it is compared.
    """
    sizes = [[size for size in each if size != 1] for each in (array.shape, shape)]
    return array.reshape(shape) if sizes[0] == sizes[1] else array
