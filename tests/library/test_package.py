"""What the package promises as a whole: cheap imports, names that exist."""

import subprocess
import sys

import pytest

import keras_blitz


@pytest.mark.parametrize(
    "module",
    ["keras_blitz", "keras_blitz.cli", "keras_blitz.data", "keras_blitz.models", "keras_blitz.random",
     "keras_blitz.speed", "keras_blitz.weights.layout",
     "parity.cli", "parity.core.trace", "parity.core.compare", "parity.suite.select", "parity.suite.run",
     "parity.suite.oracle", "parity.suite.saved", "parity.inventory",
     "parity", "parity.pair.equivalence", "parity.pytest_plugin", "parity.pair.pairing",
     "parity.core.inputs", "parity.report.text", "parity.report.json", "parity.gaps", "parity.report.gaps"],
)  # fmt: skip
def test_import_is_cheap(module):
    code = f"import sys, {module}; print([m for m in ('tensorflow', 'keras', 'torch') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


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
