import subprocess
import sys
from pathlib import Path

import pytest

from keras_blitz.autograd import demos

SCRIPT = Path(__file__).parents[2] / "scripts" / "blitz_autograd.py"


@pytest.fixture(scope="module")
def graph(tmp_path_factory):
    return tmp_path_factory.mktemp("lesson") / "graph.dot"


@pytest.fixture(scope="module")
def printed(graph):
    command = [sys.executable, SCRIPT, "--dry-run", "--graph", graph]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def test_the_graph_is_written(printed, graph):
    assert graph.read_text(encoding="utf-8").strip() == demos.a5_graph()["dot"]


def test_every_demo_is_shown_in_order(printed):
    titles = [line.split(":")[0] for line in printed.splitlines() if line.split(":")[0] in demos.DEMOS]
    assert titles == list(demos.DEMOS)


def test_the_values_are_the_demos(printed):
    assert printed.count("a.grad = [36. 81.]\nb.grad = [-12.  -8.]") == 2
    assert demos.a5_graph()["text"] in printed
    assert "fc.bias.grad is 1 everywhere: True" in printed
    assert "x + y = False\nx + z = True" in printed
    assert f"b.grad = {demos.a9_logits()['b.grad']}" in printed
    assert f"second = {demos.a11_backward_twice()['second']}" in printed


def test_frozen_batchnorm_follows_the_mode(printed):
    train, evaluation = printed.split("eval mode:")[0], printed.split("eval mode:")[1]
    assert "train mode: 60 gradients absent" in train
    assert "running statistics moved = True" in train
    assert "running statistics moved = False" in evaluation
