"""The layouts of two models that were written apart: what was flattened, found by value; what fits; the inputs."""

from types import SimpleNamespace

import keras
import numpy as np
import pytest
from stand_ins import keras_call, layer, module, torch_call

import parity
from keras_blitz.errors import BlitzError
from keras_blitz.weights.layout import BY_RANK, SAME
from parity.pair import feed, layouts
from parity.pair.layouts import fit

pytestmark = pytest.mark.covers("H12")

CHANNELS_FIRST, SEQUENCE, PICTURE = (2, 4, 3, 5), BY_RANK[3], BY_RANK[4]


def numbers(*shape, seed=0):
    return np.random.RandomState(seed).standard_normal(shape)


def flattened(*arguments, **options):
    return {key: flat.sizes for key, flat in layouts.flattened(*arguments, **options).items()}


IMAGE, OTHER = numbers(2, 3, 5, 4), numbers(2, 60, seed=1)  # N, H, W, C; features of another origin
FLAT = IMAGE.reshape(2, 60)
CONV = keras_call(layer("Conv2D", "conv"), (2, 5, 7, 2), IMAGE)
FLATTEN = keras_call(layer("Flatten", "flat", data_format="channels_last"), IMAGE, FLAT)
MOVED = np.moveaxis(IMAGE, -1, 1)  # N, C, H, W
LATER = [
    keras_call(layer("Dense", "fc1"), OTHER, numbers(2, 6)), keras_call(layer("Dense", "fc2"), numbers(2, 6), (2, 3)),
]  # fmt: skip


def dense(given=FLAT, name="fc"):
    return keras_call(layer("Dense", name), given, (2, 3))


def feature_wise(kind, given, result, name="each"):
    return keras_call(layer(kind, name), given, result)


SIZES = (3, 5, 4)
# Keras's calls, {(layer, call; −1 − call for what it returns): sizes}; PyTorch's convolution returns (N, 4, 3, 5)
FLATTENED = {
    "flatten": ([CONV, FLATTEN, dense()], {("flat", -1): SIZES, ("fc", 0): SIZES}),
    "reshape": (
        [CONV, keras_call(layer("Reshape", "flat"), IMAGE, FLAT), dense()], {("flat", -1): SIZES, ("fc", 0): SIZES},
    ),
    "a-function": ([CONV, dense()], {("fc", 0): SIZES}),
    "batchnorm-between": (
        [CONV, FLATTEN, feature_wise("BatchNormalization", FLAT, OTHER), dense(OTHER)],
        {("flat", -1): SIZES, ("each", 0): SIZES, ("each", -1): SIZES, ("fc", 0): SIZES},
    ),
    "own-activation-between": (
        [CONV, feature_wise("Own", FLAT, OTHER, "own/activation"), dense(OTHER)],
        {("own/activation", 0): SIZES, ("own/activation", -1): SIZES, ("fc", 0): SIZES},
    ),
    "layernorm-between": (
        [CONV, FLATTEN, feature_wise("LayerNormalization", FLAT, OTHER), dense(OTHER)],
        {("flat", -1): SIZES, ("each", 0): SIZES, ("each", -1): SIZES, ("fc", 0): SIZES},
    ),
    "groupnorm-does-not-keep-it": (
        [CONV, FLATTEN, feature_wise("GroupNormalization", FLAT, OTHER), dense(OTHER)],
        {("flat", -1): SIZES, ("each", 0): SIZES},
    ),
    "the-next-dense-is-another": (
        [CONV, FLATTEN, dense(), dense(numbers(2, 3), "fc2")], {("flat", -1): SIZES, ("fc", 0): SIZES},
    ),
    "two-layers-of-one": (
        [CONV, FLATTEN, dense(name="one"), dense(name="two")],
        {("flat", -1): SIZES, ("one", 0): SIZES, ("two", 0): SIZES},
    ),
    "features-of-another-origin": ([CONV, *LATER], {}),
    "permuted-before": (
        [CONV, keras_call(layer("Permute", "permute"), IMAGE, MOVED), dense(MOVED.reshape(2, 60))], {},
    ),
    "only-reordered-without-a-layer": ([CONV, dense(MOVED.reshape(2, 60))], {}),
    "flattened-of-another-batch": ([CONV, dense(IMAGE.reshape(2, 60)[:1])], {}),
}  # fmt: skip


@pytest.mark.parametrize("case", FLATTENED)
def test_what_was_flattened_is_found_by_its_values(case):
    calls, expected = FLATTENED[case]
    theirs = [torch_call("conv", module("Conv2d"), CHANNELS_FIRST)]
    assert flattened(calls, [numbers(2, 5, 7, 2)], theirs) == expected


