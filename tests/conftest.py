"""PyTorch before TensorFlow, which cannot be loaded in the other order; and what several tests share."""

import gc
import os
from importlib.util import find_spec
from pathlib import Path

import pytest

TORCH = find_spec("torch") is not None
if TORCH:
    import torch  # noqa: F401

from keras_blitz.quiet import import_tensorflow  # noqa: E402

import_tensorflow()

needs_torch = pytest.mark.skipif(not TORCH, reason="needs PyTorch: pip install 'keras-blitz[torch]'")


# The files that take longest, longest first: they start first, and so no process is left alone with one at the end.
LONGEST = (
    "test_parity.py", "test_install.py", "test_training.py", "test_initializers.py", "test_optim.py",
    "test_training_scripts.py", "test_finetune_resnet18.py", "test_models.py", "test_export.py", "test_mutants.py",
    "test_faults.py", "test_training_cases.py", "test_gaps.py", "test_blitz_autograd.py", "test_blitz_tensors.py",
    "test_pairs.py", "test_apart.py", "test_convert.py", "test_robust.py",
)  # fmt: skip


def pytest_collection_modifyitems(items):
    """Put the longest files first, and skip what is marked `torch` where there is none."""
    items.sort(key=lambda item: LONGEST.index(item.path.name) if item.path.name in LONGEST else len(LONGEST))
    for item in items:
        if item.get_closest_marker("torch"):
            item.add_marker(needs_torch)


def pytest_collection_finish():
    """Keep the frameworks and the collected tests out of the cases' garbage collections, 0.2 s each."""
    gc.freeze()


@pytest.fixture
def lenet():
    """A Keras LeNet with Keras's own random weights."""
    import keras

    from keras_blitz.models import LeNet

    keras.utils.set_random_seed(1)
    return LeNet()


@pytest.fixture
def downloads():
    """The folder that torchvision has downloaded data sets to; the one place where tests read outside the project."""
    folder = os.environ.get("BLITZ_TEST_DATA")
    if not folder:
        pytest.skip("needs BLITZ_TEST_DATA, the folder that torchvision has downloaded data sets to (its root=)")
    return Path(folder).expanduser()
