"""Python floats that TensorFlow takes through float32 do not cost a right float64 port its verdict."""

import keras
import numpy as np
import pytest
import tensorflow as tf
import torch
from keras import layers
from torch import nn

import parity
from keras_blitz.layers import CELU, Hardsigmoid
from parity.core.verdict import Verdict
from parity.record.exact_floats import exact_floats

X = np.random.RandomState(7).standard_normal((6, 5)).astype(np.float32)


class Scaled(nn.Module):
    def forward(self, x):
        return x * 0.1 - 0.3


class Clamped(nn.Module):
    def forward(self, x):
        return torch.clamp(x, 0.0, 0.7)


class Act(layers.Layer):
    """A function of `keras.ops`, called as a function."""

    def __init__(self, function, options, **kwargs):
        super().__init__(**kwargs)
        self.function, self.options = function, options

    def call(self, x):
        return getattr(keras.ops, self.function)(x, **self.options)

    def get_config(self):
        return super().get_config() | {"function": self.function, "options": self.options}


# What it is: PyTorch's module, a right Keras layer, and one whose constant is off in the sixth digit, or another form.
PAIRS = {
    "gelu": (nn.GELU(), Act("gelu", {"approximate": False}), Act("gelu", {"approximate": True})),
    "gelu by tanh": (nn.GELU("tanh"), Act("gelu", {"approximate": True}), Act("gelu", {"approximate": False})),
    "leaky_relu": (nn.LeakyReLU(), Act("leaky_relu", {"negative_slope": 0.01}), layers.LeakyReLU(0.010001)),
    "relu to a maximum": (Clamped(), layers.ReLU(max_value=0.7), layers.ReLU(max_value=0.700001)),
    "rescaling": (Scaled(), layers.Rescaling(0.1, -0.3), layers.Rescaling(0.1, -0.300001)),
    "rescaling by channel": (Scaled(), layers.Rescaling([0.1] * 8, [-0.3] * 8), layers.Rescaling([0.100001] * 8, -0.3)),
}


@pytest.mark.parametrize("inplace", [False, True])
@pytest.mark.parametrize(
    ("function", "passed"),
    [
        (keras.ops.hard_sigmoid, True),
        (lambda x: keras.ops.relu6(x + 3.0) * (1 / 6), True),
        (lambda x: Hardsigmoid(dtype=x.dtype)(x), True),
        (lambda x: keras.ops.relu6(x + 3.0) * 0.1666667, False),
        (lambda x: keras.ops.clip(0.2 * x + 0.5, 0.0, 1.0), False),
    ],
    ids=["keras", "by hand", "keras_blitz", "rounded", "keras 2"],
)
def test_the_gradient_of_hardsigmoid_is_float64s(function, passed, inplace):
    def port(dtype):
        inputs = keras.Input((5,), dtype=dtype)
        x = layers.Dense(8, dtype=dtype)(inputs)
        return keras.Model(inputs, layers.Dense(3, dtype=dtype)(function(x)))

    module = module_of(nn.Hardsigmoid(inplace))
    report = parity.check(module, port, X, dtypes=["float64"])
    assert report.passed is passed, str(report)


@pytest.mark.parametrize(("alpha", "passed"), [(0.6, True), (0.60000002, False)], ids=["the same", "rounded"])
def test_the_gradient_of_celu_is_float64s(alpha, passed):
    report = parity.check(module_of(nn.CELU(0.6)), model_of(CELU(alpha)), X, dtypes=["float64"])
    assert report.passed is passed, str(report)


def module_of(inner):
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(5, 8), inner, nn.Linear(8, 3))


def model_of(layer):
    return keras.Sequential([keras.Input((5,)), layers.Dense(8), layer, layers.Dense(3)])


@pytest.mark.parametrize("modes", [("eager",), ("graph", "xla")], ids="-".join)
@pytest.mark.parametrize("name", PAIRS)
def test_a_right_port_agrees_to_float64(name, modes):
    inner, right, _ = PAIRS[name]
    report = parity.check(module_of(inner), model_of(right), X, dtypes=["float64"], modes=modes)
    assert report.passed, str(report)
    rows = [row for comparison in report.comparisons.values() for row in comparison.rows]
    assert max(row.relative or 0.0 for row in rows) < 1e-12


@pytest.mark.parametrize("name", PAIRS)
def test_a_wrong_constant_does_not(name):
    inner, _, wrong = PAIRS[name]
    report = parity.check(module_of(inner), model_of(wrong), X, dtypes=["float64"])
    assert report.verdict is Verdict.NOT_EQUIVALENT, str(report)


def test_only_python_floats_in_float64_are_touched_and_all_is_put_back():
    before = tf.cast, tf.nn.leaky_relu
    with exact_floats():
        assert tf.cast(0.1, tf.float64).numpy() == 0.1
        assert tf.cast([0.1, 0.2], tf.float64).numpy().tolist() == [0.1, 0.2]
        assert tf.cast(np.float32(0.1), tf.float64).numpy() == np.float32(0.1)
        assert tf.cast(0.1, "float32").numpy() == np.float32(0.1)
        assert tf.cast(0.1, tf.int32).numpy() == 0
    assert (tf.cast, tf.nn.leaky_relu) == before
