"""Keras's private members: this release has them, and only one file touches them."""

import ast
import re
from pathlib import Path

import keras
import numpy as np
import pytest

from keras_blitz import keras_internals as internals
from keras_blitz.errors import BlitzError

PACKAGE = Path(__file__).parents[2] / "keras_blitz"
HOME = "keras_internals.py"

# A subclass of Keras's optimizer or model has to override and set private members by their names, which are in
# `keras_internals.OPTIMIZER` and `MODEL`.
SUBCLASSES = {"optim/base.py", "training/fitting.py"}

# Private names of Python's and NumPy's, not of Keras.
OTHERS = {"_asdict", "_exit", "_replace"}


@pytest.fixture(scope="module")
def model():
    """A functional model of two inputs by name, a layer called twice, and a layer inside a layer."""
    given = {"left": keras.Input((4,), name="left"), "right": keras.Input((4,), name="right")}
    shared = keras.layers.Dense(3, name="shared")
    both = keras.layers.Concatenate(name="both")([shared(given["left"]), shared(given["right"])])
    wrapped = keras.layers.TimeDistributed(keras.layers.Dense(2, name="inner"), name="outer")
    return keras.Model(given, wrapped(keras.layers.Reshape((3, 2), name="reshape")(both)))


def test_calls_are_in_the_order_of_running(model):
    found = list(internals.calls(model))
    names = [operation.name for operation, _, _ in found]
    assert sorted(names) == ["both", "left", "outer", "reshape", "right", "shared", "shared"]
    assert names[-3:] == ["both", "reshape", "outer"]
    assert [tuple(tensor.shape) for tensor in found[-3][1]] == [(None, 3), (None, 3)]
    assert tuple(found[-1][2][0].shape) == (None, 3, 2)


class Searched(keras.Model):
    operations = ("a name that Keras uses for a graph's",)


@pytest.mark.parametrize(
    "without", [keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)]), keras.Model(), Searched()]
)
def test_model_without_a_graph_has_no_calls(without):
    assert not internals.has_graph(without)
    assert list(internals.calls(without)) == []
    assert internals.input_structure(without) is None


def test_call_of_a_tensor(model):
    operation, number, sources = internals.call_of(model.outputs[0])
    assert (operation.name, number) == ("outer", 0)
    operation, number, sources = internals.call_of(internals.call_of(sources[0])[2][0])
    assert operation.name == "both"
    assert [internals.call_of(source)[:2] for source in sources] == [(model.get_layer("shared"), n) for n in (0, 1)]


def test_input_structure(model):
    assert internals.has_graph(model)
    assert sorted(internals.input_structure(model)) == ["left", "right"]


def test_inner_layers(model):
    names = [layer.name for layer in internals.inner_layers(model)]
    assert names.index("outer") < names.index("inner")
    assert model.name not in names
    assert internals.inner_layers(model, itself=True)[0] is model


def test_children_are_the_layers_directly_inside():
    inner = keras.Sequential([keras.Input((2,)), keras.layers.Dense(3, name="a")], name="inner")
    outer = keras.Sequential([keras.Input((2,)), inner, keras.layers.Dense(3, name="b")])
    assert [layer.name for layer in internals.children(outer)][-2:] == ["inner", "b"]
    assert internals.children(outer.layers[-1]) == []


@pytest.mark.parametrize(
    ("name", "automatic"), [(None, True), ("conv2d_transpose_7", True), ("conv2d_transpose_a", False), ("up", False)]
)
def test_automatic_names(name, automatic):
    assert internals.has_automatic_name(keras.layers.Conv2DTranspose(2, 3, name=name)) is automatic


def test_saving_in_little_memory_lasts_for_the_block(tmp_path):
    from keras.src.saving import saving_lib

    before = saving_lib.is_memory_sufficient, saving_lib.backend.convert_to_numpy
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(3)])
    with pytest.raises(ZeroDivisionError), internals.saved_in_little_memory(np.asarray):
        model.save(tmp_path / "a.keras")
        _ = 1 / 0
    assert (saving_lib.is_memory_sufficient, saving_lib.backend.convert_to_numpy) == before
    model(np.ones((1, 2)))
    assert all(map(np.array_equal, keras.saving.load_model(tmp_path / "a.keras").get_weights(), model.get_weights()))
    assert [path.name for path in tmp_path.iterdir()] == ["a.keras"]


def test_takes_training():
    assert internals.takes_training(keras.layers.Dropout(0.5))
    assert not internals.takes_training(keras.layers.Flatten())


def test_mask_of_a_tensor():
    embedded = keras.layers.Embedding(3, 2, mask_zero=True)(np.array([[1, 0]]))
    assert internals.mask_of(embedded).numpy().tolist() == [[True, False]]
    assert internals.mask_of(keras.ops.ones(2)) is None


@pytest.mark.parametrize("activation", [keras.activations.softmax, keras.ops.sigmoid, keras.layers.Softmax()])
def test_logits_of_what_a_softmax_or_sigmoid_returned(activation):
    given = keras.ops.ones((1, 2))
    assert internals.logits_of(activation(given)) is not None
    assert internals.logits_of(keras.ops.log_softmax(given)) is None


def test_what_is_kerass_own():
    class Own(keras.layers.Layer):
        pass

    assert internals.is_own(keras.layers.Dense)
    assert internals.is_own(keras.activations.relu)
    assert not internals.is_own(Own)


