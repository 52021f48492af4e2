"""Both sides draw the same random numbers in train mode: right ports pass, and wrong ones do not."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

import parity
from parity.core.verdict import Verdict

pytestmark = pytest.mark.covers("H4")

torch = pytest.importorskip("torch", reason="needs PyTorch: pip install 'keras-blitz[torch]'")
nn, functional = torch.nn, torch.nn.functional

RIGHT, WRONG = Verdict.EQUIVALENT, Verdict.NOT_EQUIVALENT


def numbers(*shape: int) -> np.ndarray:
    return np.random.RandomState(11).randn(*shape).astype("float32")


def verdict(module, model, *shape: int, modes=("eager",), dtypes=("float32",), weights="auto") -> Verdict:
    given = numbers(*shape)
    return parity.check(module, model, given, train=True, modes=modes, dtypes=dtypes, weights=weights).verdict


class Net(nn.Module):
    """A forward pass as a function of the module and its input."""

    def __init__(self, forward, **inner):
        super().__init__()
        self.function = forward
        for name, module in inner.items():
            setattr(self, name, module)

    def forward(self, x):
        return self.function(self, x)


class Applied(layers.Layer):
    """A layer of one's own, active in train mode alone."""

    def __init__(self, function, **options):
        super().__init__(**options)
        self.function, self.seeds = function, keras.random.SeedGenerator(1)

    def call(self, x, training=False):
        return self.function(self, x) if training else x


def dense(size: int, name: str) -> layers.Layer:
    return layers.Dense(size, name=name)


def functional_model(shape: tuple, build) -> keras.Model:
    given = keras.Input(shape)
    return keras.Model(given, build(given))


def around(*between) -> keras.Model:
    return keras.Sequential([keras.Input((5,)), dense(8, "first"), *between, dense(3, "last")])


def torch_around(between) -> nn.Module:
    """Two linear layers, and a function of (module, tensor) between them, in train mode alone."""

    def forward(net, x):
        hidden = net.first(x)
        return net.last(between(net, hidden) if net.training else hidden)

    return Net(forward, first=nn.Linear(5, 8), last=nn.Linear(8, 3))


def twice(net, x):
    return net.drop(torch.tanh(net.second(net.drop(torch.tanh(net.first(x))))))


def twice_apart(net, x):
    return net.drop2(torch.tanh(net.second(net.drop1(torch.tanh(net.first(x))))))


def once(net, x):
    return net.drop(torch.tanh(net.second(torch.tanh(net.first(x)))))


def same_width(drops) -> keras.Model:
    """Two layers of the same width, and a dropout after each."""
    one, two = drops
    steps = [dense(8, "first"), layers.Activation("tanh"), one, dense(8, "second"), layers.Activation("tanh"), two]
    return functional_model((8,), lambda x: [x := step(x) for step in steps][-1])


@pytest.mark.parametrize("shared", [True, False], ids=["one-keras-layer", "two-keras-layers"])
@pytest.mark.parametrize(
    ("forward", "expected"), [(twice, RIGHT), (twice_apart, RIGHT), (once, WRONG)], ids=["one", "two", "missing"]
)
def test_a_dropout_that_is_called_at_two_places(forward, expected, shared):
    drops = {"drop": nn.Dropout(0.4), "drop1": nn.Dropout(0.4), "drop2": nn.Dropout(0.4)}
    module = Net(forward, first=nn.Linear(8, 8), second=nn.Linear(8, 8), **drops)
    one = layers.Dropout(0.4)
    model = same_width([one, one] if shared else [one, layers.Dropout(0.4)])
    modes = ("eager", "graph", "xla") if shared and forward is twice else ("eager",)
    assert verdict(module, model, 4, 8, modes=modes) is expected


