"""Which of PyTorch's modules a layer is: nested, Sequential and subclassed models."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from keras_blitz.errors import BlitzError, CheckpointError
from keras_blitz.weights import load_state_dict, state_dict
from keras_blitz.weights.paths import places

pytestmark = pytest.mark.covers("W1")


def paths(model):
    return [place.path for place in places(model)]


class Block(layers.Layer):
    """Two dense layers, which Keras names, and a vector."""

    def __init__(self, units=4, **options):
        super().__init__(**options)
        self.fc1, self.fc2 = layers.Dense(units), layers.Dense(units, name="out")

    def build(self, shape):
        self.gamma = self.add_weight(shape=(4,), name="gamma")
        self.fc1.build(shape)
        self.fc2.build((*shape[:-1], 4))

    def call(self, x):
        return self.fc2(tf.nn.relu(self.fc1(x))) * self.gamma


class Net(keras.Model):
    """A subclassed model whose layers are attributes, also in a list and a dictionary."""

    def __init__(self):
        super().__init__()
        self.embed = layers.Embedding(7, 4)
        self.blocks = [Block(), Block()]
        self.heads = {"a": layers.Dense(2), "b": layers.Dense(3)}
        self.tail = keras.Sequential([layers.Dense(4), layers.ReLU(), layers.Dense(2)])
        self._hidden = layers.Dense(2)

    def call(self, ids):
        x = self.embed(ids)
        for block in self.blocks:
            x = block(x)
        return self.heads["a"](x), self.heads["b"](x), self._hidden(self.tail(x))


NET = [
    "embed", "blocks.0", "blocks.0.fc1", "blocks.0.out", "blocks.1", "blocks.1.fc1", "blocks.1.out",
    "heads.a", "heads.b", "tail.0", "tail.2", "_hidden",
]  # fmt: skip


def subclassed():
    model = Net()
    model(np.zeros((2, 5), "int32"))
    return model


def test_a_subclassed_models_layers_are_named_by_its_attributes():
    assert paths(subclassed()) == NET
    assert paths(subclassed()) == NET  # Keras's counters have moved on


def sequential(*inner, shape=(4,)):
    return keras.Sequential([keras.Input(shape), *inner])


def test_a_sequential_models_layers_have_their_position_unless_one_has_a_name():
    dense = layers.Dense
    assert paths(sequential(dense(3), layers.ReLU(), dense(2))) == ["0", "2"]
    assert paths(sequential(dense(3, name="a"), layers.ReLU(), dense(2, name="b"))) == ["a", "b"]
    assert paths(sequential(dense(3, name="first"), dense(2, name="dense"))) == ["first", "dense"]


def test_a_model_inside_is_named_before_its_layers_unless_keras_named_it():
    inner = lambda **options: keras.Sequential([keras.Input((4,)), layers.Dense(4, name="fc")], **options)  # noqa: E731
    head = layers.Dense(2, name="head")
    assert paths(sequential(inner(name="body"), head)) == ["body.fc", "head"]
    assert paths(sequential(inner(), head)) == ["fc", "head"]
    whole = keras.Sequential([keras.Input((4,)), layers.Dense(4, name="body.fc")], name="body")
    assert paths(sequential(whole, head)) == ["body.fc", "head"]


def test_time_distributed_adds_nothing():
    given = keras.Input((5, 4))
    each = layers.TimeDistributed
    assert paths(keras.Model(given, each(layers.Dense(2), name="fc")(given))) == ["fc"]
    assert paths(keras.Model(given, each(layers.Dense(2, name="fc"))(given))) == ["fc"]


def test_a_layer_called_twice_is_one():
    shared, given = layers.Dense(4, name="fc"), keras.Input((4,))
    assert paths(keras.Model(given, shared(shared(given)))) == ["fc"]


def test_two_layers_of_one_path_are_refused():
    inner = lambda: keras.Sequential([keras.Input((4,)), layers.Dense(4, name="fc")])  # noqa: E731
    with pytest.raises(BlitzError, match="2 of its layers have the path 'fc'"):
        paths(sequential(inner(), inner(), layers.Dense(2, name="head")))


def test_there_and_back_in_a_subclassed_model():
    model = subclassed()
    stream = np.random.RandomState(0)
    model.set_weights([stream.standard_normal(w.shape) for w in model.weights])
    state, before = state_dict(model), model.get_weights()
    assert {name.rpartition(".")[0] for name in state} == set(NET)
    assert state["blocks.1.fc1.weight"].shape == (4, 4)
    model.set_weights([np.zeros(w.shape) for w in model.weights])
    load_state_dict(model, state)
    assert all(map(np.array_equal, model.get_weights(), before))


class Product(layers.Layer):
    """A matrix of a layer's own: nobody can see which way round PyTorch has it."""

    def build(self, shape):
        self.w = self.add_weight(shape=(shape[-1], 3), name="w")
        self.table = self.add_weight(shape=(1, 1, 3), name="table")

    def call(self, x):
        return x @ self.w + self.table


