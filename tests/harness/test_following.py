"""Pairing by what flows: layers of one shape whose order, or names, say nothing or the wrong thing."""

import keras
import numpy as np
import pytest
from keras import layers, ops

import parity
from keras_blitz.errors import BlitzError
from parity.pair import following
from parity.pair.alike import Value, distance

pytestmark = pytest.mark.covers("H12")

torch = pytest.importorskip("torch", reason="needs PyTorch: pip install 'keras-blitz[torch]'")
nn = torch.nn

from parity.record.torch_uses import ParameterUses  # noqa: E402


def numbers(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.RandomState(seed).randn(*shape)


# The same values, in other layouts

X = numbers(2, 4, 3, 5)


@pytest.mark.parametrize(
    ("expected", "actual"),
    [
        (X, X), (X, X.transpose(0, 2, 3, 1)), (X[0], X[0].swapaxes(0, 1)), (X[0], X[0].reshape(-1, 5)),
        (X.reshape(2, -1), X.transpose(0, 2, 3, 1).reshape(2, -1)), (np.arange(4), np.arange(4)[None]),
        (X, X * (1 + 1e-9)), (np.zeros(3), np.zeros(3)),
    ],
    ids=["same", "channels-last", "time-major", "merged-axes", "flattened", "integers", "rounded", "zero"],
)  # fmt: skip
def test_one_value_in_two_layouts(expected, actual):
    assert distance(Value(expected), Value(actual), 1e-6) < 1e-8


@pytest.mark.parametrize(
    ("expected", "actual"),
    [
        (X, X + 1e-3), (X, X[::-1]), (X, X.transpose(0, 3, 2, 1)), (X, X[..., :4]), (X, -X),
        (X.reshape(2, -1), X[::-1].reshape(2, -1)), (X, np.full_like(X, np.nan)), (np.zeros(3), np.ones(3)),
    ],
    ids=["moved", "other-rows", "other-axes", "fewer", "negative", "flat-other-rows", "nan", "zero"],
)  # fmt: skip
def test_another_value(expected, actual):
    assert distance(Value(expected), Value(actual), 1e-6) == np.inf


# Right ports, and wrong ones beside them


class Shortcut(nn.Module):
    """A bottleneck, as ResNet has them: `conv3` and `downsample.0` have one shape."""

    def __init__(self):
        super().__init__()
        self.conv1, self.conv3 = nn.Conv2d(3, 3, 1), nn.Conv2d(3, 8, 1)
        self.downsample = nn.Sequential(nn.Conv2d(3, 8, 1))

    def forward(self, x):
        return self.conv3(self.conv1(x).relu()) - self.downsample(x)


def shortcut_first(activation="relu", crossed=False):
    inputs = keras.Input((6, 5, 3))
    short = layers.Conv2D(8, 1)(inputs)
    main = layers.Conv2D(8, 1)(layers.Conv2D(3, 1, activation=activation)(inputs))
    return keras.Model(inputs, layers.Subtract()([short, main] if crossed else [main, short]))


class Attention(nn.Module):
    """Self-attention blocks whose projections are given the same value, and have the same shape."""

    def __init__(self, depth=1):
        super().__init__()
        self.blocks = nn.ModuleList(nn.ModuleDict({n: nn.Linear(8, 8) for n in "qkvo"}) for _ in range(depth))

    def forward(self, x):
        for block in self.blocks:
            q, k, v = (block[name](x) for name in "qkv")
            x = x + block["o"]((q @ k.transpose(1, 2)).softmax(-1) @ v)
        return x


def attention(order, depth=1, scale=1.0):
    class Port(keras.Model):
        def __init__(self):
            super().__init__()
            self.inner = [layers.Dense(8) for _ in range(4 * depth)]

        def call(self, x):
            for k in range(depth):
                *projections, out = self.inner[4 * k : 4 * k + 4]
                by = {name: layer(x) for name, layer in zip(order, projections, strict=True)}
                weight = ops.softmax(scale * ops.matmul(by["q"], ops.transpose(by["k"], (0, 2, 1))))
                x = x + out(ops.matmul(weight, by["v"]))
            return x

    return Port()


class Difference(nn.Module):
    def __init__(self):
        super().__init__()
        self.left, self.right = nn.Linear(6, 6), nn.Linear(6, 6)

    def forward(self, x):
        return self.left(x) - 2 * self.right(x)


def difference(names=(None, None), factor=2.0):
    inputs = keras.Input((6,))
    right = layers.Dense(6, name=names[1])(inputs)
    left = layers.Dense(6, name=names[0])(inputs)
    return keras.Model(inputs, left - factor * right)


class Tower(nn.Module):
    """A module called twice, with another between."""

    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Linear(6, 6), nn.Linear(6, 6)

    def forward(self, x):
        return self.a(self.b(self.a(x)).tanh())


def tower(activation="tanh", twice=True):
    inputs = keras.Input((6,))
    b = layers.Dense(6, activation=activation)
    a = layers.Dense(6)
    return keras.Model(inputs, a(b(a(inputs))) if twice else a(b(b(inputs))))


class Table(nn.Module):
    """A weight of the model's own, added to what a layer returns, beside another of its shape."""

    def __init__(self):
        super().__init__()
        self.inner = nn.Linear(6, 6)
        self.scale, self.shift = nn.Parameter(torch.rand(6)), nn.Parameter(torch.rand(6))
        self.head = nn.Linear(6, 2)

    def forward(self, x):
        return self.head(self.inner(x) * self.scale + self.shift)


def table(mistake=False):
    class Port(keras.Model):
        def __init__(self):
            super().__init__()
            self.one, self.two = layers.Dense(6), layers.Dense(2)
            self.b, self.a = (self.add_weight(shape=(6,), name=name) for name in "ba")

        def call(self, x):
            x = self.one(x)
            return self.two((x + self.b) * self.a if mistake else x * self.a + self.b)

    return Port()


IMAGES, TOKENS, ROWS = numbers(2, 3, 6, 5), numbers(3, 5, 8), numbers(4, 6)

# PyTorch's module, its input, the right port, the wrong one
PAIRS = {
    "shortcut-called-first": (Shortcut, IMAGES, shortcut_first, lambda: shortcut_first("gelu")),
    "subtracted": (Shortcut, IMAGES, shortcut_first, lambda: shortcut_first(crossed=True)),
    **{
        f"attention-{order}": (Attention, TOKENS, lambda o=order: attention(o), lambda o=order: attention(o, scale=0.5))
        for order in ("qkv", "kqv", "vkq", "vqk")
    },
    "seven-attentions": (
        lambda: Attention(7), TOKENS / 4, lambda: attention("vkq", 7), lambda: attention("vkq", 7, 0.9),
    ),
    "the-output-decides": (Difference, ROWS, difference, lambda: difference(factor=-2.0)),
    "names-that-lie": (
        Difference, ROWS, lambda: difference(("right", "left")), lambda: difference(("right", "left"), 3.0),
    ),
    "called-twice": (Tower, ROWS, tower, lambda: tower("sigmoid")),
    "the-other-twice": (Tower, ROWS, tower, lambda: tower(twice=False)),
    "own-weights": (Table, ROWS, table, lambda: table(True)),
}  # fmt: skip


@pytest.mark.parametrize(
    "case", [pytest.param(case, marks=[pytest.mark.slow] * (case == "seven-attentions")) for case in PAIRS]
)
def test_a_right_port_agrees_and_a_wrong_one_does_not(case):
    theirs, x, right, wrong = PAIRS[case]
    torch.manual_seed(0)
    module = theirs()
    report = parity.check(module, right(), x, dtypes=["float64"])
    assert report.passed, str(report)
    report = parity.check(module, wrong(), x, dtypes=["float64"])
    assert not report.passed, str(report)


def test_float32_alone_pairs_by_what_flows_too():
    assert parity.check(Shortcut(), shortcut_first(), IMAGES, dtypes=["float32"]).passed


def test_a_wrong_activation_between_is_located_and_what_follows_pairs_by_structure():
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.fc1, self.act1, self.fc2, self.act2 = nn.Linear(6, 6), nn.ReLU(), nn.Linear(6, 6), nn.Tanh()
            self.fc3 = nn.Linear(6, 6)

        def forward(self, x):
            return self.fc3(self.act2(self.fc2(self.act1(self.fc1(x)))))

    port = keras.Sequential([keras.Input((6,)), *(layers.Dense(6, activation=a) for a in ("relu", "sigmoid", None))])
    report = parity.check(Net(), port, ROWS)
    assert report.first_divergence == "activation:act2"
    assert [(path, how) for path, _, how in report.weights] == [("fc1", "flow"), ("fc2", "flow"), ("fc3", "structure")]


def test_the_runs_of_a_wrong_port_are_bounded(monkeypatch):
    runs = []
    walk = following.Follower._walk
    monkeypatch.setattr(following.Follower, "_walk", lambda *args: runs.append(1) or walk(*args))
    torch.manual_seed(0)
    assert not parity.check(Attention(7), attention("vkq", 7, 0.9), TOKENS / 4, dtypes=["float64"]).passed
    assert len(runs) <= 1 + following.RUNS + following.MORE_RUNS // 28


@pytest.mark.parametrize("mistake", [False, True])
def test_kept_weights_pair_by_their_values_and_are_not_changed(mistake):
    torch.manual_seed(0)
    module, port = Difference(), difference(factor=3.0 if mistake else 2.0)
    right, left = port.layers[1:3] if port.layers[1].name < port.layers[2].name else port.layers[2:0:-1]
    for layer, inner in ((left, module.left), (right, module.right)):
        layer.set_weights([inner.weight.detach().numpy().T, inner.bias.detach().numpy()])
    before = port.get_weights()
    report = parity.check(module, port, ROWS, weights="keep")
    assert report.passed is not mistake
    assert {(path, name) for path, name, _ in report.weights} == {("left", left.name), ("right", right.name)}
    assert all(np.array_equal(one, other) for one, other in zip(before, port.get_weights(), strict=True))


# By hand: a layer by its name, or by the way to it


@keras.saving.register_keras_serializable()
class Branches(layers.Layer):
    def __init__(self, **options):
        super().__init__(**options)
        self.right, self.left = layers.Dense(6), layers.Dense(6)
        self.others = [layers.Dense(6)]

    def call(self, x):
        return self.left(x) + self.right(x) + self.others[0](x)


class Sum(nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.b, self.c = (nn.Linear(6, 6) for _ in range(3))

    def forward(self, x):
        return self.a(x) + self.b(x) + self.c(x)


@pytest.mark.parametrize("spelled", ["names", "ways", "ways-by-number"])
def test_inner_layers_are_given_by_name_or_by_the_way_to_them(spelled):
    port = keras.Sequential([keras.Input((6,)), Branches()])
    block = port.layers[0]
    weights = {
        "names": {"a": block.right.name, "b": block.others[0].name, "c": block.left.name},
        "ways": {"a": f"{block.name}.right", "b": f"{block.name}.others.0", "c": f"{block.name}.left"},
        "ways-by-number": {"a": "layers.0.right", "b": "layers.0.others.0", "c": "layers.0.left"},
    }[spelled]
    report = parity.check(Sum(), port, ROWS, weights=weights)
    assert report.passed, str(report)
    assert {how for _, _, how in report.weights} == {"given"}


def test_a_given_way_that_leads_nowhere_is_refused():
    port = keras.Sequential([keras.Input((6,)), Branches()])
    with pytest.raises(BlitzError, match=r"weights: 'layers.0.middle' names none of Keras's layers"):
        parity.check(Sum(), port, ROWS, weights={"a": "layers.0.middle"})


# What a parameter is used with, also where no module has it


USES = {
    "a-product": (lambda x, w: x @ w, True),
    "a-product-of-the-transposed": (lambda x, w: x @ w.T, False),
    "linear": (torch.nn.functional.linear, False),
    "linear-of-the-transposed": (lambda x, w: torch.nn.functional.linear(x, w.t()), True),
    "addmm": (lambda x, w: torch.addmm(torch.zeros(4), x, w), True),
    "a-copy": (lambda x, w: torch.matmul(x, w.clone()), True),
    "a-sum": (lambda x, w: x + w, None),
    "a-view-added": (lambda x, w: x[:, None] + w[None], None),
}


@pytest.mark.parametrize("case", USES)
def test_what_a_matrix_is_used_with_and_by_which_axis(case):
    use, columns = USES[case]
    weight, x = nn.Parameter(torch.rand(4, 4)), torch.rand(4, 4)
    uses = ParameterUses({"w": weight})
    with torch.no_grad(), uses:
        use(x, weight)
    (met,) = uses.met["w"]
    assert np.array_equal(np.squeeze(met), x.numpy())
    assert uses.columns.get("w") is columns


def test_a_bias_is_used_with_what_its_product_was_made_of():
    weight, bias, x = nn.Parameter(torch.rand(4, 3)), nn.Parameter(torch.rand(3)), torch.rand(2, 4)
    uses = ParameterUses({"w": weight, "b": bias})
    with torch.no_grad(), uses:
        (x @ weight + bias).tanh() + 1
    assert [met.shape for met in uses.met["b"]] == [(2, 3), (2, 4)]


# Where nothing agrees


def test_names_decide_where_no_assignment_agrees():
    port = difference(("left", "right"), factor=3.0)
    x = port.inputs[0]
    port = keras.Model(x, port.get_layer("right")(x) - 3.0 * port.get_layer("left")(x))
    report = parity.check(Difference(), port, ROWS, dtypes=["float64"], loss=False)
    assert not report.passed
    assert {(path, name) for path, name, _ in report.weights} == {("left", "left"), ("right", "right")}
    assert any("none of which agrees" in note for note in report.notes)


def test_four_layers_that_are_given_one_value():
    class Four(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = nn.ModuleList(nn.Linear(6, 6) for _ in range(4))

        def forward(self, x):
            a, b, c, d = (layer(x) for layer in self.inner)
            return (a * b.tanh() - c) * d.sin()

    inputs = keras.Input((6,))
    d, c, b, a = (layers.Dense(6)(inputs) for _ in range(4))
    port = keras.Model(inputs, (a * ops.tanh(b) - c) * ops.sin(d))
    assert parity.check(Four(), port, ROWS, dtypes=["float64"], loss=False).passed
