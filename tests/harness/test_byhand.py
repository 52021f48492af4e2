"""`weights=` by hand: every form right and wrong, what is refused, and the suggestion that a refusal prints."""

import ast
import re

import keras
import numpy as np
import pytest
from keras import layers, ops

import parity
from keras_blitz.errors import BlitzError
from parity.core.verdict import Verdict
from parity.pair import byhand, hand
from parity.pair.units import keras_units, loose_units, torch_units

pytestmark = pytest.mark.covers("H12")

torch = pytest.importorskip("torch", reason="needs PyTorch: pip install 'keras-blitz[torch]'")
nn, F, Parameter = torch.nn, torch.nn.functional, torch.nn.Parameter


def numbers(*shape: int) -> np.ndarray:
    return np.random.RandomState(0).randn(*shape)


class Packed(nn.Module):
    """Query, key and value in one tensor, after a scale that is used as 1 + scale."""

    def __init__(self):
        super().__init__()
        self.in_proj_weight, self.in_proj_bias = Parameter(torch.randn(24, 8)), Parameter(torch.randn(24))
        self.scale, self.out = Parameter(torch.randn(8)), nn.Linear(8, 8)

    def forward(self, x):
        q, k, v = F.linear(x * (1 + self.scale), self.in_proj_weight, self.in_proj_bias).chunk(3, -1)
        return self.out((q @ k.transpose(1, 2)).softmax(-1) @ v)


class Three(keras.Model):
    def __init__(self, factor=1.0):
        super().__init__()
        self.q, self.k, self.v, self.o = (layers.Dense(8, name=name) for name in "qkvo")
        self.gain, self.factor = self.add_weight(shape=(8,), initializer="ones", name="gain"), factor

    def call(self, x):
        x = x * self.gain
        q, k, v = self.q(x), self.k(x), self.v(x)
        scores = self.factor * ops.matmul(q, ops.transpose(k, (0, 2, 1)))
        return self.o(ops.matmul(ops.softmax(scores), v))


class Gates(nn.Module):
    def __init__(self):
        super().__init__()
        self.gate, self.up, self.down = nn.Linear(6, 8), nn.Linear(6, 8), nn.Linear(8, 6)

    def forward(self, x):
        return self.down(self.gate(x).tanh() * self.up(x))


class OneGate(keras.Model):
    def __init__(self, activation="tanh"):
        super().__init__()
        self.gate_up, self.down = layers.Dense(16, name="gate_up"), layers.Dense(6, name="down")
        self.activation = keras.activations.get(activation)

    def call(self, x):
        gate, up = ops.split(self.gate_up(x), 2, -1)
        return self.down(self.activation(gate) * up)


class Steps(nn.Module):
    """An LSTM step of two Linears."""

    def __init__(self):
        super().__init__()
        self.x, self.h, self.out = nn.Linear(4, 20), nn.Linear(5, 20, bias=False), nn.Linear(5, 2)

    def forward(self, x):
        h = c = x.new_zeros(len(x), 5)
        for t in range(x.shape[1]):
            i, f, g, o = (self.x(x[:, t]) + self.h(h)).chunk(4, 1)
            c = f.sigmoid() * c + i.sigmoid() * g.tanh()
            h = o.sigmoid() * c.tanh()
        return self.out(h)


class Places(nn.Module):
    """A table with a first row that is not used, as BART has two."""

    def __init__(self):
        super().__init__()
        self.table, self.fc = Parameter(torch.randn(1, 6, 8)), nn.Linear(8, 3)

    def forward(self, x):
        return self.fc(x + self.table[:, 1:])


class OwnPlaces(layers.Layer):
    def __init__(self, factor=1.0):
        super().__init__(name="places")
        self.factor = factor

    def build(self, shape):
        self.rows = self.add_weight(shape=shape[1:], name="rows")

    def call(self, x):
        return x + self.factor * self.rows

    def get_config(self):
        return {"factor": self.factor}


