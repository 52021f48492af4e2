"""What was set on a layer after construction, in each kind of value and precision: a right port beside a wrong one."""

import keras
import numpy as np
import pytest
import tensorflow as tf
import torch
from keras import layers, ops
from torch import nn

import parity
from keras_blitz import precision
from parity.core.verdict import Verdict
from parity.pair import attributes

X = np.random.RandomState(7).randn(6, 4)
NEAR_ONE = np.float32([1.008, 1.004, 0.992, 1.0, 1.008])  # less than one unit of bfloat16 from what a constructor sets


class Scale(layers.Layer):
    """Multiplies by a factor for each column, which its configuration does not say."""

    def __init__(self, **options):
        super().__init__(**options)
        self.factor = np.ones(5, "float32")

    def call(self, x):
        return x * ops.cast(self.factor, x.dtype)


class ScaleOfList(Scale):
    """Has its factors in a list of arrays."""

    def __init__(self, **options):
        super().__init__(**options)
        self.factor = [np.ones(2, "float32"), np.ones(3, "float32")]

    def call(self, x):
        return x * ops.cast(ops.concatenate(list(self.factor)), x.dtype)


class ScaleByNumbers(Scale):
    """Has its factors in a dictionary of numbers."""

    def __init__(self, **options):
        super().__init__(**options)
        self.factor = {"a": 1.0, "b": 1.0, "c": 1.0, "d": 1.0, "e": 1.0}

    def call(self, x):
        return x * ops.cast(list(self.factor.values()), x.dtype)


class ScaleInside(Scale):
    """Has its factor in a private attribute."""

    def __init__(self, **options):
        super().__init__(**options)
        self._inside = np.ones(5, "float32")

    def call(self, x):
        return x * ops.cast(self._inside, x.dtype)


def unchanged(x):
    return x


class ScaleByFunction(Scale):
    """Has its factor in a function."""

    def __init__(self, **options):
        super().__init__(**options)
        self.scaled = unchanged

    def call(self, x):
        return self.scaled(x)


# How a factor is given: layer's class, attribute, factor -> its value
CARRIED = {
    "array": (Scale, "factor", lambda factor: factor),
    "numbers": (
        ScaleByNumbers,
        "factor",
        lambda factor: dict(zip("abcde", map(float, factor), strict=True)),
    ),
    "list-of-arrays": (ScaleOfList, "factor", lambda factor: [factor[:2], factor[2:]]),
    "constant": (Scale, "factor", tf.constant),
}
NOT_CARRIED = {
    "private": (ScaleInside, "_inside", lambda factor: factor),
    "function": (ScaleByFunction, "scaled", lambda factor: lambda x: x * ops.cast(factor, x.dtype)),
}


def scaled(kind, policy, factor):
    cls, attribute, value = (CARRIED | NOT_CARRIED)[kind]
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(policy)
    try:
        layer = cls(name="scale")
        model = keras.Sequential([keras.Input((4,)), layers.Dense(5), layer, layers.Dense(2)])
    finally:
        keras.config.set_dtype_policy(before)
    setattr(layer, attribute, value(factor))
    return model


class Scaled(nn.Module):
    def __init__(self, factor):
        super().__init__()
        self.a, self.b = nn.Linear(4, 5), nn.Linear(5, 2)
        self.factor = torch.tensor(factor)

    def forward(self, x):
        return self.b(self.a(x) * self.factor.to(x.dtype))


@pytest.mark.parametrize("policy", ["float32", "mixed_bfloat16"])
@pytest.mark.parametrize("kind", CARRIED)
def test_what_was_set_is_carried_over_and_decides(kind, policy):
    model = scaled(kind, policy, NEAR_ONE)
    right = parity.check(Scaled(NEAR_ONE), model, X)
    assert right.passed, str(right)
    assert {"float64", "float32"} <= set(right.comparisons)
    wrong = parity.check(Scaled(np.ones(5, "float32")), model, X)
    assert wrong.verdict is Verdict.NOT_EQUIVALENT, str(wrong)
    assert not wrong.comparisons["float64"].passed


