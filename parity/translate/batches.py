"""Record a module with batches of two sizes: an axis whose size differs between the runs follows the batch."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from torch import nn

from keras_blitz.errors import BlitzError
from parity.record.torch_modules import sharing
from parity.translate.capture import IsLeaf, Untranslatable, at, run
from parity.translate.graph import Call, Recording, Value, values_in

# What takes its shape from the recorded results, and not from the numbers that it is called with.
SHAPES = frozenset(
    [
        "reshape", "view", "unflatten", "reshape_as", "view_as", "expand", "expand_as", "broadcast_to", "unsafe_view",
        "affine_grid",
    ]
)  # fmt: skip
REPEATS = frozenset(["repeat", "tile"])  # likewise, of a tensor whose own shape does not follow the batch
NO_BATCH = (
    "if the inputs lack the axis of the batch, add it (x[None], --input 1,…); if axis 0 is not a batch, use "
    "batch=False (--no-batch)"
)


def record(
    module: nn.Module, inputs: tuple[torch.Tensor, ...], is_leaf: IsLeaf, batch: bool = True
) -> Recording:  # fmt: skip
    """Record a copy of a module in eval mode.

    Args:
        module: is left as it is.
        inputs: what `forward` takes.
        is_leaf: whether a module, or an autograd.Function, is translated as one.
        batch: axis 0 of each input is the batch; else all sizes are fixed.

    Raises:
        BlitzError: the module raises.
        Untranslatable: it takes another way with another batch size, or does what cannot be followed.
    """
    recorded = run(sharing(module).eval(), several(inputs) if batch else inputs, is_leaf)
    if not batch:
        for value in _values_of(recorded):
            value.batched = (False,) * value.rank
        return recorded
    larger = tuple(torch.cat([x, x[-1:]]) if x.dim() else x for x in several(inputs))  # sorted lengths stay so
    for one, two in _paired(recorded, module, larger, is_leaf):
        one.period = two.shape[0] - one.shape[0] if one.shape else 0
        one.batched = tuple(p != q for p, q in zip(one.shape, two.shape, strict=True))
    if several(inputs) is not inputs:
        _paired(recorded, module, inputs, is_leaf)
    return recorded


def several(inputs: tuple[torch.Tensor, ...]) -> tuple[torch.Tensor, ...]:
    """Return inputs of at least two examples: an axis of size 1 may stand anywhere, and that of one example may not."""
    if all(x.shape[0] > 1 for x in inputs if x.dim()):
        return inputs
    return tuple(torch.cat([x, x]) if x.dim() else x for x in inputs)


def _paired(
    recorded: Recording, module: nn.Module, inputs: tuple[torch.Tensor, ...], is_leaf: IsLeaf
) -> list[tuple[Value, Value]]:  # fmt: skip
    """Return the values of a run beside those of another, on a batch of another size.

    Raises:
        Untranslatable: they do not pair.
    """
    try:
        other = run(sharing(module).eval(), inputs, is_leaf)
    except BlitzError as error:
        raise Untranslatable(f"with another batch size, {error}; {NO_BATCH}") from None
    if [call.title for call in recorded.calls] != [call.title for call in other.calls]:
        raise Untranslatable(f"another batch size takes another way through the module; {NO_BATCH}")
    for one, two in zip(recorded.calls, other.calls, strict=True):
        _require_same(one, two)
    pairs = list(zip(_values_of(recorded), _values_of(other), strict=True))
    if any(one.rank != two.rank for one, two in pairs):
        raise Untranslatable(f"another batch size has other numbers of axes; {NO_BATCH}")
    return pairs


def _require_same(one: Call, two: Call) -> None:
    """Raise an Untranslatable where a call of one run has other numbers or constants than that of the other."""
    count = [len(values_in((each.args, each.kwargs, each.outputs))) for each in (one, two)]
    if count[0] != count[1]:
        raise Untranslatable(f"{one.title} has as many tensors as there are examples{at(one.where)}; {NO_BATCH}")
    name = one.target.strip("_") if isinstance(one.target, str) else ""
    repeats = name in REPEATS and not any(a != b for a, b in zip(*_shapes(one, two), strict=False))
    if not (name in SHAPES or repeats) and (differ := _numbers_that_differ(one, two)):
        raise Untranslatable(
            f"{one.title} is given {differ[0]}, and {differ[1]} with another batch size{at(one.where)}; {NO_BATCH}"
        )
    for a, b in zip(one.constants(), two.constants(), strict=False):
        if a.shape == b.shape and a.array is not None and b.array is not None and not _are_same(a.array, b.array):
            raise Untranslatable(
                f"a constant has other values with another batch size{at(a.where or one.where)}; {NO_BATCH}"
            )


def _shapes(*calls: Call) -> list[tuple[int, ...]]:
    return [values_in(call.args)[0].shape for call in calls]


def _numbers_that_differ(one: Call, two: Call) -> tuple[Any, ...] | None:
    """Return the first number that two calls differ in, as both have it."""
    flat = (_numbers([*call.args, *call.kwargs.values()]) for call in (one, two))
    return next((pair for pair in zip(*flat, strict=False) if repr(pair[0]) != repr(pair[1])), None)


def _numbers(tree: Any) -> Iterator[int | float]:
    if isinstance(tree, slice):
        tree = (tree.start, tree.stop, tree.step)
    if isinstance(tree, (int, float)):
        yield tree
    elif isinstance(tree, (list, tuple)):
        for each in tree:
            yield from _numbers(each)


def _are_same(one: np.ndarray, other: np.ndarray) -> bool:
    return np.array_equal(one, other, equal_nan=one.dtype.kind in "fc")


def _values_of(recording: Recording) -> list[Value]:
    """Return the values that calls take and return; what only constants are made of may be made once, and kept."""
    inner = [(call.args, call.kwargs, call.outputs) for call in recording.calls]
    return values_in([recording.inputs, *inner, recording.outputs])
