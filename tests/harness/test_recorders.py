"""Both recorders on small models made here: shared modules, unused layers, modes, layouts."""

import keras
import numpy as np
import pytest
from keras import layers

from keras_blitz.floatx import precision
from parity.core import inputs
from parity.core.compare import compare
from parity.core.trace import ABSENT
from parity.record.keras_recorder import KerasRecorder

pytestmark = pytest.mark.covers("H1")

STATE = {
    "conv.weight": np.random.RandomState(0).randn(5, 2, 3, 2).astype("float32"),
    "conv.bias": np.random.RandomState(1).randn(5).astype("float32"),
    "fc.weight": np.random.RandomState(2).randn(3, 5 * 2 * 2).astype("float32") * 0.2,
    "fc.bias": np.random.RandomState(3).randn(3).astype("float32"),
    "unused.weight": np.random.RandomState(4).randn(2, 3).astype("float32"),
    "unused.bias": np.random.RandomState(5).randn(2).astype("float32"),
}
IMAGES = np.random.RandomState(6).randn(4, 2, 10, 9)  # unlike axes throughout
LABELS = np.array([0, 2, 1, 1])


class Port(keras.Model):
    """Subclassed: no graph to read, a relu and a pool used twice, and a layer that is not used."""

    flattened_inputs = {"fc": (2, 2, 5)}  # noqa: RUF012

    def __init__(self):
        super().__init__(dtype="float64")
        self.conv = layers.Conv2D(5, (3, 2), name="conv", dtype="float64")
        self.relu = layers.ReLU(name="relu", dtype="float64")
        self.pool = layers.MaxPooling2D((2, 2), name="pool", dtype="float64")
        self.fc = layers.Dense(3, name="fc", dtype="float64")
        self.unused = layers.Dense(2, name="unused", dtype="float64")
        for layer, shape in ((self.conv, (None, 10, 9, 2)), (self.fc, (None, 20)), (self.unused, (None, 3))):
            layer.build(shape)
        self.built = True

    def call(self, x):
        x = self.pool(self.relu(self.conv(x)))
        x = self.pool(self.relu(-x + 1))
        return self.fc(keras.ops.reshape(x, (-1, 20)))


