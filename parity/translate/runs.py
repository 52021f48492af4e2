"""What other runs of a module tell: the numbers of train mode, and constants in float64.

Neither is needed: where the module takes another way through its code then, the first run stands as it is.
"""

import copy

import torch
from torch import nn

from keras_blitz.errors import BlitzError
from parity.record.torch_modules import sharing
from parity.translate.capture import IsLeaf, run
from parity.translate.graph import Call, Recording
from parity.translate.widened import widened

MOVED = ("torch's contiguous",)  # which is called where memory has another order, and computes nothing


def add_train_mode(recorded: Recording, module: nn.Module, inputs: tuple[torch.Tensor, ...], is_leaf: IsLeaf) -> None:
    """Note the numbers that a function is called with in train mode, such as attention's `dropout_p`."""
    other = _again(sharing(module).train(), inputs, is_leaf)
    for one, two in _aligned(recorded, other):
        one.in_train = {name: each for name, each in two.kwargs.items() if isinstance(each, (int, float))}


def add_exact_constants(
    recorded: Recording, module: nn.Module, inputs: tuple[torch.Tensor, ...], is_leaf: IsLeaf
) -> None:
    """Give the constants that forward computes, such as sines of positions, their values in float64."""
    if not any(value.is_float for call in recorded.calls for value in call.constants()):
        return  # it would take a copy of the module in float64
    given = tuple(each.double() if each.is_floating_point() else each for each in inputs)
    other = _again(widened(copy.deepcopy(module)).double().eval(), given, is_leaf)
    for one, two in _aligned(recorded, other):
        for value, exact in zip(one.constants(), two.constants(), strict=False):
            if value.is_float and value.shape == exact.shape:
                value.array = exact.array


def _again(module: nn.Module, inputs: tuple[torch.Tensor, ...], is_leaf: IsLeaf) -> Recording | None:
    with torch.random.fork_rng(devices=[]):
        try:
            return run(module, inputs, is_leaf)
        except BlitzError:
            return None


def _aligned(one: Recording, other: Recording | None) -> list[tuple[Call, Call]]:
    """Return the calls of both runs in pairs; none where the runs do not do the same."""
    left, right = ([c for c in each.calls if c.title not in MOVED] if each else [] for each in (one, other))
    return list(zip(left, right, strict=True)) if [c.title for c in left] == [c.title for c in right] else []
