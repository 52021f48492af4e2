"""What bench.py and results.py make of their measurements, and one short round of the bench."""

import json
import runpy
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from keras_blitz.errors import BlitzError

SCRIPTS = Path(__file__).parents[2] / "scripts"


@pytest.fixture(scope="module")
def bench():
    return runpy.run_path(str(SCRIPTS / "bench.py"), run_name="bench")


@pytest.fixture(scope="module")
def results():
    return runpy.run_path(str(SCRIPTS / "results.py"), run_name="results")


def test_every_task_has_its_functions(bench):
    names = [task.name for task in bench["TASKS"]]
    assert len(names) == len(set(names))
    for task in bench["TASKS"]:
        assert callable(bench[task.torch])
        assert callable(bench[task.ours])


def test_ratio_is_the_median_of_the_rounds(bench):
    rounds = [
        {"torch": {"rate": 10.0, "cpu_ms": 3.0}, "ours": {"rate": rate, "cpu_ms": 30 / rate}} for rate in (30, 10, 20)
    ]
    found = bench["summary"](rounds)
    assert (found["ratio_min"], found["ratio"], found["ratio_max"]) == (1, 2, 3)
    assert found["ratio_cpu"] == 2
    assert found["ours"] == {"rate": 20, "cpu_ms": 1.5}


def test_line_of_a_run_has_the_conditions_and_each_tasks_ratio(bench):
    rounds = [{"torch": {"rate": 3.0, "cpu_ms": 1.0}, "ours": {"rate": rate, "cpu_ms": 1.0}} for rate in (3, 4, 6)]
    about = {**bench["conditions"](), "rounds": 3, "seconds": 3.0, "threads": 0}
    line = bench["run_line"](about, {"mnist tape": {"bar": 1.6, **bench["summary"](rounds)}})
    assert list(line) == ["date", "versions", "machine", "rounds", "seconds", "threads", "tasks"]
    assert list(line["machine"]) == ["cpu", "cores", "load"]
    assert line["tasks"] == {"mnist tape": {"ratio": 1.333, "ratio_min": 1.0, "ratio_max": 2.0}}
    assert json.loads(json.dumps(line)) == line


def test_only_whole_runs_are_kept(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["bench.py", "--append", "--only", "mnist"])
    with pytest.raises(SystemExit) as ended:
        runpy.run_path(str(SCRIPTS / "bench.py"), run_name="__main__")
    assert ended.value.code == 2
    assert "--append keeps whole runs" in capsys.readouterr().err


@pytest.mark.long
@pytest.mark.torch
def test_short_round_of_the_bench(tmp_path):
    command = [sys.executable, SCRIPTS / "bench.py", "--dry-run", "--threads", "1", "--json", tmp_path / "bench.json"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode in (0, 1), done.stderr  # a bar may be missed on a busy machine
    found = json.loads((tmp_path / "bench.json").read_text())["tasks"]["cifar10 tape"]
    assert found["ratio"] == found["ours"]["rate"] / found["torch"]["rate"]
    assert "ratio" in done.stdout


def test_line_of_a_run_counts_differing_answers(results, tmp_path):
    files = {}
    for side, last in (("pytorch", [0.0, 1.0]), ("ours", [1.0, 0.0])):
        files[side] = tmp_path / f"{side}.npz"
        logits = np.array([[1.0, 0.0], [1.0, 0.0], [1.0, 0.0], last])
        np.savez(files[side], logits=logits, labels=np.array([0, 0, 1, 1]), train_accuracy=0.5)
    row = results["line"](results["ROWS"]["mnist"], files)
    assert row.endswith("| 75.00 %, in training 50.00 % | 50.00 %, in training 50.00 % | 1 of 4 |")


def test_table_goes_between_its_marks(results):
    text = f"a\n{results['BEGIN']}\nold\n{results['END']}\nb\n"
    found = results["written"](text, ["| x |"], "python scripts/results.py")
    assert found.startswith(f"a\n{results['BEGIN']}\n| run |")
    assert "old" not in found
    assert found.endswith(f"{results['END']}\nb\n")
    assert results["BEGIN"] in (SCRIPTS.parent / "docs" / "training.md").read_text(encoding="utf-8")
    with pytest.raises(BlitzError, match="no place for the table"):
        results["written"]("a", [], "")