def reference():
    import torch
    from torch import nn

    class Module(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = nn.Conv2d(2, 5, (3, 2))
            self.relu = nn.ReLU(inplace=True)  # overwrites the pool's output, which must have been copied
            self.pool = nn.MaxPool2d(2)
            self.fc = nn.Linear(20, 3)
            self.unused = nn.Linear(3, 2)

        def forward(self, x):
            x = self.pool(self.relu(self.conv(x)))
            x = self.pool(self.relu(-x + 1))
            return self.fc(torch.flatten(x, 1))

    return Module()


def record_port(mode="eager", steps=3, left_out=()):
    with precision("float64"):
        recorder = KerasRecorder(
            Port(),
            loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
            optimizer=keras.optimizers.SGD(0.1),
            mode=mode,
        )
        return recorder.record(STATE, IMAGES, LABELS, steps, left_out=left_out)


def record_reference(steps=3):
    from functools import partial

    import torch

    from parity.record import torch_recorder

    return torch_recorder.record(
        reference(), STATE, IMAGES, LABELS, loss=torch.nn.CrossEntropyLoss(), steps=steps,
        optimizer=partial(torch.optim.SGD, lr=0.1),
    )  # fmt: skip


@pytest.mark.torch
@pytest.mark.parametrize("mode", ["eager", "graph", "xla"])
def test_a_subclassed_port_agrees_in_every_mode(mode):
    comparison = compare(record_reference(), record_port(mode), case="here", dtype="float64")
    assert [f"{row.name}: {row.problem}" for row in comparison.failures] == []
    names = [row.name for row in comparison.rows]
    assert {"activation:relu", "activation:relu#2", "activation:pool", "activation:pool#2"} <= set(names)
    assert "activation:unused" not in names


@pytest.mark.torch
def test_an_unused_layer_has_absent_gradients_on_both_sides():
    for trace in (record_reference(), record_port()):
        assert trace["grad:unused.weight"] is ABSENT
        np.testing.assert_array_equal(trace["step3:param:unused.weight"], STATE["unused.weight"])


@pytest.mark.torch
@pytest.mark.parametrize(("wrong", "passes"), [(0.0, True), (1e-6, False)])
def test_a_bias_before_batchnorm_has_its_terms_as_the_scale(wrong, passes):
    """Its true gradient is zero: both sides hold rounding, and a real mistake still shows."""
    import torch

    from parity.record import torch_recorder

    module = torch.nn.Sequential(torch.nn.Conv2d(2, 3, 3), torch.nn.BatchNorm2d(3), torch.nn.ReLU(inplace=True))
    state = inputs.weights(torch_recorder.shapes(module), "terms")
    images = np.random.RandomState(7).randn(4, 2, 6, 5)

    def record(images):
        return torch_recorder.record(module, state, images, images, loss=lambda out, _: (out**3).sum(), train=True)

    truth, port = record(images), record(images[::-1])
    scale = truth.terms["grad:0.bias"]
    assert np.abs(truth["grad:0.bias"]).max() < 1e-12 * scale
    assert truth.terms.keys() == {"grad:0.bias", "buffer:1.running_mean"}  # BatchNorm's own bias is not such a sum
    port["grad:0.bias"] = port["grad:0.bias"] + wrong * scale
    rows = compare(truth, port, case="here", dtype="float64").rows
    (row,) = [row for row in rows if row.name == "grad:0.bias"]
    assert row.passed is passes


def test_what_is_left_out_is_not_recorded_and_the_rest_is_the_same():
    patterns = ("step[12]:*", "activation:*", "grad:input", "param:*.bias")
    whole, part = record_port().without(patterns), record_port(left_out=patterns)
    assert list(part) == list(whole)
    assert part.meta == whole.meta
    for name, value in whole.items():
        np.testing.assert_array_equal(part[name], value)


def test_trace_is_in_the_order_things_happen():
    names = list(record_port(steps=1))
    kinds = [name.split(":")[0] for name in names]
    order = ["input", "param", "activation", "output", "loss", "grad", "step1"]
    assert sorted(kinds, key=order.index) == kinds


def test_recording_again_starts_from_the_given_weights_and_a_fresh_optimizer():
    with precision("float64"):
        recorder = KerasRecorder(
            Port(),
            loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
            optimizer=keras.optimizers.SGD(0.1, momentum=0.9),
        )
        first, second = (recorder.record(STATE, IMAGES, LABELS, 3) for _ in range(2))
    assert first["step3:loss"] == second["step3:loss"]


@pytest.mark.torch
def test_slots_a_changed_rate_and_clipping_are_recorded_on_both_sides():
    from functools import partial

    import torch

    from keras_blitz import optim
    from parity.record import torch_recorder
    from parity.suite import plans

    plan = partial(plans.of_keras, "changed"), partial(plans.of_torch, "changed")
    with precision("float64"):
        recorder = KerasRecorder(
            Port(),
            loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
            optimizer=optim.Adam(0.01),
            clip=lambda gradients: optim.clip_grad_norm_(gradients, 0.1)[0],
            mode="graph",
        )
        port = recorder.record(STATE, IMAGES, LABELS, 52, plan[0])
        unchanged = recorder.record(STATE, IMAGES, LABELS, 52)
    truth = torch_recorder.record(
        reference(), STATE, IMAGES, LABELS, loss=torch.nn.CrossEntropyLoss(), steps=52, plan=plan[1], slots=True,
        optimizer=partial(torch.optim.Adam, lr=0.01), clip=partial(torch.nn.utils.clip_grad_norm_, max_norm=0.1),
    )  # fmt: skip
    comparison = compare(truth, port, case="here", dtype="float64")
    assert [f"{row.name}: {row.problem}" for row in comparison.failures] == []
    assert {f"step52:slot:{key}:conv.weight" for key in ("step", "exp_avg", "exp_avg_sq")} <= set(truth)
    assert np.sqrt(sum((port[f"grad:{name}"] ** 2).sum() for name in STATE if "unused" not in name)) > 0.1
    assert not any("unused" in name for name in port if ":slot:" in name)  # it was never updated
    np.testing.assert_array_equal(unchanged["step50:param:fc.bias"], port["step50:param:fc.bias"])
    moved = np.abs(np.diff([run["step51:param:fc.bias"] - run["step50:param:fc.bias"] for run in (unchanged, port)], 0))
    assert (moved > 0).all()


def test_several_outputs_have_a_row_each():
    inputs = keras.Input((3,))
    outputs = {"a": layers.Dense(2, name="a")(inputs), "b": layers.Dense(4, name="b")(inputs)}
    state = {"a.weight": np.ones((2, 3)), "a.bias": np.ones(2), "b.weight": np.ones((4, 3)), "b.bias": np.ones(4)}
    images = np.ones((5, 3), "float32")
    assert {"output:a", "output:b"} <= set(KerasRecorder(keras.Model(inputs, outputs)).record(state, images))
    listed = KerasRecorder(keras.Model(inputs, list(outputs.values()))).record(state, images)
    assert {"output:0", "output:1"} <= set(listed)


def test_hooks_are_gone_after_recording():
    model = Port()
    KerasRecorder(model).record(STATE, IMAGES)
    assert all("call" not in vars(layer) for layer in model.layers)


def test_hooks_are_gone_after_an_error():
    model = Port()
    with pytest.raises(ValueError, match="conv"):
        KerasRecorder(model).record(STATE, IMAGES[:, :1])
    assert all("call" not in vars(layer) for layer in model.layers)


def test_forward_only_without_a_loss():
    assert {name.split(":")[0] for name in KerasRecorder(Port()).record(STATE, IMAGES)} == {
        "input", "param", "activation", "output"
    }  # fmt: skip


def test_unknown_mode():
    with pytest.raises(ValueError, match="mode must be one of eager, graph, xla, not 'fast'"):
        KerasRecorder(Port(), mode="fast")
