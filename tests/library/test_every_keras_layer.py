"""Every layer of keras.layers that has weights: into PyTorch and back without a changed bit, or a reason why not."""

import ast
import inspect
import textwrap
from functools import cache

import keras
import numpy as np
import pytest
from keras import layers

from keras_blitz import layers as ours
from keras_blitz import precision
from keras_blitz.errors import BlitzError
from keras_blitz.weights import load_state_dict, state_dict
from keras_blitz.weights.kinds import KINDS

pytestmark = [pytest.mark.covers("W1"), pytest.mark.torch]

torch = pytest.importorskip("torch", reason="needs PyTorch: pip install 'keras-blitz[torch]'")

from torch_module import Module  # noqa: E402

nn, F = torch.nn, torch.nn.functional

SEQUENCE, IMAGE, VOLUME = (4, 3), (7, 6, 4), (5, 6, 7, 4)


class Buffers(nn.Module):
    """What a Normalization holds."""

    def __init__(self, size):
        super().__init__()
        self.register_buffer("mean", torch.zeros(size))
        self.register_buffer("variance", torch.ones(size))
        self.register_buffer("count", torch.zeros((), dtype=torch.int32))

    def forward(self, x):
        return (x - self.mean) / torch.maximum(self.variance.sqrt(), torch.tensor(1e-7))


class Scale(nn.Module):
    """The one weight of an Attention or AdditiveAttention."""

    def __init__(self, *size):
        super().__init__()
        self.scale = nn.Parameter(torch.ones(size))


class Reversible(nn.Embedding):
    """An embedding with a way back of its own."""

    def __init__(self, count, width):
        super().__init__(count, width)
        self.reverse = nn.Linear(width, count, bias=False)


def one(layer, shape=SEQUENCE, **options):
    given = keras.Input(shape, **options)
    return keras.Model(given, layer(given))


def two(layer):
    given = [keras.Input((4, 8)), keras.Input((3, 8))]
    return keras.Model(given, layer(given))


def same(self, x):
    return self.a(x)


def first(self, x):
    """PyTorch's recurrent layers return their state, too; Keras's the last step."""
    return self.a(x)[0][:, -1]


def both(self, x):
    """The last step forward, and the first backward, which read it last."""
    y = self.a(x)[0]
    half = y.shape[-1] // 2
    return torch.cat([y[:, -1, :half], y[:, 0, half:]], -1)


def moved(self, x):
    return torch.movedim(self.a(torch.movedim(x, -1, 1)), 1, -1)


def separable(self, x):
    return torch.movedim(self.a.pointwise(self.a.depthwise(torch.movedim(x, -1, 1))), 1, -1)


def dot_attention(self, x, y):
    return (self.a.scale * (x @ y.mT)).softmax(-1) @ y


def additive_attention(self, x, y):
    scores = (self.a.scale * torch.tanh(x[:, :, None] + y[:, None])).sum(-1)
    return scores.softmax(-1) @ y


def grouped(self, x):
    q, k, v = (each(x).unflatten(-1, (-1, 4)).transpose(1, 2) for each in (self.a.query, self.a.key, self.a.value))
    mixed = F.scaled_dot_product_attention(q, k, v, enable_gqa=True)
    return self.a.attention_output(mixed.transpose(1, 2).flatten(2))


def convolution(rank, transposed=False):
    keras_layer = getattr(layers, f"Conv{rank}DTranspose" if transposed else f"Conv{rank}D")
    theirs = getattr(nn, f"ConvTranspose{rank}d" if transposed else f"Conv{rank}d")
    shape = {1: SEQUENCE, 2: IMAGE, 3: VOLUME}[rank]
    return lambda: one(keras_layer(5, 2, name="a"), shape), lambda: Module(moved, a=theirs(shape[-1], 5, 2))


def depthwise(rank):
    keras_layer, theirs = getattr(layers, f"DepthwiseConv{rank}D"), getattr(nn, f"Conv{rank}d")
    shape = {1: SEQUENCE, 2: IMAGE}[rank]
    channels = shape[-1]
    return (
        lambda: one(keras_layer(2, depth_multiplier=2, name="a"), shape),
        lambda: Module(moved, a=theirs(channels, 2 * channels, 2, groups=channels)),
    )


