"""`parity.translate` on functions of torch that people call in `forward`, each proven, and a wrong rule."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")

import torch.nn.functional as F  # noqa: E402
from torch import nn  # noqa: E402

import parity  # noqa: E402
from parity.translate.rules import reduction  # noqa: E402

pytestmark = pytest.mark.torch

IMAGES = np.random.RandomState(0).randn(2, 3, 5, 4).astype("f")


class Forward(nn.Module):
    """A convolution, and a function of what it returns."""

    def __init__(self, function):
        super().__init__()
        torch.manual_seed(0)
        self.conv = nn.Conv2d(3, 4, 1)
        self.function = function

    def forward(self, x):
        return self.function(self.conv(x))


def squeeze_excite(x):
    weights = torch.sigmoid(x.mean((2, 3))).view(len(x), 4, 1, 1)
    return x * weights.expand_as(x)


def by_hand(x):
    return (x - x.mean(-1, keepdim=True)) / (x.std(-1, keepdim=True) + 1e-6), x.var((1, 3)), x.std(2, unbiased=False)


def activations(x):
    x = F.elu(x, 0.7) + F.celu(x, alpha=0.6) + F.selu(x) + F.softplus(x, 2) + F.mish(x)
    return F.glu(x, 1), F.softsign(x), F.logsigmoid(x)


def rounded(x):
    return x.round() * x, x.ceil() * x, x.trunc() * x


def best(x):
    values, places = x.flip(1, 3).topk(2)
    return values, places * 1.0


FUNCTIONS = (squeeze_excite, by_hand, activations, rounded, best)


def translated(function):
    return parity.translate(Forward(function).eval(), IMAGES, dtypes=("float64",))


@pytest.mark.parametrize("function", FUNCTIONS, ids=lambda function: function.__name__)
def test_function_is_proven(function):
    port = translated(function)
    assert port.passed, str(port.report)
    with torch.no_grad():
        others = torch.randn(3, 3, 5, 4)
        expected = port.module(others)
    actual = port.model(others.numpy().transpose(0, 2, 3, 1))
    if function is squeeze_excite:
        np.testing.assert_allclose(np.transpose(actual, (0, 3, 1, 2)), expected.numpy(), rtol=1e-5, atol=1e-6)


def test_biased_variance_is_seen(monkeypatch):
    monkeypatch.setattr(reduction, "_counts", lambda *_: (20, 20))
    assert not translated(by_hand).passed


def test_gradient_of_a_constants_deviation_is_zero():
    port = translated(lambda x: x.std(3) * 2)
    import tensorflow as tf

    images = tf.ones((2, 5, 4, 3))
    with tf.GradientTape() as tape:
        total = tf.reduce_sum(port.model(images))
    gradients = tape.gradient(total, port.model.trainable_variables)
    assert all(np.isfinite(gradient).all() for gradient in gradients)
