"""N6–N9: torchvision's own models, never a rewrite."""

from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path

import torch


def build(name: str, **options) -> torch.nn.Module:
    """Return torchvision's model without pretrained weights.

    Args:
        name: torchvision's name, "resnet18".
        options: its constructor's arguments.

    Raises:
        ImportError: torchvision is not installed.
    """
    define_missing_operators()
    import torchvision

    return torchvision.models.get_model(name, weights=None, **options)


def empty(name: str, **options) -> torch.nn.Module:
    """Return the model on the meta device, for values that are loaded next; VGG's own would take 4 s to draw."""
    if name == "inception_v3":
        options |= {"init_weights": False}  # else it warns that this is slow
    with torch.device("meta"):
        return build(name, **options)


def define_missing_operators() -> None:
    """Declare the compiled operators that torchvision's import looks for and a CPU-only PyTorch may not have."""
    load_operators()
    signatures = {
        "torchvision::nms": "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
        "torchvision::qnms": "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
    }
    for name, signature in signatures.items():
        namespace, operator = name.split("::")
        if not hasattr(getattr(torch.ops, namespace), operator):
            torch.library.define(name, signature)


def load_operators() -> None:
    """Load torchvision's compiled operators if this PyTorch can: an operator declared before them ends the process."""
    spec = find_spec("torchvision")
    if spec is None or spec.origin is None:
        return
    for path in Path(spec.origin).parent.glob("_C*.*"):
        with suppress(OSError):
            torch.ops.load_library(path)
