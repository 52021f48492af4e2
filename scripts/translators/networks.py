"""The networks that translators are compared on, and PyTorch's outputs and gradients for each; PyTorch alone."""

import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import nn

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "harness")]

from nets_to_translate import Language, Sequences, UNet, lively  # noqa: E402

from parity.twins.torch import families  # noqa: E402

families.define_missing_operators()
torch.backends.mha.set_fastpath_enabled(False)  # one fused call in eval mode, which has no gradient


def images() -> torch.Tensor:
    """Return two images, (2, 3, 64, 64)."""
    return torch.randn(2, 3, 64, 64)


def encoder() -> nn.Module:
    """Return PyTorch's own transformer encoder."""
    layer = nn.TransformerEncoderLayer(32, 4, 48, dropout=0.0, batch_first=True)
    return nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)


TORCHVISION = (
    "resnet18", "mobilenet_v2", "efficientnet_b0", "convnext_tiny", "vit_b_32", "densenet121", "shufflenet_v2_x0_5",
    "swin_t",
)  # fmt: skip
OPTIONS = {"vit_b_32": {"image_size": 64}}
# name -> the module, its input
NETWORKS: dict[str, tuple[Callable[[], nn.Module], Callable[[], torch.Tensor]]] = {
    **{name: (partial(families.build, name, **OPTIONS.get(name, {})), images) for name in TORCHVISION},
    "LSTM classifier": (Sequences, lambda: torch.randn(3, 6, 5)),
    "U-Net": (UNet, lambda: torch.randn(2, 3, 12, 8)),
    "transformer encoder": (encoder, lambda: torch.randn(2, 7, 32)),
    "nanoGPT": (Language, lambda: torch.randint(0, 11, (3, 7))),
}


@dataclass(frozen=True)
class Question:
    """A network in eval mode, and what a translation of it must give.

    Args:
        module: with weights of which none is 0 or 1.
        given: its input.
        output: its output for that, in float32.
        upstream: the gradient at the output.
        gradients: name of each trainable parameter -> its gradient.
    """

    module: nn.Module
    given: torch.Tensor
    output: np.ndarray
    upstream: np.ndarray
    gradients: dict[str, np.ndarray]

    @property
    def parameters(self) -> dict[str, np.ndarray]:
        """Name of each trainable parameter -> its value."""
        return {name: each.detach().numpy() for name, each in self.module.named_parameters() if each.requires_grad}


def ask(name: str) -> Question:
    """Return a network of the table with PyTorch's answers; the same in every process that has the same PyTorch."""
    torch.manual_seed(0)
    build, example = NETWORKS[name]
    module, given = lively(build().eval()), example()
    output = module(given)
    upstream = torch.randn_like(output)
    output.backward(upstream)
    gradients = {name: each.grad.numpy().copy() for name, each in module.named_parameters() if each.grad is not None}
    module.zero_grad()
    return Question(module, given, output.detach().numpy(), upstream.numpy(), gradients)
