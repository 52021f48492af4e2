"""N4 and N5: the MNIST CNN and the two stages that lead to it."""

import torch.nn.functional as F
from torch import nn


class Network0(nn.Module):
    """A placeholder layer, and a forward that returns its input."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Identity()

    def forward(self, t):
        """Return the input."""
        return self.layer(t)


class Network1(nn.Module):
    """The layers of `Network2`, and a forward that uses none of them."""

    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels=1, out_channels=6, kernel_size=5)
        self.conv2 = nn.Conv2d(in_channels=6, out_channels=12, kernel_size=5)
        self.fc1 = nn.Linear(in_features=12 * 4 * 4, out_features=120)
        self.fc2 = nn.Linear(in_features=120, out_features=60)
        self.out = nn.Linear(in_features=60, out_features=10)

    def forward(self, t):
        """Return the input."""
        return t


class Network2(Network1):
    """The MNIST CNN; input (N, 1, 28, 28)."""

    def forward(self, t):
        """Return logits (N, 10)."""
        t = F.max_pool2d(F.relu(self.conv1(t)), kernel_size=2, stride=2)
        t = F.max_pool2d(F.relu(self.conv2(t)), kernel_size=2, stride=2)
        t = F.relu(self.fc1(t.reshape(-1, 12 * 4 * 4)))
        t = F.relu(self.fc2(t))
        return self.out(t)
