"""`parity translate` as a new user meets it: what goes wrong is one line, status 2, and nothing is written."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

torch = pytest.importorskip("torch")

from torch import nn  # noqa: E402

import parity  # noqa: E402
from keras_blitz.errors import BlitzError  # noqa: E402
from parity.cli import app  # noqa: E402

pytestmark = pytest.mark.torch

ROOT = Path(__file__).parents[2]
MINE = """
import torch
from torch import nn


class Good(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(3, 2)

    def forward(self, x):
        return torch.tanh(self.fc(x))


class Prints(Good):
    def forward(self, x):
        print("chatter")
        return self.fc(x)


class Odd(Good):
    def forward(self, x):
        return self.fc(torch.special.i0(torch.tanh(x))) * 2


class Arguments(nn.Module):
    def __init__(self, width):
        super().__init__()


def lazy():
    return nn.Sequential(nn.LazyLinear(4), nn.ReLU())


def double():
    return Good().double()


def normed():
    return nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4))


def leaves():
    raise SystemExit(5)


number = 3
"""


@pytest.fixture
def mine(tmp_path, monkeypatch):
    (tmp_path / "mine.py").write_text(MINE)
    (tmp_path / "pickled.pt").write_bytes(b"")
    (tmp_path / "part.py").write_text("from .other import Net")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def invoke(*arguments):
    return CliRunner().invoke(app, ["translate", *map(str, arguments)])


def files(folder):
    return {path.name for path in folder.iterdir()} - {"__pycache__", "mine.py", "pickled.pt", "part.py"}


@pytest.mark.parametrize(
    ("name", "shape", "words"),
    [
        ("mine.py:Arguments", "2,3", ["Arguments()", "TypeError", "width"]),
        ("mine.py:Odd", "2,3", ["special_i0", "mine.py", "return self.fc(", "--partial"]),
        ("mine.py:lazy", "2,3", ["0.weight", "call it on the inputs once"]),
        ("mine.py:leaves", "2,3", ["SystemExit"]),
        ("mine.py:number", "2,3", ["neither a torch.nn.Module"]),
        ("mine.py:Missing", "2,3", ["no 'Missing'; it has Good, "]),
        ("mine.py:Argument", "2,3", ["no 'Argument'; near: Arguments"]),
        ("mine.py:number.x", "2,3", ["no 'x'"]),
        ("mine.py:", "2,3", ["file.py:NAME"]),
        (":Good", "2,3", ["file.py:NAME"]),
        ("mine.py:Good", "2,4", ["shapes cannot be multiplied", "float32 (2, 4)"]),
        ("mine.py:Good", "2,3:int:5", ["dtype", "int64 (2, 3)"]),
        ("mine.py:Good", "2;3", ["--input '2;3'"]),
        ("mine.py:Good", "99999999,99999999", ["--input", "memory"]),
        ("gone.py:Good", "2,3", ["gone.py", "no such file"]),
        ("gone.pt", "2,3", ["gone.pt", "no such file"]),
        ("gone.safetensors", "2,3", ["no such file"]),
        ("pickled.pt", "2,3", ["--trust"]),
        ("part.py:Net", "2,3", ["relative import", "package.file:NAME"]),
        ("mine.py:double", "2,3", ["float64", "module.float()"]),
        (
            "mine.py:normed",
            "1,3",
            ["in train mode raises", "1 value per channel", "give a batch of two examples"],
        ),
    ],
)
def test_what_a_user_gets_wrong_is_one_line(name, shape, words, mine):
    done = invoke(name, "--input", shape, "-o", "net.py")
    assert isinstance(done.exception, BlitzError), done.output  # `keras_blitz.command` prints it, status 2
    assert [word for word in words if word not in str(done.exception)] == [], str(done.exception)
    assert "\n" not in str(done.exception)
    assert files(mine) == set()


@pytest.mark.parametrize(
    ("output", "words"),
    [("missing/net.py", ["folder", "missing"]), ("net.txt", [".py"]), ("folder.py", ["is a folder"]),
     ("taken.py", ["taken.weights.h5", "is a folder"])],
)  # fmt: skip
def test_an_output_that_cannot_be_written_is_one_line_at_the_start(output, words, mine):
    (mine / "folder.py").mkdir()
    (mine / "taken.weights.h5").mkdir()
    done = invoke("mine.py:Good", "--input", "2,3", "-o", output)
    assert isinstance(done.exception, BlitzError)
    assert [word for word in words if word not in str(done.exception)] == []
    assert files(mine) == {"folder.py", "taken.weights.h5"}


def test_a_file_of_the_users_own_is_not_overwritten(mine):
    done = invoke("mine.py:Good", "--input", "2,3", "-o", "mine.py")
    assert isinstance(done.exception, BlitzError)
    assert "another name" in str(done.exception)
    assert (mine / "mine.py").read_text() == MINE


def test_without_a_proof_what_is_written_says_so(mine):
    for _ in range(2):  # its own file it writes again
        done = invoke("mine.py:Good", "--input", "2,3", "-o", "net.py", "--no-proof")
    assert done.exit_code == 1
    assert "not proven: no parity.check has run" in done.output
    assert "not proven" in (mine / "net.py").read_text().split("import keras")[0]


def test_what_the_module_prints_is_not_in_the_way(mine):
    done = invoke("mine.py:Prints", "--input", "2,3", "-o", "net.py")
    assert done.exit_code == 0, done.output
    assert "chatter" not in done.output
    assert "proven by parity.check" in done.output
    assert files(mine) == {"net.py", "net.weights.h5"}


def test_partial_writes_a_stub_and_the_rest(mine):
    done = invoke("mine.py:Odd", "--input", "2,3", "-o", "net.py", "--partial")
    assert done.exit_code == 1
    assert "left out: no translation of torch's special_i0" in done.output
    assert files(mine) == {"net.py"}, "weights of a model that cannot be built"
    source = (mine / "net.py").read_text()
    assert "not proven: no translation of torch's special_i0" in " ".join(source.split("import keras")[0].split())
    space = {}
    exec(compile(source, "net.py", "exec"), space)
    with pytest.raises(NotImplementedError, match="no translation of torch's special_i0"):
        space["odd"]()
    space["missing_special_i0"] = lambda x: x  # what a user writes there
    assert [layer.name for layer in space["odd"]().layers if layer.weights] == ["fc"]


def environment():
    return {**os.environ, "PYTHONPATH": str(ROOT)}


# By the function.


class Counts(nn.Module):
    """Returns something else each time."""

    def __init__(self):
        super().__init__()
        self.fc, self.calls = nn.Linear(3, 2), 0

    def forward(self, x):
        self.calls += 1
        return self.fc(x) * self.calls


class Grows(nn.Module):
    """Makes its layer when it is called."""

    def forward(self, x):
        self.fc = nn.Linear(3, 2)
        return self.fc(x)


class Remembers(nn.Module):
    """Keeps what it has seen, and returns the same: this can be translated."""

    def __init__(self):
        super().__init__()
        self.fc, self.calls, self.last = nn.Linear(3, 2), 0, None

    def forward(self, x):
        self.calls, self.last = self.calls + 1, x
        return self.fc(x)


class Decides(nn.Module):
    """Takes one of two ways by the values of its input."""

    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(3, 2)

    def forward(self, x):
        if x.sum() > 0:
            return self.fc(x)
        return -self.fc(x)


class Returns(nn.Module):
    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, x):
        return self.function(x)


def raising(error):
    def function(x):
        raise error

    return Returns(function)


def on_meta():
    with torch.device("meta"):
        return nn.Linear(3, 2)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (Counts, ["Counts", "changes itself", "second call"]),
        (Grows, ["Grows", "changes itself", "fc is new"]),
        (lambda: raising(KeyError("first\nsecond")), ["Returns raised KeyError", "float32 (2, 3)", "raise error"]),
        (lambda: raising(SystemExit(3)), ["Returns raised SystemExit"]),
        (lambda: Returns(lambda x: x[x > 0].sum().reshape(1, 1)), ["truth values", "test_translate_usage.py"]),
        (lambda: Returns(lambda x: x.nonzero()), ["nonzero", "@parity.translates"]),
        (lambda: Returns(lambda x: torch.fft.fft(x).real), ["complex"]),
        (lambda: Returns(lambda x: torch.sparse.mm(x.to_sparse(), x.t())), ["sparse"]),
        (lambda: Returns(lambda x: torch.quantize_per_tensor(x, 0.1, 0, torch.qint8).dequantize()), ["quantized"]),
        (lambda: Returns(lambda x: 3), ["int", "no tensor"]),
        (lambda: Returns(lambda x: torch.zeros(2, 3)), ["constant", "(2, 3)"]),
        (lambda: Returns(lambda x: (x * 2, torch.arange(3))), ["constant", "(3,)"]),
        (lambda: Returns(lambda x: {"a": x, 3: x * 2}), ["key 3"]),
        (lambda: nn.LazyLinear(2), ["weight", "call it on the inputs once"]),
        (lambda: torch.jit.trace(nn.Linear(3, 2), torch.ones(2, 3)), ["TorchScript"]),
        (on_meta, ["weight", "meta device"]),
        (lambda: nn.Linear(3, 2).half(), ["float16", "module.float()"]),
        (lambda: nn.Linear(3, 2).to(torch.bfloat16), ["bfloat16", "module.float()"]),
        (lambda: 3, ["torch.nn.Module", "int"]),
    ],
)
@pytest.mark.filterwarnings("ignore")
def test_what_no_keras_model_can_do_is_one_line(make, words):
    with pytest.raises(BlitzError) as caught:
        parity.translate(make(), np.ones((2, 3), "f"), check=False)
    assert [word for word in words if word not in str(caught.value)] == [], str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("shape", "words"), [((2, 5, 4, 3), r"channels last: np\.moveaxis\(x, -1, 1\)"), ((3, 5, 4), r"batch.*x\[None\]")]
)
def test_inputs_that_the_module_refuses_have_their_remedy(shape, words):
    with pytest.raises(BlitzError, match=words):
        parity.translate(nn.Conv2d(3, 2, 1), np.ones(shape, "f"), check=False)


@pytest.mark.filterwarnings("ignore")
def test_a_dynamically_quantized_module_is_one_line():
    module = torch.ao.quantization.quantize_dynamic(nn.Sequential(nn.Linear(3, 2)), {nn.Linear})
    with pytest.raises(BlitzError, match="quantized Linear"):
        parity.translate(module, np.ones((2, 3), "f"), check=False)


def test_state_that_changes_nothing_is_no_reason_to_refuse():
    module = Remembers()
    assert "fc" in parity.translate(module, np.ones((2, 3), "f"), check=False).source
    assert module.calls == 0, "the user's module has not been called"


def test_a_value_that_decides_is_noted_in_the_file():
    port = parity.translate(Decides(), np.ones((2, 3), "f"), dtypes=("float64",))
    assert "inputs that decide as the example's" in port.proof.line
    assert len(port.notes) == 1
    assert "if x.sum() > 0:" in port.notes[0]
    assert "if x.sum() > 0:" in port.source.split("import keras")[0]
    assert parity.translate(Remembers(), np.ones((2, 3), "f"), check=False).notes == []


@pytest.mark.slow
def test_ctrl_c_in_the_middle_is_one_line_and_writes_nothing(mine):
    (mine / "slow.py").write_text(
        MINE.replace("return torch.tanh(", "import time; print('at work', flush=True); time.sleep(1)\n        return (")
        .replace("print(", "import sys; print(")
        .replace("flush=True", "flush=True, file=sys.stderr")
    )
    code = (  # a job in the background is started without a handler of SIGINT
        "import signal, sys; signal.signal(signal.SIGINT, signal.default_int_handler); "
        "from parity.cli import main; sys.argv = ['parity', *sys.argv[1:]]; main()"
    )
    command = [sys.executable, "-c", code, "translate", "slow.py:Good", "--input", "2,3", "-o", "net.py"]
    with subprocess.Popen(command, cwd=mine, env=environment(), stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        for line in process.stderr:
            if "at work" in line:
                break
        time.sleep(0.5)
        process.send_signal(signal.SIGINT)
        said = [line for line in process.stderr.read().splitlines() if "at work" not in line]
        assert process.wait(60) == 130
    assert said == ["parity: interrupted: nothing was written"]
    assert files(mine) == {"slow.py"}
