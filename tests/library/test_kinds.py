"""The table of layer kinds: its names exist, none has two rows, and every weight goes to Keras and back."""

import inspect
import sys
from types import SimpleNamespace

import keras
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from keras_blitz import layers as own_layers
from keras_blitz.models import LeNet
from keras_blitz.weights import kinds
from keras_blitz.weights import weights as weights_of
from keras_blitz.weights.kinds import BUFFERS, KINDS
from parity.pair import mapped
from parity.record.weight import Weight

pytestmark = pytest.mark.covers("H12")

rows = pytest.mark.parametrize("kind", KINDS, ids=[kind.name for kind in KINDS])


def keras_classes():
    """Return the names of the layers and operations of Keras and keras_blitz, the base classes too."""
    files = [file for name, file in sys.modules.items() if name.startswith(("keras.src.", "keras_blitz.layers"))]
    classes = [value for file in files for value in vars(file).values() if inspect.isclass(value)]
    operations = [value for value in classes if issubclass(value, keras.Operation)]
    packages = {f"{value.__module__.partition('.')[0]}.{value.__name__}" for value in operations}
    return packages | {value.__name__ for value in operations}


@rows
def test_a_rows_pytorch_classes_exist(kind):
    torch = pytest.importorskip("torch", reason="needs PyTorch: pip install 'keras-blitz[torch]'")
    files = [torch.nn, *(value for value in vars(torch.nn.modules).values() if inspect.ismodule(value))]
    missing = [name for name in kind.torch if not any(inspect.isclass(getattr(file, name, None)) for file in files)]
    assert missing == []


@rows
def test_a_rows_keras_classes_exist(kind):
    assert set(kind.keras) - keras_classes() == set()


@pytest.mark.parametrize("side", ["torch", "keras"])
def test_a_class_has_one_row_on_a_side(side):
    names = [name for kind in KINDS for name in getattr(kind, side)]
    assert [name for name in names if names.count(name) > 1] == []


def test_a_kind_has_one_row():
    names = [kind.name for kind in KINDS]
    assert [name for name in names if names.count(name) > 1] == []


@rows
def test_what_a_row_pairs_as_is_a_row_with_weights(kind):
    if kind.pairs_as:
        other = next(row for row in KINDS if row.name == kind.pairs_as)
        assert other.weights or other.special
        assert other.torch
        assert kind.has_weights


def test_a_variable_has_one_name_in_pytorch():
    found = {}
    for kind in KINDS:
        for variable, (name, _) in kind.weights.items():
            assert found.setdefault(variable, name) == name
    assert found["kernel"] == kinds.torch_name("kernel") == "weight"
    assert kinds.torch_name("anything_else") == "anything_else"
    assert set(found.values()) >= BUFFERS


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind.gates], ids=lambda kind: kind.name)
def test_the_order_of_gates_is_its_own_inverse(kind):
    assert [kind.gates[kind.gates[k]] for k in range(len(kind.gates))] == list(range(len(kind.gates)))


KERAS_LAYERS = {
    "conv2d": lambda: keras.layers.Conv2D(2, 3),
    "convtranspose2d": lambda: keras.layers.Conv2DTranspose(2, 3),
    "depthwise2d": lambda: keras.layers.DepthwiseConv2D(3),
    "separable2d": lambda: keras.layers.SeparableConv2D(2, 3),
    "linear": lambda: keras.layers.Dense(2),
    "lstm": lambda: keras.layers.LSTM(2),
    "recurrent": lambda: keras.layers.RNN(keras.layers.LSTMCell(2)),
    "bidirectional": lambda: keras.layers.Bidirectional(keras.layers.LSTM(2)),
    "attention": lambda: keras.layers.MultiHeadAttention(2, 4),
    "batchnorm": lambda: keras.layers.BatchNormalization(),
    "pool": lambda: keras.layers.GlobalMaxPooling2D(),
    "activation": lambda: keras.layers.LeakyReLU(),
    "dropout": lambda: keras.layers.SpatialDropout2D(0.1),
}


@pytest.mark.parametrize("name", KERAS_LAYERS)
def test_the_kind_of_a_keras_layer_and_of_a_subclass(name):
    layer = KERAS_LAYERS[name]()
    assert kinds.of_keras(layer).name == name
    own = type("MyOwn", (type(layer),), {})
    assert kinds.of_keras(own.__new__(own)).name == name


def test_the_kind_of_what_has_no_row():
    assert kinds.of_keras(keras.layers.Lambda(abs)) is None
    assert kinds.of_torch(SimpleNamespace()) is None


@pytest.mark.parametrize(("name", "kind"), [("BatchNorm", "batchnorm"), ("MaxPool2d", "pool"), ("Dropout", "dropout")])
def test_the_kind_of_a_layer_of_keras_blitz(name, kind):
    own = getattr(own_layers, name)
    assert kinds.of_keras(own.__new__(own)).name == kind


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("Conv2d", "conv2d"), ("ConvTranspose1d", "convtranspose1d"), ("Linear", "linear"),
        ("BatchNorm1d", "batchnorm"),
        ("SyncBatchNorm", "batchnorm"), ("LSTM", "lstm"), ("GRUCell", "grucell"), ("Dropout2d", "dropout"),
        ("AdaptiveAvgPool2d", "pool"), ("ReLU6", "activation"), ("ZeroPad2d", "pad"),
        ("UpsamplingNearest2d", "upsample"),
        ("MultiheadAttention", "attention"), ("TransformerEncoderLayer", "transformer"),
    ],
)  # fmt: skip
def test_the_kind_of_a_pytorch_module_and_of_a_subclass(name, kind):
    torch = pytest.importorskip("torch", reason="needs PyTorch: pip install 'keras-blitz[torch]'")
    made = getattr(torch.nn, name)
    own = type("MyOwn", (made,), {})
    assert [kinds.of_torch(each.__new__(each)).name for each in (made, own)] == [kind, kind]


