"""How a Keras array lies against PyTorch's: declared, invertible transposes.

PyTorch keeps channels first (N, C, H, W; weights out, in, kh, kw), Keras channels last (N, H, W, C; kernels kh, kw,
in, out). A layer declares the layout of its weights in `PARAMETERS`; what `Flatten` does to the order of features is
followed through the model's graph, so that the first dense layer behind it knows how its input rows are ordered.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from math import prod

import numpy as np

from keras_blitz.errors import BlitzError


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
        """Return a Keras array in PyTorch's layout."""
        if self.permutation is None:
            return array
        if self.split is None:
            return np.ascontiguousarray(array.transpose(self.permutation))
        axis, sizes = self.split
        parts = array.reshape(*array.shape[:axis], *sizes, *array.shape[axis + 1 :]).transpose(self.permutation)
        first = self._first_split_axis()
        return np.ascontiguousarray(parts.reshape(*parts.shape[:first], -1, *parts.shape[first + len(sizes) :]))

    def to_keras(self, array: np.ndarray) -> np.ndarray:
        """Return a PyTorch array in Keras's layout."""
        if self.permutation is None:
            return array
        inverse = np.argsort(self.permutation)
        if self.split is None:
            return np.ascontiguousarray(array.transpose(inverse))
        axis, sizes = self.split
        first = self._first_split_axis()
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
        first = self._first_split_axis()
        return (*parts[:first], prod(sizes), *parts[first + len(sizes) :])

    def _first_split_axis(self) -> int:
        axis, sizes = self.split
        return min(self.permutation.index(axis + i) for i in range(len(sizes)))


SAME = Layout()

# Activations and inputs by rank, batch axis included: channels last against channels first.
BY_RANK = {3: Layout((0, 2, 1)), 4: Layout((0, 3, 1, 2)), 5: Layout((0, 4, 1, 2, 3))}

# Layer class -> {Keras variable: (PyTorch name, layout)}. A subclass inherits its parent's row.
# A transposed convolution's kernel is (kh, kw, out, in) here and (in, out, kh, kw) there: the same transpose.
_CONVOLUTION = {
    rank: {"kernel": ("weight", Layout((rank + 1, rank, *range(rank)))), "bias": ("bias", SAME)} for rank in (1, 2, 3)
}
_NORM = {"gamma": ("weight", SAME), "beta": ("bias", SAME)}
_BATCH_NORM = _NORM | {
    "moving_mean": ("running_mean", SAME),
    "moving_variance": ("running_var", SAME),
    "num_batches_tracked": ("num_batches_tracked", SAME),
}
PARAMETERS = {
    "Conv1D": _CONVOLUTION[1],
    "Conv2D": _CONVOLUTION[2],
    "Conv2d": _CONVOLUTION[2],
    "Conv3D": _CONVOLUTION[3],
    "Conv1DTranspose": _CONVOLUTION[1],
    "Conv2DTranspose": _CONVOLUTION[2],
    "Conv3DTranspose": _CONVOLUTION[3],
    "Dense": {"kernel": ("weight", Layout((1, 0))), "bias": ("bias", SAME)},
    "Embedding": {"embeddings": ("weight", SAME)},
    "BatchNorm": _BATCH_NORM,
    "BatchNormalization": _BATCH_NORM,
    "LayerNormalization": _NORM,
    "GroupNormalization": _NORM,
    "RMSNormalization": {"scale": ("weight", SAME)},
}

# What PyTorch registers as buffers; all else are parameters, frozen or not.
BUFFERS = {"running_mean", "running_var", "num_batches_tracked"}

# Layers and operations that work on each feature by itself, and so keep the order a Flatten gave them.
FEATURE_WISE = {
    "Activation", "BatchNorm", "BatchNormalization", "Dropout", "ELU", "Elu", "Gelu", "Identity", "LeakyRelu",
    "LeakyReLU", "ReLU", "Relu", "Sigmoid", "Silu", "Softplus", "Tanh",
}  # fmt: skip


def flattened(sizes: tuple[int, ...]) -> Layout:
    """Return the layout of an activation (N, H·W·C) flattened from `sizes` (H, W, C)."""
    last = len(sizes)
    return Layout((0, last, *range(1, last)), (1, tuple(sizes)))


