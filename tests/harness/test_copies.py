"""Copies of a user's Keras model in float64: each way to write one, what is refused, and what stays as it was."""

from functools import partial
from typing import NamedTuple

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers, ops

import keras_blitz
from keras_blitz import keras_internals, optim
from keras_blitz.errors import BlitzError
from parity.pair import copies, step
from parity.pair.copies import NotRebuiltError
from parity.pair.policy import plain_precision

pytestmark = pytest.mark.covers("H12")

X = np.random.RandomState(0).standard_normal((3, 4)).astype("float32")


def rebuilt(model, dtype="float64"):
    return copies.rebuilt(model, dtype, lambda each: each(tf.constant(X, dtype)))


def functional(*between):
    x = inputs = keras.Input((4,))
    for layer in (*between, layers.Dense(2)):
        x = layer(x)
    return keras.Model(inputs, x)


class Scaled(layers.Layer):
    """With a configuration of its own."""

    def __init__(self, by, **options):
        super().__init__(**options)
        self.by = by

    def call(self, x):
        return x * self.by

    def get_config(self):
        return {**super().get_config(), "by": self.by}


class Plain(layers.Layer):
    """Without a configuration, and with what none could hold."""

    def __init__(self, by, function):
        super().__init__()
        self.by, self.function, self.fc = by, function, layers.Dense(4)

    def call(self, x):
        return self.function(self.fc(x) * self.by)


class Forgetful(Scaled):
    """Whose configuration does not say all."""

    def get_config(self):
        return {**super().get_config(), "by": 1.0}


class Subclassed(keras.Model):
    """Keras's default configuration has the constructor's defaults in place of what was given."""

    def __init__(self, width=5, by=1.0):
        super().__init__()
        self.first, self.last, self.by = layers.Dense(width, activation="tanh"), layers.Dense(2), by

    def call(self, x):
        return self.last(self.first(x) * self.by)


class Shared(keras.Model):
    def __init__(self):
        super().__init__()
        self.first = layers.Dense(4)
        self.again = self.first

    def call(self, x):
        return self.again(ops.tanh(self.first(x)))


class Pair(NamedTuple):
    layer: layers.Layer
    size: int


class Collections(keras.Model):
    def __init__(self):
        super().__init__()
        self.blocks = [layers.Dense(4), layers.Dense(4)]
        self.heads = {"left": layers.Dense(2), "right": layers.Dense(2)}
        self.pair, self.more = Pair(layers.Dense(4), 3), (layers.Dense(4),)

    def call(self, x):
        x = self.more[0](self.pair.layer(x)) * self.pair.size
        for block in self.blocks:
            x = ops.tanh(block(x))
        return self.heads["left"](x) - self.heads["right"](x)


class OwnWeight(keras.Model):
    def __init__(self):
        super().__init__()
        self.factor = self.add_weight(shape=(4,), initializer="random_normal", name="factor")

    def call(self, x):
        return x * self.factor


class Builds(keras.Model):
    """Makes its weight when it is built."""

    def build(self, shape):
        self.factor = self.add_weight(shape=(shape[-1],), initializer="random_normal", name="factor")
        self.built = True

    def call(self, x):
        return x * self.factor


def cubed(x):
    return x**3


def difference(target, output):
    return ops.sum(target - output)


def compiled():
    model = functional(layers.Dense(3))
    model.compile("sgd", loss=difference)
    return model


def shared_lambda():
    inputs, shared = keras.Input((4,)), layers.Dense(4, activation=lambda x: ops.sin(x))
    return keras.Model(inputs, shared(shared(inputs)))


