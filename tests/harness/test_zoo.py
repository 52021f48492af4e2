"""The zoo of `scripts/zoo.py`: each model passes, but for those that are known not to."""

import json
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
from zoo import OPEN, rows

pytestmark = [pytest.mark.torch, pytest.mark.long]

SCRIPT = Path(__file__).parents[2] / "scripts" / "zoo.py"


@pytest.mark.parametrize("group", ["own", "transformers", "timm"])  # timm's takes an hour
def test_models_pass_but_those_that_are_open(group, tmp_path):
    if group != "own" and not find_spec(group):
        pytest.skip(f"needs {group}: pip install 'keras-blitz[zoo]'")
    results = tmp_path / "zoo.json"
    command = [sys.executable, str(SCRIPT), group, "--results", str(results), "--limit", "900"]
    done = subprocess.run(command, text=True, stdout=subprocess.PIPE, check=False)
    failed = {name for name, each in json.loads(results.read_text())[group].items() if each["reason"]}
    assert failed == set(OPEN[group]), done.stdout
    assert len(rows(group)) > len(failed)