def test_what_one_flatten_has_ordered_has_one_origin():
    calls, _ = FLATTENED["two-layers-of-one"]
    other = numbers(2, 3, 5, 4, seed=7)
    calls = [
        *calls,
        keras_call(layer("Conv2D", "conv2"), (2, 5, 7, 2), other),
        dense(other.reshape(2, 60), name="three"),
    ]
    theirs = [torch_call("conv", module("Conv2d"), CHANNELS_FIRST)]
    found = layouts.flattened(calls, [], theirs)
    assert found["one", 0].origin == found["two", 0].origin == found["flat", -1].origin != found["three", 0].origin


def test_the_models_own_input_may_be_what_was_flattened():
    theirs = [torch_call("fc", module("Linear"), (2, 3), fed=(2, 60))]
    assert flattened([dense()], [IMAGE], theirs) == {("fc", 0): SIZES}
    assert flattened([dense()], [numbers(2, 3, 5, 4, seed=3)], theirs) == {}
    assert flattened([dense()], [FLAT], theirs) == {}, "it has but one axis of features"


@pytest.mark.parametrize(
    ("given", "found"),
    [((2, 15, 4), False), ((2, 4, 15), True)],
    ids=["time-before-features", "features-before-time"],
)
def test_a_sequence_is_reordered_where_pytorchs_has_its_features_first(given, found):
    """(N, T, C) in Keras; PyTorch flattened what it fed to its own Flatten."""
    sequence = numbers(2, 15, 4)
    flat = keras_call(layer("Flatten", "flat", data_format="channels_last"), sequence, sequence.reshape(2, 60))
    theirs = [torch_call("flat", module("Flatten"), (2, 60), fed=given)]
    expected = {("flat", -1): (15, 4), ("fc", 0): (15, 4)} if found else {}
    assert flattened([flat, dense(sequence.reshape(2, 60))], [sequence], theirs) == expected


def test_a_cube_is_taken_for_a_picture():
    """Sizes that fit both ways: PyTorch's channels come first."""
    cube = numbers(2, 4, 4, 4)
    theirs = [torch_call("conv", module("Conv2d"), (2, 4, 4, 4))]
    calls = [keras_call(layer("Conv2D", "conv"), (2, 5, 7, 2), cube), dense(cube.reshape(2, 64))]
    assert flattened(calls, [], theirs) == {("fc", 0): (4, 4, 4)}


def test_a_permute_makes_pytorchs_order_whatever_pytorchs_modules_return():
    """PyTorch pools by a function: none of its calls has the shape that was flattened."""
    calls = [CONV, keras_call(layer("Permute", "permute"), IMAGE, MOVED), dense(MOVED.reshape(2, 60))]
    assert flattened(calls, [], [torch_call("conv", module("Conv2d"), (2, 4, 6, 10))]) == {}


@pytest.mark.parametrize("theirs", [CHANNELS_FIRST, (2, 4, 6, 10)], ids=["a-module-pools", "a-function-pools"])
@pytest.mark.parametrize(("data_format", "moves"), [("channels_last", False), ("channels_first", True)])
def test_a_channels_first_model_reorders_only_where_its_flatten_moves_the_channels(data_format, moves, theirs):
    flat = FLAT if moves else MOVED.reshape(2, 60)
    calls = [
        keras_call(layer("Conv2D", "conv"), (2, 2, 5, 7), MOVED),
        keras_call(layer("Flatten", "flat", data_format=data_format), MOVED, flat), dense(flat),
    ]  # fmt: skip
    expected = {("flat", -1): SIZES, ("fc", 0): SIZES} if moves else {}
    assert flattened(calls, [MOVED], [torch_call("conv", module("Conv2d"), theirs)], channels_first=True) == expected


FITS = {
    "channels-move": ((2, 3, 5, 4), (2, 4, 3, 5), True, PICTURE),
    "channels-move-whatever-the-kind": ((2, 3, 5, 4), (2, 4, 3, 5), False, PICTURE),
    "the-same": ((2, 3, 5, 4), (2, 3, 5, 4), True, SAME),
    "square-after-a-convolution": ((2, 4, 4, 4), (2, 4, 4, 4), True, PICTURE),
    "square-after-a-linear": ((2, 4, 4, 4), (2, 4, 4, 4), False, SAME),
    "sequence": ((2, 7, 3), (2, 3, 7), True, SEQUENCE),
    "square-sequence-of-features": ((2, 3, 3), (2, 3, 3), False, SAME),
    "nothing-fits": ((2, 3, 5, 4), (2, 9), True, PICTURE),
    "nothing-expected": ((2, 3, 5, 4), None, True, PICTURE),
    "nothing-expected-of-features": ((2, 3, 4), None, False, SAME),
    "features": ((2, 3), (2, 3), True, SAME),
}


