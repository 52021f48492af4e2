"""What a check costs: how often it runs the models, what it keeps in memory, in which modes."""

from collections import Counter
from io import StringIO

import keras
import numpy as np
import pytest
import rich.console
import tensorflow as tf
import torch
from keras import layers, ops
from torch import nn

import parity
from keras_blitz.progress import late_line, progress_bar
from parity.core import difference
from parity.core.verdict import Verdict
from parity.pair.kept import kept
from parity.record.memory import held, load, view

X = np.random.RandomState(3).standard_normal((4, 6)).astype(np.float32)


def two_layers():
    """Two linear layers and a ReLU in both frameworks; both count their forward passes."""
    passes = Counter()

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.a, self.b = nn.Linear(6, 5), nn.Linear(5, 3)

        def forward(self, x):
            passes["torch"] += 1
            return self.b(torch.relu(self.a(x)))

    class Port(keras.Model):
        def call(self, *args, **kwargs):
            passes["keras"] += 1
            return super().call(*args, **kwargs)

    given = keras.Input((6,))
    port = Port(given, layers.Dense(3, name="b")(layers.Dense(5, "relu", name="a")(given)))
    passes.clear()
    return Net(), port, passes


@pytest.mark.compiled
def test_a_quick_look_takes_a_few_forward_passes():
    """PyTorch: twice to see whether it is random, to pair, the truth, three samples. Keras: two to pair, two modes."""
    module, port, passes = two_layers()
    assert parity.check(module, port, X, dtypes=["float32"], loss=False).passed
    assert passes["torch"] <= 7
    assert passes["keras"] <= 4
    passes.clear()
    assert parity.check(module, port, X, dtypes=["float32"], loss=False, modes=["eager"]).passed
    assert passes["keras"] <= 3


def assigned(variable):
    variable.assign(np.zeros(5, np.float32))


def stepped(variable):
    optimizer = keras.optimizers.SGD(1.0)
    optimizer.build([variable])
    optimizer.apply([tf.ones(5)], [variable])


@pytest.mark.parametrize(
    "change",
    [
        assigned,
        stepped,
        lambda variable: variable.value.assign_add(tf.ones(5)),
        lambda variable: tf.function(lambda: variable.value.assign_add(tf.ones(5)))(),
        lambda variable: tf.function(lambda: variable.value.assign_add(tf.ones(5)), jit_compile=True)(),
        lambda variable: variable.value.scatter_nd_add([[2]], [1.0]),
    ],
    ids=["assign", "optimizer", "assign-add", "graph", "xla", "scatter"],
)
def test_a_view_keeps_what_a_variable_held(change):
    start = np.arange(5, dtype=np.float32)
    variable = keras.Variable(start)
    seen = view(variable)
    assert np.shares_memory(seen, view(variable))
    assert not seen.flags.writeable
    with kept([variable]):
        change(variable)
        np.testing.assert_array_equal(seen, start)
        assert not np.array_equal(variable.numpy(), start)
    np.testing.assert_array_equal(variable.numpy(), start)
    change(variable)
    np.testing.assert_array_equal(seen, start)


def test_weights_that_are_there_already_are_not_assigned():
    dense = layers.Dense(2)
    dense.build((None, 3))
    (kernel,) = (weight for weight in _weights(dense) if weight.name.endswith("weight"))
    before, value = held(dense.kernel), kernel.value()
    load([kernel], {kernel.name: value.copy()})
    assert np.shares_memory(view(before), view(dense.kernel))
    load([kernel], {kernel.name: value + 1})
    np.testing.assert_array_equal(dense.kernel.numpy(), value.T + 1)


def _weights(layer):
    from keras_blitz.weights.mapping import weights

    return weights(keras.Sequential([layer]))


def test_a_large_tensor_is_measured_in_parts(monkeypatch):
    expected = np.random.RandomState(0).standard_normal((7, 30))
    actual = np.asfortranarray(expected + 1e-3 * np.random.RandomState(1).standard_normal((7, 30)))
    actual[5, 29], actual[0, 0], actual[3, 3] = 9, np.nan, 8
    expected[0, 0] = np.nan
    whole, entries = difference.measure(expected, actual), difference.worst_entries(expected, actual)
    monkeypatch.setattr(difference, "CHUNK", 16)
    parts = difference.measure(expected, actual)
    assert (parts.max_abs, parts.scale) == (whole.max_abs, whole.scale)
    assert parts.rms == pytest.approx(whole.rms, rel=1e-14)
    assert [entry.index for entry in entries[:2]] == [(5, 29), (3, 3)]
    assert difference.worst_entries(expected, actual)[:2] == entries[:2]


class Scaled(keras.Model):
    """A Dense layer, and a function of the model and what the layer returns."""

    def __init__(self, after):
        super().__init__()
        self.dense, self.after, self.count = layers.Dense(3), after, [0]

    def call(self, x):
        return self.after(self, self.dense(x))


def counted(model, y):
    model.count[0] += 1  # a graph keeps the number of the call in which it was traced
    return y + 0.0 * model.count[0]


