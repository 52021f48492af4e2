"""One computation in two forms: packed or apart, transposed, of a function or a layer, of a cell or a whole layer."""

import keras
import numpy as np
import pytest
from keras import layers, ops

import parity
from keras_blitz.errors import BlitzError
from parity.core.verdict import Verdict

pytestmark = pytest.mark.covers("H12")

torch = pytest.importorskip("torch", reason="needs PyTorch: pip install 'keras-blitz[torch]'")
nn = torch.nn
F = torch.nn.functional


def numbers(*shape: int) -> np.ndarray:
    return np.random.RandomState(len(shape)).randn(*shape)


ROWS, TOKENS, IMAGES = numbers(5, 4), numbers(2, 5, 8), numbers(2, 4, 5, 7)


def parameter(*shape: int):
    return nn.Parameter(torch.randn(*shape))


class By(nn.Module):
    """A module that a function computes: (itself, inputs) -> output; `parts` are its modules and parameters."""

    def __init__(self, function, **parts):
        super().__init__()
        for name, part in parts.items():
            setattr(self, name, part)
        self.function = function

    def forward(self, *inputs):
        return self.function(self, *inputs)


def sequential(shape, *parts):
    return keras.Sequential([keras.Input(shape), *parts])


class Addmm(nn.Module):
    """A linear map with its weight transposed, (in, out), as some language models have it."""

    def __init__(self, inputs, outputs):
        super().__init__()
        self.weight, self.bias = parameter(inputs, outputs), parameter(outputs)

    def forward(self, x):
        return torch.addmm(self.bias, x.reshape(-1, x.shape[-1]), self.weight).view(*x.shape[:-1], -1)


class Heads(nn.Module):
    """Attention of linear maps, whose heads may share keys and values."""

    def __init__(self, heads=2, groups=2):
        super().__init__()
        self.heads, self.groups = heads, groups
        self.q, self.o = nn.Linear(8, heads * 4), nn.Linear(heads * 4, 8)
        self.k, self.v = nn.Linear(8, groups * 4), nn.Linear(8, groups * 4)

    def forward(self, x):
        q = self.q(x).unflatten(-1, (self.heads, 4)).transpose(1, 2)
        k, v = (each(x).unflatten(-1, (self.groups, 4)).transpose(1, 2) for each in (self.k, self.v))
        k, v = (each.repeat_interleave(self.heads // self.groups, 1) for each in (k, v))
        return self.o(F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2))


class Packed(nn.Module):
    """The same with one linear map for queries, keys and values."""

    def __init__(self):
        super().__init__()
        self.qkv, self.o = nn.Linear(8, 24), nn.Linear(8, 8)

    def forward(self, x):
        q, k, v = self.qkv(x).unflatten(-1, (3, 2, 4)).permute(2, 0, 3, 1, 4)
        return self.o(F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2))


def own_attention(scale=0.5, packed=False):
    """Attention of Dense layers, without names that tell them apart; values are computed before queries."""
    inputs = keras.Input((5, 8))

    def heads(x):
        return ops.transpose(ops.reshape(x, (-1, 5, 2, 4)), (0, 2, 1, 3))

    if packed:
        q, k, v = map(heads, ops.split(layers.Dense(24)(inputs), 3, -1))
    else:
        v, q, k = (heads(layers.Dense(8)(inputs)) for _ in range(3))
    weight = ops.softmax(scale * ops.matmul(q, ops.transpose(k, (0, 1, 3, 2))))
    joined = ops.reshape(ops.transpose(ops.matmul(weight, v), (0, 2, 1, 3)), (-1, 5, 8))
    return keras.Model(inputs, layers.Dense(8)(joined))


def layer_attention(layer, factor=1.0):
    inputs = keras.Input((5, 8))
    return keras.Model(inputs, factor * layer(inputs, inputs))


def torch_attention():
    return By(
        lambda self, x: self.inner(x, x, x, need_weights=False)[0], inner=nn.MultiheadAttention(8, 2, batch_first=True)
    )


