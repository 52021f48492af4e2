"""One member of each of torchvision's families of classifiers and segmentation networks, translated and proven.

Each has a row in the table of docs/translate.md, which says what is measured here.
"""

from pathlib import Path

import pytest

torch = pytest.importorskip("torch")

import keras  # noqa: E402
from zoo import rows  # noqa: E402
from zoo.judge import judge  # noqa: E402

pytestmark = [pytest.mark.torch, pytest.mark.compiled]  # as scripts/zoo.py, which counts both

PAGE = (Path(__file__).parents[2] / "docs" / "translate.md").read_text(encoding="utf-8")

# Name -> (most lines, most transposes).
MODELS = {
    "alexnet": (40, 0),
    "convnext_tiny": (70, 0),  # with a rate of stochastic depth for each block, as in swin_t
    "deeplabv3_mobilenet_v3_large": (300, 0),
    "densenet121": (80, 0),
    "efficientnet_b0": (95, 0),
    "efficientnet_v2_s": (150, 0),  # each block has a rate of its own for stochastic depth
    "fcn_resnet50": (80, 0),
    "googlenet": (70, 0),
    "inception_v3": (130, 0),
    "lraspp_mobilenet_v3_large": (260, 0),
    "maxvit_t": (300, 8),
    "mnasnet0_5": (100, 0),
    "mobilenet_v2": (65, 0),
    "mobilenet_v3_small": (120, 0),
    "regnet_x_400mf": (85, 0),
    "regnet_y_400mf": (100, 0),
    "resnet18": (50, 0),
    "resnet50": (60, 0),
    "resnext50_32x4d": (60, 0),
    "shufflenet_v2_x0_5": (80, 2),
    "squeezenet1_1": (50, 0),
    "swin_t": (125, 3),
    "swin_v2_t": (130, 1),
    "vgg11_bn": (60, 0),
    "vit_b_32": (60, 0),
    "wide_resnet50_2": (60, 0),
}
SLOW = ("shufflenet_v2_x0_5", "squeezenet1_1", "swin_t")  # 10 s each, as resnet18, which README's block proves


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.slow if name in SLOW else pytest.mark.long) for name in MODELS]
)
def test_family_is_proven_and_reads_well(name):
    lines, transposes = MODELS[name]
    found = judge(rows("torchvision")[name])
    keras.backend.clear_session()
    assert not found["reason"]
    assert not found["unreadable"]
    assert found["lines"] <= lines
    assert found["transposes"] <= transposes
    counts = f"{found['lines']} / {found['source_lines']} | {found['functions']} / {found['classes']}"
    proof = "" if name == "maxvit_t" else f"proven, {found['tensors']} tensors"  # its row is of a smaller one's proof
    assert f"\n| {name} | {counts} | {found['transposes']} | {proof}" in PAGE


def test_every_family_has_a_row():
    assert MODELS.keys() == rows("torchvision").keys()
