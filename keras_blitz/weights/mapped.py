"""One of PyTorch's tensors as the Keras variables that hold it, also where that is not one variable for one tensor.

PyTorch's recurrent layers add two biases, Keras's LSTM and SimpleRNN have one. Going to Keras it is the sum of the two;
coming back, PyTorch's bias_ih is all of it and bias_hh is zero.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from keras_blitz.weights.kinds import BUFFERS
from keras_blitz.weights.layout import SAME, Layout


def copied(variable: Any) -> np.ndarray:
    """Return a copy of what a Keras variable holds."""
    return np.asarray(variable.numpy())


@dataclass(frozen=True)
class Mapped:
    """One PyTorch tensor and the Keras variables that hold it: a `parity.record.weight.Weight`.

    Args:
        name: PyTorch's name.
        shape: PyTorch's shape.
        variables: Keras's.
        trainable: a parameter; otherwise a buffer.
        join: arrays in the variables' layouts -> PyTorch's array.
        part: PyTorch's array -> one array for each variable.
        twin: the second of two biases that Keras has as one, their sum: zero, with the same gradient.
        layout: of the variable, where there is one whose axes are only permuted.
        read: as `join`, of the variables' values, where these are not what PyTorch has, such as 1 + w.
    """

    name: str
    shape: tuple[int, ...]
    variables: tuple[Any, ...]
    trainable: bool
    join: Callable[[list[np.ndarray]], np.ndarray]
    part: Callable[[np.ndarray], list[np.ndarray]]
    twin: bool = False
    layout: Layout | None = None
    read: Callable[[list[np.ndarray]], np.ndarray] | None = None

    @property
    def variable(self) -> Any:
        """The variable that holds it, the first where there are several."""
        return self.variables[0]

    @property
    def dtype(self) -> str:
        """The type of its values, "float32"."""
        return str(self.variables[0].dtype)

    def below(self, path: str) -> "Mapped":
        """Return the weight with its name below a module's path."""
        return replace(self, name=f"{path}.{self.name}" if path else self.name)

    def joined(self, arrays: list[np.ndarray]) -> np.ndarray:
        """Return arrays in the layouts of `variables`, such as their gradients or slots, as PyTorch's tensor."""
        return self.join(arrays)

    def value(self, read: Callable[[Any], np.ndarray] = copied) -> np.ndarray:
        """Return the value in PyTorch's layout.

        Args:
            read: a variable -> what it holds.
        """
        value = (self.read or self.join)([read(variable) for variable in self.variables])
        return np.zeros_like(value) if self.twin else value

    def assign(self, array: np.ndarray) -> None:
        """Take a value in PyTorch's layout, rounded to the variables' type."""
        if not self.twin:
            for variable, value in zip(self.variables, self.part(array), strict=True):
                variable.assign(value.astype(variable.dtype))


