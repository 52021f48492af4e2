"""PyTorch's float64 where one of its kernels holds a float32: the gradient of hardsigmoid.

Its kernel multiplies the gradient by float32's 1/6, in float64 too: 3e-8 off, and no port could agree. In float32 it is
the rounding that any spelling has.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from unittest.mock import patch

import torch
from torch.nn import functional


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
