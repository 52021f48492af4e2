"""What a mistake in the port looks like: on the screen, isolated, compiled, in float32.

That every mistake of the catalogue is caught is in test_faults.py.
"""

from pathlib import Path

import pytest
import tensorflow as tf
from typer.testing import CliRunner

from keras_blitz.autograd import Gradients, OperationGraph, demos
from parity.cli import app
from parity.faults.calls import before, behind
from parity.faults.catalogue import FAULTS
from parity.faults.plant import in_layer, planted
from parity.suite.run import run
from parity.suite.select import select

PLACES = {fault.id: fault.places for fault in FAULTS}


def invoked(mistake, *arguments: str):
    with planted(mistake):
        return CliRunner().invoke(app, arguments)


@pytest.mark.covers("H7")
@pytest.mark.parametrize(
    ("mistake", "name", "problem"),
    [
        ("relu-dropped", "activation:conv2", "of its scale"),
        ("nan-on-one-side", "activation:conv2", "NaN or infinite on one side only"),
        ("parameter-dropped", "param:conv2.bias", "missing in the port"),
        ("gradient-zero", "grad:fc2.bias", "differs by 1.0e+00 of its scale"),
        ("gradient-absent", "grad:fc2.bias", "the port has an absent gradient (None)"),
        ("gradient-sign", "grad:fc2.bias", "differs by 2.0e+00 of its scale"),
        ("gradient-halved", "grad:fc1.bias", "differs by 5.0e-01 of its scale"),
    ],
)
def test_mistake_fails_at_the_right_tensor_on_the_screen(mistake, name, problem):
    shown = invoked(PLACES[mistake][0].plant, "show", "lenet-float64-eager", "--golden")
    assert shown.exit_code == 1
    assert f"first divergence at {name}" in shown.output
    lines = [line for line in shown.output.splitlines() if line.startswith(name) and "FAIL" in line]
    assert lines
    assert problem in lines[0]


def not_accumulated(monkeypatch):
    monkeypatch.setattr(Gradients, "add", lambda self, gradients: setattr(self, "_grads", list(gradients)))


def zeros_for_absent(monkeypatch):
    grad = Gradients.grad
    monkeypatch.setattr(
        Gradients, "grad", lambda self, leaf: tf.zeros_like(leaf) if grad(self, leaf) is None else grad(self, leaf)
    )


def hook_not_called(monkeypatch):
    monkeypatch.setattr("parity.twins.keras.autograd.hook", lambda tensor, function: tf.identity(tensor))


def detach_that_does_not(monkeypatch):
    monkeypatch.setattr(demos.tracking, "detach", tf.identity)


def vector_not_multiplied(monkeypatch):
    monkeypatch.setattr("keras_blitz.autograd.tape._checked", lambda output, gradient: tf.ones_like(output))


def relu_for_a_clamp(monkeypatch):
    monkeypatch.setattr(tf, "maximum", lambda x, least: tf.nn.relu(x))


def square_for_a_cube(monkeypatch):
    monkeypatch.setattr(demos.powers, "powers", lambda a, b: 3 * a**2 - b**2)


def edge_lost(monkeypatch):
    edges = OperationGraph.edges
    monkeypatch.setattr(OperationGraph, "edges", lambda self: edges(self)[1:])


@pytest.mark.parametrize(
    ("mistake", "subject", "names"),
    [
        (not_accumulated, "backward-twice", {"grad:second"}),
        (not_accumulated, "small-batches", {"grad:accumulated", "grad:forgotten"}),
        (zeros_for_absent, "hooks", {"grad:unused", "grad:unused zeroed", "grad:x forgotten"}),
        (hook_not_called, "hooks", {"grad:x"}),
        (detach_that_does_not, "switches", {"fact:detach", "grad:x"}),
        (vector_not_multiplied, "powers", {"grad:a", "grad:b"}),
        (relu_for_a_clamp, "two-layers",
         {"output:tensorflow.losses", "grad:tensorflow.w1", "grad:tensorflow.w2", "output:tensorflow.w1",
          "output:tensorflow.w2"}),
        (square_for_a_cube, "powers-summed", {"output:Q.sum", "grad:a"}),
        (edge_lost, "graph", {"fact:edges"}),
    ],
)  # fmt: skip
def test_mistake_in_the_tape_layer_fails_at_the_right_tensor(monkeypatch, mistake, subject, names):
    mistake(monkeypatch)
    (result,) = run(select([f"autograd-{subject}-float64-eager"]), live=False)
    assert {row.name for row in result.comparison.failures} == names


