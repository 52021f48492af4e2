"""What values tell that names, shapes and order do not: right ports and wrong ones side by side."""

import keras
import numpy as np
import pytest
from keras import layers, ops

import parity
from parity.core.ranks import aligned
from parity.pair.alike import Value, apart, distance_padded

pytestmark = pytest.mark.covers("H12")

torch = pytest.importorskip("torch", reason="needs PyTorch: pip install 'keras-blitz[torch]'")
nn = torch.nn

SIGNAL = np.random.RandomState(1).randn(3, 4, 6).astype("float32")
IMAGE = np.random.RandomState(2).randn(3, 4, 6, 5).astype("float32")
ROWS = np.random.RandomState(3).randn(3, 6).astype("float32")


def check(module, model, x, dtypes=("float64",), **more):
    return parity.check(module, model, x, dtypes=dtypes, modes=("eager",), **more)


class Described(nn.Module):
    """Layers by name, and a function of them and the input."""

    def __init__(self, run, **modules):
        super().__init__()
        torch.manual_seed(0)
        self.run = run
        for name, module in modules.items():
            self.add_module(name, module)

    def forward(self, x):
        return self.run(self, x)


# Flattened in an order that PyTorch has, too


def moved(channels, after=()):
    """A convolution, its channels moved last, flattened."""
    conv, axes = (nn.Conv1d, (0, 2, 1)) if channels == 1 else (nn.Conv2d, (0, 2, 3, 1))

    def run(net, x):
        y = net.conv(x).tanh().permute(axes).flatten(1)
        return net.fc(net.norm(y) if after else y)

    size = 36 if channels == 1 else 6 * 6 * 5
    norm = {"norm": nn.BatchNorm1d(size)} if after else {}
    return Described(run, conv=conv(4, 6, 3, padding=1), **norm, fc=nn.Linear(size, 3)).eval()


def flattened(rank, order=None, after=()):
    sizes, conv = ((6, 4), layers.Conv1D) if rank == 1 else ((6, 5, 4), layers.Conv2D)
    steps = [conv(6, 3, padding="same", activation="tanh")]
    steps += [layers.Permute(order)] if order else []
    steps += [layers.Flatten(), *([layers.BatchNormalization(epsilon=1e-5)] if after else []), layers.Dense(3)]
    return keras.Sequential([keras.Input(sizes), *steps])


@pytest.mark.parametrize(
    ("rank", "norm", "order", "right"),
    [
        (1, False, None, True), (1, False, (2, 1), False), (1, True, None, True), (2, False, None, True),
        (2, True, None, True), (2, False, (2, 1, 3), False),
    ],
    ids=["sequence", "sequence-turned", "sequence-norm", "image", "image-norm", "image-turned"],
)  # fmt: skip
def test_pytorch_may_flatten_channels_last_too(rank, norm, order, right):
    module = moved(rank, ("norm",) if norm else ())
    report = check(module, flattened(rank, order, ("norm",) if norm else ()), SIGNAL if rank == 1 else IMAGE)
    assert report.passed is right
    assert right or "activation:fc" in str(report)


def test_such_a_flatten_is_paired_by_hand_and_transferred_too():
    module, model = moved(1), flattened(1)
    by_hand = {"conv": model.layers[0].name, "fc": model.layers[-1].name}
    assert check(module, model, SIGNAL, weights=by_hand).passed
    assert parity.transfer(module, model, SIGNAL).passed
    kernel = module.fc.weight.detach().numpy().T
    np.testing.assert_array_equal(model.layers[-1].get_weights()[0], kernel)


# Gradients that are zero but for rounding


def cancelling():
    """A norm's bias that an instance norm takes away again, whose mean no gradient comes back through."""

    def run(net, x):
        return net.fc(net.norm(net.mix(net.bn(net.conv(x)))).relu().mean((2, 3)))

    net = Described(
        run, conv=nn.Conv2d(4, 6, 3), bn=nn.BatchNorm2d(6), mix=nn.Conv2d(6, 4, 1, bias=False),
        norm=nn.GroupNorm(4, 4, eps=1e-6), fc=nn.Linear(4, 3),
    )  # fmt: skip
    return net.eval()


