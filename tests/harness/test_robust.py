"""Damaged files, crashing models, a full disk, Ctrl-C, two runs at once: one clear line, and nothing half-written."""

import io
import json
import resource
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from keras_blitz.errors import BlitzError
from parity.cli import app
from parity.core.compare import Comparison
from parity.core.own_error import own_error
from parity.core.trace import ABSENT, Trace
from parity.suite import oracle
from parity.suite.oracle import Reference
from parity.suite.run import run
from parity.suite.saved import compare_files
from parity.suite.select import select

CASE = "mnist0-float64-eager"
GOLDEN = oracle.golden.path_of("lenet").read_bytes()


def invoke(*arguments):
    return CliRunner().invoke(app, list(map(str, arguments)))


# Golden files and traces


def another_npz() -> bytes:
    packed = io.BytesIO()
    np.savez(packed, a=np.zeros(3))
    return packed.getvalue()


def with_header(content: bytes, change) -> bytes:
    """Return a trace file whose header `change` has rewritten."""
    with np.load(io.BytesIO(content)) as archive:
        members = {name: archive[name] for name in archive.files}
    header = change(json.loads(members["trace"].tobytes()))
    packed = io.BytesIO()
    np.savez(packed, **(members | {"trace": np.frombuffer(json.dumps(header).encode(), np.uint8)}))
    return packed.getvalue()


def without_own(header: dict) -> dict:
    header["meta"]["own"] = 3
    return header


