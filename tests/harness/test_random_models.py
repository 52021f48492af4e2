"""A model that differs from itself has no verdict: PyTorch's, or Keras's beyond the masks that both sides share."""

import random
import re

import keras
import numpy as np
import pytest
from keras import layers

import parity
from parity.core.repeat import first_split
from parity.core.verdict import Verdict

pytestmark = pytest.mark.covers("H12")

torch = pytest.importorskip("torch", reason="needs PyTorch: pip install 'keras-blitz[torch]'")
nn, functional = torch.nn, torch.nn.functional


class Between(nn.Module):
    """Two layers with something between them that is not a module."""

    def __init__(self, between):
        super().__init__()
        self.first, self.last, self.between = nn.Linear(5, 8), nn.Linear(8, 3), between

    def forward(self, x):
        return self.last(self.between(self, torch.relu(self.first(x))))


def between_port(activation: str = "relu", *more):
    return keras.Sequential(
        [keras.Input((5,)), layers.Dense(8, activation, name="first"), *more, layers.Dense(3, name="last")]
    )


def numbers(*shape: int) -> np.ndarray:
    return np.random.RandomState(7).randn(*shape).astype("float32")


def undecided(report) -> str:
    assert report.verdict is Verdict.NOT_DECIDED
    assert not report.passed
    assert report.comparisons == {}
    (reason,) = report.undecided
    assert reason in str(report)
    return reason


def assert_named(pattern: str, report) -> None:
    """The layer that alone draws random numbers makes the difference, and is named."""
    assert report.verdict is Verdict.NOT_EQUIVALENT
    assert re.search(f"({pattern})[^:]*: Keras draws random numbers in train mode", str(report))


ALWAYS_ON = {
    "functional": lambda _, h: functional.dropout(h, 0.4),
    "made in forward": lambda _, h: nn.Dropout(0.4)(h),
    "noise": lambda _, h: h + 1e-4 * torch.randn_like(h),
    "rarely": lambda _, h: functional.dropout(h, 0.05),
    "numpy": lambda _, h: h * float(np.random.rand()),
    "random": lambda _, h: h * random.random(),
}


@pytest.mark.parametrize("between", ALWAYS_ON.values(), ids=ALWAYS_ON)
@pytest.mark.parametrize("dtypes", [["float32"], ["float64", "float32"]], ids=len)
def test_a_module_that_is_random_in_eval_mode_has_no_verdict(between, dtypes):
    for activation in ("relu", "tanh"):
        reason = undecided(parity.check(Between(between), between_port(activation), numbers(4, 5), dtypes=dtypes))
        assert "PyTorch's module is random: " in reason
        assert "between first and last" in reason
        assert "training=self.training" in reason


def test_without_the_dropout_the_same_ports_have_verdicts():
    module = Between(lambda self, h: functional.dropout(h, 0.4, self.training))
    assert parity.check(module, between_port("relu", layers.Dropout(0.4)), numbers(4, 5)).passed
    assert parity.check(module, between_port("tanh"), numbers(4, 5)).verdict is Verdict.NOT_EQUIVALENT


def test_random_numbers_that_are_not_pytorchs_cannot_be_shared_in_train_mode():
    module = Between(lambda self, h: h * float(np.random.rand()) if self.training else h)
    for more in ([], [layers.Dropout(0.4)]):
        reason = undecided(parity.check(module, between_port("relu", *more), numbers(4, 5), train=True))
        assert "random in train mode" in reason
        assert "between first and last" in reason
        assert "draw them with torch.rand" in reason


@pytest.mark.parametrize("inplace", [False, True])
def test_a_dropout_module_shares_its_mask(inplace):
    module = nn.Sequential(nn.Linear(5, 8), nn.Tanh(), nn.Dropout(0.4, inplace=inplace), nn.Linear(8, 3))
    port = between_port("tanh", layers.Dropout(0.4))
    assert parity.check(module, port, numbers(4, 5), train=True).passed
    assert not parity.check(module, between_port("relu", layers.Dropout(0.4)), numbers(4, 5), train=True).passed


class Attention(nn.Module):
    def __init__(self, dropout):
        super().__init__()
        self.attend = nn.MultiheadAttention(8, 2, dropout=dropout, batch_first=True)

    def forward(self, x):
        return self.attend(x, x, x)[0]


def attention_port(_):
    given = keras.Input((5, 8))
    return keras.Model(given, layers.MultiHeadAttention(2, 4, name="attend")(given, given))


class Recurrent(nn.Module):
    def __init__(self, dropout):
        super().__init__()
        self.lstm = nn.LSTM(8, 5, num_layers=2, dropout=dropout, batch_first=True)

    def forward(self, x):
        return self.lstm(x)[0]


def recurrent_port(dropout):
    return keras.Sequential(
        [
            keras.Input((5, 8)),
            layers.LSTM(5, return_sequences=True),
            layers.Dropout(dropout),
            layers.LSTM(5, return_sequences=True),
        ]
    )


@pytest.mark.parametrize(
    ("module", "port", "name"),
    [(Attention, attention_port, "attend"), (Recurrent, recurrent_port, "lstm")],
    ids=["attention", "lstm"],
)
def test_a_dropout_inside_a_module_of_pytorch_that_keras_lacks_is_named(module, port, name):
    given = numbers(2, 5, 8)
    assert parity.check(module(0.3), port(0.3), given).passed
    assert parity.check(module(0.0), port(0.0), given, train=True).passed
    report = parity.check(module(0.3), port(0.0), given, train=True)
    assert report.verdict is Verdict.NOT_EQUIVALENT
    assert f"{name}: PyTorch draws random numbers" in str(report)