class Looped(nn.Module):
    """A cell that is called for each step."""

    def __init__(self, cell):
        super().__init__()
        self.cell = cell

    def forward(self, x):
        state = None
        for step in x.unbind(1):
            state = self.cell(step, state)
        return state[0] if isinstance(state, tuple) else state


class LayerNorm2d(nn.Module):
    def __init__(self):
        super().__init__()
        self.weight, self.bias = parameter(6), parameter(6)

    def forward(self, x):
        centered = x - x.mean(1, keepdim=True)
        scaled = centered * torch.rsqrt(centered.pow(2).mean(1, keepdim=True) + 1e-6)
        return self.weight[:, None, None] * scaled + self.bias[:, None, None]


class RMSNorm(nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = parameter(6)

    def forward(self, x):
        return self.weight * x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + 1e-6)


def functional_linear(self, x):
    return F.linear(torch.tanh(F.linear(x, self.w1, self.b1)), self.w2)


def products(self, x):
    return torch.tanh(x @ self.w1 + self.b1) @ self.w2


def square():
    return {"w1": parameter(4, 4), "b1": parameter(4), "w2": parameter(4, 4)}


def two_dense(activation, units=4):
    return sequential((4,), layers.Dense(units, activation=activation), layers.Dense(4, use_bias=False))