def cancelled(leak=0.0):
    x = keras.Input((6, 5, 4))
    y = layers.BatchNormalization(epsilon=1e-5, name="bn")(layers.Conv2D(6, 3, name="conv")(x))
    z = layers.GroupNormalization(4, epsilon=1e-6, name="norm")(layers.Conv2D(4, 1, use_bias=False, name="mix")(y))
    z = layers.Dense(3, name="fc")(layers.GlobalAveragePooling2D()(ops.relu(z)))
    # Forward nothing, backward a gradient of this size.
    return keras.Model(x, z + leak * ops.mean(y - ops.stop_gradient(y), (1, 2, 3))[:, None] if leak else z)


@pytest.mark.parametrize("dtypes", [("float64",), ("float64", "float32")], ids=["float64", "both"])
def test_a_gradient_that_is_rounding_is_judged_by_how_far_rounding_moves_it(dtypes):
    assert check(cancelling(), cancelled(), IMAGE, dtypes).passed


@pytest.mark.parametrize("leak", [1e-3, 1e-8])
def test_a_gradient_that_should_be_zero_and_is_not_is_seen(leak):
    report = check(cancelling(), cancelled(leak), IMAGE)
    assert not report.passed
    assert report.first_divergence.startswith("grad:bn") or report.first_divergence.startswith("grad:conv")


# Branches that are given one value


def branches():
    run = lambda net, x: net.end(net.up(x).tanh() - net.down(x).relu())  # noqa: E731
    return Described(run, up=nn.Conv2d(4, 6, 3, padding=1), down=nn.Conv2d(4, 6, 3, padding=1), end=nn.Conv2d(6, 3, 1))


def padded_branches(crossed=False):
    x = keras.Input((6, 5, 4))
    down = layers.Conv2D(6, 3, activation="relu")(layers.ZeroPadding2D(1)(x))
    up = layers.Conv2D(6, 3, activation="tanh")(layers.ZeroPadding2D(1)(x))
    return keras.Model(x, layers.Conv2D(3, 1)(down - up if crossed else up - down))


@pytest.mark.parametrize("crossed", [False, True], ids=["right", "crossed"])
def test_a_padding_that_is_a_layer_hides_no_value(crossed):
    report = check(branches(), padded_branches(crossed), IMAGE)
    assert report.passed is not crossed


def test_zeros_around_a_value():
    x = np.random.RandomState(0).randn(2, 3, 4, 5)
    around = np.pad(x, [(0, 0), (0, 0), (1, 1), (2, 2)]).transpose(0, 2, 3, 1)
    assert distance_padded(Value(x), Value(around), 1e-6) == 0.0
    assert distance_padded(Value(around.transpose(0, 3, 1, 2)), Value(x.transpose(0, 2, 3, 1)), 1e-6) == 0.0
    assert distance_padded(Value(x), Value(around + 1e-3), 1e-6) == np.inf
    assert distance_padded(Value(x), Value(np.roll(around, 1, 1)), 1e-6) == np.inf
    assert distance_padded(Value(x), Value(around[:1]), 1e-6) == np.inf
    assert apart(Value(x), Value(x + 1.0)) == pytest.approx(1 / np.abs(x).max())
    assert apart(Value(x), Value(around)) == np.inf


def heads(swapped=False, form="linear"):
    x = keras.Input((6,))
    first, second = layers.Dense(3, activation=form)(x), layers.Dense(3)(x)
    return keras.Model(x, [second, first] if swapped else [first, second])


@pytest.mark.parametrize(
    ("swapped", "form", "right"), [(False, "linear", True), (True, "linear", True), (True, "relu", False)]
)
def test_two_heads_of_one_shape_are_told_apart_by_their_place(swapped, form, right):
    module = Described(lambda net, x: (net.a(x), net.b(x)), b=nn.Linear(6, 3), a=nn.Linear(6, 3))
    assert check(module, heads(swapped, form), ROWS).passed is right


def dead(form="silu"):
    """Gates whose product a layer after them loses: both terms of its difference are one."""
    x = keras.Input((6,))
    gate, value = layers.Dense(6, activation=form)(x), layers.Dense(6)(x)
    y = layers.Dense(6)(value * gate)
    return keras.Model(x, layers.Dense(3)(y - ops.minimum(y, 1e3)))


