"""Evidence that proves nothing: inputs, dead units, and a PyTorch module that differs from itself."""

import random

import numpy as np
import torch
from keras import layers
from torch import nn

from parity.faults.door.handed import appended, argument, inputs, replaced, together, torch_module
from parity.faults.door.mistake import at, undecided
from parity.faults.fault import fault


class LeftOn(nn.Module):
    """tanh and a dropout that no `eval()` switches off."""

    def forward(self, x):
        """Return what is left of tanh of x."""
        return nn.functional.dropout(torch.tanh(x))


class ByMode(nn.Module):
    """tanh and a functional dropout that follows the mode."""

    def forward(self, x):
        """Return what is left of tanh of x."""
        return nn.functional.dropout(torch.tanh(x), training=self.training)


class Scaled(nn.Module):
    """tanh, in train mode scaled by numbers of Python's."""

    def forward(self, x):
        """Return tanh of x, scaled in train mode."""
        return torch.tanh(x) * (random.random() if self.training else 1.0)


def with_second(make):
    """Return what puts another module in the second place of PyTorch's."""
    return torch_module(lambda module: module.__setitem__(1, make()))


def dead_with(make):
    """Return what ends PyTorch's module with a ReLU that no input brings to life, and Keras's with a wrong layer."""

    def change(module) -> None:
        nn.init.constant_(module[0].bias, -1000.0)
        del module[2]

    return together(torch_module(change), replaced("fc2", lambda _: make()))


def tripled():
    """Return a layer that makes the port wrong."""
    return layers.Rescaling(3.0, name="wrong")


ELU = replaced("tanh", lambda _: layers.ELU(name="elu"))
NO_TRAINING = argument(loss=None, target=None, optimizer=None, steps=0)

MISTAKES = (
    fault(
        "door-all-nan", "inputs that are all NaN, with a wrong port", "vacuous evidence",
        undecided("no-bias-forward", "NaN", together(inputs(lambda x: x * np.nan), appended(tripled))),
        undecided("mlp-momentum", "NaN", together(inputs(lambda x: x * np.nan), ELU)),
    ),
    fault(
        "door-empty-batch", "an empty batch, with a wrong port", "vacuous evidence",
        undecided("mlp-forward", "empty", together(inputs(lambda x: x[:0]), appended(tripled))),
        undecided("mlp-momentum", "empty", together(inputs(lambda x: x[:0]), NO_TRAINING, ELU)),
    ),
    fault(
        "door-all-zero", "inputs that are all zero, with a wrong port", "vacuous evidence",
        undecided("no-bias-forward", "zero", together(inputs(lambda x: x * 0), appended(tripled))),
        undecided("no-bias-forward", "zero", inputs(lambda x: x * 0)),
    ),
    fault(
        "door-dead-units", "ReLUs that no input brings to life, with a wrong port", "vacuous evidence",
        undecided("mlp-forward", "zero", dead_with(tripled)),
        undecided("mlp-forward", "zero", dead_with(lambda: layers.ReLU(max_value=6.0, name="wrong"))),
    ),
    fault(
        "door-random-pytorch", "a dropout in PyTorch that eval mode does not switch off", "public reports of F.dropout",
        undecided("mlp-momentum", "random", with_second(LeftOn)),
        undecided("mlp-forward", "random", together(with_second(LeftOn), argument(dtypes=("float32",)))),
        undecided("mlp-momentum", "random", together(with_second(LeftOn), ELU)),
    ),
    fault(
        "door-random-in-training", "in train mode a functional dropout that Keras lacks, or Python's random numbers",
        "public reports",
        at("mlp-momentum", "activation:2", together(with_second(ByMode), argument(train=True))),
        undecided("mlp", "random", together(with_second(Scaled), argument(train=True))),
    ),
)  # fmt: skip
