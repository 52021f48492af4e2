"""A module whose casts to float32 leave float64 as it is, so that float64 can prove it.

Many models cast a norm or a softmax up to float32, in order not to compute it in half precision. In float64 that
would be a cast down: PyTorch's own result has float32's rounding then, and two right programs differ by 1e-7.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn

from parity.record.torch_exact import Widened


def widened(module: nn.Module) -> nn.Module:
    """Return the module, which is changed: in float64 it computes nothing in float32."""

    def forward(self: nn.Module, *args: Any, **kwargs: Any) -> Any:
        if not any(each.dtype is torch.float64 for each in self.parameters()):
            return cls.forward(self, *args, **kwargs)
        with Widened(constants=True), _made_in_float64():
            return cls.forward(self, *args, **kwargs)

    cls = type(module)
    module.__class__ = type(cls.__name__, (cls,), {"forward": forward, "__module__": cls.__module__})
    return module


@contextmanager
def _made_in_float64() -> Iterator[None]:
    """Within this block `torch.zeros(n)` is float64: assigned to, it would round what comes in."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    try:
        yield
    finally:
        torch.set_default_dtype(before)