# PyTorch's module, its input, the port by what is right or wrong in it
PAIRS = {
    "transposed-weights": (
        lambda: nn.Sequential(Addmm(8, 6), nn.Tanh(), Addmm(6, 8)), TOKENS, ("tanh", "sigmoid"),
        lambda act: sequential((5, 8), layers.Dense(6, activation=act), layers.Dense(8)),
    ),
    "transposed-square-weights": (
        lambda: nn.Sequential(Addmm(8, 8), nn.Tanh(), Addmm(8, 8)), TOKENS, ("tanh", "sigmoid"),
        lambda act: sequential((5, 8), layers.Dense(8, activation=act), layers.Dense(8)),
    ),
    "functional-linear": (lambda: By(functional_linear, **square()), ROWS, ("tanh", "sigmoid"), two_dense),
    "products-of-parameters": (lambda: By(products, **square()), ROWS, ("tanh", "sigmoid"), two_dense),
    "functional-convolution": (
        lambda: By(lambda self, x: F.conv2d(x, self.w, self.b), w=parameter(6, 4, 3, 3), b=parameter(6)), IMAGES,
        (None, "relu"), lambda act: sequential((5, 7, 4), layers.Conv2D(6, 3, activation=act)),
    ),
    "pointwise-convolutions-as-dense": (
        lambda: nn.Sequential(nn.Conv2d(4, 6, 1), nn.Tanh(), nn.Conv2d(6, 4, 1)), IMAGES, ("tanh", "sigmoid"),
        lambda act: sequential((5, 7, 4), layers.Dense(6, activation=act), layers.Dense(4)),
    ),
    "linear-as-pointwise-convolutions": (
        lambda: By(
            lambda self, x: self.b(self.a(x.permute(0, 2, 3, 1)).tanh()).permute(0, 3, 1, 2), a=nn.Linear(4, 6),
            b=nn.Linear(6, 4),
        ),
        IMAGES, ("tanh", "sigmoid"),
        lambda act: sequential((5, 7, 4), layers.Conv2D(6, 1, activation=act), layers.Conv2D(4, 1)),
    ),
    "packed-beside-three": (Packed, TOKENS, (0.5, 0.4), own_attention),
    "three-beside-packed": (Heads, TOKENS, (0.5, 0.4), lambda scale: own_attention(scale, packed=True)),
    "attention-beside-three": (torch_attention, TOKENS, (0.5, 0.4), own_attention),
    "attention-beside-packed": (
        torch_attention, TOKENS, (0.5, 0.4), lambda scale: own_attention(scale, packed=True),
    ),
    "grouped-queries": (
        lambda: Heads(4, 2), TOKENS, (1.0, 0.5), lambda f: layer_attention(layers.GroupQueryAttention(4, 4, 2), f),
    ),
    "lstm-cells": (
        lambda: Looped(nn.LSTMCell(8, 5)), TOKENS, ("sigmoid", "hard_sigmoid"),
        lambda act: sequential((5, 8), layers.LSTM(5, recurrent_activation=act)),
    ),
    "gru-cells": (
        lambda: Looped(nn.GRUCell(8, 5)), TOKENS, ("tanh", "relu"),
        lambda act: sequential((5, 8), layers.GRU(5, activation=act)),
    ),
    "rnn-of-a-cell": (
        lambda: By(lambda self, x: self.rnn(x)[0][:, -1], rnn=nn.RNN(8, 5, batch_first=True)), TOKENS, ("tanh", "relu"),
        lambda act: sequential((5, 8), layers.RNN(layers.SimpleRNNCell(5, activation=act))),
    ),
    "own-layer-norms": (
        lambda: nn.Sequential(nn.Conv2d(4, 6, 1), LayerNorm2d(), nn.Conv2d(6, 6, 1), LayerNorm2d()), IMAGES,
        (1e-6, 1e-3),
        lambda eps: sequential(
            (5, 7, 4), layers.Conv2D(6, 1), layers.LayerNormalization(epsilon=eps), layers.Conv2D(6, 1),
            layers.LayerNormalization(epsilon=eps),
        ),
    ),
    "own-rms-norms": (
        lambda: nn.Sequential(nn.Linear(8, 6), RMSNorm(), nn.Linear(6, 6), RMSNorm()), TOKENS, (1e-6, 1e-3),
        lambda eps: sequential(
            (5, 8), layers.Dense(6), layers.RMSNormalization(epsilon=eps), layers.Dense(6),
            layers.RMSNormalization(epsilon=eps),
        ),
    ),
    "one-group-is-a-layer-norm": (
        lambda: nn.Sequential(nn.Linear(4, 6), nn.GroupNorm(1, 6)), ROWS, (1e-5, 1e-3),
        lambda eps: sequential((4,), layers.Dense(6), layers.LayerNormalization(epsilon=eps)),
    ),
    "one-slope": (
        lambda: nn.Sequential(nn.Conv2d(4, 6, 1), nn.PReLU()), IMAGES, (1, 2),
        lambda dilation: sequential(
            (5, 7, 4), layers.Conv2D(6, 1), layers.Rescaling(dilation), layers.PReLU(shared_axes=[1, 2, 3])
        ),
    ),
}  # fmt: skip
QUICK = (
    "transposed-square-weights", "products-of-parameters", "functional-linear", "pointwise-convolutions-as-dense",
    "packed-beside-three", "three-beside-packed", "attention-beside-three", "lstm-cells", "own-rms-norms",
)  # fmt: skip


@pytest.mark.parametrize("case", [pytest.param(c, marks=() if c in QUICK else pytest.mark.slow) for c in PAIRS])
def test_a_right_port_in_another_form_agrees_and_a_wrong_one_does_not(case):
    theirs, x, (right, wrong), port = PAIRS[case]
    torch.manual_seed(0)
    module = theirs()
    report = parity.check(module, port(right), x, dtypes=["float64"])
    assert report.passed, str(report)
    assert {how for _, _, how in report.weights} <= {"flow", "structure"}
    report = parity.check(module, port(wrong), x, dtypes=["float64"])
    assert report.verdict is Verdict.NOT_EQUIVALENT, str(report)


def test_gradients_and_steps_of_pieces_are_those_of_the_whole():
    optimizer = lambda parameters: torch.optim.SGD(parameters, lr=0.1, momentum=0.9)  # noqa: E731
    torch.manual_seed(0)
    report = parity.check(
        Packed(),
        own_attention(),
        TOKENS,
        dtypes=["float64"],
        steps=2,
        optimizer=(optimizer, keras.optimizers.SGD(0.1, 0.9)),
    )
    assert report.passed, str(report)
    names = {row.name for row in report.comparisons["float64"].rows}
    assert {"grad:qkv.weight", "step2:param:qkv.bias"} <= names