def parameters(layer) -> dict[str, tuple[str, Layout]]:
    """Return the declared row of `PARAMETERS` for a layer.

    Raises:
        BlitzError: the layer has weights and no class of its ancestry is in the table.
    """
    for ancestor in type(layer).__mro__:
        if ancestor.__name__ in PARAMETERS:
            return PARAMETERS[ancestor.__name__]
    if layer.weights:
        raise BlitzError(f"layer {layer.name!r}: no weight layout is declared for {type(layer).__name__}")
    return {}


def dense_kernel(sizes: tuple[int, ...]) -> Layout:
    """Return the layout of a kernel (H·W·C, out) whose input was flattened from `sizes` (H, W, C)."""
    last = len(sizes)
    return Layout((last, last - 1, *range(last - 1)), (0, tuple(sizes)))


def feature_vector(sizes: tuple[int, ...]) -> Layout:
    """Return the layout of a weight (H·W·C,) that has a value for each feature flattened from `sizes` (H, W, C)."""
    last = len(sizes) - 1
    return Layout((last, *range(last)), (0, tuple(sizes)))


def behind_flatten(layer, variable: str, sizes: tuple[int, ...]) -> Layout:
    """Return the layout of a layer's weight whose input was flattened from `sizes` (H, W, C).

    Raises:
        BlitzError: it is not declared what the layer does with the order of features.
    """
    kind = type(layer).__name__
    if any(ancestor.__name__ == "Dense" for ancestor in type(layer).__mro__):
        return dense_kernel(sizes) if variable == "kernel" else SAME
    if kind in FEATURE_WISE:
        return SAME if variable == "num_batches_tracked" else feature_vector(sizes)
    raise BlitzError(f"layer {layer.name!r}: no weight layout is declared for {kind} behind a Flatten")


@dataclass(frozen=True)
class Flow:
    """The layouts along a model's graph.

    Args:
        outputs: (layer name, number of the call from 0) -> layout of what that call returns.
        flattened_inputs: layer name -> (H, W, C), for each layer whose input a Flatten made.
    """

    outputs: dict[tuple[str, int], Layout]
    flattened_inputs: dict[str, tuple[int, ...]]


def flow(model) -> Flow:
    """Follow the layout of every tensor from the model's inputs to its outputs.

    A `Flatten` (or a `Reshape` to one axis) of a channels-last tensor reorders the features; what works on each feature
    by itself keeps the order (`FEATURE_WISE`); everything else starts afresh by its rank. A subclassed model has no
    graph to follow: it declares `flattened_inputs = {"fc1": (H, W, C)}` where it needs to.
    """
    outputs, flattened_inputs, layouts, calls = {}, dict(getattr(model, "flattened_inputs", {})), {}, {}
    for operation, sources, results in _calls(model):
        incoming = layouts.get(id(sources[0]), SAME) if sources else SAME
        if incoming.split:
            flattened_inputs[operation.name] = incoming.split[1]
        number = calls.get(operation.name, 0)
        calls[operation.name] = number + 1
        for result in results:
            layouts[id(result)] = _passed_on(operation, sources, result, incoming)
        outputs[operation.name, number] = layouts[id(results[0])]
    return Flow(outputs, flattened_inputs)


def _calls(model) -> Iterator[tuple]:
    """Yield (operation, input tensors, output tensors) of a functional model in the order it runs them."""
    by_depth = getattr(model, "_nodes_by_depth", {})
    for depth in sorted(by_depth, reverse=True):
        for node in by_depth[depth]:
            yield node.operation, node.input_tensors, node.outputs


def _passed_on(operation, sources, result, incoming: Layout) -> Layout:
    kind = type(operation).__name__
    if kind in ("Flatten", "Reshape") and len(sources[0].shape) > len(result.shape) == 2:
        return flattened(tuple(sources[0].shape[1:]))
    if incoming.split and kind in FEATURE_WISE:
        return incoming
    return by_rank(len(result.shape))


def by_rank(rank: int) -> Layout:
    """Return the layout of an activation or input of this rank, batch axis included."""
    return BY_RANK.get(rank, SAME)