def test_the_same_mask_twice_is_not_two_masks():
    module = Net(twice_apart, first=nn.Linear(8, 8), second=nn.Linear(8, 8), drop1=nn.Dropout(0.4), drop2=nn.Dropout(0))
    assert verdict(module, same_width([layers.Dropout(0.4), layers.Dropout(0.0)]), 4, 8) is RIGHT
    assert verdict(module, same_width([layers.Dropout(0.0), layers.Dropout(0.4)]), 4, 8) is WRONG


@pytest.mark.parametrize(("rate", "expected"), [(1.0, RIGHT), (1, RIGHT), (0.0, WRONG), (0.5, WRONG)])
def test_a_rate_of_one_returns_zeros_with_a_gradient_of_zero(rate, expected):
    def forward(net, x):
        return net.last(x + net.drop(net.inner(x)))

    def build(x):
        return dense(3, "last")(x + layers.Dropout(rate)(dense(5, "inner")(x)))

    module = Net(forward, inner=nn.Linear(5, 5), drop=nn.Dropout(1.0), last=nn.Linear(5, 3))
    assert verdict(module, functional_model((5,), build), 4, 5, dtypes=("float64", "float32")) is expected


CHANNELS = {
    1: (nn.Conv1d, nn.Dropout1d, layers.Conv1D, layers.SpatialDropout1D, (10,)),
    2: (nn.Conv2d, nn.Dropout2d, layers.Conv2D, layers.SpatialDropout2D, (7, 6)),
    3: (nn.Conv3d, nn.Dropout3d, layers.Conv3D, layers.SpatialDropout3D, (4, 5, 3)),
}


@pytest.mark.parametrize("rank", CHANNELS)
def test_dropout_of_channels_is_one_with_a_noise_shape(rank):
    convolution, dropout, keras_convolution, spatial, sizes = CHANNELS[rank]
    module = nn.Sequential(convolution(3, 6, 1), dropout(0.4), convolution(6, 2, 1))
    noise_shape = (None, *(1 for _ in sizes), None)
    of_places = (None, *sizes, 1)
    candidates = {
        "spatial": (spatial(0.4), RIGHT),
        "noise_shape": (layers.Dropout(0.4, noise_shape=noise_shape), RIGHT),
        "values": (layers.Dropout(0.4), WRONG),
        "places": (layers.Dropout(0.4, noise_shape=of_places), WRONG),
        "rate": (spatial(0.3), WRONG),
    }
    for name, (layer, expected) in candidates.items():
        model = keras.Sequential([keras.Input((*sizes, 3)), keras_convolution(6, 1), layer, keras_convolution(2, 1)])
        assert verdict(module, model, 2, 3, *sizes) is expected, name


def test_a_noise_shape_of_the_batch():
    def rows(_, h):
        return h * (torch.rand(h.shape[0], 1) >= 0.4) / 0.6

    for noise_shape, expected in (((None, 1), RIGHT), ((1, None), WRONG), (None, WRONG)):
        model = around(layers.Dropout(0.4, noise_shape=noise_shape))
        assert verdict(torch_around(rows), model, 6, 5) is expected


class Own(layers.Dropout):
    """A dropout with a call of its own, which draws by one of several functions."""

    def __init__(self, rate, function):
        super().__init__(rate)
        self.function = function

    def call(self, inputs, training=False):
        return self.function(self, inputs) if training else inputs


def kept(layer, x, uniform):
    return tf.where(uniform >= layer.rate, x / (1 - layer.rate), tf.zeros_like(x))


OWN_CALLS = {
    "keras-random": (lambda layer, x: keras.random.dropout(x, layer.rate, seed=layer.seed_generator), RIGHT),
    "tensorflow": (lambda layer, x: tf.nn.dropout(x, layer.rate), RIGHT),
    "tf-uniform": (lambda layer, x: kept(layer, x, tf.random.uniform(tf.shape(x), dtype=x.dtype)), RIGHT),
    "keras-uniform": (lambda layer, x: kept(layer, x, keras.random.uniform(tf.shape(x), dtype=x.dtype)), RIGHT),
    "halved": (lambda layer, x: keras.random.dropout(x, layer.rate) / 2, WRONG),
    "unscaled": (lambda layer, x: keras.random.dropout(x, layer.rate) * (1 - layer.rate), WRONG),
    "keep-probability": (lambda layer, x: keras.random.dropout(x, 1 - layer.rate), WRONG),
    "unseen": (
        lambda layer, x: x * tf.cast(keras.random.categorical(x, x.shape[-1]) > 3, x.dtype),
        Verdict.NOT_DECIDED,
    ),
}


