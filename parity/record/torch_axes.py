"""Which axis of what a PyTorch module returns holds channels: followed through every operation of a forward pass."""

import re
from collections.abc import Mapping
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.weak import WeakTensorKeyDictionary

from parity.core import axes
from parity.record.torch_uses import tensors_in

# Operations whose results have channels on axis 1, or before the axes that their name counts: max_pool2d.
_OF_MAPS = re.compile(r"convolution|conv[123]d|pool|upsample|grid_sampler|pixel_|im2col|col2im|batch_norm|group_norm")
_COUNTED = re.compile(r"([123])d")
_PRODUCTS = frozenset({"mm", "bmm", "addmm", "baddbmm"})
_VIEWS = frozenset({"view", "unsafe_view", "reshape_alias", "view_copy", "reshape_copy"})


class AxesFollowed(TorchDispatchMode):
    """Notes what the axes of each tensor hold that a forward pass computes in a block.

    An operation that is not known here and keeps the rank of what it is given keeps its axes. A nested tensor has no
    axes that could be named.
    """

    def __init__(self) -> None:
        super().__init__()
        self._known = WeakTensorKeyDictionary()

    def of(self, tensor: torch.Tensor) -> str:
        """Return a letter for each axis of a tensor, see `core.axes`; one that was resized has new axes."""
        known = self._known.get(tensor, "")
        return known if len(known) == tensor.ndim else axes.unknown(tensor.ndim)

    def __torch_dispatch__(self, func: Any, types: Any, args: tuple = (), kwargs: Mapping | None = None) -> Any:
        """Call the operation and note the axes of its results."""
        result = func(*args, **(kwargs or {}))
        name = func._schema.name.rpartition("::")[2].strip("_")
        plain = [tensor for tensor in tensors_in((args, kwargs or {})) if not tensor.is_nested]
        given = [(self.of(tensor), tuple(tensor.shape)) for tensor in plain]
        told = dict(zip((each.name for each in func._schema.arguments), args, strict=False)) | dict(kwargs or {})
        for tensor in tensors_in(result):
            if tensor.is_nested:
                continue
            found = _axes_after(name, given, tuple(tensor.shape), told)
            self._known[tensor] = found if len(found) == tensor.ndim else axes.unknown(tensor.ndim)
        return result


def _axes_after(
    name: str, given: list[tuple[str, tuple[int, ...]]], shape: tuple[int, ...], told: Mapping[str, Any]
) -> str:
    """Return what the axes of a result hold, or letters of another number where it is not known.

    Args:
        name: of the operation, without underscores.
        given: axes and shape of each tensor that it is given.
        shape: of the result.
        told: its arguments by name.
    """
    if not given:
        return axes.unknown(len(shape))
    first, own = given[0]
    if _OF_MAPS.search(name):
        counted = _COUNTED.search(name)
        return axes.of_maps(len(shape), len(shape) - 1 - int(counted[1]) if counted else 1) if len(shape) > 1 else ""
    if name in _PRODUCTS:
        return axes.product(given[-2][0], given[-1][0])
    if name in _VIEWS:
        return axes.reshaped(first, own, shape)
    if name in ("permute", "permute_copy"):
        return "".join(first[axis] for axis in told["dims"])
    if name in ("transpose", "t"):
        order = list(range(len(first)))
        one, other = (told["dim0"], told["dim1"]) if name == "transpose" else (0, -1)
        order[one], order[other] = order[other], order[one]
        return "".join(first[axis] for axis in order)
    if name == "embedding":
        return axes.PLACE * (len(shape) - 1) + axes.CHANNELS
    return _axes_by_rank(name, given, shape, told)


def _axes_by_rank(
    name: str, given: list[tuple[str, tuple[int, ...]]], shape: tuple[int, ...], told: Mapping[str, Any]
) -> str:
    """Return what the axes hold after an operation that adds axes, removes them, or keeps them."""
    first, own = given[0]
    rank = max(len(size) for _, size in given)
    dims = told.get("dim", told.get("dims"))
    if name in ("unsqueeze", "stack"):
        one = first if name == "unsqueeze" else axes.broadcast(given, own)
        return axes.with_new(one, 0 if dims is None else dims)
    if len(shape) < rank:
        removed = [dims] if isinstance(dims, int) else dims
        if removed is None:
            removed = [axis for axis, size in enumerate(own) if size == 1] if name == "squeeze" else range(len(own))
        return axes.without(first, [axis for axis in removed if name != "squeeze" or own[axis] == 1])
    if len(shape) > rank and name not in ("expand", "repeat"):
        return axes.unknown(len(shape))
    alike = axes.broadcast(given, shape)
    if len(own) != len(shape):
        return alike
    changed = [size != before for size, before in zip(shape, own, strict=True)]  # cut, joined, or with edges
    return "".join(
        before if cut and after in (axes.UNKNOWN, axes.PART) else after
        for after, before, cut in zip(alike, first, changed, strict=True)
    )
