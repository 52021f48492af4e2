"""Keras's own layers and PyTorch's: after loading, both compute the same; there and back no bit changes."""

import keras
import numpy as np
import pytest
from keras import layers

from keras_blitz import precision
from keras_blitz.errors import BlitzError, CheckpointError
from keras_blitz.weights import load_state_dict, named_parameters, state_dict

pytestmark = [pytest.mark.covers("W1"), pytest.mark.torch]

torch = pytest.importorskip("torch", reason="needs PyTorch: pip install 'keras-blitz[torch]'")

from torch_module import Module  # noqa: E402

nn = torch.nn


def first_of(module):
    """A recurrent module that returns its sequence alone."""
    return lambda self, x: getattr(self, module)(x)[0]


def attend(self, x):
    return self.mha(x, x, x, need_weights=False)[0]


def attend_to(self, x, y):
    return self.mha(x, y, y, need_weights=False)[0]


def images(call):
    """Call with channels first, for images and sequences that have channels last here."""
    return lambda self, x: torch.movedim(call(self, torch.movedim(x, -1, 1)), 1, -1)


def graph(shape, *inner):
    given = keras.Input(shape)
    x = given
    for layer in inner:
        x = layer(x)
    return keras.Model(given, x)


def stacked():
    cells = layers.RNN([layers.LSTMCell(5), layers.LSTMCell(5)], return_sequences=True, name="r")
    return graph((4, 3), cells)


# A head is 4 wide: Keras rounds 1/√3 to float32, and 1/√4 is exact.
def cross_attention():
    x, y = keras.Input((4, 8)), keras.Input((3, 5))
    return keras.Model([x, y], layers.MultiHeadAttention(2, 4, name="mha")(x, y))


def self_attention(bias=True):
    x = keras.Input((4, 8))
    return keras.Model(x, layers.MultiHeadAttention(2, 4, use_bias=bias, name="mha")(x, x))


def recurrent(layer, *arguments, **options):
    return graph((4, 3), layer(*arguments, return_sequences=True, name="r", **options))


def both_ways(layer, *arguments, **options):
    inner = layer(*arguments, return_sequences=True, **options)
    return graph((4, 3), layers.Bidirectional(inner, name="r"))


SEQUENCE, IMAGE = (2, 4, 3), (2, 7, 6, 4)

