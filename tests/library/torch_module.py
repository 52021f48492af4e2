"""A PyTorch module made of a function, for tests that write one beside a Keras model."""

from torch import nn


class Module(nn.Module):
    """Modules called by a function."""

    def __init__(self, call, **modules):
        super().__init__()
        self.call = call
        for name, module in modules.items():
            self.add_module(name, module)

    def forward(self, *inputs):
        return self.call(self, *inputs)
