"""A wrong argument of `parity.check` is one line that names it."""

import keras
import numpy as np
import pytest

import parity
from keras_blitz.errors import BlitzError

torch = pytest.importorskip("torch", reason="needs PyTorch: pip install 'keras-blitz[torch]'")

from torch import nn  # noqa: E402

pytestmark = pytest.mark.covers("H12")

X = np.random.RandomState(0).standard_normal((4, 5))
NET = nn.Linear(5, 3)
SGD = (lambda parameters: torch.optim.SGD(parameters, 0.1), keras.optimizers.SGD(0.1))


def port():
    return keras.Sequential([keras.Input((5,)), keras.layers.Dense(3)])


# What is wrong: the arguments that replace right ones, and the words of the line.
WRONG = {
    "bfloat16": ({"inputs": torch.zeros(4, 5, dtype=torch.bfloat16)}, "inputs and targets must be arrays.*BFloat16"),
    "sparse": ({"inputs": torch.eye(5).to_sparse()}, "inputs and targets must be arrays.*to_dense"),
    "ragged": ({"inputs": [[1, 2], [3]]}, "inputs and targets must be arrays.*inhomogeneous"),
    "no-inputs": ({"inputs": None}, "inputs is None: give an array"),
    "no-entries": ({"inputs": ()}, "the PyTorch module, given nothing,"),
    "integers": ({"inputs": np.ones((4, 5), int)}, r"the PyTorch module, given \(4, 5\) int64, raises .*Long"),
    "lazy": ({"torch_module": nn.Sequential(nn.LazyLinear(3))}, r"no 0\.weight yet, which its first call makes"),
    "class": ({"keras_model": keras.Sequential}, "keras_model must be a Keras model, .* Sequential is a class"),
    "no-dtype": ({"keras_model": port}, r"the function keras_model\('float64'\) raises TypeError"),
    "dtypes": ({"dtypes": "float32"}, r'dtypes must be a tuple of names, such as dtypes=\("float32",\)'),
    "dtypes-number": ({"dtypes": 32}, r'dtypes must be a tuple of names, such as dtypes=\("float64",\), not 32'),
    "dtypes-unknown": ({"dtypes": ["float8"]}, "dtypes must be some of float64, float32"),
    "modes": ({"modes": "graph"}, r'modes must be a tuple of names, such as modes=\("graph",\)'),
    "modes-none": ({"modes": ()}, "modes must be some of eager, graph, xla"),
    "steps": ({"steps": "3", "optimizer": SGD}, "steps must be an integer, not '3'"),
    "weights": ({"weights": np.zeros(3)}, 'weights must be "auto", "keep" or'),
    "one-optimizer": ({"steps": 1, "optimizer": SGD[1]}, "optimizer must be a pair"),
    "an-instance": (
        {"steps": 1, "optimizer": (SGD[0](NET.parameters()), SGD[1])},
        "optimizer: PyTorch's must be a function or a module, not a SGD: such as lambda",
    ),
    "no-target": ({"loss": (nn.MSELoss(), "mse")}, "PyTorch's loss, given no target, raises"),
}  # fmt: skip


@pytest.mark.parametrize("case", WRONG)
def test_a_wrong_argument_is_one_line(case):
    arguments, words = WRONG[case]
    given = {"torch_module": NET, "keras_model": None, "inputs": X, **arguments}
    given["keras_model"] = given["keras_model"] or port()
    with pytest.raises(BlitzError, match=words) as raised:
        parity.check(**given)
    assert "\n" not in str(raised.value)
