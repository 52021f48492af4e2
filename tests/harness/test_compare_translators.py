"""`scripts/compare_translators.py`: ours alone on one network, a process that fails, and how gradients are compared."""

import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

pytest.importorskip("torch")

pytestmark = pytest.mark.torch

SCRIPTS = Path(__file__).parents[2] / "scripts"


@pytest.fixture
def on_path(monkeypatch):
    for folder in (SCRIPTS, SCRIPTS / "translators"):
        monkeypatch.syspath_prepend(folder)


def run(*arguments):
    return subprocess.run(
        [sys.executable, SCRIPTS / "compare_translators.py", *arguments], capture_output=True, text=True
    )


@pytest.mark.slow
def test_ours_alone():
    done = run("--only", "U-Net")
    assert done.returncode == 0, done.stderr
    *_, line = done.stdout.splitlines()
    name, translator, passes, error, gradients, transposes, source, _ = line.strip("| ").split(" | ")
    assert (name, translator, passes, gradients, transposes) == ("U-Net", "parity", "yes", "36 of 36", "0")
    assert float(error) < 1e-5
    assert 20 < int(source.split()[0]) < 60


def test_environment_that_does_not_exist_is_one_line():
    done = run("--nobuco", "no/python")
    assert done.returncode == 2
    assert "no/python" in done.stderr
    assert done.stderr.count("\n") == 1


def test_process_that_fails_is_a_line_of_the_table(on_path):
    from compare_translators import last_error, line_of

    said = last_error("I0000 noise\nTraceback …\nValueError: no kernel | at all\n2 models\n", 1)
    assert said == "ValueError: no kernel | at all"
    assert line_of("net", "nobuco", {"reason": said}).count("|") == 9
    assert "signal 11" in last_error("", -11)


@pytest.mark.parametrize(
    ("change", "agreeing"),
    [
        (lambda value, gradient: (value.T, gradient.T), 1),  # another layout
        (lambda value, gradient: (value, gradient * 1.01), 0),
        (lambda value, gradient: (value, gradient[::-1]), 0),
        (lambda value, gradient: (value + 1, gradient), 0),
    ],
    ids=["transposed", "another-gradient", "gradient-in-another-order", "another-weight"],
)
def test_gradients_are_compared_whatever_the_layout(change, agreeing, on_path):
    from answer import count_agreeing

    value, gradient = np.random.RandomState(0).randn(2, 4, 3).astype("f")
    question = SimpleNamespace(parameters={"w": value}, gradients={"w": gradient})
    assert count_agreeing(question, [change(value, gradient)]) == agreeing


def test_parameter_may_be_held_in_parts(on_path):
    from answer import count_agreeing

    value, gradient = np.random.RandomState(0).randn(2, 6, 3).astype("f")
    question = SimpleNamespace(parameters={"w": value}, gradients={"w": gradient})
    parts = list(zip(np.split(value, 3), np.split(gradient, 3), strict=True))
    assert count_agreeing(question, parts) == 1
    assert count_agreeing(question, parts[:2]) == 0
