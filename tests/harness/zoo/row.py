"""What a model of the zoo is."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Row:
    """One model.

    Args:
        name: in the table.
        build: makes the PyTorch module, in a small configuration.
        inputs: arrays in PyTorch's layout, one for each argument of `forward`.
        settled: BatchNorm has statistics of these inputs. With random ones values may grow from block to block until
            PyTorch's own gradient through a softmax is rounding alone, 1e60 times too large.
        batch: axis 0 of each is the batch.
        train: prove train mode, too; None: where there is a BatchNorm or a dropout.
    """

    name: str
    build: Callable[[], Any]
    inputs: tuple[np.ndarray, ...]
    settled: bool = False
    batch: bool = True
    train: bool | None = None


def numbers(*shape: int, seed: int = 0) -> np.ndarray:
    """Return normal numbers."""
    return np.random.RandomState(seed).randn(*shape).astype("f")


def tokens(*shape: int, low: int = 3, high: int = 100, seed: int = 0) -> np.ndarray:
    """Return whole numbers; the first few, which often mean padding, are left out."""
    return np.random.RandomState(seed).randint(low, high, shape)
