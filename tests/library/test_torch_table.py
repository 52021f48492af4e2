"""L6: the table of PyTorch's classes is complete, what it names exists, and Keras's own layers are measured."""

import inspect
import re
from importlib import import_module
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

from parity import torch_table
from parity.torch_table import PARTS, Row

pytestmark = pytest.mark.covers("L6")

torch = pytest.importorskip("torch", reason="needs PyTorch: pip install 'keras-blitz[torch]'")
from torch_twin import assert_close, first, last, same  # noqa: E402

nn, ops = torch.nn, keras.ops
ROWS = {(part.title, row.name): row for part in PARTS for row in part.rows()}


def public_names() -> dict[str, set[str]]:
    """Return PyTorch's public classes by the table's parts; of its functions, the losses."""

    def classes(module):
        return {name for name, value in vars(module).items() if inspect.isclass(value) and not name.startswith("_")}

    layers = classes(nn)
    losses = {name for name in layers if re.search(r"Loss(2d)?$", name) and name != "AdaptiveLogSoftmaxWithLoss"}
    functions = {name for name in vars(nn.functional) if name.endswith("_loss") or name in ("kl_div", "ctc_loss")}
    functions |= {name for name in vars(nn.functional) if "cross_entropy" in name}
    schedules = {
        name for name, value in vars(torch.optim.lr_scheduler).items()
        if inspect.isclass(value) and value.__module__ == "torch.optim.lr_scheduler" and not name.startswith("_")
    }  # fmt: skip
    return {
        "Layers": layers - losses,
        "Losses": losses,
        "Losses as functions": {name for name in functions if not name.startswith("_")},
        "Optimizers": classes(torch.optim),
        "Schedules": schedules,
    }


@pytest.mark.parametrize("part", PARTS, ids=lambda part: part.title)
def test_every_public_class_is_in_the_table_once(part):
    names = [row.name for row in part.rows()]
    assert len(names) == len(set(names))
    assert set(names) == public_names()[part.title]


def found(name):
    module, _, attribute = name.rpartition(".")
    return getattr(import_module(module), attribute)


@pytest.mark.parametrize("row", [row for row in ROWS.values() if row.use], ids=lambda row: row.name)
def test_what_a_row_names_exists(row):
    assert callable(found(row.use))


def test_what_is_not_offered_has_a_reason():
    assert [row.name for row in ROWS.values() if not row.use and not row.note] == []
    assert Row("X").verdict == "not offered"


@pytest.mark.parametrize(
    ("title", "least"), [("Layers", 0.9), ("Losses", 0.95), ("Losses as functions", 0.95), ("Schedules", 1.0)]
)
def test_most_of_it_is_offered(title, least):
    offered, total = torch_table.share([row for (part, _), row in ROWS.items() if part == title])
    assert offered / total >= least


def test_the_page_is_what_the_module_prints():
    page = (Path(__file__).parents[2] / "docs" / "layers.md").read_text(encoding="utf-8")
    assert page == torch_table.page(), "run python -m parity.torch_table > docs/layers.md"


# Keras's own that are said to be exact: PyTorch's module, Keras's layer or function, and how its inputs stand

SEQUENCE, IMAGE = (4, 6), (2, 4, 3, 5)
POINTS = np.concatenate([np.linspace(-25, 25, 201), [-3, -1, -0.5, 0, 0.5, 1, 3, 6]])

ELEMENTS = {
    "Identity": (nn.Identity(), lambda: keras.layers.Identity(dtype="float64")),
    "ReLU": (nn.ReLU(), lambda: keras.layers.ReLU(dtype="float64")),
    "ReLU6": (nn.ReLU6(), lambda: keras.layers.ReLU(6.0, dtype="float64")),
    "Sigmoid": (nn.Sigmoid(), lambda: keras.activations.sigmoid),
    "Tanh": (nn.Tanh(), lambda: keras.activations.tanh),
    "SiLU": (nn.SiLU(), lambda: keras.activations.silu),
    "Mish": (nn.Mish(), lambda: keras.activations.mish),
    "LogSigmoid": (nn.LogSigmoid(), lambda: keras.activations.log_sigmoid),
    "Softsign": (nn.Softsign(), lambda: keras.activations.softsign),
    "Tanhshrink": (nn.Tanhshrink(), lambda: ops.tanh_shrink),
    "Hardshrink": (nn.Hardshrink(0.7), lambda: lambda x: ops.hard_shrink(x, 0.7)),
    "Softshrink": (nn.Softshrink(0.7), lambda: lambda x: ops.soft_shrink(x, 0.7)),
    "Hardswish": (nn.Hardswish(), lambda: ops.hard_silu),
    "Threshold": (nn.Threshold(0.5, 20.0), lambda: lambda x: ops.threshold(x, 0.5, 20.0)),
}