@pytest.mark.parametrize(("function", "expected"), OWN_CALLS.values(), ids=OWN_CALLS)
def test_a_call_of_its_own_runs_as_it_is(function, expected):
    module = nn.Sequential(nn.Linear(5, 8), nn.Dropout(0.3), nn.Linear(8, 3))
    report = parity.check(module, around(Own(0.3, function)), numbers(4, 5), train=True, modes=("eager", "graph"))
    assert report.verdict is expected, str(report)
    if expected is Verdict.NOT_DECIDED:
        assert "keras.random's dropout, uniform or normal" in str(report)


class Attention(nn.Module):
    """Attention by nn.MultiheadAttention, or by F.scaled_dot_product_attention."""

    def __init__(self, rate, weights):
        super().__init__()
        self.attention, self.weights = nn.MultiheadAttention(8, 2, dropout=rate, batch_first=True), weights

    def forward(self, x):
        return self.attention(x, x, x, need_weights=self.weights)[0]


class Fused(nn.Module):
    def __init__(self, rate):
        super().__init__()
        self.rate = rate
        for name in ("query", "key", "value", "out"):
            setattr(self, name, nn.Linear(8, 8))

    def forward(self, x):
        q, k, v = (f(x).view(*x.shape[:2], 2, 4).transpose(1, 2) for f in (self.query, self.key, self.value))
        drop = self.rate if self.training else 0.0
        h = functional.scaled_dot_product_attention(q, k, v, dropout_p=drop)
        return self.out(h.transpose(1, 2).flatten(2))


def multi_head(rate) -> keras.Model:
    return functional_model((5, 8), lambda x: layers.MultiHeadAttention(2, 4, dropout=rate, name="attention")(x, x))


class Heads(layers.Layer):
    """Attention of two heads written by hand, with a Dropout layer of Keras inside."""

    def __init__(self, rate, **options):
        super().__init__(**options)
        self.inner = [layers.Dense(8, name=name) for name in ("query", "key", "value", "out")]
        self.drop = layers.Dropout(rate)

    def call(self, x, training=False):
        *projections, out = self.inner
        q, k, v = (keras.ops.reshape(f(x), (-1, 5, 2, 4)) for f in projections)
        scores = keras.ops.softmax(keras.ops.einsum("nthd,nshd->nhts", q, k) / 2)
        h = keras.ops.einsum("nhts,nshd->nthd", self.drop(scores, training=training), v)
        return out(keras.ops.reshape(h, (-1, 5, 8)))


def by_hand(rate) -> keras.Model:
    return functional_model((5, 8), Heads(rate))


ATTENTION = {
    "averaged": (lambda: Attention(0.3, True), multi_head),
    "fused": (lambda: Attention(0.3, False), multi_head),
    "sdpa": (lambda: Fused(0.3), by_hand),
}


@pytest.mark.parametrize(("module", "model"), ATTENTION.values(), ids=ATTENTION)
def test_attention_shares_its_dropout(module, model):
    for rate, expected in ((0.3, RIGHT), (0.2, WRONG), (0.0, WRONG)):
        assert verdict(module(), model(rate), 2, 5, 8) is expected, rate


def test_a_dropout_of_the_output_is_not_one_of_the_attention():
    def after(x):
        return layers.Dropout(0.3)(layers.MultiHeadAttention(2, 4, name="attention")(x, x))

    assert verdict(Attention(0.3, False), functional_model((5, 8), after), 2, 5, 8) is WRONG


