"""Constants that PyTorch's module and a Keras layer each round to float32: right ports beside wrong ones."""

import keras
import numpy as np
import pytest
import torch
from keras import layers, ops
from torch import nn

import parity
from keras_blitz import precision
from parity.core.verdict import Verdict
from parity.pair import rounding

MEAN, STD = np.float64([0.485, 0.456, 0.406]), np.float64([0.229, 0.224, 0.225])
PIXELS = np.random.RandomState(3).rand(2, 3, 6, 7)
ROWS = np.random.RandomState(4).randn(9, 3) * [1.0, 20.0, 0.1] + [0.0, 300.0, 0.7]
SAID = "within that rounding, float64 agrees"


class Standardized(nn.Module):
    """The mean and the standard deviation of each channel in float32 buffers, then a convolution."""

    def __init__(self, epsilon=0.0):
        super().__init__()
        self.register_buffer("mean", torch.tensor(MEAN, dtype=torch.float32)[:, None, None])
        self.register_buffer("std", torch.tensor(STD, dtype=torch.float32)[:, None, None])
        self.conv, self.epsilon = nn.Conv2d(3, 4, 3), epsilon

    def forward(self, x):
        return torch.tanh(self.conv((x - self.mean) / (self.std**2 + self.epsilon).sqrt()))


def convolved(first, factor=1.0):
    image = keras.Input((6, 7, 3))
    return keras.Model(image, ops.tanh(layers.Conv2D(4, 3, name="conv")(first(image)) * factor))


RIGHT = {
    "variance": lambda: layers.Normalization(mean=MEAN, variance=STD**2),
    "lists": lambda: layers.Normalization(mean=list(MEAN), variance=list(STD**2)),
    "rescaling": lambda: layers.Rescaling(list(1 / STD), list(-MEAN / STD)),
}
WRONG = {
    "mean-off-by-1e-5": lambda: layers.Normalization(mean=np.add(MEAN, [0, 1e-5, 0]), variance=STD**2),
    "mean-off-by-3e-7": lambda: layers.Normalization(mean=np.add(MEAN, [0, 3e-7, 0]), variance=STD**2),
    "another-channel": lambda: layers.Normalization(mean=MEAN, variance=STD[::-1] ** 2),
    "std-for-variance": lambda: layers.Normalization(mean=MEAN, variance=STD),
    "epsilon-added": lambda: layers.Normalization(mean=MEAN, variance=STD**2 + 1e-7),
    "offset-off-by-1e-6": lambda: layers.Rescaling(list(1 / STD), list(-MEAN / STD + 1e-6)),
}


@pytest.mark.parametrize("name", RIGHT)
def test_a_right_port_whose_constants_are_rounded_apart_is_equivalent_and_says_so(name):
    report = parity.check(Standardized(), convolved(RIGHT[name]()), PIXELS)
    assert report.passed, str(report)
    assert report.rounded.endswith(SAID)
    assert report.rounded in str(report).splitlines()[1]
    assert report.to_dict()["rounded"] == report.rounded


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_constant_is_not_within_its_rounding(name):
    report = parity.check(Standardized(), convolved(WRONG[name]()), PIXELS)
    assert report.verdict is Verdict.NOT_EQUIVALENT, str(report)
    assert not report.comparisons["float64"].passed
    assert not report.rounded


def test_an_epsilon_that_keras_lacks_is_no_rounding():
    report = parity.check(Standardized(epsilon=1e-7), convolved(RIGHT["variance"]()), PIXELS)
    assert report.verdict is Verdict.NOT_EQUIVALENT
    assert not report.rounded


@pytest.mark.parametrize("dtypes", [("float64", "float32"), ("float64",)])
def test_moved_constants_hide_no_mistake_elsewhere_that_is_as_small(dtypes):
    """A factor after the convolution reaches its bias, too, which no constant before it does."""
    report = parity.check(Standardized(), convolved(RIGHT["variance"](), 1 + 5e-8), PIXELS, dtypes=dtypes)
    assert report.verdict is Verdict.NOT_EQUIVALENT, str(report)


@pytest.mark.parametrize("modes", [("eager",), ("eager", "graph")])
def test_steps_and_compiled_models_are_compared_with_the_same_constants(modes):
    target = np.random.RandomState(5).randn(2, 4, 4, 5)
    report = parity.check(
        Standardized(),
        convolved(RIGHT["variance"]()),
        PIXELS,
        loss=(nn.MSELoss(), keras.losses.MeanSquaredError()),
        target=target,
        train=True,
        optimizer=(lambda p: torch.optim.SGD(p, lr=0.1), keras.optimizers.SGD(0.1)),
        steps=2,
        modes=modes,
    )
    assert report.passed, str(report)
    assert report.rounded


class Adapted(nn.Module):
    """With the statistics of the data in buffers."""

    def __init__(self, data):
        super().__init__()
        self.register_buffer("mean", torch.tensor(data.mean(0), dtype=torch.float32))
        self.register_buffer("std", torch.tensor(data.std(0), dtype=torch.float32))
        self.fc = nn.Linear(3, 2)

    def forward(self, x):
        return self.fc((x - self.mean) / self.std)


@pytest.mark.parametrize("moved", [0.0, 1e-3])
def test_statistics_that_keras_adapted_to_the_data(moved):
    norm = layers.Normalization()
    norm.adapt(np.add(ROWS, [0.0, moved, 0.0]).astype("float32"))
    report = parity.check(Adapted(ROWS), keras.Sequential([keras.Input((3,)), norm, layers.Dense(2)]), ROWS)
    assert report.passed == (moved == 0.0), str(report)
    assert bool(report.rounded) == (moved == 0.0)


class Divided(nn.Module):
    """Divides pixels by 255 where Keras multiplies."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)

    def forward(self, x):
        return torch.tanh(self.conv(x / 255))


@pytest.mark.parametrize(("scale", "right"), [(1 / 255, True), (1 / 256, False), (1 / 255.001, False)])
def test_a_quotient_in_pytorch_is_a_product_in_keras(scale, right):
    report = parity.check(Divided(), convolved(layers.Rescaling(scale)), PIXELS * 255)
    assert report.passed == right, str(report)
    assert not report.rounded  # both are the same number in float64


def test_the_models_own_constants_are_put_back():
    with precision("float64"):
        model = convolved(layers.Normalization(mean=MEAN, variance=STD**2))
    norm = model.layers[1]
    before = norm.mean, norm.variance
    assert parity.check(Standardized(), model, PIXELS).passed
    assert norm.mean is before[0]
    assert norm.variance is before[1]


def test_constants_are_sought_only_where_float64_is_near(monkeypatch):
    monkeypatch.setattr(rounding, "fitted", None)
    report = parity.check(Standardized(), convolved(RIGHT["variance"]()), PIXELS, dtypes=["float32"])
    assert report.passed
    assert not report.rounded
    assert not parity.check(Standardized(), convolved(WRONG["std-for-variance"]()), PIXELS).passed


def test_too_many_constants_are_left_as_they_are(monkeypatch):
    monkeypatch.setattr(rounding, "CONSTANTS", 5)
    report = parity.check(Standardized(), convolved(RIGHT["variance"]()), PIXELS)
    assert report.verdict is Verdict.NOT_EQUIVALENT
    assert not report.rounded
