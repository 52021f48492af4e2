"""PyTorch's float64 where it is none: gradients of hardsigmoid and celu, and what a module casts to float32 by itself.

The kernel of hardsigmoid multiplies the gradient by float32's 1/6, in float64 too: 3e-8 off, and no port could agree.
That of celu takes float32's alpha: 4e-8 off with 0.6. In float32 it is the rounding that any spelling has. And a module
such as transformers' attention takes its softmax in float32, `softmax(x, -1, dtype=torch.float32)`, whatever the module
is in: then float64 is off by 1e-8.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

import torch
from torch.nn import functional
from torch.overrides import TorchFunctionMode


@contextmanager
def exact_gradients() -> Iterator[None]:
    """Have hardsigmoid and celu of float64 spelled out within this context, so that their gradients are float64's."""
    hardsigmoid, celu = functional.hardsigmoid, functional.celu

    def exact_hardsigmoid(input: torch.Tensor, inplace: bool = False) -> torch.Tensor:
        if input.dtype != torch.float64:
            return hardsigmoid(input, inplace)
        value = functional.relu6(input + 3) / 6
        return input.copy_(value) if inplace else value

    def exact_celu(input: torch.Tensor, alpha: float = 1.0, inplace: bool = False) -> torch.Tensor:
        if input.dtype != torch.float64:
            return celu(input, alpha, inplace)
        value = torch.where(input > 0, input, alpha * torch.expm1(input.clamp(max=0) / alpha))
        return input.copy_(value) if inplace else value

    with (
        patch.object(functional, "hardsigmoid", exact_hardsigmoid),
        patch.object(functional, "celu", exact_celu),
    ):
        yield


class Widened(TorchFunctionMode):
    """Within this context what a module casts to float32 becomes float64; `names` gets the functions that did.

    Args:
        constants: what it makes of no tensor, such as `torch.arange(n, dtype=torch.float32)`, too.
    """

    def __init__(self, constants: bool) -> None:
        super().__init__()
        self.constants, self.names = constants, set[str]()

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Call the function with float64 in place of float32."""
        kwargs = kwargs or {}
        of_tensor = any(isinstance(value, torch.Tensor) for value in args)
        if not of_tensor and not self.constants:
            return func(*args, **kwargs)
        if func is torch.Tensor.float:
            self.names.add("float")
            return args[0].double()
        if any(value is torch.float32 for value in args) or kwargs.get("dtype") is torch.float32:
            self.names.add(func.__name__)
            args = tuple(torch.float64 if value is torch.float32 else value for value in args)
            kwargs = {key: torch.float64 if value is torch.float32 else value for key, value in kwargs.items()}
        return func(*args, **kwargs)
