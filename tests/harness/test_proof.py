"""A float64 copy of the user's Keras model is believed only where it does what the model itself does."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers, ops

import keras_blitz
import parity
from keras_blitz import keras_internals
from keras_blitz.errors import BlitzError
from parity.core.verdict import Verdict
from parity.pair import sides

pytestmark = pytest.mark.covers("H12")

torch = pytest.importorskip("torch", reason="needs PyTorch: pip install 'keras-blitz[torch]'")
nn = torch.nn

X = np.random.RandomState(0).standard_normal((6, 4)).astype("float32")
PROVEN = "the float64 copy computes the same as the model itself"


class Module(nn.Module):
    """Linear, something in between, Linear."""

    def __init__(self, between=torch.tanh):
        super().__init__()
        torch.manual_seed(0)
        self.a, self.b, self.between = nn.Linear(4, 5), nn.Linear(5, 2), between

    def forward(self, x):
        return self.b(self.between(self.a(x)))


def functional(*between):
    x = inputs = keras.Input((4,))
    for layer in (layers.Dense(5), *between, layers.Dense(2)):
        x = layer(x)
    return keras.Model(inputs, x)


class Subclassed(keras.Model):
    def __init__(self, between=ops.tanh):
        super().__init__()
        self.a, self.b, self.between = layers.Dense(5), layers.Dense(2), between

    def call(self, x):
        return self.b(self.between(self.a(x)))


class Tanh(layers.Layer):
    """A user's own layer."""

    def call(self, x):
        return ops.tanh(x)


def compiled():
    model = functional(layers.Activation("tanh"))
    model.compile("adam", "mse", metrics=["mae"])
    model.fit(X, np.ones((6, 2)), verbose=0)
    return model


# One model of each kind; each is a right port of Module
KINDS = {
    "functional": lambda: functional(layers.Activation("tanh")),
    "sequential": lambda: keras.Sequential([layers.Dense(5, activation="tanh"), layers.Dense(2)]),
    "subclassed": Subclassed,
    "nested": lambda: functional(keras.Sequential([layers.Activation("tanh")]), layers.Identity()),
    "own-layer": lambda: functional(Tanh()),
    "lambda": lambda: functional(layers.Lambda(lambda x: ops.tanh(x))),
    "compiled": compiled,
}


@pytest.mark.parametrize("name", KINDS)
def test_the_copys_proof_is_in_the_notes(name):
    report = parity.check(Module(), KINDS[name](), X)
    assert report.passed, str(report)
    assert list(report.comparisons) == ["float64", "float32"]
    (note,) = [note for note in report.notes if PROVEN in note]
    assert 0 < float(note.split()[-4]) < 1e-6, note
    assert (report.unproven, report.coarse) == ("", "")


@pytest.mark.parametrize("name", KINDS)
def test_a_wrong_port_of_each_kind_is_not_equivalent_in_both_precisions(name):
    report = parity.check(Module(torch.sin), KINDS[name](), X)
    assert report.verdict is Verdict.NOT_EQUIVALENT
    assert list(report.comparisons) == ["float64", "float32"]
    assert any(PROVEN in note for note in report.notes), str(report)


class Scale(layers.Layer):
    """With a factor that only a constructor's argument, forgotten by the configuration, says."""

    def __init__(self, factor=1.0, **options):
        super().__init__(**options)
        self.factor = factor

    def call(self, x):
        return ops.tanh(x) * self.factor

    def get_config(self):
        return super().get_config()


class Table(Scale):
    """Holds its factor in an array."""

    def __init__(self, factor=1.0, **options):
        super().__init__(**options)
        self.factor = np.float32([factor] * 5)


class Closure(layers.Layer):
    """Holds its factor in a function that was replaced after construction."""

    def __init__(self, **options):
        super().__init__(**options)
        self.scaled = ops.tanh

    def call(self, x):
        return self.scaled(x)


def closing_over(factor):
    layer = Closure()
    layer.scaled = lambda x: ops.tanh(x) * factor
    return functional(layer)


class Swapped(layers.Layer):
    """Whose inner layer is not the one that its constructor makes."""

    def __init__(self, **options):
        super().__init__(**options)
        self.inner = Tanh()

    def build(self, shape):
        self.inner.build(shape)

    def call(self, x):
        return self.inner(x)

    def get_config(self):
        return super().get_config()


def swapped(factor):
    layer = Swapped()
    layer.inner = keras.Sequential([layers.Rescaling(1.0), Scale(factor)])
    return functional(layer)


