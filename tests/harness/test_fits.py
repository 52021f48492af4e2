"""Weights that the two frameworks hold in other forms, or that one of them has alone; right and wrong side by side."""

import keras
import numpy as np
import pytest
from keras import layers, ops
from stand_ins import layer, module, network

import parity
from keras_blitz.errors import BlitzError
from parity.pair.fits import fitted, prepared
from parity.pair.pairing import UnpairedError, pair
from parity.pair.units import keras_units, torch_units

pytestmark = pytest.mark.covers("H12")

torch = pytest.importorskip("torch", reason="needs PyTorch: pip install 'keras-blitz[torch]'")
nn = torch.nn


def numbers(*shape: int) -> np.ndarray:
    return np.random.RandomState(0).randn(*shape)


def units_of(modules, layers_):
    return torch_units(network(**modules), list(modules)), keras_units({each.name: each for each in layers_}, {})


# Forms

RAW = {"own": module("Own", {"scale": (4, 1, 1)})}
TABLE = {"own": module("Own", {"table": (1, 4, 3, 5)})}
BAG = {"bag": module("EmbeddingBag", {"weight": (9, 4)})}
CHW = {"norm": module("LayerNorm", {"weight": (4, 3, 5), "bias": (4, 3, 5)})}

# PyTorch's modules, a Keras layer, the pairs
FORMS = {
    "singleton-axes": (RAW, layer("Scale", "s", {"gamma": (4,)}), [("own.scale", "s/gamma")]),
    "channels-last": (TABLE, layer("Table", "t", {"table": (1, 3, 5, 4)}), [("own.table", "t/table")]),
    "a-norm-over-all-axes": (
        CHW, layer("LayerNormalization", "n", {"gamma": (3, 5, 4), "beta": (3, 5, 4)}), [("norm", "n")],
    ),
    "a-layer-for-a-parameter": (
        {"own": module("Own", {"weight": (4,)})}, layer("RMSNormalization", "n", {"scale": (4,)}),
        [("own.weight", "n/scale")],
    ),
    "a-parameter-for-a-layer": (
        {"table": module("Embedding", {"weight": (9, 4)})}, layer("Own", "o", {"bias_table": (9, 4)}),
        [("table.weight", "o/bias_table")],
    ),
    "a-bag": (BAG, layer("Embedding", "e", {"embeddings": (9, 4)}), [("bag", "e")]),
}  # fmt: skip


@pytest.mark.parametrize("case", FORMS)
def test_a_weight_in_another_form(case):
    modules, ours, expected = FORMS[case]
    found = pair(*units_of(modules, [ours]))
    assert [(one.name, other.name) for one, other, _ in found.units] == expected
    for weight in found.weights:
        value = np.random.RandomState(1).standard_normal(weight.shape)
        weight.assign(value)
        assert np.array_equal(weight.value(), value.astype("float32"))


def test_channels_last_are_made_first_and_not_only_reshaped():
    ours = layer("LayerNormalization", "n", {"gamma": (3, 5, 4), "beta": (3, 5, 4)})
    found = pair(*units_of(CHW, [ours])).weights[0]
    assert np.array_equal(found.value(), ours.weights[0].array.transpose(2, 0, 1))


@pytest.mark.parametrize("shape", [(5,), (2, 2), (3, 5, 4, 2)])
def test_other_sizes_do_not_fit(shape):
    theirs, ours = prepared(*units_of(RAW, [layer("Scale", "s", {"gamma": shape})]))
    assert fitted(theirs[0], ours[0]) is None


def test_a_bias_of_zeros_fits_what_has_none_and_another_does_not():
    theirs = {"fc": module("Linear", {"weight": (4, 3)})}
    dense = layer("Dense", "d", {"kernel": (3, 4), "bias": (4,)})
    with pytest.raises(UnpairedError):
        pair(*units_of(theirs, [dense]))
    dense.weights[1].array = np.zeros(4, "float32")
    found = pair(*units_of(theirs, [dense]))
    assert [weight.name for weight in found.weights] == ["fc.weight"]
    assert "d/bias" in found.notes[0]


# Real pairs


class OwnRMSNorm(nn.Module):
    def __init__(self, n):
        super().__init__()
        self.weight = nn.Parameter(torch.rand(n))

    def forward(self, x):
        return self.weight * x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + 1e-6)


