"""Print docs/translated.md: networks as `parity translate` writes them, each beside PyTorch's source.

python scripts/dev/translated.py > docs/translated.md
"""

import inspect
import sys
import textwrap
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

import parity
from parity.twins.torch import families

sys.path.insert(0, str(Path(__file__).parents[2] / "tests" / "harness"))

from nets_to_translate import Language, Layer, SelfAttention

HEAD = """# Networks beside what was written from them

What `parity translate` writes, whole but for the docstring at the top, and PyTorch's source after it. `python
scripts/dev/translated.py` prints this page; a test keeps it to what is written today.
"""


@dataclass(frozen=True)
class Listing:
    """A network of the page.

    Args:
        title: the heading.
        said: what the source stands for, in a sentence or two.
        build: () -> the PyTorch module.
        inputs: of it.
        beside: () -> PyTorch's classes and methods that are shown.
    """

    title: str
    said: str
    build: Callable[[], torch.nn.Module]
    inputs: np.ndarray
    beside: Callable[[], list[Any]]

    def text(self) -> str:
        """Return the network's section of the page."""
        torch.manual_seed(0)
        source = parity.translate(self.build().eval(), self.inputs, check=False).source
        emitted = source.split('"""\n\n', 1)[1].strip()
        shown = "\n\n\n".join(textwrap.dedent(inspect.getsource(each)).strip() for each in self.beside())
        return f"\n## {self.title}\n\n{self.said}\n\n```python\n{emitted}\n```\n\nPyTorch:\n\n```python\n{shown}\n```\n"


def vit() -> torch.nn.Module:
    """Return torchvision's ViT with four thin layers."""
    families.define_missing_operators()
    from torchvision.models import VisionTransformer

    return VisionTransformer(image_size=32, patch_size=8, num_layers=4, num_heads=2, hidden_dim=32, mlp_dim=48)


def of_resnet() -> list[Any]:
    """Return what torchvision's ResNet does."""
    from torchvision.models.resnet import BasicBlock, ResNet

    return [BasicBlock.forward, ResNet._forward_impl]


def of_vit() -> list[Any]:
    """Return what torchvision's ViT does, and the layers of its blocks."""
    from torchvision.models.vision_transformer import Encoder, EncoderBlock, VisionTransformer

    return [EncoderBlock, Encoder.forward, VisionTransformer._process_input, VisionTransformer.forward]


def images(*shape: int) -> np.ndarray:
    """Return images (N, C, H, W)."""
    return np.random.RandomState(0).randn(*shape).astype("f")


LISTINGS = {
    "resnet18": Listing(
        "ResNet18",
        "torchvision's `resnet18` for images of 64 × 56, and its `BasicBlock.forward` and `ResNet._forward_impl`.",
        lambda: families.build("resnet18"),
        images(2, 3, 64, 56),
        of_resnet,
    ),
    "vit": Listing(
        "ViT",
        "torchvision's `VisionTransformer` for images of 32 × 32, with four layers of width 32.",
        vit,
        images(2, 3, 32, 32),
        of_vit,
    ),
    "nanogpt": Listing(
        "nanoGPT",
        "A small GPT: one matrix for q, k and v, a mask that is a buffer, an output layer tied to the embedding.",
        Language,
        np.random.RandomState(0).randint(0, 11, (3, 7)),
        lambda: [SelfAttention, Layer, Language],
    ),
}


if __name__ == "__main__":
    print(HEAD + "".join(listing.text() for listing in LISTINGS.values()), end="")