DAMAGED = {
    "empty": (b"", "truncated, or not a trace"),
    "half": (GOLDEN[: len(GOLDEN) // 2], "truncated, or not a trace"),
    "a text": (b"hello\n", "truncated, or not a trace (it is not a .npz archive)"),
    "foreign": (another_npz(), "a NumPy file of something else"),
    "a byte": (GOLDEN[:2000] + bytes([GOLDEN[2000] ^ 1]) + GOLDEN[2001:], "truncated, or not a trace"),
    "broken record": (with_header(GOLDEN, without_own), "its record of PyTorch's own error is broken"),
    "a folder": (None, "is a folder"),
}


@pytest.mark.parametrize("kind", DAMAGED)
def test_a_damaged_golden_fails_its_case_and_says_how_to_mend_it(monkeypatch, tmp_path, kind):
    content, message = DAMAGED[kind]
    path = tmp_path / "lenet.npz"
    path.write_bytes(content) if content is not None else path.mkdir()
    original = oracle.from_golden
    monkeypatch.setattr(
        oracle, "from_golden", lambda case: original(case, tmp_path) if case.subject == "lenet" else original(case)
    )
    broken, kept = run(select(["lenet-float64-eager", CASE]), live=False)
    assert kept.passed
    assert broken.missing
    assert str(path) in broken.error
    assert message in broken.error
    assert "parity record lenet" in broken.error
    assert broken.error.isprintable()


@pytest.mark.parametrize("kind", DAMAGED)
@pytest.mark.parametrize("place", [0, 1])
def test_compare_names_the_damaged_trace(tmp_path, kind, place):
    content, message = DAMAGED[kind]
    Trace([("output", np.ones(3))]).save(tmp_path / "good.npz")
    path = tmp_path / "damaged.npz"
    path.write_bytes(content) if content is not None else path.mkdir()
    files = [tmp_path / "good.npz", tmp_path / "good.npz"]
    files[place] = path
    done = invoke("compare", *files)
    assert isinstance(done.exception, BlitzError)
    assert str(done.exception).startswith(f"{path}: ")
    assert message in str(done.exception) or (kind == "broken record" and "holds fingerprints" in str(done.exception))


LEAVES = st.one_of(
    st.none(), st.booleans(), st.integers(-3, 3), st.sampled_from([10**15, 1.5, float("nan"), "", "a\nb", "<f4", "|S3"])
)
VALUES = st.recursive(LEAVES, lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.just("a"), inner))


def places(tree, path=()):
    """Yield the path of everything in a JSON document."""
    yield path
    for key in tree if isinstance(tree, dict) else range(len(tree)) if isinstance(tree, list) else ():
        yield from places(tree[key], (*path, key))


def replaced(tree, path, value):
    if not path:
        return value
    copied = dict(tree) if isinstance(tree, dict) else list(tree)
    copied[path[0]] = replaced(tree[path[0]], path[1:], value)
    return copied


@pytest.fixture(scope="module")
def traces(tmp_path_factory):
    """A reference with fingerprints and PyTorch's own error, and a port of it."""
    folder, values = tmp_path_factory.mktemp("traces"), np.random.RandomState(0).randn(300)
    entries = [("input", values[:6].reshape(2, 3)), ("grad:fc.weight", ABSENT), ("activation:fc", values),
               ("output", values[:7]), ("loss", values[0]), ("fact:error", "a text"), ("fact:flag", True)]  # fmt: skip
    truth = Trace(entries, version="2")
    float32 = Trace((name, np.float32(v) if getattr(v, "ndim", 0) else v) for name, v in truth.items())
    own = own_error(truth, [float32])
    Reference(Trace(truth.items(), keep=100, **truth.meta), own, ("step[3-9]:*",)).save(folder / "a.npz")
    truth.save(folder / "b.npz")
    assert compare_files(folder / "a.npz", folder / "b.npz").passed
    return folder


@pytest.mark.parametrize("which", ["a", "b"])
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_header_with_anything_in_it_gives_a_verdict_or_one_line(traces, which, data):
    def change(header):
        for _ in range(data.draw(st.integers(1, 2))):
            header = replaced(header, data.draw(st.sampled_from(list(places(header)))), data.draw(VALUES))
        return header

    path = traces / "changed.npz"
    path.write_bytes(with_header((traces / f"{which}.npz").read_bytes(), change))
    files = [path if name == which else traces / f"{name}.npz" for name in ("a", "b")]
    try:
        assert isinstance(compare_files(*files), Comparison)
    except BlitzError as error:
        assert "changed.npz" in str(error)
        assert str(error).isprintable()


# A full disk, two runs at once, models that raise


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


def test_traces_that_cannot_be_written_fail_their_case_alone(tmp_path, monkeypatch):
    """The disk is full for one file; what the other cases found is kept."""
    original = Trace.save

    def save(trace, path, **more):
        if path.name == "mnist0-float64-eager.keras.npz":
            raise BlitzError(f"{path}: cannot be written (No space left on device)")
        original(trace, path, **more)

    monkeypatch.setattr(Trace, "save", save)
    done = invoke("run", "mnist0", "--dtype", "float64", "--mode", "eager", "--golden", "--traces", tmp_path / "t",
                  "--json", tmp_path / "out.json")  # fmt: skip
    assert done.exit_code == 2
    cases = {case["id"]: case for case in json.loads((tmp_path / "out.json").read_text())["cases"]}
    assert "No space left on device" in cases.pop(CASE)["error"]
    assert len(cases) == 1
    assert all(case["passed"] for case in cases.values())


def test_of_three_reports_one_without_room_leaves_the_others(tmp_path, monkeypatch):
    from parity.report import html

    def write(document, path):
        raise BlitzError(f"{path}: cannot be written (No space left on device)")

    monkeypatch.setattr(html, "write", write)
    reports = {kind: tmp_path / f"o.{kind}" for kind in ("json", "html", "junit")}
    done = invoke("run", CASE, "--golden", *(word for kind, path in reports.items() for word in (f"--{kind}", path)))
    assert str(done.exception) == f"{reports['html']}: cannot be written (No space left on device)"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["o.json", "o.junit"]


@pytest.mark.parametrize("arguments", [["list"], ["run", CASE, "--golden"]])
def test_standard_output_on_a_full_disk_is_one_line(arguments):
    with Path("/dev/full").open("w") as full:
        words = [sys.executable, "-m", "parity", *arguments]
        done = subprocess.run(words, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert done.stderr == "parity: error: standard output cannot be written (No space left on device)\n"
    assert done.returncode == 2


def test_recording_twice_at_once_leaves_whole_goldens(tmp_path):
    """Ten writers of one name; readers meanwhile see one of theirs, never a part."""
    from concurrent.futures import ThreadPoolExecutor

    path = tmp_path / "a.npz"
    made = [Trace([("output", np.full(20_000, float(number)))]) for number in range(10)]
    made[0].save(path)
    with ThreadPoolExecutor(10) as pool:
        written = [pool.submit(trace.save, path) for trace in made * 3]
        while not all(one.done() for one in written):
            values = np.unique(Trace.load(path)["output"])
            assert len(values) == 1
    assert all(one.exception() is None for one in written)
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    ("error", "said"),
    [(ValueError("shapes\nin two lines"), "ValueError: shapes"), (MemoryError(), "MemoryError: "),
     (RecursionError("too deep"), "RecursionError: too deep")],
)  # fmt: skip
def test_a_case_that_raises_half_way_fails_alone(error, said):
    def record_port(dtype, mode, left_out):
        Trace([("output", np.ones(3))])
        raise error

    before, broken, after = select(["mnist0-float64-eager", "mnist0-float64-graph", "mnist0-float32-eager"])
    results = list(run([before, replace(broken, record_port=record_port), after], live=False))
    assert [result.passed for result in results] == [True, False, True]
    assert (results[1].error, results[1].missing) == (said, False)


@pytest.mark.torch
@pytest.mark.parametrize("side", ["PyTorch", "Keras"])
@pytest.mark.parametrize("place", ["loss", "step"])
def test_a_loss_or_a_step_that_raises_is_named_with_its_side(side, place):
    import keras
    import torch

    import parity

    def broken(*_):
        raise ValueError("it is broken\nin two lines")

    class BrokenSGD(torch.optim.SGD):
        step = broken

    class BrokenKerasSGD(keras.optimizers.SGD):
        update_step = broken

    loss = [torch.nn.MSELoss(), keras.losses.MeanSquaredError()]
    optimizer = [lambda parameters: torch.optim.SGD(parameters, 0.1), keras.optimizers.SGD(0.1)]
    which = ["PyTorch", "Keras"].index(side)
    if place == "loss":
        loss[which] = broken
    else:
        optimizer[which] = [lambda parameters: BrokenSGD(parameters, 0.1), BrokenKerasSGD(0.1)][which]
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)])
    who = "PyTorch's loss" if (side, place) == ("PyTorch", "loss") else rf"the {side} m\w+"
    with pytest.raises(BlitzError, match=rf"^{who} raises ValueError: it is broken$"):
        parity.check(
            torch.nn.Sequential(torch.nn.Linear(3, 2)), model, np.ones((4, 3), "float32"), loss=tuple(loss),
            optimizer=tuple(optimizer), steps=1, target=np.zeros((4, 2), "float32"), dtypes=["float32"],
        )  # fmt: skip


