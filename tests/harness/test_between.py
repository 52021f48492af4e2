"""Reasons of a difference that arises between two layers: a sum, and an activation in bare operations."""

import keras
import numpy as np
import pytest
from keras import layers, ops

import parity
from parity.pair import hints

torch = pytest.importorskip("torch", reason="needs PyTorch: pip install 'keras-blitz[torch]'")

from torch import nn  # noqa: E402

pytestmark = pytest.mark.covers("H12")

A, B, C = np.random.RandomState(0).standard_normal((3, 2, 3, 4))
EARLIER = {"input": C, "activation:a": A, "activation:b": B}


@pytest.mark.parametrize(
    ("actual", "expected", "words"),
    [
        (B, A + B, "PyTorch adds activation:a here, and Keras does not"),
        (B + C, B, "Keras adds input here, and PyTorch does not"),
        (A + B, A + B * (1 + 1e-9), ""),
        (B, A + 2 * B, ""),
        (B[:1], A + B, ""),
        (B, B, ""),
    ],
)
def test_a_sum_that_one_side_lacks(actual, expected, words):
    assert hints.of_sum(actual, expected, EARLIER) == words


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


@pytest.mark.parametrize(
    ("actual", "expected", "words"),
    [
        (np.tanh(A), sigmoid(A), "Keras has tanh in place of PyTorch's gate (Sigmoid)"),
        (np.tanh(A) * B, sigmoid(A) * B, "Keras has tanh in place of PyTorch's gate (Sigmoid)"),
        (sigmoid(A) * B, sigmoid(A) * B, ""),
        (np.tanh(A) * B + 1, sigmoid(A) * B, ""),
        (np.sin(A), sigmoid(A), ""),
        (np.tanh(A).reshape(2, 12), sigmoid(A).reshape(2, 12), ""),
    ],
)
def test_the_activation_in_place_of_a_module(actual, expected, words):
    assert hints.of_activation("gate (Sigmoid)", A, sigmoid(A), actual, expected) == words


class Gated(nn.Module):
    """Scales each channel by a gate, and adds what it had."""

    def __init__(self):
        super().__init__()
        self.a, self.b, self.c = (nn.Conv2d(*sizes, 1) for sizes in ((3, 6), (6, 6), (6, 6)))
        self.gate, self.d = nn.Hardsigmoid(), nn.Conv2d(6, 2, 1)

    def forward(self, x):
        x = self.a(x)
        y = self.c(x * self.gate(self.b(x.mean((2, 3), keepdim=True))))
        return self.d(x + y)


def port(slope, adds):
    inputs = keras.Input((5, 4, 3))
    x = layers.Conv2D(6, 1, name="a")(inputs)
    y = layers.Conv2D(6, 1, name="b")(layers.GlobalAveragePooling2D(keepdims=True)(x))
    y = layers.Conv2D(6, 1, name="c")(x * ops.clip(slope * y + 0.5, 0, 1))
    return keras.Model(inputs, layers.Conv2D(2, 1, name="d")(x + y if adds else y))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("slope", "adds", "words"),
    [
        (1 / 6, True, "modules without a counterpart, not compared: gate"),
        (0.2, True, "between the two PyTorch runs gate (Hardsigmoid), without a Keras layer"),
        (0.2, True, "Keras has hard_sigmoid (0.2·x + 0.5) in place of PyTorch's gate (Hardsigmoid)"),
        (1 / 6, False, "PyTorch adds activation:a here, and Keras does not"),
    ],
)
def test_what_a_report_says_of_operations_between_two_layers(slope, adds, words):
    torch.manual_seed(0)
    images = np.random.RandomState(0).randn(2, 3, 5, 4)
    report = parity.check(Gated().eval(), port(slope, adds), images, dtypes=("float64",), modes=("eager",))
    assert report.passed == (slope == 1 / 6 and adds), report
    assert words in str(report)
