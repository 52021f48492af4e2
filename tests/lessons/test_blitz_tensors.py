import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "scripts" / "blitz_tensors.py"
NO_TORCH = "import sys; sys.modules['torch'] = None; import importlib.util as u; f = u.find_spec; "
NO_TORCH += "u.find_spec = lambda n, *a: None if n == 'torch' else f(n, *a); "


@pytest.fixture(scope="module")
def lesson():
    spec = importlib.util.spec_from_file_location("blitz_tensors", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.covers("T1", "T2", "T3", "T4", "T5", "T6", "T7", "T8", "T9", "T10", "T11", "T12", "T13")
def test_every_table_is_there(lesson):
    assert list(lesson.LESSON) == [f"T{number}" for number in range(1, 14)]


@pytest.mark.torch
def test_a_wrong_line_is_seen(lesson):
    pytest.importorskip("torch")
    right = lesson.Line("np.std(x, ddof=1)", "torch.std(x)", "ops.std(x)")
    assert lesson.wrong(right, lesson.run(right)) == ""
    for line in (
        right._replace(tensorflow="tf.math.reduce_std(x)"), right._replace(numpy="np.std(x)"),
        right._replace(trap="NumPy: another"), right._replace(tensorflow="tf.cast(ops.std(x), tf.int32)"),
    ):  # fmt: skip
        assert lesson.wrong(line, lesson.run(line))


@pytest.mark.slow
@pytest.mark.covers("T1", "T2", "T3", "T4", "T5", "T6", "T7", "T8", "T9", "T10", "T11", "T12", "T13")
def test_the_lesson_runs_from_top_to_bottom():
    done = subprocess.run([sys.executable, SCRIPT, "--dry-run"], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert "T13  NumPy's names and PyTorch's" in done.stdout
    assert ", 0 wrong, checked against NumPy" in done.stdout


@pytest.mark.slow
def test_without_pytorch():
    command = f"{NO_TORCH}sys.argv = ['x', 'T8']; import runpy; runpy.run_path({str(SCRIPT)!r}, run_name='__main__')"
    done = subprocess.run([sys.executable, "-c", command], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert "5 lines, 0 wrong, checked against NumPy; PyTorch is not installed" in done.stdout


def test_unknown_table_is_one_line():
    done = subprocess.run([sys.executable, SCRIPT, "T99"], capture_output=True, text=True)
    assert done.returncode == 2
    assert "no table 'T99'; there are T1, T2" in done.stderr