def separated(rank):
    keras_layer, theirs = getattr(layers, f"SeparableConv{rank}D"), getattr(nn, f"Conv{rank}d")
    shape = {1: SEQUENCE, 2: IMAGE}[rank]
    channels = shape[-1]
    return (
        lambda: one(keras_layer(5, 2, name="a"), shape),
        lambda: Module(
            separable,
            a=Module(
                None, depthwise=theirs(channels, channels, 2, groups=channels, bias=False),
                pointwise=theirs(channels, 5, 1),
            ),
        ),
    )  # fmt: skip


def recurrent(make, theirs, **options):
    return lambda: one(make()), lambda: Module(first, a=theirs(3, 5, batch_first=True, **options))


def linears(**widths):
    return Module(None, **{name: nn.Linear(*sizes) for name, sizes in widths.items()})


def self_attention(layer):
    given = keras.Input((4, 8))
    return keras.Model(given, layer(given, given))


# Layer -> (() -> Keras's model, () -> PyTorch's with the same names).
PAIRS = {
    "AdditiveAttention": (
        lambda: two(layers.AdditiveAttention(name="a")), lambda: Module(additive_attention, a=Scale(8))
    ),
    "Attention": (
        lambda: two(layers.Attention(use_scale=True, name="a")), lambda: Module(dot_attention, a=Scale())
    ),
    "BatchNormalization": (
        lambda: one(layers.BatchNormalization(epsilon=1e-5, name="a"), IMAGE),
        lambda: Module(moved, a=nn.BatchNorm2d(4)),
    ),
    "Bidirectional": (
        lambda: one(layers.Bidirectional(layers.LSTM(5), name="a")),
        lambda: Module(both, a=nn.LSTM(3, 5, batch_first=True, bidirectional=True)),
    ),
    **{f"Conv{rank}D": convolution(rank) for rank in (1, 2, 3)},
    **{f"Conv{rank}DTranspose": convolution(rank, transposed=True) for rank in (1, 2, 3)},
    "Dense": (lambda: one(layers.Dense(5, name="a")), lambda: Module(same, a=nn.Linear(3, 5))),
    **{f"DepthwiseConv{rank}D": depthwise(rank) for rank in (1, 2)},
    "EinsumDense": (
        lambda: one(layers.EinsumDense("abc,cd->abd", (None, 5), bias_axes="d", name="a")),
        lambda: Module(same, a=nn.Linear(3, 5)),
    ),
    "Embedding": (
        lambda: one(layers.Embedding(9, 5, name="a"), (4,), dtype="int32"), lambda: Module(same, a=nn.Embedding(9, 5))
    ),
    "GRU": recurrent(lambda: layers.GRU(5, name="a"), nn.GRU),
    "GroupNormalization": (
        lambda: one(layers.GroupNormalization(2, epsilon=1e-5, name="a"), IMAGE),
        lambda: Module(moved, a=nn.GroupNorm(2, 4)),
    ),
    "GroupQueryAttention": (
        lambda: self_attention(layers.GroupQueryAttention(4, 6, 2, name="a")),
        lambda: Module(grouped, a=linears(query=(8, 24), key=(8, 8), value=(8, 8), attention_output=(24, 8))),
    ),
    "LSTM": recurrent(lambda: layers.LSTM(5, name="a"), nn.LSTM),
    "LayerNormalization": (
        lambda: one(layers.LayerNormalization(epsilon=1e-5, name="a")), lambda: Module(same, a=nn.LayerNorm(3))
    ),
    "MultiHeadAttention": (
        lambda: self_attention(layers.MultiHeadAttention(2, 4, name="a")),
        lambda: Module(
            lambda self, x: self.a(x, x, x, need_weights=False)[0], a=nn.MultiheadAttention(8, 2, batch_first=True)
        ),
    ),
    "Normalization": (lambda: one(layers.Normalization(name="a")), lambda: Module(same, a=Buffers(3))),
    "PReLU": (
        lambda: one(layers.PReLU(shared_axes=[1, 2], name="a"), IMAGE), lambda: Module(moved, a=nn.PReLU(4))
    ),
    "RMSNormalization": (
        lambda: one(layers.RMSNormalization(epsilon=1e-6, name="a")), lambda: Module(same, a=nn.RMSNorm(3, eps=1e-6))
    ),
    "RNN": recurrent(
        lambda: layers.RNN([layers.GRUCell(5), layers.GRUCell(5)], name="a"), nn.GRU, num_layers=2
    ),
    "ReversibleEmbedding": (
        lambda: one(layers.ReversibleEmbedding(9, 5, tie_weights=False, name="a"), (4,), dtype="int32"),
        lambda: Module(same, a=Reversible(9, 5)),
    ),
    **{f"SeparableConv{rank}D": separated(rank) for rank in (1, 2)},
    "SimpleRNN": recurrent(lambda: layers.SimpleRNN(5, name="a"), nn.RNN),
    "TimeDistributed": (
        lambda: one(layers.TimeDistributed(layers.Conv2D(5, 2), name="a"), (3, *IMAGE)),
        lambda: Module(
            lambda self, x: torch.movedim(self.a(torch.movedim(x, -1, 2).flatten(0, 1)), 1, -1).unflatten(0, (2, 3)),
            a=nn.Conv2d(4, 5, 2),
        ),
    ),
}  # fmt: skip