# The protocol that both sides' recorders read weights by


def of_keras_blitz():
    return weights_of(LeNet())[0]


def of_a_pair():
    return mapped.plain("fc.weight", keras.Variable(np.zeros((3, 2), "float32"), name="kernel"))


@pytest.mark.parametrize("make", [of_keras_blitz, of_a_pair])
def test_a_weight_follows_the_protocol(make):
    weight = make()
    assert isinstance(weight, Weight)
    assert not isinstance(weight.variables[0], Weight)
    assert isinstance(weight.trainable, bool)
    value = np.random.RandomState(0).standard_normal(weight.shape).astype("float32")
    weight.assign(value)
    assert np.array_equal(weight.value(), value)
    assert np.array_equal(weight.joined([variable.numpy() for variable in weight.variables]), value)


@pytest.mark.parametrize("left_out", [n for n in dir(Weight) if not n.startswith("_")])
def test_what_lacks_a_part_does_not_follow_it(left_out):
    parts = {name: None for name in dir(Weight) if not name.startswith("_")}
    methods = {name: (lambda self: None) for name in ("joined", "value", "assign")}
    assert isinstance(type("Whole", (), parts | methods)(), Weight)
    kept = {name: value for name, value in (parts | methods).items() if name != left_out}
    assert not isinstance(type("Part", (), kept)(), Weight)


# Round trips: what takes PyTorch's array apart is what joins it, whatever the sizes

sizes = st.integers(1, 4)


def variable(path, *shape):
    array = np.random.RandomState(0).standard_normal(shape)
    return SimpleNamespace(path=path, name=path.rpartition("/")[2], shape=shape, dtype="float64", numpy=lambda: array)


def assert_goes_there_and_back(weight):
    value = np.random.RandomState(1).standard_normal(weight.shape)
    parts = weight.part(value)
    assert [part.shape for part in parts] == [v.shape for v in weight.variables]
    assert np.array_equal(weight.joined(parts), value)
    arrays = [np.random.RandomState(k).standard_normal(v.shape) for k, v in enumerate(weight.variables)]
    assert weight.joined(arrays).shape == weight.shape


def assert_is_a_bijection(weight):
    """Keras's arrays come back from PyTorch's too; not where a variable is several tensors."""
    arrays = [np.random.RandomState(k).standard_normal(v.shape) for k, v in enumerate(weight.variables)]
    parts = weight.part(weight.joined(arrays))
    assert all(np.array_equal(one, other) for one, other in zip(parts, arrays, strict=True))


@given(st.lists(sizes, min_size=1, max_size=3), sizes, sizes)
def test_a_depthwise_kernel_goes_there_and_back(kernel, channels, multiplier):
    weight = mapped.depthwise(variable("kernel", *kernel, channels, multiplier))
    assert_goes_there_and_back(weight)
    assert_is_a_bijection(weight)


@given(st.sampled_from([kind for kind in KINDS if kind.gates]), sizes, sizes, st.sampled_from([0, 1, 2]))
def test_a_recurrent_layers_weights_go_there_and_back(kind, inputs, units, biases):
    width = len(kind.gates) * units
    held = [variable("kernel", inputs, width), variable("recurrent_kernel", units, width)]
    held += [variable("bias", *[(width,), (2, width)][biases - 1])] if biases else []
    found = mapped.recurrent(kind.gates, SimpleNamespace(weights=held, units=units))
    assert len(found) == (4 if biases else 2)
    for weight in found:
        assert_goes_there_and_back(weight)
    for weight in found[:2]:
        assert_is_a_bijection(weight)


@given(sizes, sizes, sizes, sizes, sizes, st.booleans())
def test_attentions_weights_go_there_and_back(heads, dim, query, key, value, bias):
    held = []
    for name, width in (("query", query), ("key", key), ("value", value)):
        held += [variable(f"a/{name}/kernel", width, heads, dim)]
        held += [variable(f"a/{name}/bias", heads, dim)] if bias else []
    held += [variable("a/attention_output/kernel", heads, dim, query)]
    held += [variable("a/attention_output/bias", query)] if bias else []
    found = mapped.attention(SimpleNamespace(weights=held))
    assert sum(len(weight.variables) for weight in found) == len(held)
    stacked = query == key == value
    assert ("in_proj_weight" in {weight.name for weight in found}) is stacked
    for weight in found:
        assert_goes_there_and_back(weight)
        assert_is_a_bijection(weight)


@given(st.lists(st.one_of(st.just(1), sizes), max_size=3), sizes)
def test_prelus_slopes_go_there_and_back(shared, channels):
    weight = mapped.prelu(variable("alpha", *shared, channels))
    assert_goes_there_and_back(weight)
    assert_is_a_bijection(weight)
