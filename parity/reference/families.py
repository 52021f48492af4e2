"""N6–N9: torchvision's own models, never a rewrite."""

import torch


def build(name: str, **options) -> torch.nn.Module:
    """Return torchvision's model without pretrained weights.

    Args:
        name: torchvision's name, "resnet18".
        options: its constructor's arguments.

    Raises:
        ImportError: torchvision is not installed.
    """
    _define_missing_operators()
    import torchvision

    return torchvision.models.get_model(name, weights=None, **options)


def inception(**options) -> torch.nn.Module:
    """Return torchvision's Inception v3; its slow random initial values are left out, they are replaced anyway."""
    return build("inception_v3", init_weights=False, **options)


def _define_missing_operators() -> None:
    """Declare the compiled operators that torchvision's import looks for and a CPU-only PyTorch may not have."""
    signatures = {
        "torchvision::nms": "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
        "torchvision::qnms": "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
    }
    for name, signature in signatures.items():
        namespace, operator = name.split("::")
        if not hasattr(getattr(torch.ops, namespace), operator):
            torch.library.define(name, signature)
