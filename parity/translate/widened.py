"""A module whose casts to float32 leave float64 as it is, so that float64 can prove it.

Many models cast a norm or a softmax up to float32, in order not to compute it in half precision. In float64 that
would be a cast down: PyTorch's own result has float32's rounding then, and two right programs differ by 1e-7.
"""

from collections.abc import Collection
from typing import Any

import torch
from torch import nn
from torch.overrides import TorchFunctionMode


class _Widened(TorchFunctionMode):
    """Casts to float64 where the module asks for float32."""

    def __torch_function__(self, function: Any, types: Any, args: tuple = (), kwargs: dict | None = None) -> Any:
        kwargs = {name: _wide(each) for name, each in (kwargs or {}).items()}
        if getattr(function, "__name__", "") == "float":
            return args[0].double()
        return function(*map(_wide, args), **kwargs)


def _wide(value: Any) -> Any:
    return torch.float64 if value is torch.float32 else value


def widened(module: nn.Module) -> nn.Module:
    """Return the module, which is changed: in float64 it computes nothing in float32."""

    def forward(self: nn.Module, *args: Any, **kwargs: Any) -> Any:
        if not any(each.dtype is torch.float64 for each in self.parameters()):
            return cls.forward(self, *args, **kwargs)
        with _Widened():
            return cls.forward(self, *args, **kwargs)

    cls = type(module)
    module.__class__ = type(cls.__name__, (cls,), {"forward": forward, "__module__": cls.__module__})
    return module


def open_modules(module: nn.Module, paths: Collection[str]) -> None:
    """Give the modules of these paths something inside, so that `parity.check` takes them for more than one layer.

    A BatchNorm2d whose own forward ends in a ReLU is two layers in Keras, of which the first has its name.
    """
    for path in paths:
        inner = module.get_submodule(path)
        if not any(True for _ in inner.children()):
            inner.add_module("inside", nn.Identity())