class Norms(layers.Layer):
    """With a layer whose epsilon the user sets afterwards."""

    def __init__(self, **options):
        super().__init__(**options)
        self.norm = layers.LayerNormalization(epsilon=1e-3)

    def build(self, shape):
        self.norm.build(shape)

    def call(self, x):
        return self.norm(x)

    def get_config(self):
        return super().get_config()


def normed(epsilon):
    layer = Norms()
    layer.norm.epsilon = epsilon
    return functional(layer)


def doubled(x):
    return 2 * torch.tanh(x)


# What a configuration does not say: PyTorch's module, value -> Keras's model, the right value, the constructor's own
LOSSY = {
    "argument": (lambda: Module(doubled), lambda value: functional(Scale(value)), 2.0, 1.0),
    "argument-of-a-layer-in-a-subclassed-model": (lambda: Module(doubled), lambda v: Subclassed(Scale(v)), 2.0, 1.0),
    "array": (lambda: Module(doubled), lambda value: functional(Table(value)), 2.0, 1.0),
    "closure": (lambda: Module(doubled), closing_over, 2.0, 1.0),
    "inner-layer": (lambda: Module(doubled), swapped, 2.0, 1.0),
    "epsilon": (lambda: Module(nn.LayerNorm(5)), normed, 1e-5, 1e-3),
}
CARRIED = ("argument", "argument-of-a-layer-in-a-subclassed-model", "array", "epsilon")


@pytest.mark.parametrize("name", LOSSY)
def test_what_a_configuration_does_not_say_is_judged_as_the_user_runs_it(name):
    module, model, right, _ = LOSSY[name]
    report = parity.check(module(), model(right), X)
    assert report.passed, str(report)
    if name in CARRIED:
        assert list(report.comparisons) == ["float64", "float32"], str(report)
        assert any(PROVEN in note for note in report.notes)
    else:
        assert list(report.comparisons) == ["float32"]
        assert report.unproven.startswith("only float32 was compared: the Keras model "), report.unproven
        assert "give keras_model as a function dtype -> model for float64" in report.unproven
        assert str(report).splitlines()[1].strip() == report.unproven
        assert not any(PROVEN in note for note in report.notes)
    assert report.to_dict()["unproven"] == report.unproven


@pytest.mark.parametrize("name", LOSSY)
def test_what_a_configuration_does_not_say_cannot_make_a_wrong_port_pass(name):
    """A copy has the constructor's value, which is PyTorch's here; the model itself has another."""
    module, model, right, default = LOSSY[name]
    module = Module(nn.LayerNorm(5, eps=default)) if name == "epsilon" else Module()
    assert parity.check(module, model(default), X).passed
    report = parity.check(module, model(right), X)
    assert report.verdict is Verdict.NOT_EQUIVALENT, str(report)
    assert not report.comparisons["float32"].passed


@pytest.mark.parametrize("value", [1.0, 2.0])
def test_float64_alone_is_not_decided_by_a_copy_that_is_not_proven(value):
    report = parity.check(Module(doubled if value == 2 else torch.tanh), closing_over(value), X, dtypes=["float64"])
    if value == 1:  # what the constructor makes of it anyway
        assert report.passed, str(report)
        assert list(report.comparisons) == ["float64"]
        assert any(PROVEN in note for note in report.notes)
        return
    assert report.verdict is Verdict.NOT_DECIDED
    assert "the Keras model rebuilt in float64 computes something else from" in report.undecided[0]
    assert "not decided" in str(report).splitlines()[0].lower()
    assert report.undecided[0] in str(report).splitlines()[1]


def test_float64_alone_says_no_to_a_wrong_port_whose_copy_is_proven():
    report = parity.check(Module(torch.sin), functional(Tanh()), X, dtypes=["float64"])
    assert report.verdict is Verdict.NOT_EQUIVALENT
    assert list(report.comparisons) == ["float64"]


def test_float32_alone_makes_no_copy(monkeypatch):
    monkeypatch.setattr(sides.copies, "rebuilt", None)
    report = parity.check(Module(), functional(Tanh()), X, dtypes=["float32"])
    assert report.passed, str(report)
    assert not parity.check(Module(torch.sin), functional(Tanh()), X, dtypes=["float32"]).passed


def test_both_precisions_take_one_copy(monkeypatch):
    made, rebuilt = [], sides.copies.rebuilt
    monkeypatch.setattr(sides.copies, "rebuilt", lambda *args: made.append(args[1]) or rebuilt(*args))
    assert parity.check(Module(), functional(Tanh()), X).passed
    assert made == ["float64"]


