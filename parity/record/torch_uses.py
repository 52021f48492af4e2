"""What a module's parameters are used with, also in functions that belong to no module: `F.linear(x, self.w)`."""

from collections.abc import Iterator, Mapping, Sequence
from math import prod
from typing import Any

import numpy as np
import torch
from torch.overrides import TorchFunctionMode

# Functions that multiply by a matrix, by their names, which methods and operators share.
BY_COLUMNS = frozenset({"matmul", "__matmul__", "__rmatmul__", "mm", "bmm", "addmm", "baddbmm"})  # x @ w
BY_ROWS = frozenset({"linear"})  # x @ w.T
ADDING = frozenset({"addmm", "baddbmm"})  # which take what they add to the product first
ALIKE = frozenset({"type_as", "to", "expand_as", "view_as", "reshape_as"})  # another tensor says the type or the shape
VIEWS = frozenset({"view", "reshape", "unflatten"})
SUMS = frozenset({"add", "__add__", "__radd__", "__iadd__", "add_"})
TRANSPOSING = frozenset({"t", "transpose", "permute", "swapaxes", "swapdims", "moveaxis", "movedim", "T", "mT"})


class ParameterUses(TorchFunctionMode):
    """Notes what parameters and buffers are used with in a block: what stands beside them among arguments.

    A view or a copy of one, `w.T` or `1 + w`, stands for it. What is added to a product, `x @ w + b`, is used with what
    the product was made of, too.

    Args:
        tensors: name -> parameter or buffer.

    Attributes:
        met: the name -> the values.
        columns: name of a matrix -> whether it is used as in `x @ w`, and not as in `F.linear(x, w)`.
        splits: name of a matrix, or of a module -> the axes into which its outputs are split, such as (heads, 3, dim).
        added: names of the biases that are parts of one sum, for each sum of several.
        plus_one: names of those that are used as 1 + w.
    """

    def __init__(self, tensors: Mapping[str, torch.Tensor]):
        super().__init__()
        self.met: dict[str, list[np.ndarray]] = {}
        self.columns: dict[str, bool] = {}
        self.splits: dict[str, tuple[int, ...]] = {}
        self.added: dict[frozenset[str], None] = {}
        self.plus_one: set[str] = set()
        self._known = {id(parameter): (name, False) for name, parameter in tensors.items()}
        self._products: dict[int, np.ndarray] = {}
        self._results: dict[int, str] = {}  # what a matrix or a module of one returned
        self._biases: dict[int, frozenset[str]] = {}  # the biases in a sum
        self._kept: list[Any] = list(tensors.values())  # so that no other tensor gets the same id

    def __torch_function__(self, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        tensors = list(tensors_in((args, kwargs)))
        held = [tensor for tensor in tensors if id(tensor) in self._known]
        name = _name_of(func)
        others = [tensor for tensor in tensors if id(tensor) not in self._known and name not in ALIKE]
        other = others[-1 if name in ADDING else 0] if others else None
        value = other.detach().numpy().copy() if held and other is not None else None  # it may be overwritten
        result = func(*args, **kwargs)
        if isinstance(result, torch.Tensor):
            self._note_result(name, tensors, result)
        if value is not None:
            self._note(name, tensors, held, value, result)
        elif len(held) == 1 and isinstance(result, torch.Tensor) and result is not held[0]:
            self._follow(name, held[0], result)
        return result

    def returned(self, path: str, result: Any, bias: str) -> None:
        """Note what a linear module or a convolution returned, and the name of its bias, "" without one."""
        self._keep(result)
        self._results[id(result)] = path
        self._biases[id(result)] = frozenset({bias} if bias else ())

    def _note_result(self, name: str, tensors: Sequence, result: torch.Tensor) -> None:
        """Follow what linear maps return: which axes it is split into, and what is added to it."""
        if name in VIEWS and id(tensors[0]) in self._results:
            dims = _last_axes(tuple(result.shape), tensors[0].shape[-1])
            if len(dims) > 1:
                self.splits[self._results[id(tensors[0])]] = dims
        if name in SUMS and len(tensors) == 2:
            parts = [self._biases.get(id(tensor), self._own_bias(tensor)) for tensor in tensors]
            known = [part for part in parts if part is not None]
            if len(known) == 2:
                self._keep(result)
                self._biases[id(result)] = both = known[0] | known[1]
                self.added |= {both: None} if len(both) > 1 else {}

    def _own_bias(self, tensor: torch.Tensor) -> frozenset[str] | None:
        """Return the name of a bias, None for what is none."""
        is_vector = sum(size > 1 for size in tensor.shape) == 1
        return frozenset({self._known[id(tensor)][0]}) if is_vector and id(tensor) in self._known else None

    def _note(self, name: str, tensors: Sequence, held: Sequence, value: np.ndarray, result: Any) -> None:
        origin = next((self._products[id(t)] for t in tensors if name in SUMS and id(t) in self._products), None)
        for tensor in held:
            parameter, turned = self._known[id(tensor)]
            self.met.setdefault(parameter, []).append(value)
            if origin is not None:
                self.met[parameter].append(origin)
            if tensor.ndim == 2 and (name in BY_ROWS or (name in BY_COLUMNS and tensors[-1] is tensor)):
                self.columns[parameter] = (name in BY_COLUMNS) is not turned
                self._products[id(result)] = value
        if name in BY_ROWS | BY_COLUMNS or name.startswith("conv"):
            names = [self._known[id(tensor)][0] for tensor in sorted(held, key=lambda t: -t.ndim)]
            self.returned(names[0], result, names[1] if len(names) > 1 else "")
        elif origin is not None:
            self._keep(result)
            self._results[id(result)] = next(self._results[id(t)] for t in tensors if id(t) in self._results)

    def _follow(self, name: str, tensor: torch.Tensor, result: torch.Tensor) -> None:
        """Let a view or a copy of a parameter stand for it."""
        parameter, turned = self._known[id(tensor)]
        if name in SUMS and result.shape == tensor.shape and bool(torch.all(result == tensor + 1)):
            self.plus_one.add(parameter)
        if result.dtype.is_floating_point and id(result) not in self._known:
            self._keep(result)
            self._known[id(result)] = parameter, turned is not (name in TRANSPOSING and result.ndim == 2)

    def _keep(self, tensor: Any) -> None:
        self._kept.append(tensor)


def _last_axes(shape: tuple[int, ...], size: int) -> tuple[int, ...]:
    """Return the last axes of a shape that make up an axis of this size together, () where none do."""
    for first in range(len(shape) - 1, -1, -1):
        if prod(shape[first:]) == size:
            return shape[first:]
    return ()


def _name_of(func: Any) -> str:
    """Return the name of a function, or of the property whose getter it is, `T`."""
    name = getattr(func, "__name__", "")
    return getattr(getattr(func, "__self__", None), "__name__", name) if name == "__get__" else name


def tensors_in(value: Any) -> Iterator[torch.Tensor]:
    """Yield the tensors in what a function takes or returns."""
    if isinstance(value, torch.Tensor):
        yield value
    elif isinstance(value, Mapping):
        yield from (tensor for each in value.values() for tensor in tensors_in(each))
    elif isinstance(value, tuple | list):
        yield from (tensor for each in value for tensor in tensors_in(each))