class Halves(layers.Layer):
    """Two groups of channels, each with a layer of its own."""

    def __init__(self, kind, crossed=False):
        super().__init__(name="halves")
        self.a, self.b = (getattr(layers, kind)(3, 3) for _ in range(2))
        self.kind, self.crossed = kind, crossed

    def call(self, x):
        left, right = ops.split(x, 2, -1)
        found = [self.a(left), self.b(right)]
        return ops.concatenate(found[::-1] if self.crossed else found, -1)

    def get_config(self):
        return {"kind": self.kind, "crossed": self.crossed}


def sequential(shape, *inner):
    return keras.Sequential([keras.Input(shape), *inner])


def halves(kind):
    return lambda wrong: sequential((6, 5, 4), Halves(kind, wrong))


def lstm(wrong):
    return sequential((6, 4), layers.LSTM(5, activation="relu" if wrong else "tanh", name="lstm"), layers.Dense(2))


def places(wrong):
    return sequential((5, 8), OwnPlaces(1.1 if wrong else 1.0), layers.Dense(3))


def three(wrong):
    return Three(0.9 if wrong else 1.0)


TOKENS, IMAGES = numbers(3, 5, 8), numbers(2, 4, 6, 5)
GAIN = {"scale": ("gain", lambda w: 1 + w)}
BIASES = {"in_proj_bias": ["q/bias", "k/bias", "v/bias"]}
GROUPS = {"0.weight": ["halves.a/kernel", "halves.b/kernel"], "0.bias": ["halves.a/bias", "halves.b/bias"]}

# PyTorch's module, its input, (wrong) -> the port, the entries
WAYS = {
    "slices": (Packed, TOKENS, three, {
        "in_proj_weight[:8]": ("q/kernel", "transpose"), "in_proj_weight[8:16]": ("k/kernel", (1, 0)),
        "in_proj_weight[-8:]": ("v/kernel", lambda w: w.T), **BIASES, **GAIN,
    }),
    "slices-as-the-layers-have-them": (Packed, TOKENS, three, {
        "in_proj_weight[:8]": "q/kernel", "in_proj_weight[8:16, :]": "k/kernel", "in_proj_weight[16:, ...]": "v/kernel",
        **BIASES, **GAIN,
    }),
    "one-tensor-of-several": (
        Packed, TOKENS, three, {"in_proj_weight": ["q/kernel", "k/kernel", "v/kernel"], **BIASES, **GAIN},
    ),
    "the-rest-by-itself": (Packed, TOKENS, three, {"in_proj_weight": ["q/kernel", "k/kernel", "v/kernel"], **BIASES}),
    "several-modules": (Gates, numbers(4, 6), lambda wrong: OneGate("relu" if wrong else "tanh"), {
        ("gate", "up"): "gate_up",
    }),
    "several-tensors": (Gates, numbers(4, 6), lambda wrong: OneGate("relu" if wrong else "tanh"), {
        ("gate.weight", "up.weight"): ("gate_up/kernel", lambda gate, up: np.concatenate([gate.T, up.T], 1)),
        ("gate.bias", "up.bias"): "gate_up/bias",
    }),
    "gates-of-an-lstm": (Steps, numbers(3, 6, 4), lstm, {
        "x.weight": "lstm/kernel", "h.weight": "lstm/recurrent_kernel", "x.bias": "lstm/bias",
    }),
    "rows-of-a-table": (Places, TOKENS, places, {"table[0, 1:]": "places/rows"}),
    "groups": (lambda: nn.Sequential(nn.Conv2d(4, 6, 3, groups=2)), IMAGES, halves("Conv2D"), GROUPS),
    "transposed-groups": (
        lambda: nn.Sequential(nn.ConvTranspose2d(4, 6, 3, groups=2)), IMAGES, halves("Conv2DTranspose"), GROUPS,
    ),
}  # fmt: skip
QUICK = frozenset({"slices", "several-modules"})
CASES = [pytest.param(way, marks=[] if way in QUICK else pytest.mark.slow) for way in WAYS]


@pytest.fixture(scope="module")
def sides() -> tuple:
    """The units of Packed and of Three, and Packed."""
    module, port = Packed(), Three()
    port(TOKENS)
    ours = keras_units({layer.name: layer for layer in port.layers}, {})
    return torch_units(module, []), [*ours, *loose_units(port, ours)], module


