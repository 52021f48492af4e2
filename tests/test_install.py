"""The README's first command, as a stranger runs it: a fresh environment, no PyTorch."""

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.mark.slow
def test_fresh_install_without_torch_runs_the_main_job(tmp_path):
    python = tmp_path / "venv" / "bin" / "python"
    subprocess.run([sys.executable, "-m", "venv", tmp_path / "venv"], check=True)
    subprocess.run([python, "-m", "pip", "install", "--quiet", "-e", ROOT], check=True)
    found = subprocess.run([python, "-m", "pip", "list", "--format=json"], capture_output=True, text=True, check=True)
    assert "torch" not in [package["name"] for package in json.loads(found.stdout)]
    start = time.perf_counter()
    done = subprocess.run(
        [python.with_name("parity"), "run", "--json", tmp_path / "out.json"],
        capture_output=True, text=True, cwd=tmp_path, check=False,
    )  # fmt: skip
    seconds = time.perf_counter() - start
    assert (done.returncode, done.stderr) == (0, "")
    document = json.loads((tmp_path / "out.json").read_text())
    assert document["mode"] == "golden"
    assert document["summary"]["failed"] == 0
    assert document["summary"]["tensors"] > 1000
    assert seconds < 60, f"golden mode took {seconds:.0f} s"
