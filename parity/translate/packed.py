"""Packed sequences: a padded tensor and the lengths of its examples, which a Keras layer is given beside it.

`pack_padded_sequence` drops the steps after the end of each example, and `pad_packed_sequence` puts zeros there. Each
is recorded as one call, and what is packed between them as a tensor of the shape that it was packed from.
"""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FunctionType
from typing import Any

import torch
from torch.nn.modules.rnn import RNNBase
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pad_packed_sequence

from parity.translate.graph import Call, Value, values_in

Take = Callable[[Callable, tuple], Any]
ELSEWHERE = (
    "a packed sequence has no translation where it reaches anything but nn.LSTM, nn.GRU, nn.RNN and "
    "pad_packed_sequence, which Keras does by giving the layer lengths: use what pad_packed_sequence returns instead"
)
CUT = (
    "PyTorch cuts what pad_packed_sequence returns to the longest length; the Keras model returns as many steps as its "
    "input has: give it inputs whose longest example fills all steps."
)
_takers: list[Callable[[int, tuple], Any]] = []


@dataclass(eq=False)
class Packed(Value):
    """A packed sequence as what it was packed from; the steps after the end of an example count for nothing.

    Args:
        lengths: the steps of each example, (N,).
        batch_first: whether the examples are its axis 0, and the steps axis 1, or the other way round.
        ran: whether a layer returned it, and the Keras layer zeros after the end of each example.
    """

    lengths: Any = None
    batch_first: bool = False
    ran: bool = False


def is_packed(x: Any) -> bool:
    """Return whether this is one of PyTorch's packed sequences."""
    return isinstance(x, PackedSequence)


def parts(packed: PackedSequence) -> list[torch.Tensor]:
    """Return the tensors that a packed sequence holds, that of its values first."""
    return [each for each in packed if each is not None]


def ids(packed: PackedSequence) -> tuple[int, ...]:
    """Return what tells a packed sequence from others: one that is made of another's values may have another order."""
    return tuple(map(id, parts(packed)))


def value_of(packed: PackedSequence, call: Call, kind: Any) -> Packed:
    """Return the value of a packed sequence that a call returned: of the function that packs, or of a layer."""
    given = values_in((call.args, call.kwargs))[0]
    shape, dtype = (*given.shape[:2], *packed.data.shape[1:]), str(packed.data.dtype).removeprefix("torch.")
    ran = isinstance(given, Packed)
    lengths, first = (given.lengths, given.batch_first) if isinstance(given, Packed) else call.args[1:3]
    return Packed(shape, dtype, kind, where=call.where, lengths=lengths, batch_first=first, ran=ran)


@contextmanager
def seen(take: Take) -> Iterator[None]:
    """Within this block, a call of one of the two functions is take(the function, its arguments).

    Most files import them by name, so that another function in PyTorch's module would not be called: the code of the
    functions themselves is replaced.
    """
    replaced = {pack_padded_sequence: _pack, pad_packed_sequence: _pad}
    before = {function: function.__code__ for function in replaced}
    theirs = [FunctionType(f.__code__, f.__globals__, f.__name__, f.__defaults__) for f in replaced]
    for function, ours in replaced.items():
        function.__code__ = ours.__code__
    _takers.append(lambda number, args: take(theirs[number], args))
    try:
        yield
    finally:
        _takers.pop()
        for function, code in before.items():
            function.__code__ = code


# These run with the names of PyTorch's file, and import what they need.
def _pack(input, lengths, batch_first=False, enforce_sorted=True):
    from parity.translate import packed

    return packed._takers[-1](0, (input, lengths, batch_first, enforce_sorted))


def _pad(sequence, batch_first=False, padding_value=0.0, total_length=None):
    from parity.translate import packed

    return packed._takers[-1](1, (sequence, batch_first, padding_value, total_length))


def refusal(call: Call, output: Any) -> str:
    """Say why a call that packs, pads or is given a packed sequence has no translation; "" of any other."""
    if call.target == "pack_padded_sequence":
        return _refusal_to_pack(*call.args[:2])
    if call.target == "pad_packed_sequence":
        sequence, batch_first, padding_value, total_length = call.args
        return _refusal_to_pad(sequence, padding_value, total_length, output[0].shape[bool(batch_first)])
    is_given = any(isinstance(value, Packed) for value in values_in((call.args, call.kwargs)))
    return ELSEWHERE if is_given and not isinstance(call.target, RNNBase) else ""


def _refusal_to_pack(x: Any, lengths: Any) -> str:
    if isinstance(lengths, Value) and "constant" not in (lengths.kind, x.kind):
        return ""
    if isinstance(lengths, Value) and lengths.kind != "constant":
        return "pack_padded_sequence of a constant has no translation"
    given = "constants" if isinstance(lengths, Value) else "a list"
    return (
        f"the lengths of pack_padded_sequence are {given}, which would be the same for all inputs: give it a tensor "
        "that is an input of the module, or computed from one"
    )


def _refusal_to_pad(packed: Packed, padding_value: float, total_length: int | None, longest: int) -> str:
    steps = packed.shape[packed.batch_first]
    if not packed.ran:
        return "pad_packed_sequence of what no layer has returned has no translation: multiply by a mask of the steps"
    if padding_value:
        return f"pad_packed_sequence has no translation with padding_value={padding_value}: Keras's layer returns zeros"
    if longest == steps:
        return ""
    if total_length is not None:
        return f"pad_packed_sequence has no translation with total_length={longest}, where its input had {steps} steps"
    return (
        f"pad_packed_sequence cuts its output to the longest length, {longest}, and its input had {steps} steps: give "
        f"it total_length={steps}, or translate with an example that has all steps"
    )


def limits(calls: Iterable[Call]) -> Iterator[str]:
    """Yield a line for the file's head where the length of an output follows that of the longest example."""
    if any(call.target == "pad_packed_sequence" and call.args[3] is None for call in calls):
        yield CUT