def test_of_a_model_of_reduced_precision_copies_are_proven_by_each_other():
    policy = "mixed_float16"
    model = keras.Sequential([layers.Dense(5, activation="tanh", dtype=policy), layers.Dense(2, dtype=policy)])
    report = parity.check(Module(), model, X)
    assert f"and in {policy} as it is" in report.precision
    assert any("the float64 copy computes the same as the float32 copy" in note for note in report.notes)


@pytest.mark.parametrize("right", [True, False])
def test_a_float64_model_is_judged_itself(right):
    with keras_blitz.precision("float64"):
        model = functional(layers.Activation("tanh" if right else "sigmoid"))
    report = parity.check(Module(), model, X)
    assert report.passed is right, str(report)
    assert list(report.comparisons) == ["float64", "float32"]
    assert not right or any("the float32 copy computes the same as the model itself" in note for note in report.notes)


@pytest.mark.parametrize("epsilon", [1e-5, 1.001e-5])
def test_a_mistake_that_float32_cannot_see_stands_where_the_copy_is_proven(epsilon):
    """And is not taken for a constant in float32, be its reason known or not."""

    class Plain(layers.Layer):
        def call(self, x):
            mean, variance = ops.moments(x, [-1], keepdims=True)
            return (x - mean) / ops.sqrt(variance + epsilon)

    for model in (functional(layers.LayerNormalization(epsilon=epsilon)), functional(Plain())):
        affine = isinstance(model.layers[2], layers.LayerNormalization)
        report = parity.check(Module(nn.LayerNorm(5, elementwise_affine=affine)), model, X)
        assert report.passed is (epsilon == 1e-5), str(report)
        assert report.comparisons["float32"].passed
        assert list(report.comparisons) == ["float64", "float32"]
        assert "goes through float32" not in str(report)


@pytest.mark.parametrize(("mean", "words"), [(0, ""), (50, "GroupNormalization (norm) loses ")])
def test_float32_that_is_only_coarse_is_said_in_words(mean, words):
    given = np.random.RandomState(0).randn(1, 64, 32, 24) + mean
    module = nn.Sequential()
    module.add_module("norm", nn.GroupNorm(4, 64))
    port = keras.Sequential([keras.Input((32, 24, 64)), layers.GroupNormalization(4, epsilon=1e-5, name="norm")])
    report = parity.check(module, port, given)
    if not words:
        assert (report.passed, report.coarse) == (True, ""), str(report)
        return
    assert report.verdict is Verdict.NOT_EQUIVALENT, "coarser is not equivalent"
    assert report.comparisons["float64"].passed
    assert report.coarse in str(report).splitlines()[1]
    assert "the algebra is right: float64 agrees, but in float32 Keras's " + words in report.coarse
    assert float(report.coarse.partition("loses ")[2].split()[0]) > 4
    assert report.to_dict()["coarse"] == report.coarse


def test_a_mistake_in_float32_alone_is_not_called_coarse():
    """A function that makes another model of each precision may do anything; NaN is not rounding."""

    class Broken(layers.Layer):
        def call(self, x):
            return x / 0 if x.dtype == "float32" else ops.tanh(x)

    report = parity.check(Module(), functional(Broken()), X)
    assert report.verdict is Verdict.NOT_EQUIVALENT
    assert report.coarse == ""


def test_a_constraint_that_the_configuration_forgets_is_seen_after_a_step():
    class Bounded(layers.Layer):
        def __init__(self, bound=None, **options):
            super().__init__(**options)
            self.bound = bound

        def build(self, shape):
            constraint = keras.constraints.MaxNorm(self.bound) if self.bound else None
            self.factor = self.add_weight(shape=(shape[-1],), constraint=constraint, name="factor")

        def call(self, x):
            return x * self.factor

        def get_config(self):
            return super().get_config()

    class Factor(nn.Module):
        def __init__(self):
            super().__init__()
            self.factor = nn.Parameter(torch.ones(5))

        def forward(self, x):
            return x * self.factor

    def verdict(bound):
        optimizer = (lambda parameters: torch.optim.SGD(parameters, 0.1), keras.optimizers.SGD(0.1))
        model = functional(Bounded(bound, name="between"))
        return parity.check(Module(Factor()), model, X, optimizer=optimizer, steps=2)

    assert verdict(None).passed, str(verdict(None))
    report = verdict(0.1)
    assert report.verdict is Verdict.NOT_EQUIVALENT
    assert report.first_divergence.startswith("step1:param:"), str(report)