# name -> (Keras's model, PyTorch's, shapes of the inputs)
PAIRS = {
    "LSTM": (
        lambda: recurrent(layers.LSTM, 5),
        lambda: Module(first_of("r"), r=nn.LSTM(3, 5, batch_first=True)),
        [SEQUENCE],
    ),
    "LSTM without a bias": (
        lambda: recurrent(layers.LSTM, 5, use_bias=False),
        lambda: Module(first_of("r"), r=nn.LSTM(3, 5, bias=False, batch_first=True)),
        [SEQUENCE],
    ),
    "GRU": (
        lambda: recurrent(layers.GRU, 5),
        lambda: Module(first_of("r"), r=nn.GRU(3, 5, batch_first=True)),
        [SEQUENCE],
    ),
    "SimpleRNN": (
        lambda: recurrent(layers.SimpleRNN, 5),
        lambda: Module(first_of("r"), r=nn.RNN(3, 5, batch_first=True)),
        [SEQUENCE],
    ),
    "Bidirectional LSTM": (
        lambda: both_ways(layers.LSTM, 5),
        lambda: Module(first_of("r"), r=nn.LSTM(3, 5, batch_first=True, bidirectional=True)),
        [SEQUENCE],
    ),
    "Bidirectional GRU": (
        lambda: both_ways(layers.GRU, 5),
        lambda: Module(first_of("r"), r=nn.GRU(3, 5, batch_first=True, bidirectional=True)),
        [SEQUENCE],
    ),
    "RNN of two cells": (
        stacked,
        lambda: Module(first_of("r"), r=nn.LSTM(3, 5, num_layers=2, batch_first=True)),
        [SEQUENCE],
    ),
    "a stack of Bidirectional layers": (
        lambda: graph(
            (4, 3),
            layers.Bidirectional(layers.GRU(5, return_sequences=True), name="r"),
            layers.Bidirectional(layers.GRU(5, return_sequences=True), name="r.l1"),
        ),
        lambda: Module(first_of("r"), r=nn.GRU(3, 5, num_layers=2, batch_first=True, bidirectional=True)),
        [SEQUENCE],
    ),
    "MultiHeadAttention": (
        self_attention,
        lambda: Module(attend, mha=nn.MultiheadAttention(8, 2, batch_first=True)),
        [(2, 4, 8)],
    ),
    "MultiHeadAttention without a bias": (
        lambda: self_attention(False),
        lambda: Module(attend, mha=nn.MultiheadAttention(8, 2, bias=False, batch_first=True)),
        [(2, 4, 8)],
    ),
    "MultiHeadAttention to something narrower": (
        cross_attention,
        lambda: Module(attend_to, mha=nn.MultiheadAttention(8, 2, kdim=5, vdim=5, batch_first=True)),
        [(2, 4, 8), (2, 3, 5)],
    ),
    "EinsumDense": (
        lambda: graph((4, 3), layers.EinsumDense("abc,cd->abd", (None, 5), bias_axes="d", name="fc")),
        lambda: Module(lambda self, x: self.fc(x), fc=nn.Linear(3, 5)),
        [SEQUENCE],
    ),
    "EinsumDense into heads": (
        lambda: graph((4, 3), layers.EinsumDense("abc,cde->abde", (None, 2, 5), bias_axes="de", name="fc")),
        lambda: Module(lambda self, x: self.fc(x).reshape(2, 4, 2, 5), fc=nn.Linear(3, 10)),
        [SEQUENCE],
    ),
    "TimeDistributed": (
        lambda: graph((4, 3), layers.TimeDistributed(layers.Dense(5), name="fc")),
        lambda: Module(lambda self, x: self.fc(x), fc=nn.Linear(3, 5)),
        [SEQUENCE],
    ),
    "BatchNormalization": (
        lambda: graph((7, 6, 4), layers.BatchNormalization(epsilon=1e-5, name="bn")),
        lambda: Module(images(lambda self, x: self.bn(x)), bn=nn.BatchNorm2d(4)),
        [IMAGE],
    ),
    "LayerNormalization": (
        lambda: graph((4, 3), layers.LayerNormalization(epsilon=1e-5, name="norm")),
        lambda: Module(lambda self, x: self.norm(x), norm=nn.LayerNorm(3)),
        [SEQUENCE],
    ),
    "LayerNormalization over channels and image": (
        lambda: graph((7, 6, 4), layers.LayerNormalization(axis=[1, 2, 3], epsilon=1e-5, name="norm")),
        lambda: Module(images(lambda self, x: self.norm(x)), norm=nn.LayerNorm([4, 7, 6])),
        [IMAGE],
    ),
    "GroupNormalization": (
        lambda: graph((7, 6, 4), layers.GroupNormalization(2, epsilon=1e-5, name="norm")),
        lambda: Module(images(lambda self, x: self.norm(x)), norm=nn.GroupNorm(2, 4)),
        [IMAGE],
    ),
    "GroupNormalization as InstanceNorm": (
        lambda: graph((7, 6, 4), layers.GroupNormalization(-1, epsilon=1e-5, name="norm")),
        lambda: Module(images(lambda self, x: self.norm(x)), norm=nn.InstanceNorm2d(4, affine=True)),
        [IMAGE],
    ),
    "RMSNormalization": (
        lambda: graph((4, 3), layers.RMSNormalization(epsilon=1e-6, name="norm")),
        lambda: Module(lambda self, x: self.norm(x), norm=nn.RMSNorm(3, eps=1e-6)),
        [SEQUENCE],
    ),
    "PReLU with a slope for each channel": (
        lambda: graph((7, 6, 4), layers.PReLU(shared_axes=[1, 2], name="act")),
        lambda: Module(images(lambda self, x: self.act(x)), act=nn.PReLU(4)),
        [IMAGE],
    ),
    "PReLU with one slope": (
        lambda: graph((7, 6, 4), layers.PReLU(shared_axes=[1, 2, 3], name="act")),
        lambda: Module(images(lambda self, x: self.act(x)), act=nn.PReLU()),
        [IMAGE],
    ),
    "Conv1D": (
        lambda: graph((4, 3), layers.Conv1D(5, 2, name="conv")),
        lambda: Module(images(lambda self, x: self.conv(x)), conv=nn.Conv1d(3, 5, 2)),
        [SEQUENCE],
    ),
    "Conv2D in groups": (
        lambda: graph((7, 6, 4), layers.Conv2D(6, (3, 2), groups=2, name="conv")),
        lambda: Module(images(lambda self, x: self.conv(x)), conv=nn.Conv2d(4, 6, (3, 2), groups=2)),
        [IMAGE],
    ),
    "Conv2DTranspose": (
        lambda: graph((7, 6, 4), layers.Conv2DTranspose(5, (3, 2), 2, name="conv")),
        lambda: Module(images(lambda self, x: self.conv(x)), conv=nn.ConvTranspose2d(4, 5, (3, 2), 2)),
        [IMAGE],
    ),
    "DepthwiseConv2D": (
        lambda: graph((7, 6, 4), layers.DepthwiseConv2D((3, 2), depth_multiplier=2, name="conv")),
        lambda: Module(images(lambda self, x: self.conv(x)), conv=nn.Conv2d(4, 8, (3, 2), groups=4)),
        [IMAGE],
    ),
    "SeparableConv2D": (
        lambda: graph((7, 6, 4), layers.SeparableConv2D(5, (3, 2), name="conv")),
        lambda: Module(
            images(lambda self, x: self.conv.pointwise(self.conv.depthwise(x))),
            conv=Module(None, depthwise=nn.Conv2d(4, 4, (3, 2), groups=4, bias=False), pointwise=nn.Conv2d(4, 5, 1)),
        ),
        [IMAGE],
    ),
    "SeparableConv1D": (
        lambda: graph((4, 3), layers.SeparableConv1D(5, 2, name="conv")),
        lambda: Module(
            images(lambda self, x: self.conv.pointwise(self.conv.depthwise(x))),
            conv=Module(None, depthwise=nn.Conv1d(3, 3, 2, groups=3, bias=False), pointwise=nn.Conv1d(3, 5, 1)),
        ),
        [SEQUENCE],
    ),
    "LayerNormalization and PReLU after a Flatten": (
        lambda: graph(
            (7, 6, 4), layers.Flatten(), layers.LayerNormalization(epsilon=1e-5, name="norm"),
            layers.PReLU(name="act"), layers.Dense(3, name="fc"),
        ),
        lambda: Module(
            lambda self, x: self.fc(self.act(self.norm(torch.movedim(x, -1, 1).flatten(1)))),
            norm=nn.LayerNorm(168), act=nn.PReLU(168), fc=nn.Linear(168, 3),
        ),
        [IMAGE],
    ),
}  # fmt: skip

