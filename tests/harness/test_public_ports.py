"""Ports that others published, beside their originals: kimm's Keras models and timm's, where both are installed."""

import pytest

import parity

pytestmark = [pytest.mark.slow, pytest.mark.covers("H12")]

torch = pytest.importorskip("torch", reason="needs PyTorch: pip install 'keras-blitz[torch]'")
timm = pytest.importorskip("timm", reason="needs timm: pip install 'keras-blitz[pairs]'")
models = pytest.importorskip("kimm", reason="needs kimm: pip install 'keras-blitz[pairs]'").models

from pairs.pair import numbers, trained  # noqa: E402

# kimm's name, timm's, and the size of the image
PORTS = (
    ("ConvNeXtAtto", "convnext_atto", 64),
    ("DenseNet121", "densenet121", 64),
    ("EfficientNetB0", "efficientnet_b0", 64),
    ("EfficientNetLiteB0", "tf_efficientnet_lite0", 64),
    ("GhostNetW050", "ghostnet_050", 64),
    ("HGNetV2B0", "hgnetv2_b0", 64),
    ("InceptionV3", "inception_v3", 96),
    ("LCNet050", "lcnet_050", 64),
    ("MobileNetV2W050", "mobilenetv2_050", 64),
    ("MobileNetV3W050Small", "mobilenetv3_small_050", 64),
    ("MobileViTV2W050", "mobilevitv2_050", 64),
    ("RegNetX002", "regnetx_002", 64),
    ("RegNetY002", "regnety_002", 64),
    ("RepVGGA0", "repvgg_a0", 64),
    ("ResNet18", "resnet18", 64),
    ("ResNet50", "resnet50", 64),
    ("VGG11", "vgg11", 64),
    ("VisionTransformerTiny16", "vit_tiny_patch16_224", 224),
)


@pytest.mark.parametrize(("ours", "theirs", "size"), PORTS, ids=[theirs for _, theirs, _ in PORTS])
def test_a_public_port_does_what_its_original_does(ours, theirs, size):
    torch.manual_seed(0)
    port = getattr(models, ours)(
        input_shape=(size, size, 3),
        include_preprocessing=False,
        weights=None,
        classes=10,
        classifier_activation="linear",
    )
    report = parity.check(
        trained(timm.create_model(theirs, num_classes=10)), port, numbers(2, 3, size, size), loss=False
    )
    assert report.passed, str(report)
