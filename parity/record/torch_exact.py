"""PyTorch's float64 where something in it is float32: a kernel's constant, or what a module asks for by its name.

The kernel of hardsigmoid multiplies the gradient by float32's 1/6, in float64 too: 3e-8 off, and no port could agree.
Modules that are made for half precision have `softmax(x, dtype=torch.float32)` or `x.float()` in them, as transformers'
have. In a float32 run that changes nothing; in a float64 run it leaves the rounding of float32 in the truth.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

import torch
from torch.nn import functional
from torch.overrides import TorchFunctionMode


class Widened(TorchFunctionMode):
    """Have float64 wherever float32 is asked for.

    Attributes:
        narrowed: the names of the functions that would have made float32 of float64, in order.
    """

    def __init__(self):
        super().__init__()
        self.narrowed: dict[str, None] = {}

    def __torch_function__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Call a function of PyTorch."""
        kwargs = kwargs or {}
        asked = function is torch.Tensor.float or any(
            each is torch.float32 for each in (*args, *kwargs.values()) if isinstance(each, torch.dtype)
        )
        if not asked:
            return function(*args, **kwargs)
        if args and isinstance(args[0], torch.Tensor) and args[0].dtype == torch.float64:
            self.narrowed[function.__name__] = None
        if function is torch.Tensor.float:
            return args[0].double()
        return function(*map(_wide, args), **{name: _wide(each) for name, each in kwargs.items()})


def _wide(value: Any) -> Any:
    return torch.float64 if value is torch.float32 else value


@contextmanager
def exact_gradients() -> Iterator[None]:
    """Have hardsigmoid of float64 as relu6(x + 3) / 6 within this context, whose gradient is float64's."""
    hardsigmoid = functional.hardsigmoid

    def exact_hardsigmoid(input: torch.Tensor, inplace: bool = False) -> torch.Tensor:
        if input.dtype != torch.float64:
            return hardsigmoid(input, inplace)
        value = functional.relu6(input + 3) / 6
        return input.copy_(value) if inplace else value

    with patch.object(functional, "hardsigmoid", exact_hardsigmoid):
        yield
