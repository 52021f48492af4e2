"""Fixed inputs and weights: a seeded stream that gives the same bits on every machine and NumPy version.

`RandomState`'s uniform stream is frozen by NumPy's compatibility policy and needs no logarithm, so no maths library
can change a bit. All values are float32 values; a float64 run uses the same ones.
"""

from collections.abc import Iterator, Mapping
from math import prod, sqrt
from zlib import crc32

import numpy as np


def stream(*names: object) -> np.random.RandomState:
    """Return the stream of these names."""
    return np.random.RandomState(crc32(":".join(map(str, names)).encode()))


def uniform(shape: tuple[int, ...], bound: float, *names: object) -> np.ndarray:
    """Return float32 values uniform in [−bound, bound) from the stream of these names."""
    values = stream(*names).random_sample(shape)
    values *= 2  # in place: VGG's first dense kernel is 0.8 GB in float64
    values -= 1
    values *= bound
    return values.astype(np.float32)


def images(shape: tuple[int, ...], *names: object) -> np.ndarray:
    """Return synthetic images (N, C, H, W): uniform, mean 0, standard deviation 1."""
    return uniform(shape, sqrt(3), "images", *names)


def labels(count: int, classes: int, *names: object) -> np.ndarray:
    """Return class labels (N,) int64."""
    return stream("labels", *names).randint(0, classes, count).astype(np.int64)


def mask(shape: tuple[int, ...], p: float, *names: object) -> np.ndarray:
    """Return a dropout mask in float64: 0 with probability p, else 1/(1 − p); at p = 1 all zeros."""
    kept = stream("mask", *names).random_sample(shape) >= p
    return kept / (1 - p) if p < 1 else np.zeros(shape)


def moved(state: Mapping[str, np.ndarray], sample: int, reach: float = 4 * 2.0**-23) -> Mapping[str, np.ndarray]:
    """Return weights each moved by rounding, by at most this share of its value; sample 0 moves none.

    What a network gives from them is what an equally good arithmetic could have given from `state`. Each is computed
    when it is read: BERT's weights are 0.4 GB.

    Args:
        state: the weights.
        sample: the number of the run.
        reach: a power of 2; four units in the last place of float32, or `Precision.moves` of another precision.
    """
    return _Moved(state, sample, reach)


class _Moved(Mapping[str, np.ndarray]):
    def __init__(self, state: Mapping[str, np.ndarray], sample: int, reach: float):
        self._state, self._sample, self._reach = state, sample, reach

    def __getitem__(self, name: str) -> np.ndarray:
        value = self._state[name]
        return _move(value, self._sample, name, self._reach) if self._sample else value

    def __iter__(self) -> Iterator[str]:
        return iter(self._state)

    def __len__(self) -> int:
        return len(self._state)


def _move(value: np.ndarray, sample: int, name: str, reach: float) -> np.ndarray:
    if value.dtype.kind != "f":
        return value
    steps = stream("moved", sample, name).randint(-4, 5, value.shape, dtype=np.int8)
    return value * (1 + value.dtype.type(reach / 4) * steps)  # exact factors, rounded once


def weights(shapes: Mapping[str, tuple[int, ...]], *names: object, fan_out: bool = False) -> dict[str, np.ndarray]:
    """Return a state_dict scaled as PyTorch would initialize it, with BatchNorm statistics that are not 0 and 1.

    Weights and biases are uniform in ±1/√fan_in, as torch.nn's default is, or with `fan_out` convolutions have the
    variance 2/fan_out, as torchvision initializes ResNet and VGG. BatchNorm has weights and variances in 0.5–1.5,
    biases and means in ±0.5: fresh ones, all 0 and 1, would hide mistakes. Each tensor has its own stream, so that one
    more or one less changes no other.

    Args:
        shapes: PyTorch's names and shapes; weights are (out, in, …).
        names: whose weights they are.
        fan_out: scale convolutions by what they feed.
    """
    return {name: _weight(name, shapes, names, fan_out) for name in shapes}


def _weight(name: str, shapes: Mapping[str, tuple[int, ...]], names: tuple[object, ...], fan_out: bool) -> np.ndarray:
    module, _, leaf = name.rpartition(".")
    shape = shapes[name]
    if leaf == "num_batches_tracked":
        return np.array(len(module), np.int64)  # any number but 0
    if f"{module}.running_mean" in shapes:
        centre = 1 if leaf in ("weight", "running_var") else 0
        return (centre + uniform(shape, 0.5, *names, name)).astype(np.float32)
    if fan_out and len(shape) == 4:
        return uniform(shape, sqrt(6 / (shape[0] * prod(shape[2:]))), *names, name)
    of = shapes.get(f"{module}.weight", shape) if leaf == "bias" else shape
    return uniform(shape, 1 / sqrt(prod(of[1:]) or 1), *names, name)