pairs = pytest.mark.parametrize(("ours", "theirs", "shapes"), PAIRS.values(), ids=PAIRS)


@pytest.fixture(autouse=True)
def float64():
    with precision("float64"):
        yield


def drawn(module):
    """Return a PyTorch module with random parameters and buffers."""
    torch.manual_seed(0)
    with torch.no_grad():
        for tensor in (*module.parameters(), *module.buffers()):
            tensor.uniform_(0.5, 1.5) if tensor.is_floating_point() else tensor.fill_(3)
            tensor.mul_(torch.rand_like(tensor)) if tensor.is_floating_point() and tensor.dim() > 1 else None
    return module.double().eval()


def outputs(model, module, shapes):
    """Return Keras's output and PyTorch's on the same values."""
    given = [np.random.RandomState(k).standard_normal(shape) for k, shape in enumerate(shapes)]
    with torch.no_grad():
        expected = module(*map(torch.tensor, given)).numpy()
    return np.asarray(model(given if len(given) > 1 else given[0])), expected


def agree(model, module, shapes):
    return np.allclose(*outputs(model, module, shapes), rtol=1e-12, atol=1e-12)


def bits(arrays):
    return [(array.dtype, array.shape, array.tobytes()) for array in map(np.asarray, arrays)]


@pairs
def test_what_is_loaded_computes_what_pytorch_does(ours, theirs, shapes):
    model, module = ours(), drawn(theirs())
    assert not agree(model, module, shapes)
    load_state_dict(model, module.state_dict())
    assert agree(model, module, shapes)


@pairs
def test_keras_to_pytorch_and_back_changes_no_bit(ours, theirs, shapes):
    model, module = ours(), drawn(theirs())
    stream = np.random.RandomState(1)
    model.set_weights(
        [stream.uniform(0.2, 1, w.shape) * stream.choice([1, -1, -0.0], w.shape) ** 2 for w in model.weights]
    )
    before = bits(model.get_weights())
    module.load_state_dict({name: torch.tensor(value) for name, value in state_dict(model).items()})
    assert agree(model, module, shapes)
    model.set_weights([np.zeros(w.shape) for w in model.weights])
    load_state_dict(model, module.state_dict())
    assert bits(model.get_weights()) == before