@pytest.mark.parametrize("frozen", [False, True])
def test_a_layer_that_is_frozen_in_keras_alone_is_seen(frozen):
    model = functional(keras.Sequential([layers.Dense(5, activation="tanh")]))
    model.layers[2].layers[0].trainable = not frozen
    module = Module(nn.Sequential(nn.Linear(5, 5), nn.Tanh()))
    report = parity.check(module, model, X)
    assert report.passed is not frozen, str(report)
    assert any(PROVEN in note for note in report.notes), str(report)
    assert model.layers[2].layers[0].trainable is not frozen


def everything(model):
    """Return all that a model holds."""
    every = keras_internals.inner_layers(model, itself=True)
    return (
        [(v.path, v.numpy().tobytes(), v.trainable) for v in [*model.variables, *model.optimizer.variables]],
        [(layer.name, layer.trainable, vars(layer).get("call")) for layer in every],
    )


def trained():
    """A compiled model with all that has a state, some of it frozen, which was trained for a while."""
    model = keras.Sequential(
        [keras.Input((4,)), layers.Dense(5, name="a"), layers.BatchNormalization(epsilon=1e-5, momentum=0.9, name="n"),
         layers.Dropout(0.3, seed=3, name="d"), layers.Dense(2, name="b")]
    )  # fmt: skip
    model.get_layer("b").bias.trainable = False
    model.compile(keras.optimizers.Adam(0.01), "mse", metrics=["mae"])
    model.fit(X, np.ones((6, 2)), epochs=2, verbose=0)
    model.get_layer("d").call = model.get_layer("d").call  # a user's own, which stays
    return model


def the_same():
    module = nn.Sequential()
    for name, each in zip("andb", (nn.Linear(4, 5), nn.BatchNorm1d(5), nn.Dropout(0.3), nn.Linear(5, 2)), strict=True):
        module.add_module(name, each)
    return module


TRAINING = {"train": True, "steps": 2}


def optimizers():
    return (lambda parameters: torch.optim.Adam(parameters, 0.01), keras.optimizers.Adam(0.01))


@pytest.mark.parametrize("options", [{}, TRAINING], ids=["eval", "train"])
def test_the_users_model_is_bit_for_bit_what_it_was(options):
    model = trained()
    before = everything(model)
    report = parity.check(the_same(), model, X, optimizer=optimizers() if options else None, **options)
    assert "output" in {row.name for row in report.comparisons["float32"].rows}
    assert everything(model) == before


@pytest.mark.parametrize("error", [KeyboardInterrupt, ValueError])
@pytest.mark.parametrize("after", [1, 2, 3, 5])
def test_the_users_model_is_what_it_was_after_an_exception(error, after):
    """Whichever call raises: that of the dry run, of the forward pass, of a later step."""
    model, calls = trained(), []
    layer, call = model.get_layer("b"), model.get_layer("b").call

    def raising(*args, **kwargs):
        calls.append(1)
        if len(calls) > after:
            raise error("stop")
        return call(*args, **kwargs)

    layer.call = raising
    before = everything(model)
    with pytest.raises((KeyboardInterrupt, BlitzError)):
        parity.check(the_same(), model, X, optimizer=optimizers(), **{**TRAINING, "steps": 6}, dtypes=["float32"])
    assert everything(model) == before


def test_what_a_function_returns_is_put_back_too():
    kept = {}

    def make(dtype):
        kept[dtype] = functional(layers.BatchNormalization(epsilon=1e-5), layers.Activation("tanh"))
        kept[dtype](X.astype(dtype))
        kept[dtype].compile("sgd", "mse")
        kept[dtype].before = everything(kept[dtype])
        return kept[dtype]

    report = parity.check(Module(nn.Sequential(nn.BatchNorm1d(5), nn.Tanh())).eval(), make, X)
    assert report.passed, str(report)
    assert list(kept) == ["float64", "float32"]
    assert all(everything(model) == model.before for model in kept.values())


def test_a_model_is_built_by_a_check_and_stays_built():
    model = keras.Sequential([layers.Dense(5, activation="tanh"), layers.Dense(2)])
    assert parity.check(Module(), model, X).passed
    assert model.built
    weights = model.get_weights()
    assert parity.check(Module(), model, X).passed
    assert all(map(np.array_equal, model.get_weights(), weights))


def test_a_float32_inside_the_keras_model_is_named_with_its_operation():
    def rounded(x):
        return tf.cast(tf.raw_ops.Cast(x=ops.tanh(x), DstT=tf.float32), x.dtype)  # out of `tf.cast`'s reach

    report = parity.check(Module(), Subclassed(rounded), X)
    assert not report.comparisons["float64"].passed
    assert "Cast" in next(note for note in report.notes if "the float64 Keras model computes in float32 at" in note)
