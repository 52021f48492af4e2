"""The training scripts: two batches each, what they print and write, and one that is interrupted and goes on."""

import re
import runpy
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

SCRIPTS = Path(__file__).parents[2] / "scripts"
PICTURES = {"images.png", "curves.png", "classes.png", "confusion.png", "predicted.png"}


def run(monkeypatch, capsys, name: str, *options) -> tuple[int, str, str]:
    monkeypatch.setattr(sys, "argv", [name, "--threads", "0", *map(str, options)])
    with pytest.raises(SystemExit) as ended:
        runpy.run_path(str(SCRIPTS / f"{name}.py"), run_name="__main__")
    captured = capsys.readouterr()
    return ended.value.code, captured.out, captured.err


@pytest.mark.covers("S1", "S2", "S3")
@pytest.mark.parametrize("loop", ["fit", pytest.param("tape", marks=pytest.mark.slow)])
@pytest.mark.parametrize(
    ("name", "network", "printed"),
    [
        ("train_cifar10", "cifar", r"Accuracy of the network on the 1000 test images: \d+ %"),
        (
            "train_fashion_mnist",
            "mlp-last-relu",
            r"loss: \d\.\d{6}  \[    0/ 2000\]\nTest Error: \n Accuracy: \d",
        ),
        ("train_mnist", "mnist", r"epoch: 0 total_correct: \d+ accuracy: 0\.\d{4} loss: 4\.\d+"),
    ],
)
def test_dry_run(monkeypatch, capsys, tmp_path, name, network, printed, loop):
    code, out, _ = run(
        monkeypatch, capsys, name, "--dry-run", "--seed", 0, "--loop", loop, "--output", tmp_path / "run",
        "--data-dir", tmp_path, "--logdir", tmp_path / "logs",
    )  # fmt: skip
    assert code == 0
    assert f"in {tmp_path}: training on the sample in the package" in out
    assert re.search(printed, out), out
    assert "GroundTruth:  Ankle boot" in out
    assert "Predicted: " in out
    assert {path.name for path in (tmp_path / "run").iterdir()} == PICTURES | {f"{network}.keras", "checkpoint.npz"}
    assert list((tmp_path / "logs").iterdir())


def test_resuming_nothing_is_one_line(monkeypatch, capsys, tmp_path):
    folder = tmp_path / "run"
    code, out, err = run(monkeypatch, capsys, "train_mnist", "--resume", "--output", folder, "--data-dir", tmp_path)
    assert (code, out) == (2, "")
    assert not folder.exists()
    assert err.strip() == f"train_mnist: error: {folder / 'checkpoint.npz'}: no checkpoint to go on from"


@pytest.mark.parametrize(
    ("option", "value", "said"),
    [
        ("--output", "file", "file: is a file; give the name of a folder"),
        ("--logdir", "file", "file: is a file; give the name of a folder"),
        ("--data-dir", "file", "file: is a file; give the folder of tensorflow-datasets"),
        ("--network", "mnist0", "--network mnist0: has no weights to train"),
        ("--devices", "101", "--batch-size 100: must be at least 101, an image for each part"),
        ("--batch-size", "9" * 20, ""),
    ],
)
def test_bad_input_is_said_before_anything_is_trained(monkeypatch, capsys, tmp_path, option, value, said):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").touch()
    code, out, err = run(monkeypatch, capsys, "train_mnist", "--data-dir", tmp_path, "--dry-run", option, value)
    assert (code, out) == (2, "")
    assert said in err
    assert "Traceback" not in err
    assert not list(tmp_path.glob("**/*.npz"))


@pytest.mark.slow
def test_resume_of_another_run_is_refused(monkeypatch, capsys, tmp_path):
    common = "train_mnist", "--dry-run", "--output", tmp_path / "run", "--data-dir", tmp_path
    assert run(monkeypatch, capsys, *common, "--seed", 0)[0] == 0
    before = (tmp_path / "run" / "checkpoint.npz").read_bytes()
    for options, said in (
        (["--seed", 5], "--seed 0, but this run has --seed 5"),
        (["--lr", 0.5], "--lr 0.1, but this run has"),
    ):
        code, out, err = run(monkeypatch, capsys, *common, "--resume", *options)
        assert code == 2
        assert f"checkpoint.npz: comes from a run with {said}" in err
        assert "untrained" not in out
    assert (tmp_path / "run" / "checkpoint.npz").read_bytes() == before
    code, out, _ = run(monkeypatch, capsys, *common, "--resume")
    assert code == 0
    assert "going on from epoch 2" in out


@pytest.mark.slow
@pytest.mark.parametrize("loop", ["fit", "tape"])
def test_a_run_that_diverges_ends_with_status_2_and_saves_nothing(monkeypatch, capsys, tmp_path, loop):
    code, _, err = run(
        monkeypatch, capsys, "train_mnist", "--lr", 1e9, "--loop", loop, "--output", tmp_path / "run",
        "--data-dir", tmp_path,
    )  # fmt: skip
    assert code == 2
    assert "train_mnist: error: the loss is nan in epoch 1, step" in err
    assert [path.name for path in (tmp_path / "run").iterdir()] == ["images.png"]


@pytest.mark.slow
@pytest.mark.parametrize("loop", ["fit", "tape"])
def test_interrupted_run_goes_on_to_the_same_result(tmp_path, loop):
    def start(folder: str, *options):
        command = [sys.executable, "-u", SCRIPTS / "train_cifar10.py", "--seed", "0", "--epochs", "8", "--loop", loop,
                   "--data-dir", tmp_path, "--output", tmp_path / folder, *options]  # fmt: skip
        return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)

    with start("whole") as whole:
        whole.communicate()
    assert whole.returncode == 0

    with start("parts") as first:
        for line in first.stdout:
            if line.startswith("[2,"):
                first.send_signal(signal.SIGINT)
                break
        assert "go on with --resume" in first.stdout.read()
    assert first.returncode == 130
    with start("parts", "--resume") as second:
        assert "going on from epoch" in second.communicate()[0]
    assert second.returncode == 0
    with np.load(tmp_path / "whole" / "checkpoint.npz") as one, np.load(tmp_path / "parts" / "checkpoint.npz") as other:
        assert set(one) == set(other)
        for name in one:
            np.testing.assert_array_equal(one[name], other[name])