def test_an_encoder_layer_shares_its_four_dropouts():
    module = nn.TransformerEncoderLayer(8, 2, 12, dropout=0.2, batch_first=True)

    def encoder(rate):
        def build(x):
            h = layers.MultiHeadAttention(2, 4, dropout=0.2, name="self_attn")(x, x)
            x = layers.LayerNormalization(epsilon=1e-5, name="norm1")(x + layers.Dropout(0.2)(h))
            h = layers.Dropout(rate)(layers.Dense(12, "relu", name="linear1")(x))
            h = layers.Dropout(0.2)(layers.Dense(8, name="linear2")(h))
            return layers.LayerNormalization(epsilon=1e-5, name="norm2")(x + h)

        return functional_model((5, 8), build)

    assert verdict(module, encoder(0.2), 2, 5, 8, modes=("eager", "graph")) is RIGHT
    assert verdict(module, encoder(0.25), 2, 5, 8) is WRONG


@pytest.mark.parametrize(("rate", "expected"), [(0.4, RIGHT), (0.3, WRONG), (0.0, WRONG)])
def test_a_functional_dropout_beside_a_layer(rate, expected):
    module = torch_around(lambda _, h: functional.dropout(torch.tanh(h), 0.4))
    port = torch_around(lambda _, h: torch.tanh(h))
    assert verdict(port, around(Applied(lambda _, x: tf.tanh(x))), 4, 5) is RIGHT
    model = around(Applied(lambda _, x: tf.tanh(x)), layers.Dropout(rate))
    assert verdict(module, model, 4, 5, modes=("eager", "graph")) is expected


def dropped_paths(keep):
    """Return stochastic depth as it is written by hand in PyTorch: with bernoulli_, with rand, with a distribution."""
    return {
        "bernoulli": lambda _, x: x * x.new_empty(x.shape[0], 1).bernoulli_(keep).div_(keep),
        "rand": lambda _, x: x.div(keep) * (keep + torch.rand(x.shape[0], 1, dtype=x.dtype)).floor_(),
        "probabilities": lambda _, x: x * torch.bernoulli(torch.full((x.shape[0], 1), keep, dtype=x.dtype)) / keep,
        "batch": lambda _, x: x * torch.rand(1, 1).lt(keep) / keep,
    }


def keras_path(keep, size=None):
    def drop(layer, x):
        kept = keep + keras.random.uniform((size or x.shape[0], 1), dtype=x.dtype, seed=layer.seeds)
        return x / keep * tf.floor(kept)

    return Applied(drop)


@pytest.mark.parametrize("how", ["bernoulli", "rand", "probabilities"])
def test_stochastic_depth_by_hand(how):
    module = torch_around(dropped_paths(0.6)[how])
    for keep, size, expected in ((0.6, None, RIGHT), (0.7, None, WRONG), (0.6, 1, WRONG)):
        assert verdict(module, around(keras_path(keep, size)), 6, 5) is expected, (keep, size)


def test_stochastic_depth_of_the_whole_batch():
    module = torch_around(dropped_paths(0.6)["batch"])
    assert verdict(module, around(keras_path(0.6, 1)), 6, 5) is RIGHT
    assert verdict(module, around(keras_path(0.6)), 6, 5) is WRONG


def residual(net, x):
    return net.last(x + net.path(net.inner(x)))


@pytest.mark.parametrize("outside", [False, True], ids=["in-the-branch", "after-the-sum"])
def test_the_place_of_stochastic_depth_is_judged(outside):
    path = Net(lambda net, x: dropped_paths(0.6)["bernoulli"](net, x) if net.training else x)
    module = Net(residual, inner=nn.Linear(5, 5), last=nn.Linear(5, 3), path=path)

    def build(x):
        h = dense(5, "inner")(x)
        h = keras_path(0.6)(x + h) if outside else x + keras_path(0.6)(h)
        return dense(3, "last")(h)

    assert verdict(module, functional_model((5,), build), 6, 5) is (WRONG if outside else RIGHT)