def test_a_matrix_of_a_layers_own_is_refused_unless_its_class_declares_it():
    model = sequential(Product(name="own"))
    with pytest.raises(BlitzError, match=r"'own': no weight layout is declared for Product \(w\); .*torch_weights"):
        state_dict(model)

    class Declared(Product):
        torch_weights = {"w": ("weight", (1, 0))}  # noqa: RUF012

    model = sequential(Declared(name="own"))
    value = np.arange(12, dtype="float32").reshape(3, 4)
    load_state_dict(model, {"own.weight": value, "own.table": np.ones((1, 1, 3), "float32")})
    assert np.array_equal(model.layers[0].w, value.T)
    assert np.array_equal(state_dict(model)["own.weight"], value)


def test_a_variable_that_pytorch_does_not_have_is_declared_so():
    class Counted(layers.Dense):
        torch_weights = {"kernel": ("weight", (1, 0)), "bias": ("bias", None), "calls": None}  # noqa: RUF012

        def build(self, shape):
            super().build(shape)
            self.calls = self.add_weight(shape=(2, 2), name="calls", trainable=False)

    assert list(state_dict(sequential(Counted(3, name="fc")))) == ["fc.weight", "fc.bias"]


def test_an_extra_variable_in_a_known_layer_is_named():
    class More(layers.Dense):
        def build(self, shape):
            super().build(shape)
            self.more = self.add_weight(shape=(2, 2), name="more")

    with pytest.raises(BlitzError, match="layer 'fc': no weight layout is declared for its variable more"):
        state_dict(sequential(More(3, name="fc")))


def test_names_that_are_all_others_say_what_to_do():
    model = keras.Model(given := keras.Input((4,)), layers.Dense(2)(given))
    with pytest.raises(CheckpointError, match=r"name the layers by PyTorch's module paths.*parity\.transfer"):
        load_state_dict(model, {"fc.weight": np.zeros((2, 4), "float32"), "fc.bias": np.zeros(2, "float32")})


def test_a_model_that_is_not_built_is_said_to_be():
    with pytest.raises(CheckpointError, match="has no weights yet: call it once on data"):
        load_state_dict(keras.Sequential([layers.Dense(2, name="fc")]), {"fc.bias": np.zeros(2)})


class Head(layers.Layer):
    """A layer that flattens inside, or not."""

    def __init__(self, flattens, **options):
        super().__init__(**options)
        self.flatten = layers.Flatten() if flattens else layers.GlobalAveragePooling2D()
        self.fc = layers.Dense(2)

    def build(self, shape):
        self.fc.build((None, np.prod(shape[1:]) if isinstance(self.flatten, layers.Flatten) else shape[-1]))

    def call(self, x):
        return self.fc(self.flatten(x))


@pytest.mark.torch
@pytest.mark.parametrize("flattens", [True, False])
@pytest.mark.parametrize("before", [True, False])
def test_a_dense_layer_inside_a_layer_has_pytorchs_order_of_features(flattens, before):
    """The Flatten is in a layer of the user's own or before it, in a functional model."""
    torch = pytest.importorskip("torch", reason="needs PyTorch: pip install 'keras-blitz[torch]'")
    given = keras.Input((3, 4, 2))
    pooled = layers.Flatten() if flattens else layers.GlobalAveragePooling2D()
    out = Inner(name="head")(pooled(given)) if before else Head(flattens, name="head")(given)
    model = keras.Model(given, out)
    images = np.random.RandomState(0).standard_normal((5, 2, 3, 4)).astype("float32")
    model(images.transpose(0, 2, 3, 1))
    linear = torch.nn.Linear(24 if flattens else 2, 2)
    load_state_dict(model, {f"head.fc.{name}": value for name, value in linear.state_dict().items()})
    x = torch.tensor(images)
    expected = linear(x.flatten(1) if flattens else x.mean((2, 3))).detach().numpy()
    assert np.allclose(model(images.transpose(0, 2, 3, 1)), expected, atol=1e-5)


class Inner(layers.Layer):
    """A Dense layer inside a layer."""

    def __init__(self, **options):
        super().__init__(**options)
        self.fc = layers.Dense(2)

    def build(self, shape):
        self.fc.build(shape)

    def call(self, x):
        return self.fc(x)