FACTOR = 3.0
# Each returns a model of (N, 4)
MODELS = {
    "functional": lambda: functional(layers.Dense(3, activation="relu"), layers.BatchNormalization()),
    "compiled-with-its-own-loss": compiled,
    "sequential": lambda: keras.Sequential([keras.Input((4,)), layers.Dense(3, activation="gelu"), layers.Dense(2)]),
    "sequential-not-built": lambda: keras.Sequential([layers.Dense(3), layers.Dense(2)]),
    "own-layer": lambda: functional(Scaled(2.5)),
    "own-activation": lambda: functional(layers.Dense(3, activation=cubed)),
    "lambda": lambda: functional(layers.Lambda(lambda x: x * FACTOR)),
    "two-lambdas": lambda: functional(layers.Lambda(lambda x: x + 1), layers.Lambda(lambda x: x * FACTOR)),
    "model-in-a-model": lambda: functional(functional(layers.Dense(3)), layers.Dense(5)),
    "subclassed": Subclassed,
    "subclassed-with-arguments": lambda: Subclassed(7, by=2.5),
    "subclassed-with-a-functional-inside": lambda: Outer(functional(layers.Dense(5))),
    "subclassed-inside-a-functional": lambda: functional(Subclassed(7, by=2.5)),
    "two-lambdas-as-activations": lambda: functional(
        layers.Dense(3, activation=lambda x: x * FACTOR), layers.Activation(lambda x: x + FACTOR)
    ),
    "partial-as-activation": lambda: functional(layers.Dense(3, activation=partial(ops.gelu, approximate=True))),
    "lambdas-in-a-sequential": lambda: keras.Sequential(
        [keras.Input((4,)), layers.Dense(2, activation=lambda x: x**2)]
    ),
    "layers-without-a-configuration": lambda: functional(Plain(2.0, tf.tanh), Plain(0.5, tf.exp)),
    "a-lambda-in-a-model-in-a-model": lambda: Outer(functional(layers.Dense(5, activation=lambda x: x * FACTOR))),
    "a-lambda-in-a-shared-layer": shared_lambda,
    "a-lambda-layer-in-a-subclassed-model": lambda: Outer(layers.Lambda(lambda x: ops.tanh(x) * FACTOR)),
    "a-lambda-layer-beside-a-lambda": lambda: functional(
        layers.Lambda(lambda x: x * FACTOR), layers.Dense(3, activation=lambda x: x + FACTOR)
    ),
    "shared-layer": Shared,
    "collections-of-layers": Collections,
    "own-weight": OwnWeight,
    "weight-made-in-build": Builds,
}


@pytest.mark.parametrize("name", MODELS)
def test_a_copy_has_the_same_weights_in_another_type(name):
    keras.utils.set_random_seed(0)
    model = MODELS[name]()
    expected = model(X).numpy()
    before = model.get_weights()
    copy = rebuilt(model)
    assert copy is not model
    assert {v.dtype for v in copy.weights} == {"float64"}
    assert {v.dtype for v in model.weights} == {"float32"}
    assert not {id(v) for v in copy.weights} & {id(v) for v in model.weights}
    assert all(map(np.array_equal, copy.get_weights(), before))
    assert all(map(np.array_equal, model.get_weights(), before))
    assert len(copy.weights) == len(before) > 0
    found = copy(tf.constant(X, "float64"))
    assert found.dtype == "float64"
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)
    assert np.any(found.numpy() != expected), "float64 has more digits"
    assert keras.config.floatx() == "float32"


@pytest.mark.parametrize("name", MODELS)
def test_a_copy_of_a_model_that_was_never_called(name):
    model = MODELS[name]()
    copy = rebuilt(model, "float32")
    np.testing.assert_array_equal(copy(X), model(X))


def test_the_copy_of_a_compiled_model_is_not_compiled():
    model = compiled()
    model.fit(X, np.ones((3, 2)), verbose=0)
    copy = rebuilt(model)
    assert (model.compiled, copy.compiled, copy.loss) == (True, False, None)
    assert getattr(copy, "optimizer", None) is None


def test_a_shared_layer_stays_one():
    copy = rebuilt(Shared())
    assert copy.again is copy.first
    assert len(copy.weights) == 2
    two = Shared()
    two.again = layers.Dense(4)
    copy = rebuilt(two)
    assert copy.again is not copy.first
    assert len(copy.weights) == 4


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_no_layer_is_both_the_copys_and_the_users(dtype):
    """Wherever the constructor has put it."""
    model = Collections()
    copy = rebuilt(model, dtype)
    for one, other in [(copy.blocks, model.blocks), (copy.heads.values(), model.heads.values())]:
        assert not set(map(id, one)) & set(map(id, other))
    assert copy.pair.size == model.pair.size == 3
    assert copy.pair.layer is not model.pair.layer
    assert copy.more[0] is not model.more[0]


def test_what_is_frozen_stays_frozen():
    model = Subclassed()
    model.first.trainable = False
    copy = rebuilt(model)
    assert (copy.trainable, copy.first.trainable, copy.last.trainable) == (True, False, True)
    model.trainable = False
    assert rebuilt(model).trainable is False


class TwoInside(layers.Layer):
    """Makes its layers itself, so that its configuration says nothing of them."""

    def __init__(self, **options):
        super().__init__(**options)
        self.norm, self.fc = layers.BatchNormalization(), layers.Dense(4)

    def build(self, shape):
        self.norm.build(shape)
        self.fc.build(shape)

    def call(self, x, training=False):
        return self.fc(self.norm(x, training=training))

    def get_config(self):
        return super().get_config()


@pytest.mark.parametrize("frozen", ["norm", "fc"])
def test_what_is_frozen_inside_a_layer_stays_frozen(frozen):
    model = functional(TwoInside(name="two"))
    getattr(model.get_layer("two"), frozen).trainable = False
    copy = rebuilt(model).get_layer("two")
    assert [copy.norm.trainable, copy.fc.trainable] == [frozen != "norm", frozen != "fc"]
    assert [v.trainable for v in copy.variables] == [v.trainable for v in model.get_layer("two").variables]