def test_noise_is_shared_where_both_sides_draw_it():
    std = np.sqrt(0.3 / 0.7)
    noisy = torch_around(lambda _, h: h + 0.5 * torch.randn_like(h))
    scaled = torch_around(lambda _, h: h * (1 + std * torch.randn_like(h)))
    alpha = nn.Sequential(nn.Linear(5, 8), nn.AlphaDropout(0.3), nn.Linear(8, 3))
    for module, layer, expected in (
        (noisy, layers.GaussianNoise(0.5), RIGHT),
        (noisy, layers.GaussianNoise(0.4), WRONG),
        (scaled, layers.GaussianDropout(0.3), RIGHT),
        (scaled, layers.GaussianNoise(std), WRONG),
        (alpha, layers.AlphaDropout(0.3), RIGHT),
        (alpha, layers.AlphaDropout(0.4), WRONG),
        (alpha, layers.Dropout(0.3), WRONG),
    ):
        assert verdict(module, around(layer), 4, 5) is expected, layer


@pytest.mark.parametrize("extra", [layers.Dropout, layers.GaussianNoise, layers.GaussianDropout, layers.AlphaDropout])
def test_what_keras_alone_draws_is_named(extra):
    module = nn.Sequential(nn.Linear(5, 8), nn.Linear(8, 3))
    report = parity.check(module, around(extra(0.5, name="extra")), numbers(4, 5), train=True)
    assert report.verdict is WRONG
    assert "extra: Keras draws random numbers in train mode that PyTorch's module does not draw" in str(report)


def test_one_draw_beside_several_is_not_decided():
    def halves(x):
        one, two = (layers.Dense(4, name=name)(x) for name in ("one", "two"))
        return layers.Concatenate()([layers.Dropout(0.4)(one), layers.Dropout(0.4)(two)])

    def forward(net, x):
        return net.drop(torch.cat([net.one(x), net.two(x)], -1))

    module = Net(forward, one=nn.Linear(5, 4), two=nn.Linear(5, 4), drop=nn.Dropout(0.4))
    report = parity.check(module, functional_model((5,), halves), numbers(3, 5), train=True)
    assert report.verdict is Verdict.NOT_DECIDED
    assert "in 2 pieces" in str(report)


class Stacked(nn.Module):
    def __init__(self):
        super().__init__()
        self.lstm = nn.LSTM(8, 5, num_layers=2, dropout=0.3, batch_first=True)

    def forward(self, x):
        return self.lstm(x)[0]


@pytest.mark.parametrize(("rate", "expected"), [(0.3, RIGHT), (0.4, WRONG), (0.0, WRONG)])
def test_the_dropout_between_stacked_recurrent_layers(rate, expected):
    steps = [layers.LSTM(5, return_sequences=True), layers.Dropout(rate), layers.LSTM(5, return_sequences=True)]
    assert verdict(Stacked(), keras.Sequential([keras.Input((6, 8)), *steps]), 2, 6, 8) is expected


def test_branches_may_be_called_in_either_order():
    drops = {"drop1": nn.Dropout(0.4), "drop2": nn.Dropout(0.4)}

    def forward(net, x):
        return net.one(net.drop1(x)) + net.two(net.drop2(x))

    module = Net(forward, one=nn.Linear(5, 4), two=nn.Linear(5, 4), **drops)

    def build(named, x):
        names = ("drop1", "drop2") if named else (None, None)
        two = dense(4, "two")(layers.Dropout(0.4, name=names[1])(x))
        return dense(4, "one")(layers.Dropout(0.4, name=names[0])(x)) + two

    for named in (True, False):
        assert verdict(module, functional_model((5,), lambda x, named=named: build(named, x)), 4, 5) is RIGHT