@pytest.mark.parametrize("case", FITS)
def test_the_layout_in_which_a_tensor_fits(case):
    shape, expected, channels_first, layout = FITS[case]
    assert fit(shape, expected, channels_first) == layout


# The inputs


def functional(**shapes):
    """Return what a functional model says of its inputs."""
    return SimpleNamespace(inputs=[SimpleNamespace(name=name, shape=shape) for name, shape in shapes.items()])


def their_side(inputs, channels_first=True):
    named = {f"input:{k}": v for k, v in inputs.items()} if isinstance(inputs, dict) else {"input": inputs}
    return SimpleNamespace(inputs=inputs, named=named, channels_first={"first": channels_first})


LAYOUTS = {
    "picture": ((2, 4, 3, 5), (None, 3, 5, 4), True, PICTURE),
    "as-it-is": ((2, 4, 3, 5), (None, 4, 3, 5), True, SAME),
    "any-size": ((2, 4, 3, 5), (None, None, None, 4), True, PICTURE),
    "square-picture": ((2, 4, 4, 4), (None, 4, 4, 4), True, PICTURE),
    "square-picture-before-a-linear": ((2, 4, 4, 4), (None, 4, 4, 4), False, PICTURE),
    "square-sequence-before-a-linear": ((2, 4, 4), (None, 4, 4), False, SAME),
    "sequence-before-a-convolution": ((2, 4, 4), (None, 4, 4), True, SEQUENCE),
    "features": ((2, 4), (None, 4), True, SAME),
}


@pytest.mark.parametrize("case", LAYOUTS)
def test_the_layout_of_an_input(case):
    shape, declared, channels_first, layout = LAYOUTS[case]
    found = feed.input_layouts(their_side(np.zeros(shape), channels_first), functional(x=declared))
    assert found == {"input": layout}


def test_an_input_that_fits_in_no_order_names_both_shapes():
    with pytest.raises(BlitzError, match=r"input is \(2, 4, 3, 5\) in PyTorch; .* takes \(None, 3, 4, 5\)"):
        feed.input_layouts(their_side(np.zeros((2, 4, 3, 5))), functional(x=(None, 3, 4, 5)))


@pytest.mark.parametrize(("data_format", "layout"), [("channels_first", SAME), ("channels_last", PICTURE)])
def test_a_subclassed_model_declares_nothing_but_its_layers_do(data_format, layout):
    class Port(keras.Model):
        def __init__(self):
            super().__init__()
            self.pool = keras.layers.MaxPooling2D(data_format=data_format)

    model = Port()
    assert feed.keeps_channels_first(model) is (data_format == "channels_first")
    assert feed.input_layouts(their_side(np.zeros((2, 4, 4, 4))), model) == {"input": layout}


def test_inputs_by_name_are_in_the_models_order():
    model = functional(b=(None, 2), a=(None, 3))
    assert feed.ordered_names(model, {"a": np.zeros(3), "b": np.zeros(2)}) == {
        "input:b": (None, 2), "input:a": (None, 3)}  # fmt: skip


def test_inputs_of_other_names_are_in_their_own_order():
    model = functional(b=(None, 2), a=(None, 3))
    assert feed.ordered_names(model, {"x": np.zeros(2), "y": np.zeros(3)}) == {
        "input:x": (None, 2), "input:y": (None, 3)}  # fmt: skip


def test_another_number_of_inputs_names_those_declared():
    with pytest.raises(BlitzError, match="1 inputs were given, the Keras model takes 2: b, a"):
        feed.ordered_names(functional(b=(None, 2), a=(None, 3)), np.zeros(2))


def subclassed(call):
    """Return a model of this `call`, which returns how it was called."""
    return type("Port", (), {"call": call, "__call__": call})()


# How the model takes its inputs, PyTorch's inputs, what it then gets of the tensors 1, 2
CALLS = {
    "one": (lambda self, x, training=None: x, 1, 1),
    "an-argument-each": (lambda self, x, y, training=None: (x, y), (1, 2), (1, 2)),
    "any-number": (lambda self, *xs, training=None: xs, (1, 2), (1, 2)),
    "one-for-all": (lambda self, xs, training=None: ("whole", xs), (1, 2), ("whole", (1, 2))),
    "mask-is-no-input": (lambda self, xs, training=None, mask=None: ("whole", xs), (1, 2), ("whole", (1, 2))),
    "by-argument": (lambda self, b, a, training=None: (a, b), {"a": 1, "b": 2}, (1, 2)),
    "a-dict": (lambda self, xs, training=None: xs, {"a": 1, "b": 2}, {"a": 1, "b": 2}),
}


