"""PyTorch's modules, run with what they are given rounded to 8 bits."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def rounded_inputs() -> Iterator[None]:
    """Let each PyTorch module that has a kernel get its inputs rounded to 255 steps of their range, zero among them."""
    from torch.nn.modules.module import register_module_forward_pre_hook

    def round_each(module: Any, given: tuple[Any, ...]) -> tuple[Any, ...] | None:
        if not any(weight.ndim > 1 for weight in module.parameters(recurse=False)):
            return None
        return tuple(_to_range(value) for value in given)

    handle = register_module_forward_pre_hook(round_each)  # type: ignore[arg-type]  # which may return new inputs
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