@pytest.mark.parametrize("policy", ["float32", "mixed_bfloat16", "mixed_float16"])
@pytest.mark.parametrize("kind", NOT_CARRIED)
def test_what_is_not_carried_over_is_noticed(kind, policy):
    report = parity.check(Scaled(np.ones(5, "float32")), scaled(kind, policy, NEAR_ONE), X)
    assert not report.passed, str(report)
    assert "float64" not in report.comparisons  # of a copy without the factor
    assert "rebuilt" in report.unproven


def test_a_model_of_reduced_precision_that_lost_nothing_is_proven():
    report = parity.check(Scaled(np.ones(5, "float32")), scaled("private", "mixed_bfloat16", np.ones(5, "float32")), X)
    assert report.passed, str(report)
    assert not report.unproven


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        (np.float32([0.1]), np.float64([0.1]), True),  # made in each precision
        (np.float32([0.1]), np.float32([0.1000001]), False),
        (np.float32([0.1]), np.float64([0.10001]), False),
        ([1.0, 2.0], [1.0, 2.0], True),
        ([1.0, 2.0], [1.0], False),
        ([1.0, np.ones(2)], [1.0, np.ones(2)], True),
        ({"a": np.zeros(2)}, {"a": np.ones(2)}, False),
        (tf.constant([1.0]), np.float32([1.0]), True),
        (np.ones(2), 1.0, False),
        (None, np.ones(2), False),
    ],
)
def test_attributes_are_the_same_up_to_the_rounding_of_their_types(one, other, same):
    assert attributes.are_same(one, other) is same


def test_what_is_carried_over_takes_the_types_of_the_copy():
    made = attributes.in_type_of(
        [np.float32([1.0]), tf.constant([2.0])], [np.float64([0.0]), tf.constant([0.0], "float64")]
    )
    assert [str(keras.backend.standardize_dtype(each.dtype)) for each in made] == ["float64", "float64"]
    assert attributes.in_type_of(np.float32([1.5]), np.int32([1])).dtype == "float32"  # a fraction is not cut off


def declared_float32(kind, activation, policy):
    """A float64 model whose inputs are float32, which is what `keras.Input` declares unless floatx is float64."""
    with precision("float64") if policy else precision("float32"):
        dense = layers.Dense(5, activation=activation, dtype="float64"), layers.Dense(2, dtype="float64")
        given = keras.Input((4,), dtype="float32")
        if kind == "sequential":
            return keras.Sequential([given, *dense])
        return keras.Model(given, dense[1](dense[0](given)))


@pytest.mark.parametrize("policy", [True, False])
@pytest.mark.parametrize("kind", ["functional", "sequential", "function"])
def test_a_float64_model_may_declare_float32_inputs(kind, policy):
    module = nn.Sequential(nn.Linear(4, 5), nn.Tanh(), nn.Linear(5, 2))

    def model(activation):
        if kind == "function":
            return lambda dtype: float32_input(dtype, activation)
        return declared_float32(kind, activation, policy)

    right = parity.check(module, model("tanh"), X)
    assert right.passed, str(right)
    assert list(right.comparisons) == ["float64", "float32"]
    assert not right.unproven
    wrong = parity.check(module, model("softsign"), X)
    assert wrong.verdict is Verdict.NOT_EQUIVALENT


def float32_input(dtype, activation):
    given = keras.Input((4,), dtype="float32")
    return keras.Model(given, layers.Dense(2)(layers.Dense(5, activation=activation)(given)))


def test_the_declared_inputs_are_put_back():
    model = declared_float32("sequential", "tanh", policy=False)
    parity.check(nn.Sequential(nn.Linear(4, 5), nn.Tanh(), nn.Linear(5, 2)), model, X)
    assert model.inputs[0].dtype == "float32"
    assert model(tf.constant(X)).dtype == "float64"
    with tf.GradientTape() as tape:
        tape.watch(x := tf.constant(X))
        total = tf.reduce_sum(model(x) ** 2)
    gradient = tape.gradient(total, x).numpy()
    assert np.array_equal(gradient, gradient.astype("float32"))  # rounded again
