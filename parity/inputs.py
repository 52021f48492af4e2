"""Fixed inputs and weights: a seeded stream that gives the same bits on every machine and NumPy version.

`RandomState`'s uniform stream is frozen by NumPy's compatibility policy and needs no logarithm, so no maths library
can change a bit. All values are float32 values; a float64 run uses the same ones.
"""

from collections.abc import Mapping
from math import prod, sqrt
from zlib import crc32

import numpy as np


def stream(*names: object) -> np.random.RandomState:
    """Return the stream of these names."""
    return np.random.RandomState(crc32(":".join(map(str, names)).encode()))


def uniform(shape: tuple[int, ...], bound: float, *names: object) -> np.ndarray:
    """Return float32 values uniform in [−bound, bound) from the stream of these names."""
    return ((2 * stream(*names).random_sample(shape) - 1) * bound).astype(np.float32)


def images(shape: tuple[int, ...], *names: object) -> np.ndarray:
    """Return synthetic images (N, C, H, W): uniform, mean 0, standard deviation 1."""
    return uniform(shape, sqrt(3), "images", *names)


def labels(count: int, classes: int, *names: object) -> np.ndarray:
    """Return class labels (N,) int64."""
    return stream("labels", *names).randint(0, classes, count).astype(np.int64)


def weights(shapes: Mapping[str, tuple[int, ...]], *names: object) -> dict[str, np.ndarray]:
    """Return parameters as PyTorch would initialise them: uniform in ±1/√fan_in, biases too.

    Each tensor has its own stream, so that one more or one less changes no other.

    Args:
        shapes: PyTorch's names and shapes; weights are (out, in, …).
        names: whose weights they are.
    """
    return {name: uniform(shape, _bound(name, shapes), *names, name) for name, shape in shapes.items()}


def _bound(name: str, shapes: Mapping[str, tuple[int, ...]]) -> float:
    module, _, leaf = name.rpartition(".")
    shape = shapes.get(f"{module}.weight", shapes[name]) if leaf == "bias" else shapes[name]
    return 1 / sqrt(prod(shape[1:]) or 1)