class Float32(layers.Layer):
    def build(self, shape):
        self.factor = self.add_weight(shape=(shape[-1],), dtype="float32", name="factor")

    def call(self, x):
        return x * ops.cast(self.factor, x.dtype)

    def get_config(self):
        return super().get_config()


class Constant(keras.Model):
    def __init__(self):
        super().__init__()
        self.fc = layers.Dense(2)

    def call(self, x):
        return self.fc(x) * tf.ones(2)  # float32, whatever x is


class Outer(keras.Model):
    def __init__(self, inner):
        super().__init__()
        self.inner, self.fc = inner, layers.Dense(2)

    def call(self, x):
        return self.fc(self.inner(x))


class Raises(Scaled):
    def get_config(self):
        raise NotImplementedError("there is\nno configuration")


# A model, and why a copy of it is refused
REFUSED = {
    "a-variable-in-float32": (lambda: functional(Float32()), "makes .*factor in another type than float64"),
    "a-constant-in-float32": (Constant, "InvalidArgumentError: cannot compute Mul"),
    "no-configuration": (lambda: functional(Raises(2.0)), "NotImplementedError.*there is"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_copied_is_refused_with_the_reason(name):
    make, reason = REFUSED[name]
    with pytest.raises(NotRebuiltError, match=reason) as caught:
        rebuilt(make())
    assert "\n" not in str(caught.value)
    assert keras.config.floatx() == "float32"


@pytest.mark.parametrize("kind", [Scaled, Forgetful])
@pytest.mark.parametrize("outer", [functional, Outer])
def test_a_plain_attribute_is_carried_over_where_the_configuration_forgets_it(kind, outer):
    model = outer(kind(2.0))
    np.testing.assert_allclose(rebuilt(model)(tf.constant(X, "float64")), model(X), rtol=1e-5, atol=1e-6)


class Switched(layers.Layer):
    """Its settings are not arguments of the constructor."""

    def __init__(self, **options):
        super().__init__(**options)
        self.by, self.steps, self.how, self.kind, self.inner = 1.0, 1, None, "float32", lambda x: x + self.by
        self.table = np.ones(4)

    def call(self, x):
        for _ in range(self.steps):
            x = self.inner(x) * self.by
        return self.how(x) if self.how else x


def test_what_is_carried_over_is_what_stands_alone():
    model = functional(Switched(name="switched"))
    own = model.get_layer("switched")
    own.by, own.steps, own.how = 2.0, 3, cubed
    copy = rebuilt(model)
    other = copy.get_layer("switched")
    assert (other.by, other.steps, other.how) == (2.0, 3, cubed)
    assert other.inner is not own.inner, "which holds the user's own layer"
    assert other.table is not own.table
    own.kind = "float64"
    assert rebuilt(model).get_layer("switched").kind == "float32", "a type is the copy's own affair"


def test_an_adapted_normalization_is_copied():
    model = functional(layers.Normalization(name="norm"))
    model.get_layer("norm").adapt(X)
    np.testing.assert_allclose(rebuilt(model)(tf.constant(X, "float64")), model(X), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("made", "dtype"),
    [
        (lambda: functional(layers.Dense(3)), "float32"),
        (lambda: functional(layers.Dense(3, dtype="float64")), ""),
        (lambda: keras.Sequential([layers.Dense(3, dtype="float64")]), "float64"),
        (lambda: keras.Sequential([layers.Dense(3, dtype="mixed_float16")]), ""),
        (Subclassed, "float32"),
        (OwnWeight, "float32"),
        (lambda: keras.Sequential([layers.Embedding(3, 4), layers.LSTM(3)]), "float32"),
    ],
)  # fmt: skip
def test_a_models_own_precision(made, dtype):
    assert plain_precision(made()) == dtype


def test_a_model_made_in_float64_has_that_precision():
    with keras_blitz.precision("float64"):
        model = functional(layers.Dense(3))
    assert plain_precision(model) == "float64"


def test_a_function_is_called_with_the_type():
    seen = []

    def make(dtype):
        seen.append((dtype, keras.config.floatx()))
        return functional(layers.Dense(3))

    copy = copies.made(make, "float64", lambda each: each(tf.constant(X, "float64")))
    assert seen == [("float64", "float64")]
    assert {v.dtype for v in copy.weights} == {"float64"}
    assert keras.config.floatx() == "float32"


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (3, "keras_model must be a Keras model, .* not int"),
        (lambda dtype: 3, r"keras_model\('float64'\) returned a int"),
    ],
    ids=["no-model", "function-of-no-model"],
)
def test_what_is_no_model_is_said(given, message):
    with pytest.raises(BlitzError, match=message):
        copies.made(given, "float64", lambda each: each(X))