@pytest.mark.parametrize("form", ["silu", "gelu"])
def test_an_output_that_says_nothing_does_not_pair(form):
    def run(net, x):
        y = net.mid(nn.functional.silu(net.gate(x)) * net.value(x))
        return net.end(y - y.clamp(max=1e3))

    names = {"value": nn.Linear(6, 6), "gate": nn.Linear(6, 6), "mid": nn.Linear(6, 6), "end": nn.Linear(6, 3)}
    report = check(Described(run, **names), dead(form), ROWS)
    assert (report.first_divergence is None) is (form == "silu")


# What a subclassed model is given


class Recurrence(keras.Model):
    """A convolution over time, of a sequence (N, T, C) as it is."""

    def __init__(self, form="relu"):
        super().__init__()
        self.conv, self.end = layers.Conv1D(5, 1, activation=form), layers.Dense(3)

    def call(self, x):
        """Take (N, T, C) and return (N, T, 3)."""
        return self.end(self.conv(x))


@pytest.mark.parametrize("form", ["relu", "elu"])
def test_a_subclassed_model_is_given_the_shape_that_it_was_built_with(form):
    module = Described(
        lambda net, x: net.end(net.conv(x.transpose(1, 2)).relu().transpose(1, 2)),
        conv=nn.Conv1d(6, 5, 1),
        end=nn.Linear(5, 3),
    )
    model = Recurrence(form)
    model(np.zeros((1, 4, 6), "float32"))
    report = check(module, model, SIGNAL, ("float32",))
    assert report.passed is (form == "relu")


# Where a mistake is


@pytest.mark.parametrize(
    ("given", "shape", "expected"),
    [
        ((2, 6), (2, 6, 1, 1), (2, 6, 1, 1)),
        ((2, 1, 1, 6), (2, 6), (2, 6)),
        ((2, 6), (2, 3, 2), (2, 6)),
        ((6,), (6,), (6,)),
    ],
)
def test_axes_of_1_are_no_difference(given, shape, expected):
    assert aligned(np.zeros(given), shape).shape == expected


def test_a_pooling_that_keeps_its_axes_is_not_where_a_later_mistake_is():
    module = nn.Sequential(
        nn.Conv2d(4, 6, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(6, 5), nn.LayerNorm(5), nn.Linear(5, 3)
    )
    steps = [layers.Conv2D(6, 3), layers.GlobalAveragePooling2D(), layers.Dense(5)]
    model = keras.Sequential([keras.Input((6, 5, 4)), *steps, layers.LayerNormalization(), layers.Dense(3)])
    assert check(module, model, IMAGE).first_divergence == "activation:4"


def test_a_layer_on_the_other_branch_is_not_where_a_mistake_is():
    """PyTorch has a module for the sigmoid of one branch, Keras a layer for that of the other."""

    def run(net, x):
        return net.end(net.norm(net.mid(torch.cat([net.left(x).sigmoid(), net.act(net.right(x))], 1))))

    module = Described(
        run, left=nn.Linear(6, 5), right=nn.Linear(6, 5), act=nn.Sigmoid(), mid=nn.Linear(10, 5), norm=nn.LayerNorm(5),
        end=nn.Linear(5, 3),
    )  # fmt: skip
    x = keras.Input((6,))
    left = layers.Activation("sigmoid")(layers.Dense(5, name="left")(x))
    both = layers.Concatenate()([left, ops.sigmoid(layers.Dense(5, name="right")(x))])
    y = layers.LayerNormalization(name="norm")(layers.Dense(5, name="mid")(both))
    assert check(module, keras.Model(x, layers.Dense(3, name="end")(y)), ROWS).first_divergence == "activation:norm"


@pytest.mark.parametrize(("names", "passes"), [(("main", "aux"), False), (("a", "b"), True)], ids=["same", "other"])
def test_exchanged_heads_are_a_mistake_where_their_names_say_which_is_which(names, passes):
    """With the weights exchanged, too, the outputs agree: a right port under other names, not under the same ones."""
    module = Described(lambda net, x: (net.main(x), net.aux(x)), main=nn.Linear(6, 3), aux=nn.Linear(6, 3))
    x = keras.Input((6,))
    main, aux = (layers.Dense(3, name=name)(x) for name in names)
    report = check(module, keras.Model(x, [aux, main]), ROWS)
    assert report.passed is passes, str(report)
    assert passes or report.first_divergence == "output:0"
