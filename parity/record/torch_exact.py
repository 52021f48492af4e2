"""PyTorch's float64 where it is none: the gradient of hardsigmoid, and what a module casts to float32 by itself.

The kernel of hardsigmoid multiplies the gradient by float32's 1/6, in float64 too: 3e-8 off, and no port could agree.
In float32 it is the rounding that any spelling has. And a module such as transformers' attention takes its softmax in
float32, `softmax(x, -1, dtype=torch.float32)`, whatever the module is in: then float64 is off by 1e-8.
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
    """Have hardsigmoid of float64 as relu6(x + 3) / 6 within this context, whose gradient is float64's."""
    hardsigmoid = functional.hardsigmoid

    def exact_hardsigmoid(input: torch.Tensor, inplace: bool = False) -> torch.Tensor:
        if input.dtype != torch.float64:
            return hardsigmoid(input, inplace)
        value = functional.relu6(input + 3) / 6
        return input.copy_(value) if inplace else value

    with patch.object(functional, "hardsigmoid", exact_hardsigmoid):
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