class OwnLayerNorm(nn.Module):
    """Over the channels of (N, C, H, W)."""

    def __init__(self, n):
        super().__init__()
        self.weight, self.bias = nn.Parameter(torch.rand(n)), nn.Parameter(torch.rand(n))

    def forward(self, x):
        x = (x - x.mean(1, keepdim=True)) / (x.var(1, keepdim=True, unbiased=False) + 1e-6).sqrt()
        return x * self.weight[:, None, None] + self.bias[:, None, None]


class LayerScale(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv, self.scale = nn.Conv2d(3, 4, 3), nn.Parameter(torch.rand(4, 1, 1))

    def forward(self, x):
        return self.scale * self.conv(x)


class Scale(layers.Layer):
    def build(self, shape):
        self.gamma = self.add_weight(shape=(shape[-1],), name="gamma")

    def call(self, x):
        return x * self.gamma


class Twice(Scale):
    def call(self, x):
        return x * self.gamma * 2.0


class Backbone(nn.Module):
    """Its head is not called, as where only features are wanted."""

    def __init__(self):
        super().__init__()
        self.conv, self.fc, self.bn = nn.Conv2d(3, 4, 3), nn.Linear(4, 10), nn.BatchNorm2d(7)

    def forward(self, x):
        return self.conv(x)


class UsedAsATensor(Backbone):
    def forward(self, x):
        return self.conv(x) + self.fc.bias.sum()


def sequential(shape, *inner):
    return keras.Sequential([keras.Input(shape), *inner])


def norm_nets(**options):
    theirs = [m for _ in range(3) for m in (nn.Conv2d(4, 4, 3, bias=False), nn.BatchNorm2d(4))]
    ours = [
        each
        for _ in range(3)
        for each in (layers.Conv2D(4, 3, **options), layers.BatchNormalization(epsilon=1e-5, momentum=0.9))
    ]
    return nn.Sequential(*theirs), sequential((9, 8, 4), *ours)


IMAGES, ROWS = numbers(2, 3, 9, 8), numbers(2, 7, 16)

# () -> PyTorch's module, its input, (mistake) -> the port
PAIRS = {
    "own-rmsnorm": (
        lambda: nn.Sequential(nn.Linear(16, 8), OwnRMSNorm(8)), ROWS,
        lambda wrong: sequential((7, 16), layers.Dense(8), layers.RMSNormalization(epsilon=1e-3 if wrong else 1e-6)),
    ),
    "own-layernorm": (
        lambda: nn.Sequential(nn.Conv2d(3, 4, 3), OwnLayerNorm(4)), IMAGES,
        lambda wrong: sequential(
            (9, 8, 3), layers.Conv2D(4, 3), layers.LayerNormalization(epsilon=1e-3 if wrong else 1e-6)
        ),
    ),
    "layernorm-chw": (
        lambda: nn.Sequential(nn.Conv2d(3, 4, 3), nn.LayerNorm((4, 7, 6))), IMAGES,
        lambda wrong: sequential(
            (9, 8, 3), layers.Conv2D(4, 3),
            layers.LayerNormalization(axis=(1, 2, 3), epsilon=1e-3 if wrong else 1e-5),
        ),
    ),
    "layer-scale": (
        LayerScale, IMAGES, lambda wrong: sequential((9, 8, 3), layers.Conv2D(4, 3), (Twice if wrong else Scale)()),
    ),
    "a-head-that-is-not-called": (
        Backbone, IMAGES,
        lambda wrong: sequential((9, 8, 3), layers.Conv2D(4, 3, activation="relu" if wrong else None)),
    ),
}  # fmt: skip


@pytest.mark.parametrize("mistake", [False, True], ids=["right", "wrong"])
@pytest.mark.parametrize("case", PAIRS)
def test_pairs(case, mistake):
    theirs, x, port = PAIRS[case]
    torch.manual_seed(0)
    module_ = theirs()
    for parameter in module_.parameters():
        nn.init.uniform_(parameter, 0.2, 0.8)  # else a norm's scale and shift are as good as any
    report = parity.check(module_, port(mistake), x)
    assert report.passed is not mistake, str(report)


COMPUTED = {
    "weight-norm": nn.utils.parametrizations.weight_norm,
    "spectral-norm": nn.utils.parametrizations.spectral_norm,
    "weight-norm-by-a-hook": nn.utils.weight_norm,
    "spectral-norm-by-a-hook": nn.utils.spectral_norm,
}


@pytest.mark.parametrize("mistake", [False, True], ids=["right", "wrong"])
@pytest.mark.filterwarnings("ignore:.*weight_norm:FutureWarning")
@pytest.mark.parametrize("case", COMPUTED)
def test_a_computed_weight_is_compared_as_it_is(case, mistake):
    torch.manual_seed(0)
    net = nn.Sequential(COMPUTED[case](nn.Linear(10, 6)), nn.ReLU(), nn.Linear(6, 3))
    with torch.no_grad():
        net(torch.randn(4, 10))
    names, x = [name for name, _ in net.named_parameters()], numbers(4, 10)
    port = sequential((10,), layers.Dense(6, activation="gelu" if mistake else "relu"), layers.Dense(3))
    report = parity.check(net, port, x)
    assert report.passed is not mistake, str(report)
    assert any("0.weight" in note and "computed" in note for note in report.notes)
    assert [name for name, _ in net.named_parameters()] == names, "the user's own module stays as it is"
    with pytest.raises(BlitzError, match=r"0\.weight is computed"):
        parity.check(net, port, x, train=True)


@pytest.mark.parametrize("mistake", [False, True], ids=["right", "wrong"])
def test_an_untied_reversible_embedding(mistake):
    made = layers.ReversibleEmbedding(20, 8, tie_weights=False)
    inputs = keras.Input((6,), dtype="int32")
    inner = layers.Dense(8, activation="relu" if mistake else None)
    port = keras.Model(inputs, made(inner(made(inputs)), reverse=True))
    net = nn.Sequential(nn.Embedding(20, 8), nn.Linear(8, 8), nn.Linear(8, 20, bias=False))
    report = parity.check(net, port, np.random.RandomState(0).randint(0, 20, (3, 6)))
    assert report.passed is not mistake, str(report)


def test_what_is_used_as_a_tensor_and_not_called_is_not_left_alone():
    with pytest.raises(BlitzError, match=r"PyTorch has fc"):
        parity.check(UsedAsATensor(), sequential((9, 8, 3), layers.Conv2D(4, 3)), IMAGES)


def test_what_is_left_alone_is_said():
    report = parity.check(Backbone(), sequential((9, 8, 3), layers.Conv2D(4, 3)), IMAGES)
    assert any("does not use" in note and "fc, bn" in note for note in report.notes)


def test_idle_biases_are_left_at_zero_and_said():
    net, port = norm_nets()
    report = parity.check(net, port, numbers(2, 4, 9, 8))
    assert report.passed, str(report)
    assert any("do nothing" in note and "bias" in note for note in report.notes)


def test_biases_that_are_not_zero_are_refused():
    net, port = norm_nets(bias_initializer="ones")
    with pytest.raises(BlitzError, match="bias"):
        parity.check(net, port, numbers(2, 4, 9, 8))


def test_steps_do_not_train_what_pytorch_lacks():
    net, port = norm_nets()
    optimizers = (lambda parameters: torch.optim.SGD(parameters, 0.1), keras.optimizers.SGD(0.1))
    with pytest.raises(BlitzError, match="use_bias=False"):
        parity.check(net, port, numbers(2, 4, 9, 8), optimizer=optimizers, steps=1)


@pytest.mark.parametrize("name", ["scale/gamma", "scale"])
def test_a_single_tensor_by_hand(name):
    port = sequential((9, 8, 3), layers.Conv2D(4, 3), Scale(name="scale"))
    report = parity.check(LayerScale(), port, IMAGES, weights={"scale": name})
    assert report.passed
    assert ("scale", "scale/gamma", "given") in report.weights


def test_a_tensor_of_a_known_layer_by_hand():
    net = nn.Sequential(nn.Linear(16, 8), nn.LayerNorm(8))
    port = sequential((7, 16), layers.Dense(8), layers.LayerNormalization(epsilon=1e-5, name="n"))
    report = parity.check(net, port, ROWS, weights={"1.weight": "n/gamma", "1.bias": "n/beta"})
    assert report.passed
    assert not parity.check(net, port, ROWS, weights={"1.weight": "n/beta", "1.bias": "n/gamma"}).passed


def test_a_table_beside_a_layer_of_tokens():
    class Table(nn.Module):
        def __init__(self):
            super().__init__()
            self.tokens, self.places = nn.Embedding(30, 6), nn.Parameter(torch.rand(1, 5, 6))

        def forward(self, x):
            return self.tokens(x) + self.places

    class Port(keras.Model):
        def __init__(self):
            super().__init__()
            self.tokens, self.places = layers.Embedding(30, 6), layers.Embedding(5, 6)

        def call(self, x):
            return self.tokens(x) + self.places(ops.arange(5))

    report = parity.check(Table(), Port(), np.random.RandomState(0).randint(0, 30, (3, 5)))
    assert report.passed, str(report)
