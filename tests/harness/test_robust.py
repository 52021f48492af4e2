"""Damaged files, crashing models, a full disk, two runs at once: one clear line, and nothing half-written."""

import json
import resource
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from keras_blitz import models
from keras_blitz.errors import BlitzError
from keras_blitz.weights import state_dict
from keras_blitz.weights.checkpoint import load_model, read_state, read_weights, write_model, write_state
from parity.cli import app

CASE = "mnist0-float64-eager"


@pytest.fixture(scope="module")
def checkpoints(tmp_path_factory):
    """A network and its bytes as each kind of file."""
    folder, network = tmp_path_factory.mktemp("checkpoints"), models.build("lenet")
    found = {}
    for kind in (".safetensors", ".keras", ".weights.h5"):
        write_model(network, folder / f"net{kind}")
        found[kind] = (folder / f"net{kind}").read_bytes()
    return network, found


@st.composite
def damages(draw, size: int):
    """Where a file is hurt, and how: bytes changed, most near its begin or end, where headers are; a cut; a splice."""
    places = st.one_of(
        st.integers(0, min(size, 512) - 1), st.integers(max(0, size - 512), size - 1), st.integers(0, size - 1)
    )
    return (
        draw(st.lists(st.tuples(places, st.integers(0, 255)), max_size=6)),
        draw(st.one_of(st.none(), st.integers(0, size))),
        draw(st.one_of(st.none(), st.tuples(places, st.binary(max_size=64)))),
    )


def damaged(content: bytes, damage) -> bytes:
    changes, cut, splice = damage
    hurt = bytearray(content)
    for place, value in changes:
        hurt[place] = value
    if splice:
        hurt[splice[0] : splice[0]] = splice[1]
    return bytes(hurt[:cut])


def holds_or_says(read, path):
    """A reader of `path` gives what is there, or one line that names the file."""
    try:
        read(path)
    except BlitzError as error:
        assert str(error).startswith(str(path))
        assert "\n" not in str(error)


FUZZ = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.mark.parametrize("kind", [".safetensors", ".keras"])
@FUZZ
@given(data=st.data())
def test_damaged_checkpoints(checkpoints, tmp_path, kind, data):
    content = checkpoints[1][kind]
    path = tmp_path / f"hurt{kind}"
    path.write_bytes(damaged(content, data.draw(damages(len(content)))))
    holds_or_says(read_state if kind == ".safetensors" else load_model, path)


@FUZZ
@given(data=st.data())
def test_damaged_weights_leave_a_line_or_load(checkpoints, tmp_path, data):
    network, contents = checkpoints
    path = tmp_path / "hurt.weights.h5"
    path.write_bytes(damaged(contents[".weights.h5"], data.draw(damages(len(contents[".weights.h5"])))))
    holds_or_says(lambda path: read_weights(network, path), path)


@pytest.mark.torch
@FUZZ
@given(data=st.data())
def test_damaged_pickles(checkpoints, tmp_path_factory, data):
    path = tmp_path_factory.getbasetemp() / "hurt.pth"
    write_state(state_dict(checkpoints[0]), path)
    content = path.read_bytes()
    path.write_bytes(damaged(content, data.draw(damages(len(content)))))
    holds_or_says(read_state, path)


@pytest.mark.parametrize("kind", [".safetensors", ".pth", ".pt"])
@FUZZ
@given(content=st.binary(max_size=200))
def test_any_bytes_as_a_checkpoint(tmp_path, kind, content):
    path = tmp_path / f"any{kind}"
    path.write_bytes(content)
    with pytest.raises(BlitzError) as caught:
        read_state(path)
    assert str(caught.value).startswith(str(path))
    assert "\n" not in str(caught.value)


def test_a_header_that_promises_more_than_there_is(tmp_path):
    """8 bytes of length, then the header; a reader that believed it would ask for 8 exabytes."""
    path = tmp_path / "large.safetensors"
    path.write_bytes((1 << 63).to_bytes(8, "little") + b"{}")
    holds_or_says(read_state, path)
    header = json.dumps({"a": {"dtype": "F32", "shape": [1 << 50], "data_offsets": [0, 1 << 52]}}).encode()
    path.write_bytes(len(header).to_bytes(8, "little") + header)
    with pytest.raises(BlitzError, match=r"large\.safetensors"):
        read_state(path)


@pytest.fixture
def small_disk():
    """A limit on the size of files stands in for a disk that is full: writers meet it half-way."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (200, hard))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.parametrize("kind", ["json", "html", "junit"])
def test_full_disk_while_a_report_is_written(tmp_path, small_disk, kind):
    old = tmp_path / f"report.{kind}"
    old.write_text("of yesterday")
    done = CliRunner().invoke(app, ["run", CASE, "--golden", f"--{kind}", str(old)])
    assert str(done.exception) == f"{old}: cannot be written (File too large)"
    assert "1 of 1 cases passed" in done.output
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [(old.name, "of yesterday")]


@pytest.mark.torch
def test_full_disk_while_a_golden_is_recorded(tmp_path, small_disk):
    done = CliRunner().invoke(app, ["record", "mnist0", "--output", str(tmp_path)])
    assert str(done.exception) == f"{tmp_path / 'mnist0.npz'}: cannot be written (File too large)"
    assert list(tmp_path.iterdir()) == []


def test_two_runs_at_once_write_one_whole_report(tmp_path):
    command = [sys.executable, "-m", "parity", "run", CASE, "--golden", "--json", str(tmp_path / "out.json")]
    both = [subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for _ in range(2)]
    said = [process.communicate() for process in both]
    assert [process.returncode for process in both] == [0, 0], said
    assert json.loads((tmp_path / "out.json").read_text())["summary"]["passed"] == 1
    assert [path.name for path in tmp_path.iterdir()] == ["out.json"]


def _crashing_pair(side: str):
    import keras
    import torch

    class Net(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.fc = torch.nn.Linear(3, 2)

        def forward(self, x):
            if side == "PyTorch module":
                raise ValueError("it is broken\nin two lines")
            return self.fc(x)

    class Port(keras.Model):
        def __init__(self):
            super().__init__()
            self.fc = keras.layers.Dense(2)

        def call(self, x):
            if side == "Keras model":
                raise ValueError("it is broken\nin two lines")
            return self.fc(x)

    return Net(), Port()


@pytest.mark.torch
@pytest.mark.parametrize("side", ["PyTorch module", "Keras model"])
def test_a_model_that_crashes_is_named_with_its_cause(side):
    import parity

    with pytest.raises(BlitzError, match=rf"^the {side}, given \(4, 3\), raises ValueError: it is broken$"):
        parity.check(*_crashing_pair(side), np.ones((4, 3), np.float32))
