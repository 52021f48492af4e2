"""Calls pair by the value that they are given where the two frameworks call in another order."""

import keras
import numpy as np
import pytest
from keras import layers

import parity
from parity.pair.meeting import is_needed

pytestmark = pytest.mark.covers("H12")

torch = pytest.importorskip("torch", reason="needs PyTorch: pip install 'keras-blitz[torch]'")
nn = torch.nn

A, B = ("=", "a"), ("=", "b")


def numbers(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.RandomState(seed).randn(*shape)


@pytest.mark.parametrize(
    ("theirs", "ours", "needed"),
    [
        ([A, "activation", B, "activation"], [A, "activation", B], False),
        ([A, "activation", B], [A, "activation", "flatten", B], False),
        ([A, B], [B, A], True),
        ([A, A], [A, A], True),
        ([A, "activation", B, "activation"], [A, B, "activation", "activation"], True),
        (["pool", "pool", A], ["pool", A], True),
    ],
    ids=["chain", "one-more", "crossed", "twice", "level-by-level", "two-pools"],
)
def test_order_is_enough_in_a_chain(theirs, ours, needed):
    assert is_needed(theirs, ours) is needed


class Shared(nn.Module):
    """One tower for two images, the left one first."""

    def __init__(self):
        super().__init__()
        self.conv, self.relu, self.fc = nn.Conv2d(2, 4, 3), nn.ReLU(), nn.Linear(4, 3)

    def tower(self, x):
        return self.fc(self.relu(self.conv(x)).mean((2, 3)))

    def forward(self, left, right):
        return self.tower(left) - 2 * self.tower(right)


def shared(slope=0.0):
    left, right = keras.Input((6, 5, 2)), keras.Input((6, 5, 2))
    conv, relu = layers.Conv2D(4, 3), layers.ReLU(negative_slope=slope)
    pool, dense = layers.GlobalAveragePooling2D(), layers.Dense(3)
    second, first = (dense(pool(relu(conv(x)))) for x in (right, left))
    return keras.Model([left, right], first - 2.0 * second)


class TwoPools(nn.Module):
    def __init__(self):
        super().__init__()
        self.avg, self.max, self.fc = nn.AvgPool2d(2), nn.MaxPool2d(2), nn.Linear(4, 3)

    def forward(self, x):
        return self.fc(torch.cat((self.avg(x), self.max(x)), 1).mean((2, 3)))


def two_pools(size=2):
    image = keras.Input((6, 4, 2))
    largest = layers.MaxPooling2D(2)(image)
    mean = layers.AveragePooling2D(size, strides=2, padding="same")(image)
    x = layers.GlobalAveragePooling2D()(layers.Concatenate()([mean, largest]))
    return keras.Model(image, layers.Dense(3)(x))


IMAGES = (numbers(2, 2, 6, 5), numbers(2, 2, 6, 5, seed=1))
PAIRS = {
    "shared": (Shared, shared, IMAGES, {"slope": 0.1}, "activation:relu"),
    "two-pools": (TwoPools, two_pools, numbers(2, 2, 6, 4), {"size": 3}, "activation:avg"),
}


@pytest.mark.parametrize("name", PAIRS)
def test_another_order_of_calls_is_no_difference(name):
    module, port, inputs, *_ = PAIRS[name]
    report = parity.check(module(), port(), inputs)
    assert report.passed, str(report)
    assert "without a counterpart" not in str(report)


@pytest.mark.parametrize("name", PAIRS)
def test_a_mistake_in_another_order_of_calls_is_located(name):
    module, port, inputs, mistake, begins = PAIRS[name]
    report = parity.check(module(), port(**mistake), inputs, dtypes=["float64"])
    assert report.first_divergence == begins, str(report)


class TwoHeads(nn.Module):
    def __init__(self):
        super().__init__()
        self.second, self.first = nn.Linear(6, 3), nn.Linear(6, 4)

    def forward(self, x):
        return {"second": self.second(x), "first": self.first(x)}


def two_heads(scale=1.0):
    x = keras.Input((6,))
    return keras.Model(x, {"first": layers.Dense(4)(x), "second": scale * layers.Dense(3)(x)})


def test_outputs_of_one_name_are_one_in_any_order():
    report = parity.check(TwoHeads(), two_heads(), numbers(5, 6))
    assert report.passed, str(report)
    wrong = parity.check(TwoHeads(), two_heads(scale=1.1), numbers(5, 6), dtypes=["float64"])
    assert wrong.first_divergence == "output:second", str(wrong)


class Chomped(nn.Module):
    """Padded on both sides, then cropped: causal."""

    def __init__(self):
        super().__init__()
        self.conv, self.relu, self.fc = nn.Conv1d(2, 4, 3, padding=2), nn.ReLU(), nn.Linear(4, 3)

    def forward(self, x):
        return self.fc(self.relu(self.conv(x)[:, :, :-2]).mean(2))


def causal(padding="causal", slope=0.0):
    x = keras.Input((9, 2))
    y = layers.ReLU(negative_slope=slope)(layers.Conv1D(4, 3, padding=padding)(x))
    return keras.Model(x, layers.Dense(3)(layers.GlobalAveragePooling1D()(y)))


@pytest.mark.parametrize(
    ("mistake", "begins"),
    [({"slope": 0.1}, "activation:relu"), ({"padding": "same"}, "activation:conv")],
    ids=["after-the-crop", "in-the-convolution"],
)
def test_what_pytorch_crops_is_not_where_a_difference_begins(mistake, begins):
    assert parity.check(Chomped(), causal(), numbers(2, 2, 9)).passed
    wrong = parity.check(Chomped(), causal(**mistake), numbers(2, 2, 9), dtypes=["float64"])
    assert wrong.first_divergence == begins, str(wrong)
