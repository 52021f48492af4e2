"""What 8 bits do to PyTorch's own module: the measure of a file of whole numbers."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np

from parity.core.difference import Difference


def rounded_weights(state: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Return a state_dict whose kernels are rounded to −127 … 127 steps of each output channel, axis 0."""
    return {name: _to_steps(value) if _is_kernel(value) else value for name, value in state.items()}


def _is_kernel(value: np.ndarray) -> bool:
    return value.ndim > 1 and np.issubdtype(value.dtype, np.floating)


def _to_steps(value: np.ndarray) -> np.ndarray:
    step = np.abs(value).max(axis=tuple(range(1, value.ndim)), keepdims=True, initial=0) / 127
    step[step == 0] = 1
    return (np.rint(value / step) * step).astype(value.dtype)


@contextmanager
def rounded_inputs() -> Iterator[None]:
    """Let each PyTorch module that has a kernel get its inputs rounded to 255 steps of their range, zero among them."""
    from torch.nn.modules.module import register_module_forward_pre_hook

    def round_each(module: Any, given: tuple[Any, ...]) -> tuple[Any, ...] | None:
        if not any(weight.ndim > 1 for weight in module.parameters(recurse=False)):
            return None
        return tuple(_to_range(value) for value in given)

    handle = register_module_forward_pre_hook(round_each)
    try:
        yield
    finally:
        handle.remove()


def _to_range(value: Any) -> Any:
    if not (hasattr(value, "is_floating_point") and value.is_floating_point() and value.numel()):
        return value
    low, high = min(float(value.detach().min()), 0.0), max(float(value.detach().max()), 0.0)
    step = (high - low) / 255 or 1.0
    return (value / step).round() * step


def with_step(own: Difference, step: float) -> Difference:
    """Return an error that has the rounding to a step s added: s/√12 in the RMS error, s/2 in the largest."""
    return Difference(own.max_abs + step / 2, (own.rms**2 + step**2 / 12) ** 0.5, own.scale)
