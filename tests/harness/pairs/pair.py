"""What a pair is: a PyTorch model, a Keras model that somebody wrote for it, and one mistake in the Keras model."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import keras
import numpy as np
import torch


@dataclass(frozen=True)
class Pair:
    """One row.

    Args:
        name: the network, in a word or two.
        torch: () -> the PyTorch module.
        keras: () -> the right port; its arguments plant mistakes.
        inputs: in PyTorch's layout.
        mistake: the arguments of `keras` that plant the mistake.
        begins: the name of the first tensor that differs.
        options: more arguments of `parity.check`.
        slow: its checks take over 3 s of CPU time together.
        open: why the right port does not pass yet; "" where it does.
        hidden: why the mistake is not caught, or not located, yet; "" where it is.
    """

    name: str
    torch: Callable[[], torch.nn.Module]
    keras: Callable[..., keras.Model]
    inputs: Any
    mistake: Mapping[str, Any]
    begins: str
    options: Mapping[str, Any] = field(default_factory=dict)
    slow: bool = False
    open: str = ""
    hidden: str = ""

    def right(self) -> tuple[torch.nn.Module, keras.Model, Any]:
        """Return the module, the right port and the inputs."""
        return self._made()

    def wrong(self) -> tuple[torch.nn.Module, keras.Model, Any]:
        """Return the module, the port with the mistake and the inputs."""
        return self._made(**self.mistake)

    def _made(self, **mistake: Any) -> tuple[torch.nn.Module, keras.Model, Any]:
        torch.manual_seed(0)
        keras.utils.set_random_seed(1)
        return trained(self.torch()), self.keras(**mistake), self.inputs


def trained(module: torch.nn.Module) -> torch.nn.Module:
    """Move weights and statistics off their initial ones and zeros, with which a lost or crossed one is not seen."""
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.add_(torch.randn_like(parameter), alpha=0.1)
        for name, buffer in module.named_buffers():
            if name.endswith("running_mean"):
                buffer.normal_(0, 0.3)
            elif name.endswith("running_var"):
                buffer.uniform_(0.5, 1.5)
    return module.eval()


def numbers(*shape: int, seed: int = 0) -> np.ndarray:
    """Return normal numbers."""
    return np.random.RandomState(seed).randn(*shape)


def tokens(*shape: int, below: int = 30, seed: int = 1) -> np.ndarray:
    """Return whole numbers from 0."""
    return np.random.RandomState(seed).randint(0, below, shape)