@pytest.mark.parametrize("case", CALLS)
def test_how_a_subclassed_model_is_called(case):
    call, inputs, expected = CALLS[case]
    tensors = list(inputs.values()) if isinstance(inputs, dict) else [1, 2][: np.size(inputs)]
    assert feed.caller(inputs)(subclassed(call), tensors, False) == expected


@pytest.mark.parametrize("training", [True, False])
def test_the_mode_is_handed_on(training):
    assert feed.caller(1)(subclassed(lambda self, x, training=None: training), [1], training) is training


def test_a_functional_model_gets_its_own_structure():
    a, b = keras.Input((1,), name="a"), keras.Input((1,), name="b")
    model = keras.Model({"b": b, "a": a}, keras.ops.subtract(a, b))
    given = {name: np.array([[value]], "float32") for name, value in (("a", 5), ("b", 2))}
    assert feed.caller(given)(model, list(given.values()), False).numpy().item() == 3


def test_tensors_are_in_keras_layout_and_type():
    array = numbers(2, 4, 3, 5).astype("float32")
    (found,) = feed.tensors(their_side(array), functional(x=(None, 3, 5, 4)), "float64")
    assert found.dtype == "float64"
    assert np.array_equal(found.numpy(), np.moveaxis(array, 1, -1))
    (whole,) = feed.tensors(their_side(np.array([[1, 2]])), functional(x=(None, 2)), "float64")
    assert whole.dtype == "int64", "tokens stay whole numbers"


@pytest.mark.parametrize("layout", [SAME, *BY_RANK.values()], ids=["same", "3", "4", "5"])
def test_a_keras_shape_and_pytorchs_are_each_others_inverse(layout):
    shape = (2, 3, 5, 7, 11)[: len(layout.permutation or (0, 1))]
    assert layout.torch_shape(feed.keras_shape(layout, shape)) == shape


@pytest.mark.torch
def test_a_norm_and_slopes_after_a_flatten_have_pytorchs_order():
    """A LayerNorm and a PReLU have a weight for each feature that the Flatten ordered."""
    torch = pytest.importorskip("torch", reason="needs PyTorch: pip install 'keras-blitz[torch]'")
    import keras

    import parity

    nn, inner = torch.nn, keras.layers
    module = nn.Sequential(nn.Flatten(), nn.LayerNorm(24), nn.PReLU(24), nn.Linear(24, 2))
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.uniform_(0.2, 0.9)
    norm = inner.LayerNormalization(epsilon=1e-5, name="1")
    port = keras.Sequential(
        [keras.Input((3, 4, 2)), inner.Flatten(), norm, inner.PReLU(name="2"), inner.Dense(2, name="3")]
    )
    images = np.random.RandomState(0).standard_normal((3, 2, 3, 4))
    assert parity.check(module, port, images, modes=("eager",)).passed
    tensors = [tensor.detach().numpy() for tensor in module.parameters()]
    port.set_weights([tensor.T for tensor in tensors])  # copied as they are
    report = parity.check(module, port, images, weights="keep", modes=("eager",))
    assert report.verdict == "not equivalent"


@pytest.mark.parametrize(("order", "passed"), [(None, True), ((2, 1, 3), False)], ids=["right", "permuted-before"])
def test_flatten_of_what_an_operation_returned(order, passed):
    """No layer returns the maps that are flattened: a product of two values does."""
    nn = pytest.importorskip("torch").nn

    class Squared(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv, self.fc = nn.Conv2d(3, 4, 1), nn.Linear(4 * 6 * 5, 2)

        def forward(self, x):
            x = self.conv(x)
            return self.fc((x * x).flatten(1))

    inputs = keras.Input((6, 5, 3))
    x = keras.layers.Conv2D(4, 1)(inputs)
    x = x * x if order is None else keras.layers.Permute(order)(x * x)
    model = keras.Model(inputs, keras.layers.Dense(2)(keras.layers.Flatten()(x)))
    images = np.random.RandomState(0).randn(2, 3, 6, 5)
    assert parity.check(Squared(), model, images, loss=False).passed is passed


# Heads with an axis of their own


def test_heads_are_one_axis_in_pytorch():
    array = numbers(2, 7, 4, 3)
    way = fit((2, 7, 4, 3), (2, 7, 12), False, inner=True)
    assert np.array_equal(way.to_torch(array), array.reshape(2, 7, 12))
    assert np.array_equal(way.to_keras(way.to_torch(array)), array)


def test_an_output_with_an_axis_more_is_another_shape():
    assert fit((2, 7, 4, 3), (2, 7, 12), False).torch_shape((2, 7, 4, 3)) != (2, 7, 12)
    assert fit((2, 7, 4, 3), (2, 7, 11), False, inner=True).torch_shape((2, 7, 4, 3)) != (2, 7, 11)