def checked(way, wrong, weights=None, **options):
    theirs, x, port, given = WAYS[way]
    torch.manual_seed(0)
    keras.utils.set_random_seed(1)
    return parity.check(theirs(), port(wrong), x, weights=weights or given, **options)


@pytest.mark.parametrize("way", CASES)
def test_a_right_port_passes(way):
    report = checked(way, False)
    assert report.passed, str(report)
    assert "given" in {how for _, _, how in report.weights}


@pytest.mark.parametrize("way", CASES)
def test_a_wrong_one_does_not(way):
    assert checked(way, True).verdict is Verdict.NOT_EQUIVALENT


@pytest.mark.parametrize(
    "wrong",
    [
        {"in_proj_weight[8:16]": ("k/kernel", (0, 1))},
        {"in_proj_weight[-8:]": ("v/kernel", lambda w: 2 * w.T)},
        {"scale": ("gain", lambda w: w)},
        {"in_proj_bias": ["k/bias", "q/bias", "v/bias"]},
    ],
    ids=["another-order", "twice", "without-1", "crossed"],
)
def test_entries_that_are_wrong_are_not_equivalent(wrong):
    report = checked("slices", False, {**WAYS["slices"][3], **wrong}, dtypes=["float32"], loss=False)
    assert report.verdict is Verdict.NOT_EQUIVALENT


def test_a_scale_that_is_named_is_still_one_more():
    weights = {"in_proj_weight": ["q/kernel", "k/kernel", "v/kernel"], **BIASES, "scale": "gain"}
    report = checked("slices", False, weights, dtypes=["float32"], loss=False)
    assert report.passed, str(report)
    assert any("the PyTorch side multiplies by 1 + weight" in note for note in report.notes)


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        ({"in_proj_weigh[:8]": "q/kernel"}, r"'in_proj_weigh\[:8\]' names none of PyTorch's .*nearest are in_proj_wei"),
        ({"in_proj_weight[:8]": "q/kernl"}, r"'q/kernl' names none of Keras's variables; the nearest are q/kernel"),
        ({"in_proj_weight[:8]": "q"}, r"'q' has several variables, name one: q/kernel, q/bias"),
        ({"in_proj_weight[:80]": "q/kernel"}, r"\[:80\] is not inside 'in_proj_weight' of shape \(24, 8\)"),
        ({"in_proj_weight[8:8]": "q/kernel"}, r"\[8:8\] is not inside"),
        ({"in_proj_weight[0, 0, 0]": "q/kernel"}, r"has 3 axes"),
        ({"in_proj_weight[1:2:3:4]": "q/kernel"}, r"must be an index such as \[:64\]"),
        ({"in_proj_weight[:6]": "q/kernel"}, r"\(6, 8\) in PyTorch makes \(6, 8\), but the variable has shape"),
        ({"in_proj_weight[:8]": ("q/kernel", lambda w: w * w)}, r"more than move, scale and shift"),
        ({"in_proj_weight[:8]": ("q/kernel", lambda w: w @ w)}, r"more than move, scale and shift"),
        ({"in_proj_weight[:8]": ("q/kernel", lambda w: w.sum(0))}, r"makes \(8,\), but the variable has"),
        ({"in_proj_weight[:8]": ("q/kernel", lambda w: w.columns)}, r"given \(8, 8\) it raises AttributeError"),
        ({"in_proj_weight[:8]": ("q/kernel", "transposed")}, r"the form must be \"transpose\", an order"),
        ({"in_proj_weight[:8]": ("q/kernel", (0, 2))}, r"the form must be"),
        ({"in_proj_weight": ("q", "k", "v")}, r"must be a name or a tuple of names of PyTorch's"),
        ({"in_proj_weight": ["q/kernel", "k/kernel"]}, r"in_proj_weight has 24 rows, they have \[8, 8\]"),
        ({("out", "scale"): ["o", "q"]}, r"several names can be on one side only"),
        ({"out": 3}, r"must be a name"),
        ({None: None}, r"must be a name"),
        ({"out": ("o", "transpose")}, r"a form is for a single tensor: out.weight"),
        ({"nothing": None}, r"'nothing' names none of PyTorch's"),
        ({None: "nothing"}, r"'nothing' names none of Keras's layers"),
        ({"out": ["q", "k"]}, r"out.weight has 8 rows, they have \[8, 8\]"),
        ({("out", "in_proj_bias"): "q"}, r"they have other tensors"),
    ],
)
def test_what_is_wrong_is_one_clear_line(entry, said, sides):
    with pytest.raises(BlitzError, match=said) as caught:
        hand.resolve(byhand.parse(entry), *sides)
    assert str(caught.value).startswith("weights: ")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        ({"in_proj_weight[a:]": "q/kernel"}, r"'in_proj_weight\[a:\]' names none of PyTorch's"),
        ({"in_proj_weight[:8]": ("q/kernel", lambda w: w @ w)}, r"more than move, scale and shift"),
    ],
)
def test_a_check_refuses_it_in_one_line(entry, said):
    with pytest.raises(BlitzError, match=said) as caught:
        checked("slices", False, entry)
    assert "\n" not in str(caught.value)


