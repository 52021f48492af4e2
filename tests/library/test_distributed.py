"""S7: two devices beside one process, number by number; two processes through the scripts, killed, stopped, resumed."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from keras_blitz.training.launcher import LOST, local_clusters

pytestmark = pytest.mark.covers("S7")

ROOT = Path(__file__).parents[2]
COMPARED = (
    "class weights", "ignore_index", "label smoothing", "sum", "mean of means", "clipping", "batchnorm",
    "an uneven last batch", "a last batch of one", "dropout", "a network with batchnorm", "fit",
    "fit, a last batch of one", "resumed by another number",
)  # fmt: skip


@pytest.fixture(scope="module")
def two_devices(tmp_path_factory):
    command = [sys.executable, ROOT / "tests" / "library" / "on_two_devices.py", tmp_path_factory.mktemp("devices")]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=300)
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.slow
@pytest.mark.parametrize("what", COMPARED)
def test_two_devices_are_one_process(two_devices, what):
    assert two_devices[what] < 1e-12


@pytest.mark.slow
def test_a_run_on_two_devices_resumes_to_the_same_bits(two_devices):
    assert two_devices["resumed"] == 0


# Two processes


def start(folder: Path, *options, script: str = "train_fashion_mnist", environment: dict | None = None):
    command = [
        sys.executable, "-u", ROOT / "scripts" / f"{script}.py", "--seed", "0", "--threads", "1", "--data-dir",
        folder / "none", "--output", folder, *options,
    ]  # fmt: skip
    return subprocess.Popen(
        list(map(str, command)), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env={**os.environ, **(environment or {})},
    )  # fmt: skip


def finish(process, seconds: float = 300) -> tuple[int, str, str]:
    try:
        out, err = process.communicate(timeout=seconds)
    finally:
        process.kill()
        process.communicate()
    return process.returncode, out, err


def run(folder: Path, *options, **how) -> tuple[int, str, str]:
    with start(folder, *options, **how) as process:
        return finish(process)


def checkpoint(folder: Path) -> dict[str, np.ndarray]:
    with np.load(folder / "checkpoint.npz") as archive:
        return dict(archive)


@pytest.mark.slow
@pytest.mark.parametrize("options", [("--loop", "tape"), ("--loop", "fit")])
def test_two_workers_have_the_losses_of_one_process(tmp_path, options):
    """As somebody first tries it: two batches, from the first image to the files that are saved."""
    settings = ("--dry-run", "--dtype", "float64", *options)
    printed = {}
    for workers in (1, 2):
        status, out, err = run(tmp_path / f"{workers}", "--workers", workers, *settings, script="train_cifar10")
        assert (status, err) == (0, "")
        printed[workers] = out.replace(str(tmp_path / f"{workers}"), "")
    assert printed[1] == printed[2], "the chief alone prints, and what one process does"
    one, two = checkpoint(tmp_path / "1"), checkpoint(tmp_path / "2")
    assert set(one) == set(two)
    np.testing.assert_allclose(two["losses"], one["losses"], rtol=1e-12)
    assert {path.name for path in (tmp_path / "1").iterdir()} == {path.name for path in (tmp_path / "2").iterdir()}


EPOCHS = ("--epochs", "12", "--loop", "tape", "--workers", "2")


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole")
    assert run(folder, *EPOCHS)[0] == 0
    return checkpoint(folder)


def workers_of(process) -> list[int]:
    """Return the processes of the workers in the order of their ranks."""
    listed = subprocess.run(["ps", "-o", "pid=", "--ppid", str(process.pid)], capture_output=True, text=True)
    ranks = {}
    for pid in listed.stdout.split():
        told = Path(f"/proc/{pid}/environ").read_bytes().decode(errors="replace")
        ranks[int(re.search(r'"index": (\d)', told)[1])] = int(pid)
    return [ranks[rank] for rank in sorted(ranks)]


def is_running(pid: int) -> bool:
    stat = Path(f"/proc/{pid}/stat")
    return stat.exists() and stat.read_text().rpartition(")")[2].split()[0] != "Z"


def disturbed(folder: Path, epoch: int, signals: dict[int, int]) -> tuple[int, str, str, float]:
    """Send workers signals when an epoch begins; return status, output, and the seconds until all had ended."""
    with start(folder, *EPOCHS) as process:
        printed = []
        for line in process.stdout:
            printed.append(line)
            if line.startswith(f"Epoch {epoch}\n"):
                break
        workers, since = workers_of(process), time.monotonic()
        for rank, number in signals.items():
            os.kill(process.pid if rank < 0 else workers[rank], number)
        status, out, err = finish(process)
        seconds = time.monotonic() - since
    assert not any(map(is_running, workers))
    return status, "".join(printed) + out, err, seconds


def assert_resumes(folder: Path, whole: dict[str, np.ndarray]) -> None:
    status, out, _ = run(folder, *EPOCHS, "--resume")
    assert status == 0
    assert "going on from epoch" in out
    again = checkpoint(folder)
    assert set(again) == set(whole)
    for name, value in whole.items():
        np.testing.assert_array_equal(again[name], value)


def minutes(*values, **options):
    """Return a parameter whose test is left out of .ci/run: each such test takes up to a minute and a half."""
    return pytest.param(*values, marks=pytest.mark.long, **options)


ONE = pytest.mark.slow  # of each kind, which .ci/run has


@pytest.mark.parametrize(
    ("killed", "epoch"),
    [
        pytest.param((1,), 7, marks=ONE, id="other-7"),
        minutes((0,), 3, id="chief-3"),
        minutes((0,), 7, id="chief-7"),
        minutes((0,), 12, id="chief-12"),
        minutes((1,), 3, id="other-3"),
        minutes((1,), 12, id="other-12"),
        minutes((0, 1), 3, id="both-3"),
        minutes((0, 1), 7, id="both-7"),
        minutes((0, 1), 12, id="both-12"),
    ],
)
def test_a_killed_worker_ends_the_run_and_it_resumes_to_the_same_bits(tmp_path, whole, killed, epoch):
    status, _, err, seconds = disturbed(tmp_path, epoch, dict.fromkeys(killed, signal.SIGKILL))
    assert status == LOST
    assert re.fullmatch(r"train_fashion_mnist: worker \d of 2 was ended by SIGKILL; --resume goes on .*\n", err)
    assert seconds < 20
    assert_resumes(tmp_path, whole)


@pytest.mark.parametrize("epoch", [3, 7, 12])
@pytest.mark.parametrize("stopped", [minutes(0, id="chief"), minutes(1, id="other")])
def test_a_stopped_worker_ends_the_run(tmp_path, whole, stopped, epoch):
    status, _, err, seconds = disturbed(tmp_path, epoch, {stopped: signal.SIGSTOP})
    assert (status, err.count("\n")) == (LOST, 1)
    assert re.search("worker \\d of 2 no longer answered", err)
    assert seconds < 90, "TensorFlow notices after 50 s, and the launcher waits another 15 s"
    assert_resumes(tmp_path, whole)


@pytest.mark.parametrize(
    ("who", "epoch"),
    [
        pytest.param(-1, 7, marks=ONE, id="launcher-7"),
        minutes(-1, 3, id="launcher-3"),
        minutes(-1, 11, id="launcher-11"),
        minutes(1, 3, id="a worker-3"),
        minutes(1, 7, id="a worker-7"),
        minutes(1, 11, id="a worker-11"),
    ],
)
def test_ctrl_c_stops_all_after_the_same_step(tmp_path, whole, who, epoch):
    status, out, err, _ = disturbed(tmp_path, epoch, {who: signal.SIGINT})
    assert (status, err) == (130, "")
    assert re.search(r"stopped in epoch \d+ after step \d+; go on with --resume", out)
    assert_resumes(tmp_path, whole)


@pytest.mark.slow
def test_a_checkpoint_that_is_missing_is_one_line(tmp_path):
    status, _, err = run(tmp_path, *EPOCHS, "--resume")
    assert (status, err) == (
        2,
        f"train_fashion_mnist: error: {tmp_path / 'checkpoint.npz'}: no checkpoint to go on from\n",
    )


def joining(tmp_path: Path, rank: int, *options, cluster=None):
    cluster = cluster or local_clusters(2)
    environment = {"TF_CONFIG": cluster[rank].tf_config()}
    return start(tmp_path, "--dry-run", "--loop", "tape", *options, environment=environment)


@pytest.mark.slow
def test_others_that_do_not_come_are_one_line(tmp_path):
    """A TF_CONFIG left in the environment: TensorFlow itself waits for ever."""
    with joining(tmp_path, 0, "--patience", "5") as process:
        status, _, err = finish(process, 120)
    assert status == 2
    assert re.fullmatch(r"train_fashion_mnist: error: worker 0 of 2 waited 5 s for 127.0.0.1:\d+; start .*\n", err)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("options", "says"),
    [(("--seed", "1"), "worker 1 has seed 1, but the chief has 0"), (("--batch-size", "6"), "worker 1 has recipe")],
)
def test_workers_that_are_not_alike_are_one_line_each(tmp_path, options, says):
    cluster = local_clusters(2)
    with joining(tmp_path, 0, cluster=cluster) as chief, joining(tmp_path, 1, *options, cluster=cluster) as other:
        ended = [finish(process, 120) for process in (other, chief)]
    for status, _, err in ended:
        assert (status, err.count("\n")) == (2, 1)
        assert says in err


@pytest.mark.slow
def test_workers_of_different_versions_are_one_line_each(tmp_path):
    cluster = local_clusters(2)
    code = (
        "import sys; from keras_blitz import versions; versions.PACKAGES = ('keras-blitz', 'rich');"
        "sys.argv[0] = 'train'; import runpy; runpy.run_path(sys.argv.pop(1), run_name='__main__')"
    )
    script = ROOT / "scripts" / "train_fashion_mnist.py"
    options = ["--dry-run", "--loop", "tape", "--seed", "0", "--threads", "1", "--output", str(tmp_path)]
    environment = {**os.environ, "TF_CONFIG": cluster[1].tf_config()}
    command = [sys.executable, "-c", code, str(script), *options, "--data-dir", str(tmp_path / "none")]
    with (
        joining(tmp_path, 0, cluster=cluster) as chief,
        subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as other,
    ):
        ended = [finish(process, 120) for process in (other, chief)]
    assert [(status, "worker 1 has tensorflow None" in err) for status, _, err in ended] == [(2, True)] * 2