SCALED = in_layer("conv2", call=behind(lambda outputs: 1.01 * outputs))


@pytest.mark.covers("H7")
@pytest.mark.torch
def test_isolation_names_the_layer_that_is_wrong_by_itself():
    """In the run every layer from conv2 on differs; given PyTorch's input, conv2 alone does."""
    with planted(SCALED):
        (result,) = run(select(["lenet-float64-eager"]), live=True)
    differing = {row.name for row in result.comparison.failures}
    assert {"activation:conv2", "activation:fc1", "activation:fc2", "activation:fc3"} <= differing
    shown = invoked(SCALED, "show", "lenet-float64-eager", "--isolate")
    assert shown.exit_code == 1
    assert "wrong on their own: conv2\n" in shown.output


@pytest.mark.torch
def test_isolation_looks_elsewhere_where_each_layer_is_right():
    shown = invoked(PLACES["relu-dropped"][0].plant, "show", "lenet-float64-eager", "--isolate")
    assert shown.exit_code == 1
    assert "each layer is right on its own: look between" in shown.output


@pytest.mark.torch
@pytest.mark.parametrize(
    "case",
    ["lenet-float64-eager", "mlp-float64-graph", pytest.param("resnet18-train-float64-graph", marks=pytest.mark.slow)],
)
def test_isolation_of_the_unmutated_port_finds_each_layer_right(case):
    shown = CliRunner().invoke(app, ["show", case, "--isolate"])
    assert shown.exit_code == 0
    assert "layers is right on its own" in shown.output


@pytest.mark.parametrize("mode", ["graph", "xla"])
def test_mistake_is_seen_in_compiled_modes(mode):
    with planted(PLACES["gradient-zero"][0].plant):
        (result,) = run(select([f"lenet-float64-{mode}"]), live=False)
    assert not result.passed
    assert "grad:fc2.bias" in [row.name for row in result.comparison.failures]


@pytest.mark.parametrize(
    "mistake",
    ["flatten-order", "kernel-transposed", "parameter-dropped", "relu-dropped", "nan-on-one-side", "gradient-absent",
     "gradient-zero", "gradient-sign", "gradient-halved", "targets-rolled", "gradient-permuted"],
)  # fmt: skip
def test_mistake_is_seen_in_float32(mistake):
    with planted(PLACES[mistake][0].plant):
        (result,) = run(select(["lenet-float32-eager"]), live=False)
    assert result.error == ""
    assert not result.passed


def test_small_float32_inaccuracy_is_seen():
    """A negative control for the ratio rule: a convolution with half the mantissa (as TF32 has) does not pass."""
    coarse = before(lambda inputs: tf.cast(tf.cast(inputs, "float16"), inputs.dtype))
    with planted(in_layer("conv2", call=coarse)):
        (result,) = run(select(["lenet-float32-eager"]), live=False)
    assert "activation:conv2" in [row.name for row in result.comparison.failures]


def test_float32_cannot_hold_what_float64_shows():
    """Why float64 is compared at all: a learning rate wrong in the tenth digit."""
    with planted(PLACES["rate-off-by-1e-9"][0].plant):
        results = list(run(select(["lenet-float64-eager", "lenet-float32-eager"]), live=False))
    assert {result.case.dtype: result.passed for result in results} == {"float64": False, "float32": True}


def test_run_counts_and_names_the_failure():
    done = invoked(PLACES["relu-dropped"][0].plant, "run", "lenet-float64-eager", "mse-mean-float64-eager", "--golden")
    assert done.exit_code == 1
    assert "1 of 2 cases passed" in done.output
    assert "lenet-float64-eager: first divergence at activation:conv2" in done.output
    page = (Path(__file__).parents[2] / "docs" / "cases.md").read_text(encoding="utf-8")
    shown = page.split("$ parity run lenet-float64-eager --golden\n")[1].split("```")[0]
    printed = [line.split() for line in done.output.splitlines()]
    assert [line for line in shown.splitlines()[1:] if line.split() not in printed] == []


def test_a_port_that_raises_fails_alone():
    def broken(model):
        if model.name == "lenet":
            raise RuntimeError("out of paper\nand more")

    done = invoked(
        lambda plant: plant.network(broken), "run", "lenet-float64-eager", "mnist0-float64-eager", "--golden"
    )
    assert done.exit_code == 1
    assert "lenet-float64-eager: RuntimeError: out of paper" in done.output
    assert "and more" not in done.output
    assert "1 of 2 cases passed" in done.output
