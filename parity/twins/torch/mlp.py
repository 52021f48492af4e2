"""N3 as PyTorch's basics tutorial defines it (buildmodel_tutorial)."""

from torch import nn


class NeuralNetwork(nn.Module):
    """The Fashion-MNIST network; input (N, 1, 28, 28).

    Args:
        last_relu: the earlier edition of the tutorial, with one more ReLU after the last Linear.
    """

    def __init__(self, last_relu: bool = False):
        super().__init__()
        self.flatten = nn.Flatten()
        self.linear_relu_stack = nn.Sequential(
            nn.Linear(28 * 28, 512),
            nn.ReLU(),
            nn.Linear(512, 512),
            nn.ReLU(),
            nn.Linear(512, 10),
            *([nn.ReLU()] if last_relu else []),
        )

    def forward(self, x):
        """Return logits (N, 10)."""
        x = self.flatten(x)
        return self.linear_relu_stack(x)