def doubled_in_a_graph(model, y):
    return y if tf.executing_eagerly() else 2.0 * y


@pytest.mark.compiled
@pytest.mark.parametrize(
    ("after", "verdict"),
    [(counted, Verdict.EQUIVALENT), (doubled_in_a_graph, Verdict.NOT_EQUIVALENT)],
)
def test_the_compiled_model_is_compared_by_default(after, verdict):
    report = parity.check(nn.Sequential(nn.Linear(6, 3)), Scaled(after), X)
    assert report.verdict is verdict, str(report)
    assert list(report.comparisons) == ["float64", "float32", "float32-graph"]
    assert [key for key, each in report.comparisons.items() if not each.passed] == (
        [] if verdict is Verdict.EQUIVALENT else ["float32-graph"]
    )
    assert parity.check(nn.Sequential(nn.Linear(6, 3)), Scaled(after), X, modes=["eager"]).passed


@pytest.mark.compiled
def test_a_difference_in_eager_mode_is_not_looked_for_compiled():
    report = parity.check(nn.Sequential(nn.Linear(6, 3)), Scaled(lambda _model, y: 2 * y), X)
    assert list(report.comparisons) == ["float64", "float32"]
    assert report.verdict is Verdict.NOT_EQUIVALENT


@pytest.mark.compiled
def test_a_model_that_runs_eagerly_alone_is_said_to():
    """`fit` would raise the same, unless the model is compiled with run_eagerly=True: then it is right."""

    def through_numpy(_model, y):
        return y * float(np.ones(1)[0] + 0 * y.numpy().sum()) if hasattr(y, "numpy") else y

    def always(_model, y):
        return y + 0 * y.numpy().sum()

    module = nn.Sequential(nn.Linear(6, 3))
    assert parity.check(module, Scaled(through_numpy), X, modes=["eager"]).passed
    port = Scaled(always)
    report = parity.check(module, port, X)
    assert report.verdict is Verdict.NOT_DECIDED
    assert "float32-graph: not compared; does not run" in str(report)
    assert "run_eagerly=True" in report.undecided[0]
    assert parity.check(module, port, X, modes=["eager"]).passed
    port.compile(run_eagerly=True)
    report = parity.check(module, port, X)
    assert report.passed, str(report)
    assert any("run_eagerly=True" in note for note in report.notes)


@pytest.mark.compiled
def test_a_layer_inside_a_loop_passes_compiled():
    """In a graph its calls are in the loop's own graph, where nothing can be recorded: the outputs are compared."""

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.step = nn.Linear(6, 6)

        def forward(self, x):
            for _ in range(3):
                x = torch.tanh(self.step(x))
            return x

    class Port(keras.Model):
        def __init__(self, times):
            super().__init__()
            self.step, self.times = layers.Dense(6), times

        def build(self, shape):
            self.step.build(shape)

        def call(self, x):
            return ops.fori_loop(0, self.times, lambda _, y: ops.tanh(self.step(y)), x)

    assert parity.check(Net(), Port(3), X).passed
    assert parity.check(Net(), Port(2), X).verdict is Verdict.NOT_EQUIVALENT


@pytest.fixture
def terminal(monkeypatch):
    written = StringIO()
    console = rich.console.Console(file=written, force_terminal=True, width=80)
    monkeypatch.setattr(rich.console, "Console", lambda **_options: console)
    return written


def test_a_long_check_says_what_it_does(terminal):
    with late_line("parity.check", after=0.0) as say:
        say("parity.check: running Keras")
    with late_line("not shown", after=60.0):
        pass
    with progress_bar(1, "bar"), late_line("not under a bar", after=0.0):
        pass
    shown = terminal.getvalue()
    assert "parity.check" in shown
    assert "not shown" not in shown
    assert "not under a bar" not in shown
    assert shown.count("\x1b[?25l") == shown.count("\x1b[?25h")  # the cursor is back


def test_nothing_is_shown_where_standard_error_is_a_file(capsys):
    with late_line("parity.check", after=0.0) as say:
        say("more")
    assert capsys.readouterr().err == ""


def test_an_interrupted_check_leaves_the_models_as_they_were():
    module, port, _ = two_layers()
    calls = Counter()

    def interrupted(inputs, training=None):
        calls["all"] += 1
        if calls["all"] == 3:
            raise KeyboardInterrupt
        return layers.Dense.call(port.get_layer("b"), inputs)

    before = [value.copy() for value in port.get_weights()]
    state = {name: value.clone() for name, value in module.state_dict().items()}
    object.__setattr__(port.get_layer("b"), "call", interrupted)
    with pytest.raises(KeyboardInterrupt):
        parity.check(module, port, X, dtypes=["float32"])
    assert calls["all"] == 3
    for value, was in zip(port.get_weights(), before, strict=True):
        np.testing.assert_array_equal(value, was)
    assert all(torch.equal(value, state[name]) for name, value in module.state_dict().items())
