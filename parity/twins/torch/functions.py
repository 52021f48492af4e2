"""PyTorch's side of parity/twins/keras/functions.py."""

import torch
from torch import nn

from parity.twins.functions import SIZES


class Points(nn.Module):
    """The points of the test functions; input (1, 1) of one."""

    def __init__(self):
        super().__init__()
        for name, size in SIZES.items():
            setattr(self, name, nn.Linear(1, size, bias=False))

    def forward(self, one):
        """Return each point (1, size)."""
        return {name: getattr(self, name)(one) for name in SIZES}


class ZeroGradient(nn.Module):
    """A convolution whose bias a BatchNorm takes away again; input (N, 2, 8, 8)."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(2, 4, 3)
        self.bn = nn.BatchNorm2d(4)
        self.fc = nn.Linear(4 * 6 * 6, 10)

    def forward(self, x):
        """Return logits (N, 10)."""
        return self.fc(torch.flatten(torch.relu(self.bn(self.conv(x))), 1))
