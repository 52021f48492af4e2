"""A module that calls a function of its own weights, and then does more: what it records is what that function returns.

A BatchNorm2d whose own forward ends in a ReLU is two layers in Keras, of which the first has its name and its weights.
"""

from collections import OrderedDict
from collections.abc import Callable
from typing import Any

import torch
from torch.overrides import TorchFunctionMode
from torch.utils.hooks import RemovableHandle

Before = Callable[[torch.nn.Module, tuple], None]
After = Callable[[torch.nn.Module, tuple, Any], None]


class Opened:
    """Is mixed into the class of such a module.

    Attributes:
        watchers: number -> what is called before the function, with its arguments, and after it, with its result.
    """

    watchers: "OrderedDict[int, tuple[Before | None, After]]"


def open_module(module: torch.nn.Module, function: str) -> None:
    """Change a module, so that `watch` sees this function of its weights and not its forward."""

    def forward(self: Any, *args: Any, **kwargs: Any) -> Any:
        with _Function(self, function):
            return cls.forward(self, *args, **kwargs)

    cls = type(module)
    module.__class__ = type(cls.__name__, (Opened, cls), {"forward": forward, "__module__": cls.__module__})
    module.__dict__["watchers"] = OrderedDict()


def watch(module: torch.nn.Module, after: After, before: Before | None = None) -> list[RemovableHandle]:
    """Call `before` and `after` as hooks of a module's forward, or of the function of an opened one."""
    if isinstance(module, Opened):
        handle = RemovableHandle(module.watchers)
        module.watchers[handle.id] = before, after
        return [handle]
    handles = [] if before is None else [module.register_forward_pre_hook(before)]
    return [*handles, module.register_forward_hook(after)]


class _Function(TorchFunctionMode):
    """Tells the watchers of an opened module of the function that is given its weights."""

    def __init__(self, module: Any, name: str):
        super().__init__()
        self.module, self.name = module, name

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Call the function."""
        kwargs = kwargs or {}
        own = {id(each) for each in self.module.parameters(recurse=False)}
        if getattr(func, "__name__", "") != self.name or own.isdisjoint(map(id, (*args, *kwargs.values()))):
            return func(*args, **kwargs)
        watchers = list(self.module.watchers.values())
        for before, _ in watchers:
            if before is not None:
                before(self.module, args)
        result = func(*args, **kwargs)
        for _, after in watchers:
            after(self.module, args, result)
        return result