SHAPED = {
    "Flatten": (nn.Flatten(), lambda: keras.layers.Flatten(dtype="float64"), SEQUENCE, same, same),
    "Unflatten": (nn.Unflatten(1, (2, 3)), lambda: keras.layers.Reshape((2, 3), dtype="float64"), SEQUENCE, same, same),
    "GLU": (nn.GLU(1), lambda: lambda x: keras.activations.glu(x, axis=-1), IMAGE, last, first),
    "Softmax": (nn.Softmax(1), lambda: keras.layers.Softmax(-1, dtype="float64"), IMAGE, last, first),
    "Softmax2d": (nn.Softmax2d(), lambda: keras.layers.Softmax(-1, dtype="float64"), IMAGE, last, first),
    "LogSoftmax": (nn.LogSoftmax(1), lambda: ops.log_softmax, IMAGE, last, first),
    "Softmin": (nn.Softmin(1), lambda: lambda x: ops.softmax(-x), IMAGE, last, first),
}

DENSE = ("Linear", "LazyLinear")


def test_every_layer_of_keras_that_is_called_exact_is_measured():
    exact = {row.name for row in ROWS.values() if row.use.startswith("keras.") and row.name not in torch_table.NO_LAYER}
    assert exact == {*ELEMENTS, *SHAPED, *DENSE}


def measure(module, layer, array, there=same, back=same):
    x = torch.tensor(array, requires_grad=True)
    expected = module.double()(x)
    upstream = np.random.RandomState(1).randn(*expected.shape)
    expected.backward(torch.tensor(upstream))
    ours = tf.constant(there(array))
    with tf.GradientTape() as tape:
        tape.watch(ours)
        actual = layer(ours)
    assert_close(back(np.asarray(actual)), expected.detach().numpy())
    assert_close(back(np.asarray(tape.gradient(actual, ours, there(upstream)))), x.grad.numpy())


@pytest.mark.parametrize("name", ELEMENTS)
def test_keras_is_exact_for_each_value(name):
    module, make = ELEMENTS[name]
    measure(module, make(), POINTS)


@pytest.mark.parametrize("name", SHAPED)
def test_keras_is_exact(name):
    module, make, shape, there, back = SHAPED[name]
    measure(module, make(), np.random.RandomState(0).randn(*shape), there, back)


@pytest.mark.parametrize(
    ("module", "make"),
    [
        (nn.Conv2d(4, 6, 3, 2, 1), lambda: keras.layers.Conv2D(6, 3, strides=2, dtype="float64")),
        (nn.Conv2d(4, 4, 3, 2, 1, groups=4), lambda: keras.layers.DepthwiseConv2D(3, strides=2, dtype="float64")),
    ],
    ids=["convolution", "depthwise"],
)
def test_a_valid_convolution_of_keras_after_explicit_zeros_is_exact(module, make):
    layer, weight = make(), module.double().weight.detach().numpy()
    layer.build((None, 9, 8, 4))
    layer.set_weights([weight.transpose(2, 3, 1, 0).reshape(layer.kernel.shape), module.bias.detach().numpy()])
    padding = keras.layers.ZeroPadding2D(1, dtype="float64")
    measure(module, lambda x: layer(padding(x)), np.random.RandomState(0).randn(2, 4, 7, 6), last, first)


def test_a_global_average_of_keras_is_the_adaptive_one_of_size_1():
    layer = keras.layers.GlobalAveragePooling2D(keepdims=True, dtype="float64")
    measure(nn.AdaptiveAvgPool2d(1), layer, np.random.RandomState(0).randn(*IMAGE), last, first)


def test_hard_sigmoid_of_keras_is_the_same_in_float32():
    x = torch.tensor(POINTS.astype("f"), requires_grad=True)
    expected = nn.Hardsigmoid()(x)
    expected.sum().backward()
    points = tf.constant(POINTS.astype("f"))
    with tf.GradientTape() as tape:
        tape.watch(points)
        actual = ops.hard_sigmoid(points)
    assert np.array_equal(actual, expected.detach().numpy())
    assert np.array_equal(tape.gradient(actual, points), x.grad.numpy())


def test_a_measurement_can_fail():
    with pytest.raises(AssertionError):
        measure(nn.GELU(), keras.activations.gelu, POINTS)


def test_dense_is_linear():
    module, layer = nn.Linear(6, 3).double(), keras.layers.Dense(3, dtype="float64")
    layer.build((None, 6))
    layer.set_weights([module.weight.detach().numpy().T, module.bias.detach().numpy()])
    measure(module, layer, np.random.RandomState(0).randn(*SEQUENCE))


def test_cross_map_lrn_is_not_local_response_norm():
    """Why it has no twin: from the fourth channel on its window is another."""
    x = torch.tensor(np.random.RandomState(0).randn(2, 7, 3, 4))
    options = (5, 0.1, 0.75, 2.0)
    differ = (nn.CrossMapLRN2d(*options)(x) - nn.LocalResponseNorm(*options)(x)).abs().amax((0, 2, 3)).numpy()
    assert differ[:3].max() < 1e-12
    assert differ[3] > 1e-3