@pairs
def test_pytorch_to_keras_and_back_changes_no_bit_but_adds_two_biases(ours, theirs, shapes):
    model, state = ours(), {name: tensor.numpy().copy() for name, tensor in drawn(theirs()).state_dict().items()}
    load_state_dict(model, state)
    kept = {name: value for name, value in state.items() if not name.endswith("num_batches_tracked")}
    if any(type(layer).__name__ in ("LSTM", "SimpleRNN", "RNN") for layer in model._flatten_layers()):
        for name in [name for name in kept if "bias_hh" in name]:
            first = name.replace("bias_hh", "bias_ih")
            kept[first], kept[name] = kept[first] + kept[name], np.zeros_like(kept[name])
    found = state_dict(model)
    assert list(found) == list(kept)
    assert bits(found.values()) == bits(kept.values())


REFUSING = ("LSTM", "Bidirectional GRU", "MultiHeadAttention", "EinsumDense", "PReLU with one slope", "SeparableConv2D")


@pytest.mark.parametrize("name", REFUSING)
def test_a_missing_a_surplus_and_a_misshapen_tensor_are_one_line_and_nothing_is_changed(name):
    ours, theirs, _ = PAIRS[name]
    model, state = ours(), drawn(theirs()).state_dict()
    before = bits(model.get_weights())
    last = list(state)[-1]
    others = {name: value for name, value in state.items() if name != last}
    wrong = {
        f"missing: {last}": {**others, "more.weight": torch.zeros(2)},
        "surplus: more.weight": {**state, "more.weight": torch.zeros(2)},
        f"wrong shape: {last} is": {**state, last: torch.zeros(*state[last].shape, 2)},
    }
    for message, given in wrong.items():
        with pytest.raises(CheckpointError, match=message) as caught:
            load_state_dict(model, given)
        assert "\n" not in str(caught.value)
        assert bits(model.get_weights()) == before


SWAPPED = {  # two of PyTorch's gates, or projections, exchanged: the same shapes, another function
    "LSTM": ("r.weight_ih_l0", 4),
    "GRU": ("r.weight_hh_l0", 3),
    "MultiHeadAttention": ("mha.in_proj_weight", 3),
}


@pytest.mark.parametrize("name", SWAPPED)
def test_the_order_of_gates_and_projections_is_pytorchs(name):
    ours, theirs, shapes = PAIRS[name]
    model, module = ours(), drawn(theirs())
    tensor, count = SWAPPED[name]
    state = module.state_dict()
    first, second, *others = state[tensor].chunk(count)
    load_state_dict(model, {**state, tensor: torch.cat([second, first, *others])})
    assert not agree(model, module, shapes)
    load_state_dict(model, state)
    assert agree(model, module, shapes)


def test_a_gru_that_resets_before_the_product_is_refused():
    model = recurrent(layers.GRU, 5, reset_after=False)
    with pytest.raises(BlitzError, match=r"layer 'r': PyTorch's GRU applies the reset gate after the product"):
        load_state_dict(model, nn.GRU(3, 5).state_dict())


def test_an_einsum_that_is_no_linear_map_is_refused():
    model = graph((4, 3), layers.EinsumDense("abc,bc->abc", (4, 3), name="scale"))
    with pytest.raises(BlitzError, match=r"layer 'scale': no weight layout is declared for EinsumDense with the equat"):
        state_dict(model)


def test_unshared_slopes_do_not_fit_a_slope_for_each_channel():
    model = graph((7, 6, 4), layers.PReLU(name="act"))
    with pytest.raises(CheckpointError, match=r"act.weight is \(4,\), the model has \(4, 7, 6\)"):
        load_state_dict(model, {"act.weight": np.zeros(4)})


def test_a_layernorm_over_a_sequence_is_refused_unless_it_is_declared():
    norm = layers.LayerNormalization(axis=[1, 2], epsilon=1e-5, name="norm")
    model = graph((4, 3), norm)
    module = drawn(Module(lambda self, x: self.norm(x), norm=nn.LayerNorm([4, 3])))
    with pytest.raises(BlitzError, match=r"'norm': no weight layout is declared for LayerNormalization over the axes"):
        load_state_dict(model, module.state_dict())
    norm.torch_weights = {"gamma": ("weight", None), "beta": ("bias", None)}
    load_state_dict(model, module.state_dict())
    assert agree(model, module, [SEQUENCE])


def test_parameters_by_name_have_each_variable():
    names = [name for name, _ in named_parameters(recurrent(layers.LSTM, 5))]
    assert names == ["r.weight_ih_l0", "r.weight_hh_l0", "r.bias_ih_l0"]
    model = self_attention()
    found = list(named_parameters(model))
    assert [name for name, _ in found].count("mha.in_proj_weight") == 3
    assert {id(v) for _, v in found} == {id(v) for v in model.trainable_variables}
