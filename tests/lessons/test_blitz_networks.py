import importlib.util
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

SCRIPT = Path(__file__).parents[2] / "scripts" / "blitz_networks.py"


@pytest.fixture(scope="module")
def lesson():
    spec = importlib.util.spec_from_file_location("blitz_networks", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_listing_is_in_pytorchs_names_and_shapes(lesson):
    network0, network1, network2 = lesson.stages()
    expected = [
        "conv1.weight  (6, 1, 5, 5)", "conv1.bias    (6,)", "conv2.weight  (12, 6, 5, 5)", "conv2.bias    (12,)",
        "fc1.weight    (120, 192)", "fc1.bias      (120,)", "fc2.weight    (60, 120)", "fc2.bias      (60,)",
        "out.weight    (10, 60)", "out.bias      (10,)",
    ]  # fmt: skip
    assert lesson.parameter_listing(network0) == []
    assert lesson.parameter_listing(network1) == expected
    assert lesson.parameter_listing(network2) == expected


def test_untrained_predictions_are_about_a_tenth_each(lesson):
    found = lesson.predictions(lesson.stages()[2], 100)
    np.testing.assert_allclose(found.sum(axis=1), 1, rtol=1e-5)
    assert abs(found - 0.1).max() < 0.2


def test_the_lesson_runs_from_top_to_bottom():
    done = subprocess.run([sys.executable, SCRIPT, "--dry-run"], capture_output=True, text=True, check=True)
    assert "Network0" in done.stdout
    assert "output is the input: True" in done.stdout
    assert "fc1.weight    (120, 192)" in done.stdout