# Layer -> (() -> Keras's model, the reason for which it is refused).
REFUSED = {
    "ConvLSTM1D": (lambda: one(layers.ConvLSTM1D(5, 2, name="a"), (4, 6, 3)), "no convolutional LSTM"),
    "ConvLSTM2D": (lambda: one(layers.ConvLSTM2D(5, 2, name="a"), (4, 6, 7, 3)), "no convolutional LSTM"),
    "ConvLSTM3D": (lambda: one(layers.ConvLSTM3D(5, 2, name="a"), (4, 6, 7, 5, 3)), "no convolutional LSTM"),
    "SpectralNormalization": (
        lambda: one(layers.SpectralNormalization(layers.Dense(5), name="a")), "divides the kernel itself"
    ),
}  # fmt: skip

# Settings with which a layer of PAIRS has no counterpart.
REFUSED_SETTINGS = {
    "Dense with LoRA": (lambda: one(layers.Dense(5, lora_rank=2, name="a")), "PyTorch has no LoRA"),
    "a gated MultiHeadAttention": (
        lambda: self_attention(layers.MultiHeadAttention(2, 4, use_gate=True, name="a")), "its variable .*gate/kernel"
    ),
    "a MultiHeadAttention of another width": (
        lambda: self_attention(layers.MultiHeadAttention(2, 3, name="a")), "the width of its query, 8"
    ),
    "a MultiHeadAttention with another output": (
        lambda: self_attention(layers.MultiHeadAttention(2, 4, output_shape=5, name="a")), "24 together and 5"
    ),
    "a MultiHeadAttention with narrower values": (
        lambda: self_attention(layers.MultiHeadAttention(2, 4, value_dim=3, name="a")), "this one to 22 together"
    ),
    "Bidirectional of two kinds": (
        lambda: one(layers.Bidirectional(layers.LSTM(5), backward_layer=layers.GRU(5, go_backwards=True), name="a")),
        r"one kind and width .* LSTM\(5, .* and GRU\(5",
    ),
    "Bidirectional of two widths": (
        lambda: one(layers.Bidirectional(layers.LSTM(5), backward_layer=layers.LSTM(4, go_backwards=True), name="a")),
        r"LSTM\(5, .* and LSTM\(4",
    ),
    "RNN of two kinds of cells": (
        lambda: one(layers.RNN([layers.LSTMCell(5), layers.GRUCell(5)], name="a")), "LSTMCell.* and GRUCell"
    ),
    "LSTM after a Flatten at each step": (
        lambda: keras.Sequential(
            [
                keras.Input((3, *IMAGE)),
                layers.TimeDistributed(keras.Sequential([keras.Input(IMAGE), layers.Conv2D(5, 2), layers.Flatten()])),
                layers.LSTM(5, name="a"),
            ]
        ),
        "declared for LSTM after a Flatten",
    ),
}  # fmt: skip

# Classes that have weights and are not a layer of a model on their own, or need another framework or package.
PARTS = frozenset(
    {"FlaxLayer", "GRUCell", "JaxLayer", "LSTMCell", "Layer", "SimpleRNNCell", "StackedRNNCells", "TFSMLayer",
     "TorchModuleWrapper", "Wrapper"}
)  # fmt: skip
# Those without weights of their own that PyTorch would have: built on something, they hold none that train.
FIXED = frozenset({"STFTSpectrogram", "MelSpectrogram"})