def test_a_blitz_error_in_a_layer_keeps_its_own_words():
    """Keras raises it again with a text of many lines around it."""
    import keras

    class Port(keras.layers.Layer):
        def call(self, x):
            raise BlitzError("rate must be below 1")

    with pytest.raises(BlitzError, match=r"^rate must be below 1$"):
        Port()(np.ones(3))


# Ctrl-C


SIGNALLED = """
import os, signal, sys
from parity import cli, session
from parity.core.trace import Trace

original, when = session.run, sys.argv.pop(1)
signal.signal(signal.SIGINT, signal.default_int_handler)  # a job in the background is started without

class Deleted:
    def __del__(self):
        os.kill(os.getpid(), signal.SIGINT)

def run(*arguments, **options):
    for number, result in enumerate(original(*arguments, **options)):
        if number == 2 and when == "in a case":
            os.kill(os.getpid(), signal.SIGINT)
        if number == 2 and when == "side by side":
            os.killpg(os.getpgid(0), signal.SIGINT)  # as a terminal does
        if number == 2 and when == "where it is swallowed":
            Deleted()
            import time
            time.sleep(60)
        yield result

if when == "before the first case":
    def load_frameworks(live):
        os.kill(os.getpid(), signal.SIGINT)
    session.load_frameworks = load_frameworks
session.run = run
cli.main()
"""


@pytest.mark.parametrize(
    ("when", "done"), [("before the first case", None), ("in a case", 2), ("where it is swallowed", 2)]
)
def test_ctrl_c_keeps_what_is_done_and_leaves_no_part(tmp_path, when, done):
    words = [sys.executable, "-c", SIGNALLED, when, "run", "mnist0", "--golden", "--mode", "eager",
             "--json", str(tmp_path / "out.json"), "--traces", str(tmp_path)]  # fmt: skip
    ended = subprocess.run(words, capture_output=True, text=True, check=False)
    assert ended.returncode == 130
    assert "Traceback" not in ended.stderr
    if done is None:
        assert list(tmp_path.iterdir()) == []
        return
    assert f"interrupted: {done} of 4 cases ran" in ended.stderr
    assert json.loads((tmp_path / "out.json").read_text())["summary"]["cases"] == done
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".tmp-")]
    assert len(list(tmp_path.glob("*.npz"))) == 2 * done


def test_ctrl_c_ends_cases_that_run_side_by_side(tmp_path):
    words = [sys.executable, "-c", SIGNALLED, "side by side", "run", "mnist0", "mnist1", "--golden", "--mode", "eager",
             "--jobs", "2", "--json", str(tmp_path / "out.json")]  # fmt: skip
    ended = subprocess.run(words, capture_output=True, text=True, check=False, start_new_session=True)
    assert ended.returncode == 130
    assert ended.stderr == "interrupted: 2 of 8 cases ran\n"  # and no traceback of another process
    assert json.loads((tmp_path / "out.json").read_text())["summary"]["cases"] == 2
