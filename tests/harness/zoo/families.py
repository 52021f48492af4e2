"""One member of each of torchvision's families of classifiers and segmentation networks."""

from collections.abc import Callable
from typing import Any

from parity.twins.torch import families
from zoo.row import Row, numbers

# Name -> (size of the images, options). All have their auxiliary heads: segmentation networks return them in both
# modes, Inceptions in train mode alone, so that these are proven in eval mode. In train mode the last maps are to have
# more than one value in each channel of an image: BatchNorm over two values is ±1 whatever they are. Inception's
# auxiliary head takes no smaller images.
MODELS: dict[str, tuple[int, dict[str, Any]]] = {
    "alexnet": (64, {}),
    "convnext_tiny": (32, {}),
    "deeplabv3_mobilenet_v3_large": (64, {"weights_backbone": None, "aux_loss": True}),
    "densenet121": (64, {}),
    "efficientnet_b0": (64, {}),
    "efficientnet_v2_s": (64, {}),
    "fcn_resnet50": (48, {"weights_backbone": None, "aux_loss": True}),
    "googlenet": (48, {"init_weights": False}),
    "inception_v3": (299, {"init_weights": False}),
    "lraspp_mobilenet_v3_large": (64, {"weights_backbone": None}),
    "maxvit_t": (224, {}),
    "mnasnet0_5": (64, {}),
    "mobilenet_v2": (64, {}),
    "mobilenet_v3_small": (48, {}),
    "regnet_x_400mf": (64, {}),
    "regnet_y_400mf": (64, {}),
    "resnet18": (48, {}),
    "resnet50": (48, {}),
    "resnext50_32x4d": (48, {}),
    "shufflenet_v2_x0_5": (64, {}),
    "squeezenet1_1": (48, {}),
    "swin_t": (32, {}),
    "swin_v2_t": (32, {}),
    "vgg11_bn": (32, {}),
    "vit_b_32": (32, {"image_size": 32}),
    "wide_resnet50_2": (48, {}),
}


def build(name: str, options: dict[str, Any]) -> Callable[[], Any]:
    """Return what makes a model."""
    return lambda: families.build(name, **options)


# EfficientNetV2's gates saturate otherwise: whether a sigmoid is 1 or 1 - 1.1e-16 decides whether gradients are zero.
SETTLED = {"efficientnet_v2_s"}
ROWS = [
    Row(name, build(name, options), (numbers(2, 3, size, size),), settled=name in SETTLED)
    for name, (size, options) in MODELS.items()
]