def test_unsafe_loading_lasts_for_the_block():
    config = keras.layers.Lambda(lambda x: 2 * x).get_config()
    with internals.unsafe_loading():
        assert float(keras.layers.Lambda.from_config(dict(config))(keras.ops.ones(()))) == 2
    with pytest.raises(ValueError, match="Requested the deserialization of a `Lambda`"):
        keras.layers.Lambda.from_config(dict(config))


def test_untracked_attribute_is_no_part_of_the_layer():
    layer, other = keras.layers.Dense(1), keras.layers.Dense(1)
    internals.set_untracked(layer, "wrapper", other)
    assert layer.wrapper is other
    assert internals.inner_layers(layer) == []
    internals.delete_untracked(layer, "wrapper")
    assert not hasattr(layer, "wrapper")


def test_variables_of_an_optimizer():
    first, second = keras.Variable(np.ones(2)), keras.Variable(np.ones(3))
    optimizer = keras.optimizers.SGD()
    optimizer.build([first, second])
    assert internals.variable_index(optimizer, second) == 1
    assert [variable is known for variable, known in
            zip(internals.trained_variables(optimizer), (first, second), strict=True)] == [True, True]  # fmt: skip


def test_what_an_optimizer_decays():
    kernel, bias = (keras.Variable(np.ones(2), name=name) for name in ("kernel", "bias"))
    optimizer = keras.optimizers.AdamW(weight_decay=0.1)
    optimizer.exclude_from_weight_decay(var_names=["bias"])
    assert internals.decays(optimizer, kernel)
    assert not internals.decays(optimizer, bias)


@pytest.mark.parametrize("name", internals.OPTIMIZER)
def test_keras_has_what_our_optimizer_builds_on(name):
    optimizer = keras.optimizers.SGD()
    optimizer.build([keras.Variable(np.ones(2))])
    assert hasattr(optimizer, name), f"Keras {keras.__version__} has no Optimizer.{name}; see keras_internals.OPTIMIZER"


def test_member_that_keras_no_longer_has_is_named():
    with pytest.raises(BlitzError, match=rf"Dense has no member _gone in Keras {re.escape(keras.__version__)}"):
        internals._private(keras.layers.Dense(1), "_gone")


def is_private(name: str) -> bool:
    return re.fullmatch(r"_[a-z]\w*", name) is not None


# The private names of Keras that the one file depends on: each is a text in it.
KNOWN = {
    node.value
    for node in ast.walk(ast.parse((PACKAGE / HOME).read_text("utf-8")))
    if isinstance(node, ast.Constant) and isinstance(node.value, str) and is_private(node.value)
}


def touched(source: str, ours: frozenset[str] = frozenset()) -> set[str]:
    """Return what a file touches of the private parts of Keras.

    Args:
        source: the file's text.
        ours: private names that files of this package define; reading any other one is reading somebody else's.
    """
    found = set()
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Import(names=names):
                found |= {alias.name for alias in names if alias.name.startswith("keras.src")}
            case ast.ImportFrom(module=str(module)) if module.startswith("keras.src"):
                found.add(module)
            case ast.Attribute(value=ast.Name(id="keras"), attr="src"):
                found.add("keras.src")
            case ast.Attribute(value=ast.Name(id="object"), attr=("__setattr__" | "__delattr__") as name):
                found.add(f"object.{name}")
            case ast.Attribute(attr=name) if name in KNOWN or (is_private(name) and name not in ours | OTHERS):
                found.add(name)
            case ast.FunctionDef(name=name) if name in KNOWN:
                found.add(name)
            case ast.Constant(value=str(text)) if text in KNOWN or text.startswith("keras.src"):
                found.add(text)
    return found


def defined(source: str) -> set[str]:
    """Return the names that a file gives to functions, classes, variables and attributes."""
    names = set()
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.FunctionDef(name=name) | ast.ClassDef(name=name) | ast.Name(id=name, ctx=ast.Store()):
                names.add(name)
            case ast.Attribute(attr=name, ctx=ast.Store()):
                names.add(name)
    return names


def test_one_file_alone_touches_private_members_of_keras():
    sources = {path.relative_to(PACKAGE).as_posix(): path.read_text("utf-8") for path in PACKAGE.rglob("*.py")}
    ours = frozenset[str]().union(*map(defined, sources.values()))
    touching = {name: touched(source, ours) for name, source in sources.items() if name != HOME}
    touching = {name: sorted(found) for name, found in touching.items() if found}
    assert {name: found for name, found in touching.items() if name not in SUBCLASSES} == {}
    assert set(touching) == SUBCLASSES


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("from keras.src.saving.serialization_lib import SafeModeScope", {"keras.src.saving.serialization_lib"}),
        ("import keras.src.backend as backend", {"keras.src.backend"}),
        ("keras.src.backend.get_keras_mask(x)", {"keras.src"}),
        ("layer._flatten_layers()", {"_flatten_layers"}),
        ("getattr(model, '_nodes_by_depth', {})", {"_nodes_by_depth"}),
        ("model._brand_new_member", {"_brand_new_member"}),
        ("object.__setattr__(layer, 'call', wrapper)", {"object.__setattr__"}),
        ("self._ours = model.operations", set()),
    ],
)
def test_touching_is_noticed(line, found):
    assert touched(line, frozenset({"_ours"})) == found


def test_dropout_layers_call_the_random_module(monkeypatch):
    module = internals.random_module()
    assert callable(module.uniform)
    assert callable(module.normal)
    monkeypatch.setattr(module, "dropout", lambda inputs, *_, **__: inputs + 1)
    assert keras.layers.Dropout(0.5)(keras.ops.zeros((1, 1)), training=True).numpy() == [[1.0]]
