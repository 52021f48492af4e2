"""What people hand to `parity.check` beside plain models: each form gets a verdict or a clear word, and stays strict.

Right port and wrong port side by side: a form must not make a right one fail, nor let a wrong one pass.
"""

from collections import namedtuple
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers, ops

import parity
from keras_blitz.errors import BlitzError

pytestmark = [pytest.mark.covers("H12"), pytest.mark.torch, pytest.mark.filterwarnings("ignore:.*torch.jit")]

torch = pytest.importorskip("torch", reason="needs PyTorch: pip install 'keras-blitz[torch]'")
nn = torch.nn
X = np.random.RandomState(0).randn(6, 4)
QUICK = {"dtypes": ["float64"], "modes": ["eager"]}


def slow(name):
    """Return a parameter of the slow tests: the default ones have one of each kind."""
    return pytest.param(name, marks=pytest.mark.slow)


Named = namedtuple("Named", "score hidden")


@dataclass
class Record:
    """What a PyTorch module may return."""

    score: Any
    hidden: Any
    cache: Any = None


def sequential(*stack):
    return keras.Sequential([keras.Input((4,)), *stack])


def net():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(4, 5), nn.Tanh(), nn.Linear(5, 2))


def port(factor=1.0):
    return sequential(layers.Dense(5), layers.Activation("tanh"), layers.Rescaling(factor), layers.Dense(2))


def compiled_inside():
    module = net()
    module[0] = torch.compile(module[0])
    return module


def compiled_in_place():
    module = net()
    module.compile()
    return module


def keeping():
    """A module that keeps a tensor of a run that has been."""
    module = net()
    module.seen = []
    module[1].register_forward_hook(lambda _module, _inputs, output: module.seen.append(output))
    module(torch.zeros(2, 4))
    return module


WRAPPED = {
    "compiled": lambda: torch.compile(net()),
    "compiled-inside": compiled_inside,
    "compiled-in-place": compiled_in_place,
    "data-parallel": lambda: nn.DataParallel(net()),
    "with-tensors-of-an-earlier-run": keeping,
}


@pytest.mark.parametrize("name", [slow(name) if "compiled" in name else name for name in WRAPPED])
def test_a_wrapped_module_is_observed_layer_by_layer(name):
    module = WRAPPED[name]()
    assert parity.check(module, port(), X, **QUICK).passed
    wrong = parity.check(module, port(1.01), X, **QUICK)
    assert not wrong.passed
    assert wrong.first_divergence.endswith("2")


@pytest.mark.slow
def test_a_compiled_module_is_filled_too():
    module, model = torch.compile(net()), port()
    report = parity.transfer(module, model, X, reverse=True)
    assert report.filled
    assert np.array_equal(module.state_dict()["_orig_mod.0.bias"].numpy(), model.layers[0].bias.numpy())


UNOBSERVED = {
    "scripted": (lambda: torch.jit.script(net()), "torch_module is a .*TorchScript.*give the nn.Module"),
    "traced-inside": (
        lambda: nn.Sequential(nn.Linear(4, 4), torch.jit.trace(net(), torch.zeros(1, 4))), r"torch_module\.1 is a",
    ),
    "lazy": (lambda: nn.Sequential(nn.LazyLinear(2)), "no 0.weight yet.*call it on the inputs once"),
    "opaque-output": (lambda: Returns(lambda score, hidden: (score, object())), "an instance of object as output:1"),
}  # fmt: skip


@pytest.mark.parametrize("name", [slow(name) if "traced" in name else name for name in UNOBSERVED])
def test_what_cannot_be_observed_is_said(name):
    make, words = UNOBSERVED[name]
    with pytest.raises(BlitzError, match=words):
        parity.check(make(), port(), X, **QUICK)


def hooked():
    module = net()
    module[0].register_forward_hook(lambda _module, _inputs, output: 2 * output)
    return module


def test_a_hook_that_changes_what_a_module_returns_is_part_of_the_module():
    right = sequential(layers.Dense(5), layers.Rescaling(2.0), layers.Activation("tanh"), layers.Dense(2))
    assert parity.check(hooked(), right, X, **QUICK).passed
    report = parity.check(hooked(), port(), X, **QUICK)
    assert report.first_divergence == "activation:0"
    assert "a forward hook changes what PyTorch's module returns" in str(report)


class Returns(nn.Module):
    """Two outputs, returned in a form of one's own."""

    def __init__(self, form):
        super().__init__()
        torch.manual_seed(0)
        self.first, self.last, self.form = nn.Linear(4, 5), nn.Linear(5, 2), form

    def forward(self, x):
        hidden = torch.tanh(self.first(x))
        return self.form(self.last(hidden), hidden)


def returns(form, activation="tanh"):
    x = keras.Input((4,))
    hidden = layers.Dense(5, activation=activation, name="first")(x)
    return keras.Model(x, form(layers.Dense(2, name="last")(hidden), hidden))


def a_dict(score, hidden):
    return {"hidden": hidden, "score": score}


def other_names(score, hidden):
    return {"a": hidden, "b": score}