def summed_biases(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Return the sum of two biases; one is kept as it is where the other is zero, even a negative zero."""
    return np.where(other == 0, one, one + other)


def plain(name: str, variable: Any, layout: Layout = SAME) -> Mapped:
    """Return the weight that one variable holds in this layout."""
    return Mapped(
        name, layout.torch_shape(tuple(variable.shape)), (variable,), name not in BUFFERS,
        lambda arrays: layout.to_torch(arrays[0]), lambda array: [layout.to_keras(array)],
        layout=layout,
    )  # fmt: skip


def _reshape(name: str, variable: Any, shape: tuple[int, ...]) -> Mapped:
    return Mapped(
        name, shape, (variable,), True,
        lambda arrays: arrays[0].reshape(shape), lambda array: [array.reshape(tuple(variable.shape))],
    )  # fmt: skip


def shifted(weight: Mapped, by: float) -> Mapped:
    """Return a weight of which the variable holds w + by, such as the 1 + w of a norm; gradients are the same."""

    def part(array: np.ndarray) -> list[np.ndarray]:
        return weight.part(np.asarray(array, np.float64) + by)  # rounded once, to the variable's type

    return replace(weight, part=part, read=lambda arrays: weight.join(arrays) - by, layout=None)


def prelu(variable: Any) -> Mapped:
    """Return PReLU's slopes: (C,) in PyTorch, (…, C) in Keras, of ones but for the axes that do not share a slope."""
    slopes = tuple(variable.shape)
    if all(size == 1 for size in slopes[:-1]):
        return _reshape("weight", variable, slopes[-1:])
    return _reshape("weight", variable, (*slopes[-1:], *slopes[:-1]))


def depthwise(variable: Any) -> Mapped:
    """Return a depthwise kernel: (C·m, 1, …) in PyTorch, (…, C, m) in Keras."""
    *sizes, channels, multiplier = variable.shape
    rank = len(sizes)
    order = (rank, rank + 1, *range(rank))

    def join(arrays: list[np.ndarray]) -> np.ndarray:
        return arrays[0].transpose(order).reshape(channels * multiplier, 1, *sizes)

    def part(array: np.ndarray) -> list[np.ndarray]:
        return [array.reshape(channels, multiplier, *sizes).transpose(np.argsort(order))]

    return Mapped("weight", (channels * multiplier, 1, *sizes), (variable,), True, join, part)


def separable(layer: Any, point: Layout) -> list[Mapped]:
    """Return a separable convolution as PyTorch's two, under the names `depthwise` and `pointwise`.

    Args:
        layer: Keras's.
        point: the layout of the pointwise kernel.
    """
    by_name = {variable.name: variable for variable in layer.weights}
    depth = depthwise(by_name["depthwise_kernel"])
    weights = [plain("weight", by_name["pointwise_kernel"], point)]
    weights += [plain("bias", by_name["bias"])] if "bias" in by_name else []
    return [depth.below("depthwise"), *(weight.below("pointwise") for weight in weights)]


def recurrent(order: Sequence[int], layer: Any, suffix: str = "") -> list[Mapped]:
    """Return a recurrent layer's weights, its gates in PyTorch's order; named as of layer 0 of a stack.

    Args:
        order: the position in PyTorch of each of Keras's gates; the permutation is its own inverse.
        layer: Keras's.
        suffix: of each name, "_reverse" for the backward layer of a bidirectional one.
    """
    by_name = {variable.name: variable for variable in layer.weights}

    def gates(array: np.ndarray) -> np.ndarray:  # (…, gates·units)
        parts = array.reshape(*array.shape[:-1], len(order), layer.units)[..., list(order), :]
        return parts.reshape(array.shape)

    def matrix(name: str, variable: Any) -> Mapped:
        return Mapped(
            name, tuple(reversed(variable.shape)), (variable,), True,
            lambda arrays: np.ascontiguousarray(gates(arrays[0]).T), lambda array: [gates(array.T)],
        )  # fmt: skip

    def vector(name: str, variable: Any, twin: bool) -> Mapped:
        shape = tuple(variable.shape)
        return Mapped(name, shape, (variable,), True, lambda a: gates(a[0]), lambda a: [gates(a)], twin)

    weights = [
        matrix(f"weight_ih{suffix}", by_name["kernel"]),
        matrix(f"weight_hh{suffix}", by_name["recurrent_kernel"]),
    ]
    names = (f"bias_ih{suffix}", f"bias_hh{suffix}")
    bias = by_name.get("bias")
    if bias is None:
        return weights
    if len(bias.shape) == 2:  # a GRU's two, reset_after
        return [*weights, *_rows(bias, names, gates)]
    return [*weights, *(vector(name, bias, twin=name != names[0]) for name in names)]


def bidirectional(order: Sequence[int], forward: Any, backward: Any) -> list[Mapped]:
    """Return the weights of two recurrent layers, one in each direction."""
    return [*recurrent(order, forward), *recurrent(order, backward, "_reverse")]


def _rows(variable: Any, names: Sequence[str], change: Callable[[np.ndarray], np.ndarray]) -> list[Mapped]:
    """Return the rows of one variable as weights of their own."""

    def row(number: int, name: str) -> Mapped:
        def part(array: np.ndarray) -> list[np.ndarray]:
            whole = np.array(variable.numpy())
            whole[number] = change(array)
            return [whole]

        return Mapped(name, tuple(variable.shape[1:]), (variable,), True, lambda a: change(a[0][number]), part)

    return [row(number, name) for number, name in enumerate(names)]


def attention(layer: Any) -> list[Mapped]:
    """Return in_proj and out_proj of Keras's query, key, value and output projections.

    PyTorch has in_proj_weight in three, q_proj_weight …, where keys or values are not as wide as queries.
    """
    by_path = {"/".join(variable.path.split("/")[-2:]): variable for variable in layer.weights}
    kernels = [by_path[f"{which}/kernel"] for which in ("query", "key", "value")]
    biases = [by_path[f"{which}/bias"] for which in ("query", "key", "value") if f"{which}/bias" in by_path]
    output = by_path["attention_output/kernel"]  # (heads, dim, E)
    widths, size = [int(np.prod(kernel.shape[1:])) for kernel in kernels], int(kernels[0].shape[0])
    if all(kernel.shape[0] == size for kernel in kernels):
        weights = [_stack("in_proj_weight", (sum(widths), size), kernels, widths)]
    else:
        weights = [
            _projection(f"{letter}_proj_weight", kernel, width)
            for letter, kernel, width in zip("qkv", kernels, widths, strict=True)
        ]
    if biases:
        weights.append(_stack("in_proj_bias", (sum(widths),), biases, widths))
    width = widths[-1]
    weights.append(
        Mapped(
            "out_proj.weight", (int(output.shape[-1]), width), (output,), True,
            lambda arrays: arrays[0].reshape(width, -1).T, lambda array: [array.T.reshape(tuple(output.shape))],
        )
    )  # fmt: skip
    if "attention_output/bias" in by_path:
        weights.append(plain("out_proj.bias", by_path["attention_output/bias"]))
    return weights


def einsum(layer: Any) -> list[Mapped]:
    """Return the weight and bias of an EinsumDense as a Linear has them, none if it is not such a map.

    The axes that it sums over are PyTorch's inputs, in the order of the layer's input; those that it makes are the
    outputs, in the order of what it returns: "abc,cde->abde" has the kernel (c, d·e), and (d·e, c) in PyTorch.
    """
    given, kernel, result = layer.equation.replace("->", ",").replace(" ", "").split(",")
    inner, outer = [a for a in given if a in kernel], [a for a in result if a in kernel]
    variables = {variable.name: variable for variable in layer.weights}
    if set(inner) & set(outer) or len(inner) + len(outer) != len(kernel) or "kernel" not in variables:
        return []
    order = [kernel.index(axis) for axis in (*outer, *inner)]
    sizes = [int(variables["kernel"].shape[axis]) for axis in order]
    shape = (int(np.prod(sizes[: len(outer)])), int(np.prod(sizes[len(outer) :])))
    weights = [
        Mapped(
            "weight", shape, (variables["kernel"],), True,
            lambda arrays: arrays[0].transpose(order).reshape(shape),
            lambda array: [array.reshape(sizes).transpose(np.argsort(order))],
        )
    ]  # fmt: skip
    if "bias" in variables:
        if int(np.prod(variables["bias"].shape)) != shape[0]:
            return []
        weights.append(_reshape("bias", variables["bias"], shape[:1]))
    return weights


def stack(name: str, weights: Sequence[Mapped]) -> Mapped:
    """Return several tensors of PyTorch's as the one that has them one below the other."""
    ends = np.cumsum([weight.shape[0] for weight in weights])
    counts = np.cumsum([len(weight.variables) for weight in weights])

    def join(arrays: list[np.ndarray]) -> np.ndarray:
        starts = [0, *counts]
        return np.concatenate([w.join(arrays[i:j]) for w, i, j in zip(weights, starts, counts, strict=False)])

    def part(array: np.ndarray) -> list[np.ndarray]:
        pieces = np.split(array, ends[:-1])
        return [each for weight, piece in zip(weights, pieces, strict=True) for each in weight.part(piece)]

    variables = tuple(variable for weight in weights for variable in weight.variables)
    return Mapped(name, (int(ends[-1]), *weights[0].shape[1:]), variables, True, join, part)


def rows_of(weight: Mapped, rows: np.ndarray) -> Mapped:
    """Return some rows of a weight, by their numbers in PyTorch's layout, as a weight of their own."""

    def part(array: np.ndarray) -> list[np.ndarray]:
        whole = weight.join([np.array(variable.numpy()) for variable in weight.variables]).copy()
        whole[rows] = array
        return weight.part(whole)

    shape = (len(rows), *weight.shape[1:])
    return replace(weight, shape=shape, layout=None, join=lambda arrays: weight.join(arrays)[rows], part=part)


def scattered(pieces: Sequence[tuple[Mapped, np.ndarray]]) -> Mapped:
    """Return the tensor of which several weights have some rows each."""
    first = pieces[0][0]
    shape = (sum(len(rows) for _, rows in pieces), *first.shape[1:])
    ends = np.cumsum([len(weight.variables) for weight, _ in pieces])

    def join(arrays: list[np.ndarray]) -> np.ndarray:
        whole = np.empty(shape, arrays[0].dtype)
        for (weight, rows), end in zip(pieces, ends, strict=True):
            whole[rows] = weight.join(arrays[end - len(weight.variables) : end])
        return whole

    def part(array: np.ndarray) -> list[np.ndarray]:
        return [each for weight, rows in pieces for each in weight.part(array[rows])]

    variables = tuple(variable for weight, _ in pieces for variable in weight.variables)
    return Mapped(first.name, shape, variables, first.trainable, join, part)


def _flat(array: np.ndarray, rank: int) -> np.ndarray:
    """Return a projection (in, heads, dim) as PyTorch's matrix (out, in), a bias (heads, dim) as its vector (out,)."""
    return array.reshape(array.shape[0], -1).T if rank == 2 else array.reshape(-1)


def _stack(name: str, shape: tuple[int, ...], variables: list[Any], widths: list[int]) -> Mapped:
    """Return the three projections that PyTorch keeps in one tensor, each as high as its width."""
    ends = np.cumsum(widths)

    def join(arrays: list[np.ndarray]) -> np.ndarray:
        return np.concatenate([_flat(array, len(shape)) for array in arrays])

    def part(array: np.ndarray) -> list[np.ndarray]:
        pieces = np.split(array, ends[:-1])
        return [piece.T.reshape(tuple(v.shape)) for piece, v in zip(pieces, variables, strict=True)]

    return Mapped(name, shape, tuple(variables), True, join, part)


def _projection(name: str, kernel: Any, width: int) -> Mapped:
    shape = tuple(kernel.shape)
    return Mapped(
        name, (width, int(shape[0])), (kernel,), True,
        lambda arrays: _flat(arrays[0], 2), lambda array: [array.T.reshape(shape)],
    )  # fmt: skip
