"""One member of each of torchvision's families of classifiers, translated and proven; prints a table."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")

import keras  # noqa: E402
from nets_to_translate import lively  # noqa: E402

import parity  # noqa: E402
from parity.twins.torch import families  # noqa: E402

pytestmark = pytest.mark.torch

# name -> (size of the images, most lines, most transposes)
MODELS = {
    "alexnet": (64, 45, 0),
    "vgg11_bn": (32, 60, 0),
    "squeezenet1_1": (48, 50, 0),
    "resnet18": (48, 50, 0),
    "mobilenet_v2": (32, 70, 0),
    "densenet121": (32, 270, 0),
    "googlenet": (48, 150, 0),
    "shufflenet_v2_x0_5": (64, 80, 2),
    "mnasnet0_5": (32, 100, 0),
    "regnet_y_400mf": (32, 125, 0),
    "mobilenet_v3_small": (48, 125, 0),
    "efficientnet_b0": (32, 190, 0),
    "convnext_tiny": (32, 60, 0),
    "swin_t": (32, 200, 4),
    "vit_b_32": (32, 60, 0),
}
OPTIONS = {
    "googlenet": {"aux_logits": False, "init_weights": False},
    "vit_b_32": {"image_size": 32},
}


# What takes half a minute and more, of kinds that others show, too
LONG = ("vgg11_bn", "efficientnet_b0", "convnext_tiny", "alexnet", "vit_b_32")


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.long if name in LONG else pytest.mark.slow) for name in MODELS]
)
def test_family_is_proven_and_short(name, capsys):
    size, lines, transposes = MODELS[name]
    torch.manual_seed(0)
    module = lively(families.build(name, **OPTIONS.get(name, {})).eval())
    for inner in module.modules():
        if type(inner).__name__ == "StochasticDepth":
            inner.p = 0.0  # random in train mode
    images = np.random.RandomState(0).randn(2, 3, size, size).astype("f")
    port = parity.translate(module, images, check=False)
    report = parity.check(module, port.fresh, images, weights=dict(port.weights) or "auto", dtypes=("float64",))
    count, moved = port.source.count("\n"), port.source.count("ops.transpose")
    with capsys.disabled():
        print(f"| {name} | {count} | {moved} | {report.verdict.headline} | {len(report.comparisons['float64'].rows)} |")
    keras.backend.clear_session()
    assert report.passed, str(report)
    assert count <= lines
    assert moved <= transposes
