"""What 8 bits do to PyTorch's own module: the measure of a file of whole numbers."""

from collections.abc import Mapping

import numpy as np

from parity.core.difference import Difference
from parity.record.torch_rounded import rounded_inputs

__all__ = ["rounded_inputs", "rounded_weights", "with_step"]


def rounded_weights(state: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Return a state_dict whose kernels are rounded to −127 … 127 steps of each output channel, axis 0."""
    return {name: _to_steps(value) if _is_kernel(value) else value for name, value in state.items()}


def _is_kernel(value: np.ndarray) -> bool:
    return value.ndim > 1 and np.issubdtype(value.dtype, np.floating)


def _to_steps(value: np.ndarray) -> np.ndarray:
    step = np.abs(value).max(axis=tuple(range(1, value.ndim)), keepdims=True, initial=0) / 127
    step[step == 0] = 1
    return (np.rint(value / step) * step).astype(value.dtype)


def with_step(own: Difference, step: float) -> Difference:
    """Return an error that has the rounding to a step s added: s/√12 in the RMS error, s/2 in the largest."""
    return Difference(own.max_abs + step / 2, (own.rms**2 + step**2 / 12) ** 0.5, own.scale)