def test_none_leaves_both_sides_alone_and_says_so():
    module = nn.Sequential(nn.Linear(6, 6), nn.Linear(6, 6))
    port = sequential((6,), layers.Dense(6, name="a"), layers.Dense(6, name="b"))
    report = parity.check(module, port, numbers(4, 6), weights={"1": None, None: "b"}, loss=False)
    assert report.verdict is Verdict.NOT_EQUIVALENT
    assert [(path, name) for path, name, _ in report.weights] == [("0", "a")]
    assert any("1.weight, 1.bias" in note and "as weights= says" in note for note in report.notes)
    assert any("b/kernel" in reason for reason in report.reasons)


@pytest.mark.slow
def test_an_order_of_rows_is_undone_for_gradients_and_for_a_transfer_back():
    order = np.array([5, 0, 3, 1, 4, 2])
    torch.manual_seed(0)
    module = nn.Sequential(nn.Linear(6, 6), nn.Tanh(), nn.Linear(6, 6))
    port = sequential((6,), layers.Dense(6, name="a", activation="tanh"), layers.Dense(6, name="b"))
    weights = {
        "0.weight": ("a/kernel", lambda w: w[order].T), "0.bias": ("a/bias", lambda b: b[order]),
        "2.weight": ("b/kernel", lambda w: w.T[order]), "2.bias": "b/bias",
    }  # fmt: skip
    optimizer = (lambda parameters: torch.optim.SGD(parameters, 0.1), keras.optimizers.SGD(0.1))
    x = numbers(4, 6)
    report = parity.check(module, port, x, weights=weights, optimizer=optimizer, steps=2)
    assert report.passed, str(report)
    before = module[0].weight.detach().clone()
    assert parity.transfer(module, port, x, weights)
    assert np.array_equal(port.layers[0].get_weights()[0], before.numpy()[order].T)
    with torch.no_grad():
        module[0].weight.zero_()
    assert parity.transfer(module, port, x, weights, reverse=True)
    assert torch.equal(module[0].weight, before)


def test_a_tied_tensor_is_given_to_two_layers():
    class Tied(nn.Module):
        def __init__(self):
            super().__init__()
            self.table, self.head = nn.Embedding(9, 4), nn.Linear(4, 9, bias=False)
            self.head.weight = self.table.weight

        def forward(self, x):
            return self.head(self.table(x).tanh())

    port = sequential(
        (5,), layers.Embedding(9, 4, name="table"), layers.Activation("tanh"),
        layers.Dense(9, use_bias=False, name="head"),
    )  # fmt: skip
    x = np.random.RandomState(0).randint(0, 9, (3, 5))
    weights = {"table": "table", "head.weight": ("head/kernel", "transpose")}
    assert parity.check(Tied(), port, x, weights=weights).passed
    assert not parity.check(Tied(), port, x, weights={**weights, "head.weight": ("head/kernel", lambda w: -w.T)}).passed


# What a refusal prints, pasted