def test_a_group_norm_beside_a_layer_norm_is_located_there_with_what_would_agree():
    torch.manual_seed(0)
    module = nn.Sequential(nn.Conv2d(4, 6, 1), nn.GroupNorm(1, 6))
    report = parity.check(
        module, sequential((5, 7, 4), layers.Conv2D(6, 1), layers.LayerNormalization(epsilon=1e-5)), IMAGES
    )
    assert report.first_divergence == "activation:1"
    assert "GroupNormalization(1" in str(report)


# A module that is itself a layer


@pytest.mark.parametrize(("stride", "passed"), [(1, True), (2, False)])
def test_a_module_that_is_a_layer_is_compared_and_located(stride, passed):
    port = sequential((5, 6, 4), layers.Conv2D(6, 3, strides=stride, padding="same"))
    report = parity.check(nn.Conv2d(4, 6, 3, stride, 1), port, IMAGES[..., :6], dtypes=["float64"])
    assert report.passed is passed
    if not passed:
        assert "the output of the module itself" in str(report)


@pytest.mark.parametrize("right", [True, False])
def test_states_have_no_axis_of_layers(right):
    inputs = keras.Input((5, 8))
    out, hidden, cell = layers.LSTM(6, return_sequences=True, return_state=True)(inputs)
    port = keras.Model(inputs, [out, hidden, cell] if right else [out, cell, hidden])
    report = parity.check(nn.LSTM(8, 6, batch_first=True), port, TOKENS, dtypes=["float64"])
    assert report.passed is right, str(report)
    assert any("without PyTorch's first axis" in note for note in report.notes)


# Weights that one side lacks


class Gain(layers.Layer):
    def __init__(self, used=True, **options):
        super().__init__(**options)
        self.used = used

    def build(self, shape):
        self.gain = self.add_weight(shape=(shape[-1],), initializer="ones", name="gain")

    def call(self, x):
        return x * self.gain if self.used else x


@pytest.mark.parametrize(("used", "verdict"), [(False, Verdict.EQUIVALENT), (True, Verdict.NOT_DECIDED)])
def test_a_weight_of_keras_alone_counts_where_an_output_depends_on_it(used, verdict):
    report = parity.check(nn.Sequential(nn.Linear(4, 6)), sequential((4,), layers.Dense(6), Gain(used)), ROWS)
    assert report.verdict is verdict, str(report)
    assert "gain" in str(report)


def test_a_tied_tensor_that_keras_has_twice_is_named():
    module = By(
        lambda self, x: self.head(self.embed(x).tanh()), embed=nn.Embedding(11, 6), head=nn.Linear(6, 11, bias=False)
    )
    module.head.weight = module.embed.weight
    port = sequential((4,), layers.Embedding(11, 6), layers.Activation("tanh"), layers.Dense(11, use_bias=False))
    report = parity.check(module, port, np.arange(8).reshape(2, 4), dtypes=["float64"])
    assert report.verdict is Verdict.NOT_EQUIVALENT
    assert "head.weight is embed.weight" in str(report)


@pytest.mark.parametrize(
    ("module", "port", "said"),
    [
        (lambda: nn.PReLU(4), lambda: layers.PReLU(), r"shared_axes=\[1, 2\]"),
        (lambda: nn.PReLU(), lambda: layers.PReLU(shared_axes=[1, 2]), r"one slope in .*shared_axes=\[1, 2, 3\]"),
        (
            lambda: nn.ConvTranspose2d(4, 4, 2, groups=4), lambda: layers.Conv2DTranspose(4, 2),
            "has 4 groups, which Keras's Conv2DTranspose cannot have",
        ),
    ],
    ids=["slope-for-each-value", "one-slope", "groups"],
)  # fmt: skip
def test_a_refusal_says_what_to_change(module, port, said):
    with pytest.raises(BlitzError, match=said):
        parity.check(nn.Sequential(module()), sequential((5, 7, 4), port()), IMAGES)