LISTED = set(PAIRS) | set(REFUSED) | PARTS | FIXED


@cache
def called(cls) -> set[str]:
    """Return the names of what the source of a class calls."""
    tree = ast.parse(textwrap.dedent(inspect.getsource(cls)))
    calls = [node.func for node in ast.walk(tree) if isinstance(node, ast.Call)]
    return {getattr(function, "attr", getattr(function, "id", "")) for function in calls}


def has_weights(cls) -> bool:
    """Whether a class, or a base of it below Layer, adds a weight, makes a layer that has some, or takes one."""
    bases = [
        base for base in cls.__mro__ if base.__module__.startswith("keras.src.layers") and base is not layers.Layer
    ]
    made = any(called(base) & (LISTED | {"add_weight"}) for base in bases)
    return made or issubclass(cls, layers.RNN) or "layer" in inspect.signature(cls).parameters


def test_every_layer_with_weights_has_a_row():
    names: dict[type, set[str]] = {}
    for name, value in vars(layers).items():
        if inspect.isclass(value) and issubclass(value, layers.Layer):
            names.setdefault(value, set()).add(name)  # of two, such as Conv2D and Convolution2D, one is listed
    assert [sorted(own) for cls, own in names.items() if has_weights(cls) and not own & LISTED] == []
    assert set().union(*names.values()) >= LISTED
    assert [name for name in (*PAIRS, *REFUSED) if not has_weights(getattr(layers, name))] == []


pairs = pytest.mark.parametrize(("make", "theirs"), PAIRS.values(), ids=PAIRS)


def draw(model, seed):
    stream = np.random.RandomState(seed)
    model.set_weights([stream.uniform(0.5, 1.5, v.shape) if "float" in v.dtype else np.array(3) for v in model.weights])


def bits(arrays) -> list:
    return [(array.dtype, array.shape, array.tobytes()) for array in map(np.asarray, arrays)]


@pairs
def test_into_pytorch_and_back(make, theirs):
    with precision("float64"):
        model, module = make(), theirs().double().eval()
        draw(model, 0)
        before = bits(model.get_weights())
        module.load_state_dict({name: torch.tensor(value) for name, value in state_dict(model).items()})
        draw(model, 1)
        assert bits(model.get_weights()) != before
        load_state_dict(model, module.state_dict())
        assert bits(model.get_weights()) == before
        stream = np.random.RandomState(2)
        whole = "int" in model.inputs[0].dtype
        shapes = [(2, *each.shape[1:]) for each in model.inputs]
        given = [stream.randint(0, 9, shape) if whole else stream.standard_normal(shape) for shape in shapes]
        with torch.no_grad():
            expected = module(*map(torch.tensor, given)).numpy()
        np.testing.assert_allclose(model(given if given[1:] else given[0]), expected, rtol=1e-12, atol=1e-12)


REASONS = REFUSED | REFUSED_SETTINGS


@pytest.mark.parametrize(("make", "reason"), REASONS.values(), ids=REASONS)
def test_what_pytorch_lacks_is_refused_in_one_line(make, reason):
    model = make()
    with pytest.raises(BlitzError, match=rf"layer '\w+': .*{reason}") as caught:
        state_dict(model)
    assert "\n" not in str(caught.value)


def holds_weights(cls) -> bool:
    """Whether a class of keras_blitz's is in the table of kinds with weights, or adds one."""
    kind = next((kind for kind in KINDS if {f"keras_blitz.{cls.__name__}", cls.__name__} & set(kind.keras)), None)
    adds = any("add_weight" in called(base) for base in cls.__mro__ if base.__module__.startswith("keras_blitz"))
    return adds or bool(kind and kind.has_weights)


class Holder(keras.Model):
    """A model of one layer, called with as many inputs as it takes."""

    def __init__(self, layer):
        super().__init__()
        self.layer = layer
        self.count = {"Bilinear": 2, "MultiheadAttention": 3}.get(type(layer).__name__, 1)

    def call(self, x):
        return self.layer(*[x] * self.count)