def test_a_random_module_of_its_own_is_named():
    module = nn.Sequential(nn.Linear(5, 8), nn.RReLU(), nn.Linear(8, 3))
    port = between_port("linear", layers.LeakyReLU((1 / 8 + 1 / 3) / 2))
    assert parity.check(module, port, numbers(4, 5), dtypes=["float32"]).passed
    assert "first in 1 (by" in undecided(parity.check(module, port, numbers(4, 5), train=True))


def _seeded(_, h):
    torch.manual_seed(3)
    return functional.dropout(h, 0.4)


class Counting(nn.Module):
    """Its forward changes its own buffer and attribute, in eval mode too."""

    def __init__(self):
        super().__init__()
        self.first, self.calls = nn.Linear(5, 3), 0
        self.register_buffer("total", torch.zeros(()))

    def forward(self, x):
        self.calls += 1
        self.total += 1
        return self.first(x) * self.total * self.calls


def test_seeds_set_in_forward_and_a_state_of_its_own_are_not_random():
    report = parity.check(Between(_seeded), between_port(), numbers(4, 5))
    assert report.verdict is Verdict.NOT_EQUIVALENT  # the port has no such mask
    port = keras.Sequential([keras.Input((5,)), layers.Dense(3, name="first")])
    assert parity.check(Counting(), port, numbers(4, 5)).passed
    port.add(layers.Rescaling(2.0))
    assert parity.check(Counting(), port, numbers(4, 5)).verdict is Verdict.NOT_EQUIVALENT


class Flipping(keras.Model):
    """A layer that is called with training=True."""

    def __init__(self, on):
        super().__init__()
        self.first, self.drop = layers.Dense(3, name="first"), layers.Dropout(0.5, name="drop")
        self.on = on

    def call(self, x, training=False):
        return self.drop(self.first(x), training=self.on or training)


def test_a_keras_layer_that_stays_on_is_named():
    module, given = nn.Sequential(nn.Linear(5, 3)), numbers(4, 5)
    assert parity.check(module, Flipping(False), given).passed
    assert "in drop" in undecided(parity.check(module, Flipping(True), given))


RANDOM_LAYERS = {
    "noise": lambda: layers.GaussianNoise(0.5, name="extra"),
    "wrapped": lambda: layers.TimeDistributed(layers.Dropout(0.5, name="extra")),
    "rare": lambda: layers.TimeDistributed(layers.GaussianDropout(1e-3, name="extra")),
}


@pytest.mark.parametrize("extra", RANDOM_LAYERS.values(), ids=RANDOM_LAYERS)
def test_a_random_keras_layer_without_a_counterpart_is_named_in_train_mode(extra):
    module = nn.LSTM(8, 3, batch_first=True)
    port = keras.Sequential([keras.Input((5, 8)), layers.LSTM(3, return_sequences=True), extra()])
    given = numbers(2, 5, 8)
    wrapped = Recurrent(0.0)
    wrapped.lstm = module
    assert parity.check(wrapped, port, given).passed
    assert_named("extra", parity.check(wrapped, port, given, train=True))


@pytest.mark.parametrize("wrap", [lambda lstm: lstm, layers.Bidirectional], ids=["lstm", "bidirectional"])
@pytest.mark.parametrize("rates", [{"dropout": 0.5}, {"recurrent_dropout": 0.5}], ids=str)
def test_a_dropout_inside_a_recurrent_keras_layer_is_named_in_train_mode(wrap, rates):
    module = Recurrent(0.0)
    module.lstm = nn.LSTM(8, 3, batch_first=True, bidirectional=wrap is layers.Bidirectional)

    def port(**given):
        return keras.Sequential([keras.Input((5, 8)), wrap(layers.LSTM(3, return_sequences=True, **given))])

    assert parity.check(module, port(), numbers(2, 5, 8), train=True).passed
    assert_named("lstm|bidirectional", parity.check(module, port(**rates), numbers(2, 5, 8), train=True))


def test_random_flips_are_named_in_train_mode():
    model = keras.Sequential([keras.Input((6, 4, 3)), layers.RandomFlip(name="flip"), layers.Conv2D(2, 1)])
    given = numbers(2, 3, 6, 4)
    assert parity.check(nn.Conv2d(3, 2, 1), model, given).passed
    assert_named("flip", parity.check(nn.Conv2d(3, 2, 1), model, given, train=True))


def test_first_split_takes_the_first_value_beyond_the_bound():
    one = {"fed:a": np.ones(2), "activation:a": np.ones(2), "fed:b": np.ones(2), "output": np.ones(2)}
    moved = {**one, "fed:b": np.array([1.0, 1.25])}
    assert first_split(one, dict(one), 0.0) is None
    assert first_split(one, moved, 0.3) is None
    split = first_split(one, moved, 0.0)
    assert split.place() == "between a and b (by 0.2 of its scale)"
    assert first_split({"output": np.array([1.0, np.nan])}, {"output": np.array([1.0, np.nan])}, 0.0) is None
    assert first_split({"output": np.array([1.0, np.nan])}, {"output": np.ones(2)}, 1.0).size == np.inf
    assert first_split(one, {"fed:b": np.ones(2)}, 0.0).place() == "between the input and a"
