"""The layout of a Keras array relative to PyTorch's: declared, invertible transposes.

PyTorch keeps channels first (N, C, H, W; weights out, in, kh, kw), Keras channels last (N, H, W, C; kernels kh, kw,
in, out). The layouts of each kind of layer are in `kinds.py`; `flow.py` follows what a `Flatten` does to the order of
features through a model's graph, so that the first dense layer after it knows the order of its input rows.
"""

from dataclasses import dataclass
from math import prod

import numpy as np


@dataclass(frozen=True)
class Layout:
    """torch = merge(transpose(split(keras))), and back.

    Args:
        permutation: PyTorch's axis i is the (split) Keras axis `permutation[i]`; None keeps the order.
        split: (axis, sizes): the Keras axis that a Flatten made, and the sizes (H, W, C) it made it from. In
            PyTorch's array it is one axis again, flattened as (C, H, W).
    """

    permutation: tuple[int, ...] | None = None
    split: tuple[int, tuple[int, ...]] | None = None

    def to_torch(self, array: np.ndarray) -> np.ndarray:
        """Return a Keras array in PyTorch's layout; where axes are only permuted, it is in the same memory."""
        if self.permutation is None:
            return array
        if self.split is None:
            return array.transpose(self.permutation)
        axis, sizes = self.split
        parts = array.reshape(*array.shape[:axis], *sizes, *array.shape[axis + 1 :]).transpose(self.permutation)
        first = _first_split_axis(self.permutation, axis, len(sizes))
        return np.ascontiguousarray(parts.reshape(*parts.shape[:first], -1, *parts.shape[first + len(sizes) :]))

    def to_keras(self, array: np.ndarray) -> np.ndarray:
        """Return a PyTorch array in Keras's layout."""
        if self.permutation is None:
            return array
        inverse = np.argsort(self.permutation)
        if self.split is None:
            return np.ascontiguousarray(array.transpose(inverse))
        axis, sizes = self.split
        first = _first_split_axis(self.permutation, axis, len(sizes))
        torch_sizes = [sizes[p - axis] for p in self.permutation[first : first + len(sizes)]]
        parts = array.reshape(*array.shape[:first], *torch_sizes, *array.shape[first + 1 :]).transpose(inverse)
        return np.ascontiguousarray(parts.reshape(*parts.shape[:axis], -1, *parts.shape[axis + len(sizes) :]))

    def torch_shape(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """Return the PyTorch shape of a Keras array of this shape."""
        if self.permutation is None:
            return tuple(shape)
        if self.split is None:
            return tuple(shape[p] for p in self.permutation)
        axis, sizes = self.split
        parts = [*shape[:axis], *sizes, *shape[axis + 1 :]]
        parts = [parts[p] for p in self.permutation]
        first = _first_split_axis(self.permutation, axis, len(sizes))
        return (*parts[:first], prod(sizes), *parts[first + len(sizes) :])


def _first_split_axis(permutation: tuple[int, ...], axis: int, count: int) -> int:
    """Return PyTorch's first axis of the `count` that Keras's `axis` is split into."""
    return min(permutation.index(axis + i) for i in range(count))


SAME = Layout()


def channels_last(rank: int, at: int = 1) -> Layout:
    """Return the layout of an activation whose channels are last, and PyTorch's on this axis.

    Args:
        rank: number of axes, batch axis included.
        at: PyTorch's axis of channels.
    """
    order = (*range(at), rank - 1, *range(at, rank - 1))
    return SAME if order == tuple(range(rank)) else Layout(order)


# Activations and inputs by rank, batch axis included: channels last against channels first.
BY_RANK = {rank: channels_last(rank) for rank in (3, 4, 5)}


def flattened(sizes: tuple[int, ...], axis: int = 1) -> Layout:
    """Return the layout of an activation (N, H·W·C) flattened from `sizes` (H, W, C).

    Args:
        sizes: (H, W, C).
        axis: the axis of the features, 2 in a sequence (N, T, H·W·C).
    """
    last = axis + len(sizes) - 1
    return Layout((*range(axis), last, *range(axis, last)), (axis, tuple(sizes)))


def dense_kernel(sizes: tuple[int, ...]) -> Layout:
    """Return the layout of a kernel (H·W·C, out) whose input was flattened from `sizes` (H, W, C)."""
    last = len(sizes)
    return Layout((last, last - 1, *range(last - 1)), (0, tuple(sizes)))


def feature_vector(sizes: tuple[int, ...]) -> Layout:
    """Return the layout of a weight (H·W·C,) that has a value for each feature flattened from `sizes` (H, W, C)."""
    last = len(sizes) - 1
    return Layout((last, *range(last)), (0, tuple(sizes)))


def by_rank(rank: int) -> Layout:
    """Return the layout of an activation or input of this rank, batch axis included."""
    return BY_RANK.get(rank, SAME)