# keras_blitz's own layer -> (it, PyTorch's, the shape that it takes).
OURS = {
    "BatchNorm": (lambda: ours.BatchNorm(name="a"), lambda: nn.BatchNorm2d(4), IMAGE),
    "Bilinear": (lambda: ours.Bilinear(5, name="a"), lambda: nn.Bilinear(3, 3, 5), SEQUENCE),
    **{f"Conv{n}d": (lambda n=n: getattr(ours, f"Conv{n}d")(5, 2, name="a"),
                     lambda n=n: getattr(nn, f"Conv{n}d")((3, 4, 4)[n - 1], 5, 2), (SEQUENCE, IMAGE, VOLUME)[n - 1])
       for n in (1, 2, 3)},
    **{f"ConvTranspose{n}d": (lambda n=n: getattr(ours, f"ConvTranspose{n}d")(5, 2, name="a"),
                              lambda n=n: getattr(nn, f"ConvTranspose{n}d")((3, 4, 4)[n - 1], 5, 2),
                              (SEQUENCE, IMAGE, VOLUME)[n - 1])
       for n in (1, 2, 3)},
    "Embedding": (lambda: ours.Embedding(9, 5, name="a"), lambda: nn.Embedding(9, 5), (4,)),
    "EmbeddingBag": (lambda: ours.EmbeddingBag(9, 5, name="a"), lambda: nn.EmbeddingBag(9, 5), (4,)),
    "GRU": (lambda: ours.GRU(5, 2, name="a"), lambda: nn.GRU(3, 5, 2), SEQUENCE),
    "GRUCell": (lambda: ours.GRUCell(5, name="a"), lambda: nn.GRUCell(3, 5), (3,)),
    "GroupNorm": (lambda: ours.GroupNorm(2, name="a"), lambda: nn.GroupNorm(2, 4), IMAGE),
    "InstanceNorm": (
        lambda: ours.InstanceNorm(affine=True, track_running_stats=True, name="a"),
        lambda: nn.InstanceNorm2d(4, affine=True, track_running_stats=True), IMAGE,
    ),
    "LSTM": (
        lambda: ours.LSTM(5, 2, bidirectional=True, name="a"), lambda: nn.LSTM(3, 5, 2, bidirectional=True), SEQUENCE
    ),
    "LSTMCell": (lambda: ours.LSTMCell(5, name="a"), lambda: nn.LSTMCell(3, 5), (3,)),
    "LayerNorm": (lambda: ours.LayerNorm(3, name="a"), lambda: nn.LayerNorm(3), SEQUENCE),
    "MultiheadAttention": (
        lambda: ours.MultiheadAttention(8, 2, name="a"), lambda: nn.MultiheadAttention(8, 2), (4, 8)
    ),
    "PReLU": (lambda: ours.PReLU(4, name="a"), lambda: nn.PReLU(4), IMAGE),
    "RMSNorm": (lambda: ours.RMSNorm(3, name="a"), lambda: nn.RMSNorm(3), SEQUENCE),
    "RNN": (lambda: ours.RNN(5, name="a"), lambda: nn.RNN(3, 5), SEQUENCE),
    "RNNCell": (lambda: ours.RNNCell(5, name="a"), lambda: nn.RNNCell(3, 5), (3,)),
}  # fmt: skip


def test_every_layer_of_ours_with_weights_has_a_row():
    public = {name: value for name in ours.__all__ if inspect.isclass(value := getattr(ours, name))}
    weighted = {name for name, cls in public.items() if issubclass(cls, layers.Layer) and holds_weights(cls)}
    given = {name for name in weighted if name.startswith("Dynamic")}  # the kernel is an input
    assert weighted - given - {"Parameter"} == set(OURS)  # a Parameter is any tensor, named as its layer


@pytest.mark.parametrize(("layer", "theirs", "shape"), OURS.values(), ids=OURS)
def test_our_own_layers_take_pytorchs_weights_and_give_them_back(layer, theirs, shape):
    with precision("float64"):
        layer, module = layer(), Module(None, a=theirs().double())
        with torch.no_grad():
            for tensor in module.state_dict().values():
                tensor.uniform_(0.5, 1.5) if tensor.is_floating_point() else tensor.fill_(3)
        model = Holder(layer)
        model(np.zeros((2, *shape), "int32" if "Embedding" in type(layer).__name__ else "float64"))
        load_state_dict(model, module.state_dict())
        found = state_dict(model)
    expected = {name: tensor.numpy() for name, tensor in module.state_dict().items()}
    assert list(found) == list(expected)
    assert bits(found.values()) == bits(expected.values())