def state_of(model):
    """Return all that a model holds: the values and flags of its variables and its optimizer's, and what is frozen."""
    every = keras_internals.inner_layers(model, itself=True)
    optimizer = model.optimizer.variables if getattr(model, "optimizer", None) else []
    return (
        [(v.path, v.numpy().tobytes(), v.trainable) for v in [*model.variables, *optimizer]],
        [(layer.name, layer.trainable, "call" in vars(layer)) for layer in every],
    )


@pytest.mark.parametrize("raised", [None, KeyError, KeyboardInterrupt])
def test_a_borrowed_model_is_put_back_as_it_was(raised):
    model = functional(layers.BatchNormalization(), layers.Dropout(0.5, seed=1), TwoInside())
    model.layers[3].norm.trainable = False
    model.compile(keras.optimizers.Adam(), "mse", metrics=["mae"])
    model.fit(X, np.ones((3, 2)), verbose=0)
    before = state_of(model)
    try:
        with copies.borrowed(model) as same:
            assert same is model
            model.trainable = False
            for variable in [*model.variables, *model.optimizer.variables]:
                variable.assign(variable + 1)
                variable.trainable = not variable.trainable
            assert state_of(model) != before
            if raised:
                raise raised
    except (KeyError, KeyboardInterrupt) as error:
        assert raised is type(error)
    assert state_of(model) == before


OPTIMIZERS = {
    "keras-sgd": lambda: keras.optimizers.SGD(0.1, momentum=0.9, nesterov=True),
    "keras-adam": lambda: keras.optimizers.Adam(0.3, beta_1=0.7, epsilon=1e-8),
    "keras-schedule": lambda: keras.optimizers.SGD(keras.optimizers.schedules.ExponentialDecay(0.1, 5, 0.5)),
    "keras_blitz-sgd": lambda: optim.SGD(0.1, momentum=0.9),
    "keras_blitz-adam": lambda: optim.Adam(0.3, betas=(0.7, 0.99), groups=[("*.bias", {"lr": 0.1})]),
}


def as_said(config):
    """Return a configuration with each number as float32 has it."""
    return {key: np.float32(v) if isinstance(v, float) else v for key, v in config.items()}


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_a_fresh_optimizer_has_the_settings_and_not_the_state(name):
    used = OPTIMIZERS[name]()
    variable = keras.Variable([1.0, 2.0], name="fc.bias")
    used.apply([tf.ones(2)], [variable])
    fresh = step.optimizer_of(used)
    assert fresh is not used
    assert type(fresh) is type(used)
    assert as_said(fresh.get_config()) == as_said(used.get_config())
    assert int(fresh.iterations.numpy()) == 0
    assert int(used.iterations.numpy()) == 1


def test_a_fresh_optimizers_rate_is_what_was_written():
    """Keras's own instance has it in float32."""
    instance = keras.optimizers.SGD(0.1)
    with keras_blitz.precision("float64"):
        assert instance.get_config()["learning_rate"] != 0.1
        assert step.optimizer_of(instance).get_config()["learning_rate"] == 0.1


def test_a_function_makes_a_fresh_optimizer():
    made = []

    def make():
        made.append(optim.SGD(0.1))
        return made[-1]

    assert step.optimizer_of(make) is made[0]
    assert step.optimizer_of(make) is made[1]


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        (float(np.float32(0.1)), 0.1), (float(np.float32(3e-4)), 3e-4), (0.5, 0.5), (0.0, 0.0), (0.1, 0.1),
        (1 / 3, 1 / 3), (0.1 + 1e-12, 0.1 + 1e-12),
    ],
)  # fmt: skip
def test_the_number_that_was_meant(given, meant):
    assert step._meant(given) == meant


@pytest.mark.parametrize(
    ("optimizers", "lists"),
    [
        (None, False), ((None, keras.optimizers.SGD), False), ((None, lambda: optim.SGD(0.1)), True),
        ((None, optim.Adam), True),
    ],
    ids=["none", "keras", "keras_blitz-function", "keras_blitz-class"],
)  # fmt: skip
def test_which_optimizers_list_their_slots(optimizers, lists):
    assert step.lists_slots(optimizers) is lists


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_fresh_loss_is_of_the_type_of_now(dtype):
    loss = keras.losses.Huber(delta=0.3, reduction="sum")
    with keras_blitz.precision(dtype):
        fresh = step.typed_loss(loss, dtype)
        assert fresh(tf.zeros(2, dtype), tf.ones(2, dtype)).dtype == dtype
    assert fresh.get_config() == loss.get_config()
    assert loss.dtype == "float32"


def test_a_loss_that_is_a_function_is_taken_as_it_is():
    assert step.typed_loss(cubed, "float64") is cubed
