"""The tutorials' networks N1–N9 translated, beside those that were written by hand: the same layers, and as short."""

import inspect
from dataclasses import dataclass, field

import numpy as np
import pytest

torch = pytest.importorskip("torch")

import keras  # noqa: E402
from zoo.readability import code_lines  # noqa: E402

import parity  # noqa: E402
from keras_blitz import models  # noqa: E402
from parity.twins.torch import cifar, families, lenet, mlp, mnist  # noqa: E402

pytestmark = pytest.mark.torch

# Class of the layer that was written by hand -> the emitted one, where another one is right.
CLASSES = {
    # The emitted file has one convolution for all paddings, PyTorch's; Keras's has no padding of its own.
    "Conv2D": "Conv2d",
}
# Layers that were written by hand for what PyTorch has as a function: PyTorch has no name for them.
FUNCTIONAL = ("ReLU", "MaxPooling2D", "AvgPool2d", "Flatten")
LINES = 1.5  # times as many as by hand, at most


@dataclass(frozen=True)
class Tutorial:
    """A network.

    Args:
        torch: makes the PyTorch module.
        keras: the name of ours.
        shape: (C, H, W) of an image.
        config: of ours.
        missing: layers that ours has and the emitted one does not, with the reason.
    """

    torch: object
    keras: str
    shape: tuple[int, int, int]
    config: dict = field(default_factory=dict)
    missing: dict[str, str] = field(default_factory=dict)

    def pair(self):
        """Return the port that was emitted, and our model for images of the same size."""
        torch.manual_seed(0)
        module = self.torch().eval()
        port = parity.translate(module, np.random.RandomState(0).randn(2, *self.shape).astype("f"), check=False)
        channels, *size = self.shape
        config = {**self.config, "input_shape": (*size, channels)} if self.config else {}
        return port, models.build(self.keras, **config)


LARGE = {"num_classes": 10}
UNUSED = "forward does not use it, and a functional model holds only the layers that its forward uses"
TUTORIALS = {
    "N1": Tutorial(lenet.Net, "lenet", (1, 32, 32)),
    "N2": Tutorial(cifar.Net, "cifar", (3, 32, 32)),
    "N3": Tutorial(mlp.NeuralNetwork, "mlp", (1, 28, 28)),
    "N3-last-relu": Tutorial(lambda: mlp.NeuralNetwork(True), "mlp-last-relu", (1, 28, 28)),
    "N4": Tutorial(mnist.Network2, "mnist", (1, 28, 28)),
    "N5-placeholder": Tutorial(
        mnist.Network0, "mnist0", (1, 28, 28), missing={"layer": "an Identity does nothing: nothing is written for it"}
    ),
    "N5": Tutorial(
        mnist.Network1, "mnist1", (1, 28, 28), missing=dict.fromkeys(("conv1", "conv2", "fc1", "fc2", "out"), UNUSED)
    ),
    "N6": Tutorial(lambda: families.build("resnet18", num_classes=10), "resnet18", (3, 64, 48), LARGE),
    "N7": Tutorial(lambda: families.build("vgg11_bn", num_classes=10), "vgg11_bn", (3, 32, 40), LARGE),
    "N8": Tutorial(lambda: families.build("alexnet", num_classes=10), "alexnet", (3, 64, 72), LARGE),
    "N9": Tutorial(
        lambda: families.build("inception_v3", num_classes=10, aux_logits=False, init_weights=False),
        "inception_v3_no_aux",
        (3, 107, 91),
        LARGE,
    ),
}


LONG = ("N7",)  # makes 130 million weights, twice


@pytest.fixture(
    scope="module",
    params=[pytest.param(name, marks=pytest.mark.long if name in LONG else pytest.mark.slow) for name in TUTORIALS],
)
def tutorial(request):
    row = TUTORIALS[request.param]
    yield (row, *row.pair())
    keras.backend.clear_session()


def layers_of(model) -> list[tuple[str, str, tuple]]:
    """Return (name, class, shapes of the weights) of each layer but the input, in the model's order."""
    return [
        (layer.name, type(layer).__name__, tuple(weight.shape for weight in layer.weights))
        for layer in model.layers
        if not isinstance(layer, keras.layers.InputLayer)
    ]


def test_layers_are_those_written_by_hand(tutorial):
    row, port, model = tutorial
    modules = dict(port.module.named_modules())
    emitted = layers_of(port.fresh("float32"))
    hand = [
        (name if name in modules else "", CLASSES.get(kind, kind), shapes)
        for name, kind, shapes in layers_of(model)
        if name not in row.missing
    ]
    assert [(name if name in modules else "", kind, shapes) for name, kind, shapes in emitted] == hand
    assert {kind for name, kind, _ in hand if not name} <= set(FUNCTIONAL)


def test_source_is_as_short_and_has_no_transpose(tutorial):
    _, port, model = tutorial
    assert "transpose" not in port.source
    assert code_lines(port.source) <= LINES * code_lines(inspect.getsource(inspect.getmodule(type(model))))