# PyTorch's form of two outputs, and Keras's
FORMS = {
    "dataclass-and-dict": (Record, a_dict),
    "dataclass-and-list": (Record, lambda score, hidden: [score, hidden]),
    "namedtuple-and-dict": (Named, a_dict),
    "tuple-and-dict": (lambda score, hidden: (score, hidden), a_dict),
    "other-names": (a_dict, lambda score, hidden: {"a": score, "b": hidden}),
    "other-names-in-another-order": (a_dict, other_names),
}


@pytest.mark.parametrize(
    "name", [name if name in ("dataclass-and-dict", "tuple-and-dict") else slow(name) for name in FORMS]
)
def test_outputs_are_paired_whatever_their_form(name):
    theirs, ours = FORMS[name]
    report = parity.check(Returns(theirs), returns(ours), X, **QUICK)
    assert report.passed, str(report)
    wrong = parity.check(Returns(theirs), returns(ours, "relu"), X, **QUICK, loss=False)
    assert not wrong.passed


class Head(Returns):
    """With an output for training alone."""

    def forward(self, x):
        score, hidden = super().forward(x)
        return (score, hidden) if self.training else score


def test_an_output_of_the_other_mode_alone_is_listed_and_any_other_is_a_difference():
    def pair(score, hidden):
        return score, hidden

    model = returns(lambda score, hidden: [hidden, score])
    report = parity.check(Head(pair), model, X, **QUICK)
    assert report.passed, str(report)
    assert "returned by PyTorch in train mode alone, not compared: output:0" in str(report)
    report = parity.check(Returns(lambda score, hidden: score), model, X, **QUICK)
    assert not report.passed
    assert [row.name for row in report.comparisons["float64"].failures] == ["output:keras:0"]


def test_an_output_that_keras_lacks_is_the_difference():
    report = parity.check(Returns(Record), returns(lambda score, hidden: score), X, **QUICK)
    assert report.first_divergence == "output:hidden"
    assert "missing in the port" in str(report)


class RmsNorm(nn.Module):
    def __init__(self, inner, eps=1e-6):
        super().__init__()
        self.weight, self.fc, self.inner, self.eps = nn.Parameter(torch.rand(4)), nn.Linear(4, 3), inner, eps

    def forward(self, x):
        hidden = self.inner(x)
        hidden = hidden * torch.rsqrt(hidden.pow(2).mean(-1, keepdim=True) + self.eps)
        return self.fc(self.weight * hidden.to(x.dtype))


class KerasRmsNorm(layers.Layer):
    def __init__(self, inner, eps=1e-6):
        super().__init__()
        self.inner, self.eps = inner, eps

    def build(self, shape):
        self.weight = self.add_weight(shape=(shape[-1],), name="weight")

    def call(self, x):
        hidden = self.inner(x)
        hidden = hidden * ops.rsqrt(ops.mean(hidden**2, -1, keepdims=True) + self.eps)
        return self.weight * ops.cast(hidden, x.dtype)


def same(x):
    return x


@pytest.mark.parametrize("eps", [1e-6, 1.01e-6], ids=["right", "wrong"])
@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        pytest.param(lambda x: x.float(), same, id="in-pytorch", marks=pytest.mark.slow),
        pytest.param(lambda x: x.to(torch.float32), lambda x: ops.cast(x, "float32"), id="in-both"),
        pytest.param(same, lambda x: tf.cast(x, "float32"), id="in-keras", marks=pytest.mark.slow),
    ],
)
def test_a_cast_to_float32_inside_a_model_costs_no_right_port_its_verdict(theirs, ours, eps):
    report = parity.check(RmsNorm(theirs), sequential(KerasRmsNorm(ours, eps), layers.Dense(3)), X, **QUICK)
    assert report.passed is (eps == 1e-6), str(report)
    assert report.passed or not report.rounded


def test_a_float32_constant_made_in_forward_is_widened_with_what_it_meets():
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.fc = nn.Linear(4, 3)

        def forward(self, x):
            return self.fc((x.float() @ torch.full((4, 4), 0.1, dtype=torch.float32)).to(x.dtype))

    report = parity.check(Net(), lambda dtype: model_in(dtype, 0.1), X, **QUICK)
    assert report.passed, str(report)
    assert not parity.check(Net(), lambda dtype: model_in(dtype, 0.1 + 1e-8), X, **QUICK).passed


def model_in(dtype, number):
    return sequential(layers.Lambda(lambda x: x @ tf.fill((4, 4), tf.constant(number, dtype))), layers.Dense(3))


def test_a_report_is_written_to_a_path_alone():
    report = parity.check(net(), port(), X, **QUICK)
    with pytest.raises(BlitzError, match="None is not a path"):
        report.write_html(None)


class Window(nn.Module):
    """A module that returns a size, and takes one."""

    def forward(self, size):
        return size // 2


class Cropped(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc, self.window = nn.Linear(4, 6), Window()

    def forward(self, x):
        return self.fc(x)[:, : self.window(6)]


def test_a_module_that_returns_a_number_is_not_recorded():
    model = sequential(layers.Dense(6), layers.Lambda(lambda x: x[:, :3]))
    assert parity.check(Cropped(), model, X, **QUICK)
    assert not parity.check(Cropped(), sequential(layers.Dense(6), layers.Lambda(lambda x: x[:, 3:])), X, **QUICK)
