"""What the package promises as a whole: cheap imports, arrows that point one way, names that exist."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import keras_blitz

ROOT = Path(__file__).parents[2]

# Beside parity/reference, only these files may import the framework; torch_recorder.py alone at its top.
MAY_IMPORT_TORCH = {
    "keras_blitz/weights/checkpoint.py",
    "parity/torch_recorder.py",
    "parity/cases/training.py",  # inside the function that records PyTorch
    "parity/run.py",  # first of all, for TensorFlow must not come before it
    "parity/cases/networks.py",  # torch.nn's losses and torch.optim, inside the functions that record PyTorch
    "parity/cases/plans.py",
    "parity/cases/calls.py",
}


def imports(path: Path, *, top_level_only: bool = False) -> set[str]:
    """Return the first parts of the modules a file imports."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    nodes = tree.body if top_level_only else ast.walk(tree)
    found = set()
    for node in nodes:
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module.split(".")[0])
    return found


def files(package: str) -> list[Path]:
    return sorted((ROOT / package).rglob("*.py"))


def test_keras_blitz_never_imports_parity():
    assert [str(path) for path in files("keras_blitz") if "parity" in imports(path)] == []


def test_torch_is_imported_only_where_it_may_be():
    importing = {str(path.relative_to(ROOT)) for package in ("keras_blitz", "parity") for path in files(package)
                 if "torch" in imports(path)}  # fmt: skip
    assert {name for name in importing if not name.startswith("parity/reference/")} == MAY_IMPORT_TORCH


def test_torch_is_imported_at_the_top_only_on_pytorchs_side():
    top = {str(path.relative_to(ROOT)) for package in ("keras_blitz", "parity") for path in files(package)
           if "torch" in imports(path, top_level_only=True)}  # fmt: skip
    assert all(name.startswith("parity/reference/") or name == "parity/torch_recorder.py" for name in top)


@pytest.mark.parametrize(
    "module",
    ["keras_blitz", "keras_blitz.cli", "keras_blitz.data", "keras_blitz.models", "keras_blitz.random",
     "keras_blitz.speed", "keras_blitz.weights.layout",
     "parity.cli", "parity.trace", "parity.compare", "parity.cases", "parity.run", "parity.oracle", "parity.saved",
     "parity", "parity.equivalence", "parity.pytest_plugin", "parity.weightmap",
     "parity.inputs", "parity.report.text", "parity.report.json", "parity.gaps", "parity.report.gaps"],
)  # fmt: skip
def test_import_is_cheap(module):
    code = f"import sys, {module}; print([m for m in ('tensorflow', 'keras', 'torch') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("name", keras_blitz.__all__)
def test_exported_name_exists(name):
    assert getattr(keras_blitz, name) is not None


def test_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="has no attribute 'nets'"):
        _ = keras_blitz.nets


def test_precision_is_set_and_restored_even_after_an_error():
    import keras

    with pytest.raises(KeyError), keras_blitz.precision("float64"):
        assert keras.config.floatx() == "float64"
        assert keras.layers.Dense(3).dtype == "float64"
        raise KeyError
    assert keras.config.floatx() == "float32"
    assert keras.layers.Dense(3).dtype == "float32"


def test_precision_leaves_no_float64_default_behind():
    """Keras caches its default policy at the first layer; made inside the block it must not outlive it."""
    code = (
        "import keras_blitz, keras\n"
        "with keras_blitz.precision('float64'): keras.layers.Dense(3)\n"
        "print(keras.layers.Dense(3).dtype)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "float32"
