"""A wrong argument of `parity.check` is one line that names it."""

import threading

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


class Returning(nn.Module):
    """A module that returns what a function makes of its output."""

    def __init__(self, function):
        super().__init__()
        self.fc, self.function = nn.Linear(5, 3), function

    def forward(self, x):
        return self.function(self.fc(x))


def port():
    return keras.Sequential([keras.Input((5,)), keras.layers.Dense(3)])


def sized(units=3):
    return keras.Sequential([keras.Input((5,)), keras.layers.Dense(units)])


def convolution(shape):
    return keras.Sequential([keras.Input(shape), keras.layers.Conv2D(2, 1)])


# What is wrong: the arguments that replace right ones, and the words of the line.
WRONG = {
    "bfloat16": ({"inputs": torch.zeros(4, 5, dtype=torch.bfloat16)}, "inputs and targets must be arrays.*BFloat16"),
    "sparse": ({"inputs": torch.eye(5).to_sparse()}, "inputs and targets must be arrays.*to_dense"),
    "ragged": ({"inputs": [[1, 2], [3]]}, "inputs and targets must be arrays.*inhomogeneous"),
    "no-inputs": ({"inputs": None}, "inputs is None: give an array"),
    "no-entries": ({"inputs": ()}, "the PyTorch module, given nothing,"),
    "integers": ({"inputs": np.ones((4, 5), int)}, r"floating-point ones: x\.astype.* given \(4, 5\) int64, raises"),
    "lazy": ({"torch_module": nn.Sequential(nn.LazyLinear(3))}, r"no 0\.weight yet, which its first call makes"),
    "class": ({"keras_model": keras.Sequential}, "keras_model must be a Keras model, .* Sequential is a class"),
    "no-dtype": ({"keras_model": port}, r"keras_model is called with a dtype, .* give the model itself"),
    "not-called": ({"keras_model": sized}, r"float64'\) raises .* if it takes none, give its model, sized\(\)"),
    "channels-first-port": (
        {"torch_module": nn.Conv2d(3, 2, 1), "inputs": np.ones((2, 3, 5, 4)), "keras_model": convolution((3, 5, 4))},
        r"input \(3, 5, 4\) looks channels first, .* use keras\.Input\(\(5, 4, 3\)\)"
    ),
    "another-kernel": (
        {"torch_module": nn.Conv2d(3, 2, 3), "inputs": np.ones((2, 3, 5, 4)), "keras_model": convolution((5, 4, 3))},
        "these weights cannot be mapped"
    ),
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
        "optimizer: PyTorch's must be a function parameters -> optimizer, .* not a SGD: such as lambda",
    ),
    "no-target": ({"loss": (nn.MSELoss(), "mse")}, "PyTorch's loss raises .*no target was given: target="),
    "loss-exchanged": ({"loss": ("mse", nn.MSELoss()), "target": X}, "loss: PyTorch's must be a function or a module"),
    "keras-first": ({"loss": (keras.losses.MeanSquaredError(), "mse"), "target": X}, "loss is .* Keras's MeanSquaredE"),
    "float-labels": (
        {"loss": (nn.CrossEntropyLoss(), lambda y, x: x), "target": np.ones(4)}, r"target\.astype\('int64'\)"
    ),
    "negative-steps": ({"steps": -1}, "steps must be 0 or more, not -1"),
    "no-steps": ({"optimizer": SGD}, "optimizer is given and steps=0"),
    "train": ({"train": "yes"}, "train must be True or False, not 'yes'"),
    "exchanged": ({"torch_module": port(), "keras_model": NET}, "torch_module is the Keras model and .* module first"),
    "two-of-pytorch": ({"keras_model": NET}, "keras_model must be a Keras model; Linear is a PyTorch module"),
    "two-of-keras": ({"torch_module": port()}, "torch_module must be a torch.nn.Module, not the Keras model 'seq"),
    "a-file": ({"torch_module": "net.pth"}, "not a file's name: .* load_state_dict"),
    "a-keras-file": ({"keras_model": "net.keras"}, "not a file's name: keras.models.load_model"),
    "a-state-dict": ({"torch_module": NET.state_dict()}, "not weights, as OrderedDict: build the module"),
    "a-torch-class": ({"torch_module": nn.Linear}, r"not the class Linear: give an instance, Linear\(…\)"),
    "a-function": ({"torch_module": torch.relu}, "call it in the forward of a module"),
    "meta-module": ({"torch_module": nn.Linear(5, 3, device="meta")}, "no values in weight, on the meta device"),
    "meta": ({"inputs": torch.zeros(4, 5, device="meta")}, "inputs and targets must be arrays.*no data"),
    "a-shape": ({"inputs": (4, 5)}, r"\(4, 5\) is a shape: np\.random\.randn\(4, 5\)"),
    "text": ({"inputs": "x"}, "inputs must be numbers, not 'x'"),
    "loader": ({"inputs": torch.utils.data.DataLoader([X])}, "a DataLoader yields batches"),
    "symbolic": ({"inputs": keras.Input((5,))}, "a KerasTensor has a shape and no values"),
    "channels-last": (
        {"torch_module": nn.Conv2d(3, 2, 1), "inputs": np.ones((1, 5, 4, 3))},
        r"channels last: np\.moveaxis\(x, -1, 1\)"
    ),
    "float-tokens": ({"torch_module": nn.Embedding(7, 3)}, r"takes whole ones, .* x\.astype\('int64'\)"),
    "a-number": ({"torch_module": Returning(lambda x: x.sum().item())}, "the PyTorch module returns no tensor; let"),
    "a-text": ({"torch_module": Returning(lambda x: "a text")}, "the PyTorch module returns no tensor; let"),
    "a-lock": ({"torch_module": Returning(threading.Lock())}, "torch_module cannot be copied .*lock"),
    "an-object": ({"torch_module": Returning(lambda x: object())}, "returns an instance of object as output; only"),
}  # fmt: skip


@pytest.mark.parametrize("case", WRONG)
def test_a_wrong_argument_is_one_line(case):
    arguments, words = WRONG[case]
    given = {"torch_module": NET, "keras_model": None, "inputs": X, **arguments}
    given["keras_model"] = given["keras_model"] or port()
    with pytest.raises(BlitzError, match=words) as raised:
        parity.check(**given)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("slope", [0.1, 0.2])
def test_a_first_layer_may_overwrite_the_inputs(slope):
    """PyTorch refuses that of a leaf with a gradient; the inputs are copied at each step."""
    module = nn.Sequential(nn.LeakyReLU(0.1, inplace=True), nn.Linear(5, 3))
    model = keras.Sequential([keras.Input((5,)), keras.layers.LeakyReLU(slope), keras.layers.Dense(3)])
    report = parity.check(module, model, X, steps=2, optimizer=SGD, dtypes=("float64",), modes=("eager",))
    assert report.passed == (slope == 0.1), report