def suggested(message: str) -> dict:
    """Return the dictionary that a refusal prints."""
    return ast.literal_eval(re.search(r"weights=(\{.*?\})", message)[1])


class Heads(nn.Module):
    def __init__(self):
        super().__init__()
        self.heads = Parameter(torch.randn(8, 2, 3))

    def forward(self, x):
        return torch.einsum("nte,ehd->nthd", x, self.heads)


class Reversed(layers.Layer):
    """The same with the kernel's axes the other way round."""

    def __init__(self, factor):
        super().__init__(name="reversed")
        self.factor = factor

    def build(self, shape):
        self.kernel = self.add_weight(shape=(3, 2, 8), name="kernel")

    def call(self, x):
        return self.factor * ops.einsum("nte,dhe->nthd", x, self.kernel)

    def get_config(self):
        return {"factor": self.factor}


PASTED = {
    "lstm": (Steps, numbers(3, 6, 4), lstm),
    "groups": (lambda: nn.Sequential(nn.Conv2d(4, 6, 3, groups=2)), IMAGES, halves("Conv2D")),
    "transposed-groups": (
        lambda: nn.Sequential(nn.ConvTranspose2d(4, 6, 3, groups=2)), IMAGES, halves("Conv2DTranspose"),
    ),
    "reversed-axes": (
        Heads, TOKENS, lambda wrong: sequential((5, 8), Reversed(2.0 if wrong else 1.0)),
    ),
    "a-kernel-of-three-axes": (
        lambda: nn.Sequential(nn.Conv1d(4, 6, 3), nn.Flatten()), numbers(2, 4, 8),
        lambda wrong: sequential((8, 4), OwnConv(2.0 if wrong else 1.0), layers.Permute((2, 1)), layers.Flatten()),
    ),
}  # fmt: skip


class OwnConv(layers.Layer):
    """A convolution whose kernel is (in, out, size)."""

    def __init__(self, factor):
        super().__init__(name="own")
        self.factor = factor

    def build(self, shape):
        self.filters = self.add_weight(shape=(4, 6, 3), name="filters")
        self.shift = self.add_weight(shape=(6,), name="shift")

    def call(self, x):
        return self.factor * ops.conv(x, ops.transpose(self.filters, (2, 0, 1))) + self.shift

    def get_config(self):
        return {"factor": self.factor}


@pytest.mark.parametrize(
    "case", [pytest.param(c, marks=[] if c == "reversed-axes" else pytest.mark.slow) for c in PASTED]
)
def test_what_a_refusal_suggests_can_be_pasted_and_runs(case):
    theirs, x, port = PASTED[case]
    torch.manual_seed(0)
    module = theirs()
    for wrong in (False, True):
        made = port(wrong)
        with pytest.raises(BlitzError, match="cannot be mapped") as caught:
            parity.check(module, made, x)
        report = parity.check(module, made, x, weights=suggested(str(caught.value)))
        assert report.passed is not wrong, str(report)


def test_what_has_nothing_near_is_suggested_to_be_left_alone():
    module = nn.Sequential(nn.Linear(6, 6), nn.Linear(6, 5))
    port = sequential((6,), layers.Dense(6), layers.Lambda(lambda x: x[:, :5]))
    with pytest.raises(BlitzError, match="cannot be mapped") as caught:
        parity.check(module, port, numbers(4, 6))
    entries = suggested(str(caught.value))
    assert entries == {"1.weight": None, "1.bias": None}
    assert not parity.check(module, port, numbers(4, 6), weights=entries).passed


@pytest.mark.parametrize(
    ("index", "expected"),
    [("2", 2), (":3", slice(3)), ("1:-1:2", slice(1, -1, 2)), ("..., 0", (..., 0)), ("-1", -1)],
)
def test_indices(index, expected):
    expected = expected if isinstance(expected, tuple) else (expected,)
    assert byhand.index_of(index, "w", (4, 5)) == expected


@pytest.mark.parametrize("index", ["4", "-5", "5:", "0:6", ":, 5", "..., 5", "..., ...", "x", ""])
def test_indices_that_reach_beyond(index):
    with pytest.raises(BlitzError):
        byhand.index_of(index, "w", (4, 5))
