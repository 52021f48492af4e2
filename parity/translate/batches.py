"""Record a module with batches of two sizes: an axis whose size differs between the runs follows the batch."""

import torch
from torch import nn

from keras_blitz.errors import BlitzError
from parity.record.torch_modules import sharing
from parity.translate.capture import IsLeaf, Untranslatable, run
from parity.translate.graph import Recording, Value, values_in

NO_BATCH = "if axis 0 of the inputs is not a batch, use batch=False (--no-batch)"


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
    larger = tuple(torch.cat([x, x[:1]]) if x.dim() else x for x in several(inputs))
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
    pairs = list(zip(_values_of(recorded), _values_of(other), strict=True))
    if any(one.rank != two.rank for one, two in pairs):
        raise Untranslatable(f"another batch size has other numbers of axes; {NO_BATCH}")
    return pairs


def _values_of(recording: Recording) -> list[Value]:
    """Return the values that calls take and return; what only constants are made of may be made once, and kept."""
    inner = [(call.args, call.kwargs, call.outputs) for call in recording.calls]
    return values_in([recording.inputs, *inner, recording.outputs])
