"""S7: workers that are started together end together; no TensorFlow, each worker is a line of Python."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from keras_blitz.training import launcher

pytestmark = pytest.mark.covers("S7")

RANK = "import json, os, signal, sys, time; rank = json.loads(os.environ['TF_CONFIG'])['task']['index']; "


def launch(code: str, capfd, count: int = 2) -> tuple[int, str, str]:
    status = launcher.launch(count, [sys.executable, "-c", RANK + code], "run")
    captured = capfd.readouterr()
    return status, captured.out, captured.err


@pytest.fixture(autouse=True)
def _impatient(monkeypatch):
    monkeypatch.setattr(launcher, "GRACE", 1.0)


def test_only_the_chief_is_heard_where_all_goes_well(capfd):
    code = "print('worker', rank, len(json.loads(os.environ['TF_CONFIG'])['cluster']['worker']))"
    assert launch(code, capfd, 3) == (0, "worker 0 3\n", "")


def test_a_worker_that_fails_is_heard(capfd):
    status, _, err = launch("rank == 1 and sys.exit('error: no such file'); time.sleep(0.3)", capfd)
    assert (status, err) == (1, "[worker 1] error: no such file\n")


def test_what_the_chief_has_said_is_not_said_twice(capfd):
    status, _, err = launch("print('error: of all', file=sys.stderr); sys.exit(2)", capfd)
    assert (status, err) == (2, "error: of all\n")


@pytest.mark.parametrize("rank", [0, 1])
def test_a_worker_that_is_killed_ends_the_others(capfd, rank):
    start = time.monotonic()
    status, _, err = launch(f"rank == {rank} and os.kill(os.getpid(), signal.SIGKILL); time.sleep(60)", capfd)
    assert (status, err.count("\n")) == (launcher.LOST, 1)
    assert f"run: worker {rank} of 2 was ended by SIGKILL" in err
    assert time.monotonic() - start < 10


def test_a_worker_that_the_others_lost_is_named(capfd):
    """It is stopped; the other one finds out and says so by its status."""
    code = f"rank == 1 and os.kill(os.getpid(), signal.SIGSTOP); sys.exit({launcher.LOST})"
    status, _, err = launch(code, capfd)
    assert (status, err.count("\n")) == (launcher.LOST, 1)
    assert "run: worker 1 of 2 no longer answered" in err


def test_ctrl_c_reaches_each_worker_once(tmp_path):
    worker = tmp_path / "worker.py"
    worker.write_text(
        f"{RANK}\n"
        "came = []\n"
        "signal.signal(signal.SIGINT, lambda *_: came.append(1))\n"
        f"open(f'{tmp_path}/ready{{rank}}', 'w')\n"
        "end = time.monotonic() + 30\n"
        "while not came and time.monotonic() < end: time.sleep(0.02)\n"
        "time.sleep(0.3)\n"
        f"open(f'{tmp_path}/came{{rank}}', 'w').write(str(len(came)))\n"
        "sys.exit(130)\n"
    )
    command = [sys.executable, str(worker)]
    code = f"from keras_blitz.training.launcher import launch; raise SystemExit(launch(2, {command}, 'run'))"
    with subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.PIPE, text=True) as process:
        wait_for(lambda: all((tmp_path / f"ready{rank}").exists() for rank in (0, 1)))
        process.send_signal(signal.SIGINT)
        assert process.communicate(timeout=30)[1] == ""
    assert process.returncode == 130
    assert [(tmp_path / f"came{rank}").read_text() for rank in (0, 1)] == ["1", "1"]


def test_workers_end_with_their_launcher(tmp_path):
    """However it ends: a worker that has joined watches the pipe."""
    worker = (
        "import os, time; from keras_blitz.training.distributed import _end_with_launcher; _end_with_launcher();"
        f" open(f'{tmp_path}/{{os.getpid()}}', 'w'); time.sleep(60)"
    )
    code = f"from keras_blitz.training.launcher import launch; launch(2, {[sys.executable, '-c', worker]}, 'run')"
    with subprocess.Popen([sys.executable, "-c", code]) as process:
        wait_for(lambda: len(list(tmp_path.iterdir())) == 2)
        process.kill()
    wait_for(lambda: not any(is_running(int(path.name)) for path in tmp_path.iterdir()))


def test_nothing_is_left(capfd, monkeypatch):
    started, start = [], launcher._start

    def note(*arguments):
        started.append(start(*arguments))
        return started[-1]

    monkeypatch.setattr(launcher, "_start", note)
    launch("time.sleep(60) if rank else sys.exit(1)", capfd)
    assert [worker.process.returncode for worker in started] == [1, -signal.SIGKILL]
    assert not started[1].reader.is_alive()


def wait_for(condition, seconds: float = 30) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


def is_running(pid: int) -> bool:
    stat = Path(f"/proc/{pid}/stat")
    return stat.exists() and stat.read_text().rpartition(")")[2].split()[0] != "Z"
