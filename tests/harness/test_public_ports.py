"""Ports that others published, beside their originals: kimm's Keras models and timm's, where both are installed."""

import pytest

import parity

pytestmark = [
    pytest.mark.slow,
    pytest.mark.covers("H12"),
    pytest.mark.filterwarnings("ignore::UserWarning"),  # kimm's: of weights=None, and Keras's of its softmax
]

torch = pytest.importorskip("torch", reason="needs PyTorch: pip install 'keras-blitz[torch]'")

from parity.twins.torch.families import define_missing_operators  # noqa: E402

define_missing_operators()  # timm imports torchvision
timm = pytest.importorskip("timm", reason="needs timm: pip install 'keras-blitz[pairs]'")
models = pytest.importorskip("kimm", reason="needs kimm: pip install 'keras-blitz[pairs]'").models

from pairs.pair import numbers, trained  # noqa: E402

# kimm's name, timm's
PORTS = (
    ("ConvNeXtAtto", "convnext_atto"),
    ("EfficientNetB0", "tf_efficientnet_b0"),
    ("GhostNetW050", "ghostnet_050"),
    ("HGNetV2B0", "hgnetv2_b0"),
    ("LCNet050", "lcnet_050"),
    ("MobileNetV2W050", "mobilenetv2_050"),
    ("MobileNetV3W050Small", "mobilenetv3_small_050"),
    ("MobileViTV2W050", "mobilevitv2_050"),
    ("RegNetX002", "regnetx_002"),
    ("RegNetY002", "regnety_002"),
    ("RepVGGA0", "repvgg_a0"),
    ("ResNet18", "resnet18"),
)


def pair(ours: str, theirs: str):
    """Return timm's module, kimm's model of it and two images."""
    torch.manual_seed(0)
    options = {"include_preprocessing": False, "weights": None, "classes": 10, "classifier_activation": "linear"}
    port = getattr(models, ours)(input_shape=(64, 64, 3), **options)
    return trained(timm.create_model(theirs, num_classes=10)), port, numbers(2, 3, 64, 64)


@pytest.mark.parametrize(("ours", "theirs"), PORTS)
def test_a_public_port_does_what_its_original_does(ours, theirs):
    report = parity.check(*pair(ours, theirs), loss=False)
    assert report.passed, str(report)


def test_a_port_of_tensorflows_efficientnet_pads_in_another_way():
    report = parity.check(*pair("EfficientNetB0", "efficientnet_b0"), loss=False)
    assert report.first_divergence == "activation:conv_stem"
    assert "conv-same-stride2" in str(report)
