"""PyTorch's own functions on arrays, which say what its side did where no module's settings tell."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

from parity.record.torch_modules import copied

# What `interpolate` is called with, in words.
RESIZES: Mapping[str, Mapping[str, Any]] = {
    "nearest": {"mode": "nearest"},
    "nearest-exact": {"mode": "nearest-exact"},
    "bilinear": {"mode": "bilinear"},
    "bilinear, align_corners=True": {"mode": "bilinear", "align_corners": True},
    "bilinear, antialias=True": {"mode": "bilinear", "antialias": True},
    "bicubic": {"mode": "bicubic"},
    "bicubic, align_corners=True": {"mode": "bicubic", "align_corners": True},
    "bicubic, antialias=True": {"mode": "bicubic", "antialias": True},
    "area": {"mode": "area"},
}


def resized(images: np.ndarray, size: tuple[int, int]) -> dict[str, np.ndarray]:
    """Return images (N, C, H, W) as `torch.nn.functional.interpolate` resizes them, by what it is called with.

    Args:
        images: floating-point.
        size: (H, W) afterwards.
    """
    x, resize = torch.tensor(images), torch.nn.functional.interpolate
    return {name: resize(x, size=size, **options).numpy() for name, options in RESIZES.items()}


def rescaled(images: np.ndarray, factors: Any, mode: str, align_corners: bool | None) -> np.ndarray:
    """Return images (N, C, H, W) resized by `scale_factor`, which steps by its inverse and not by the sizes' ratio."""
    resize = torch.nn.functional.interpolate
    return resize(torch.tensor(images), scale_factor=factors, mode=mode, align_corners=align_corners).numpy()


def without_hooks(module: torch.nn.Module, x: np.ndarray) -> np.ndarray:
    """Return what a module returns where no forward hook changes it, in the type of what it is given."""
    plain = copied(module).to(torch.from_numpy(x).dtype).eval()
    plain._forward_hooks.clear()
    with torch.no_grad():
        return plain(torch.tensor(x)).numpy()
