"""Weights of no module, or of another kind of layer in the other framework; right and wrong side by side."""

import re

import keras
import numpy as np
import pytest
from keras import layers, ops

import parity
from keras_blitz.errors import BlitzError
from parity.core.verdict import Verdict

pytestmark = pytest.mark.covers("H12")

torch = pytest.importorskip("torch", reason="needs PyTorch: pip install 'keras-blitz[torch]'")
nn, F, Parameter = torch.nn, torch.nn.functional, torch.nn.Parameter
from torch.nn.utils import parametrizations, parametrize  # noqa: E402


def numbers(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.RandomState(seed).randn(*shape)


def tokens(*shape: int) -> np.ndarray:
    return np.random.RandomState(1).randint(0, 12, shape)


def sequential(shape, *inner):
    return keras.Sequential([keras.Input(shape), *inner])


class Functional(nn.Module):
    """A network of bare parameters: `shapes` are theirs, `function` is (x, *parameters) -> output."""

    def __init__(self, function, *shapes):
        super().__init__()
        self.function = function
        self.inner = nn.ParameterList(torch.randn(shape) for shape in shapes)

    def forward(self, x):
        return self.function(x, *self.inner)


# One layer, whose weights the forward hands to a function


class OwnNorm(nn.Module):
    """A norm with weight and bias of its own, and running statistics for `batch_norm`."""

    def __init__(self, function, n, *buffers):
        super().__init__()
        self.function, self.weight, self.bias = function, Parameter(torch.rand(n)), Parameter(torch.rand(n))
        for name in buffers:
            self.register_buffer(name, torch.rand(n) + 0.5)

    def forward(self, x):
        return self.function(self, x)


class FrozenBatchNorm(nn.Module):
    """torchvision's: four buffers, of which only two vectors reach the input."""

    def __init__(self, n):
        super().__init__()
        for name in ("weight", "bias", "running_mean", "running_var"):
            self.register_buffer(name, torch.rand(n) + 0.5)

    def forward(self, x):
        weight, bias, mean, var = (b.reshape(1, -1, 1, 1) for b in self.buffers())
        scale = weight * (var + 1e-5).rsqrt()
        return x * scale + (bias - mean * scale)


class OwnPReLU(nn.Module):
    def __init__(self, n):
        super().__init__()
        self.weight = Parameter(torch.rand(n))

    def forward(self, x):
        return F.prelu(x, self.weight)


def batch_norm(norm, x):
    return F.batch_norm(x, norm.running_mean, norm.running_var, norm.weight, norm.bias)


def conv_and(after, inner):
    """Return (wrong) -> a convolution, then what `inner` makes of an epsilon."""
    return lambda wrong: sequential((6, 5, 3), layers.Conv2D(4, 3), inner(1e-3 if wrong else 1e-5), *after)


# Norms that multiply by 1 + weight


class RMSNorm(nn.Module):
    def __init__(self, n, more):
        super().__init__()
        self.weight, self.more = Parameter(torch.randn(n) * 0.3), more

    def forward(self, x):
        x = x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + 1e-6)
        return x * (1.0 + self.weight) if self.more else x * self.weight


class LayerNorm1P(nn.LayerNorm):
    def forward(self, x):
        return F.layer_norm(x, self.normalized_shape, self.weight + 1, self.bias, self.eps)


class OneMore(layers.Layer):
    """Keras's layer that multiplies by 1 + scale."""

    def __init__(self, epsilon):
        super().__init__()
        self.epsilon = epsilon

    def build(self, shape):
        self.scale = self.add_weight(shape=shape[-1:], initializer="zeros", name="scale")

    def call(self, x):
        return x * ops.rsqrt(ops.mean(ops.square(x), -1, keepdims=True) + self.epsilon) * (1 + self.scale)


def normed(norm, *after):
    """Return (wrong) -> a Dense, what `norm` makes of an epsilon, and more."""
    return lambda wrong: sequential((6,), layers.Dense(8), norm(1e-3 if wrong else 1e-6), *[make() for make in after])


# Packed head by head


def by_head(split, heads=2, bias=True):
    """Return attention whose query, key and value are rows of one Linear, arranged as `split` takes them apart."""

    class Attention(nn.Module):
        def __init__(self):
            super().__init__()
            self.query_key_value, self.dense = nn.Linear(12, 36, bias=bias), nn.Linear(12, 12, bias=bias)

        def forward(self, x):
            n, t, _ = x.shape
            q, k, v = (y.transpose(1, 2) for y in split(self.query_key_value(x), n, t, heads))
            y = (q @ k.transpose(-1, -2) / 2).softmax(-1) @ v
            return self.dense(y.transpose(1, 2).reshape(n, t, 12))

    return Attention


def as_bloom(y, n, t, heads):
    y = y.view(n, t, heads, 3, -1)
    return y[..., 0, :], y[..., 1, :], y[..., 2, :]


def as_neox(y, n, t, heads):
    return y.view(n, t, heads, -1).chunk(3, -1)


def as_interleaved(y, n, t, heads):
    return y.reshape(n, t, heads, -1, 3).unbind(-1)


class Falcon(nn.Module):
    """Groups of two queries with a key and a value: (groups, 2 + 2, dim) rows."""

    def __init__(self):
        super().__init__()
        self.query_key_value, self.dense = nn.Linear(8, 16), nn.Linear(8, 8)

    def forward(self, x):
        n, t, _ = x.shape
        y = self.query_key_value(x).view(n, t, 2, 4, 2)
        q, k, v = y[..., :2, :], y[..., 2:3, :], y[..., 3:, :]
        scores = torch.einsum("nqghd,nkgod->nghqk", q, k)
        return self.dense(torch.einsum("nghqk,nkgod->nqghd", scores.softmax(-1), v).reshape(n, t, 8))


class Attention(layers.Layer):
    """Three layers for query, key and value, of which `make` makes one, called in an order of its own."""

    def __init__(self, make, heads=2, scale=0.5, **options):
        super().__init__()
        self.value, self.query, self.key = (make(**options) for _ in range(3))
        self.out, self.heads, self.scale = layers.Dense(12, **options), heads, scale

    def call(self, x):
        t = x.shape[1]
        v, q, k = (ops.reshape(f(x), (-1, t, self.heads, 12 // self.heads)) for f in (self.value, self.query, self.key))
        weight = ops.softmax(self.scale * ops.einsum("bqhd,bkhd->bhqk", q, k))
        return self.out(ops.reshape(ops.einsum("bhqk,bkhd->bqhd", weight, v), (-1, t, 12)))


class Grouped(layers.Layer):
    def __init__(self, scale):
        super().__init__()
        self.query, self.out = layers.Dense(8), layers.Dense(8)
        self.key, self.value, self.scale = layers.Dense(4), layers.Dense(4), scale

    def call(self, x):
        t = x.shape[1]
        q = ops.reshape(self.query(x), (-1, t, 2, 2, 2))
        k, v = (ops.reshape(f(x), (-1, t, 2, 2)) for f in (self.key, self.value))
        weight = ops.softmax(self.scale * ops.einsum("bqghd,bkgd->bghqk", q, k))
        return self.out(ops.reshape(ops.einsum("bghqk,bkgd->bqghd", weight, v), (-1, t, 8)))


def three(heads=2, **options):
    return lambda wrong: sequential(
        (5, 12), Attention(lambda **o: layers.Dense(12, **o), heads, 0.4 if wrong else 0.5, **options)
    )


def three_einsums(wrong):
    def make():
        return layers.EinsumDense("nte,ehd->nthd", (None, 2, 6), bias_axes="hd")

    return sequential((5, 12), Attention(make, 2, 0.4 if wrong else 0.5))


def one_attention(wrong):
    x = keras.Input((5, 12))
    return keras.Model(x, layers.MultiHeadAttention(2, 6)(x * 2.0 if wrong else x, x))


class Scaled(by_head(as_bloom)):
    """Its scores are those of keras MultiHeadAttention: over √6."""

    def forward(self, x):
        n, t, _ = x.shape
        q, k, v = (y.transpose(1, 2) for y in as_bloom(self.query_key_value(x), n, t, 2))
        return self.dense(((q @ k.transpose(-1, -2) / 6**0.5).softmax(-1) @ v).transpose(1, 2).reshape(n, t, 12))


# Two biases into one


class OneBiasMore(nn.Module):
    def __init__(self, inner, shape, after=torch.tanh):
        super().__init__()
        self.inner, self.bias, self.after = inner, Parameter(torch.randn(shape)), after

    def forward(self, x):
        return self.after(2 * (self.inner(x) + self.bias))


class Stream(nn.Module):
    """Residual layers, one of which has a bias more: the stream adds up the biases of all."""

    def __init__(self):
        super().__init__()
        self.a, self.b, self.c, self.more = nn.Linear(6, 6), nn.Linear(6, 6), nn.Linear(6, 6), Parameter(torch.randn(6))

    def forward(self, x):
        x = self.a(x)
        x = x + (self.b(x.tanh()) + self.more)
        return x + self.c(x.tanh())


def stream(wrong):
    inputs = keras.Input((6,))
    x = layers.Dense(6)(inputs)
    x = x + layers.Dense(6)(ops.tanh(x))
    return keras.Model(inputs, x + layers.Dense(6)(ops.sigmoid(x) if wrong else ops.tanh(x)))


class TwoLinears(nn.Module):
    def __init__(self):
        super().__init__()
        self.x, self.y, self.out = nn.Linear(6, 5), nn.Linear(4, 5), nn.Linear(5, 3)

    def forward(self, x, y):
        return self.out((self.x(x) + self.y(y)).tanh())


def two_denses(first, own=False):
    """Return (wrong) -> two Dense layers, of which the first or the second has the bias, or a layer after them."""

    def port(wrong):
        x, y = keras.Input((6,)), keras.Input((4,))
        a, b = layers.Dense(5, use_bias=first and not own)(x), layers.Dense(5, use_bias=not first and not own)(y)
        h = layers.Add()([a, b])
        h = Bias()(h) if own else h
        return keras.Model([x, y], layers.Dense(3)(ops.sigmoid(h) if wrong else ops.tanh(h)))

    return port


class Bias(layers.Layer):
    def build(self, shape):
        self.bias = self.add_weight(shape=shape[-1:], name="bias")

    def call(self, x):
        return x + self.bias


# Recurrent cells, tied tables


def in_a_loop(kind):
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.cell, self.out = getattr(nn, kind)(4, 5), nn.Linear(5, 2)

        def forward(self, x):
            state, found = None, []
            for t in range(x.shape[1]):
                state = self.cell(x[:, t], state)
                found.append(state[0] if kind == "LSTMCell" else state)
            return self.out(torch.stack(found, 1))

    return Net


class Stack(nn.Module):
    def __init__(self):
        super().__init__()
        self.lstm = nn.LSTM(4, 5, 2, batch_first=True)

    def forward(self, x):
        return self.lstm(x)[0]


class Tied(nn.Module):
    def __init__(self, how, bias=False):
        super().__init__()
        self.table, self.inner, self.how = nn.Embedding(12, 6), nn.Linear(6, 6), how
        if how == "module":
            self.head = nn.Linear(6, 12, bias=bias)
            self.head.weight = self.table.weight

    def forward(self, x):
        x = self.inner(self.table(x))
        if self.how == "module":
            return self.head(x)
        return F.linear(x, self.table.weight) if self.how == "linear" else x @ self.table.weight.T


def reversible(wrong):
    inputs, table = keras.Input((5,), dtype="int32"), layers.ReversibleEmbedding(12, 6)
    inner = layers.Dense(6, activation="tanh" if wrong else None)
    return keras.Model(inputs, table(inner(table(inputs)), reverse=True))


class TiedWithBias(keras.Model):
    def __init__(self, wrong):
        super().__init__()
        self.table, self.inner = layers.Embedding(12, 6), layers.Dense(6, activation="tanh" if wrong else None)
        self.bias = self.add_weight(shape=(12,), name="bias")

    def call(self, x):
        return ops.matmul(self.inner(self.table(x)), ops.transpose(self.table.embeddings)) + self.bias


class Symmetric(nn.Module):
    def forward(self, w):
        return w.triu() + w.triu(1).T


def parametrized(how):
    def net():
        made = nn.Sequential(nn.Linear(6, 6), nn.Tanh(), nn.Linear(6, 3))
        how(made[0])
        return made

    return net


def dense_after(good, bad, **last):
    return lambda wrong: sequential((6,), layers.Dense(6, activation=bad if wrong else good), layers.Dense(3, **last))


def recurrent(kind):
    def port(wrong):
        inner = getattr(layers, kind)(5, return_sequences=True, activation="relu" if wrong else "tanh")
        return sequential((6, 4), inner, layers.Dense(2))

    return port


def pooled(good, bad):
    return lambda wrong: sequential((5,), layers.Embedding(12, 6), (bad if wrong else good)(), layers.Dense(2))


ROWS, IMAGES, TOKENS, SEQUENCES = numbers(4, 6), numbers(2, 3, 6, 5), tokens(3, 5), numbers(3, 6, 4)
HEADS = numbers(3, 5, 12)

# PyTorch's module, its input, (wrong) -> the port, where the mistake begins
CASES = {
    "linear": (
        lambda: Functional(lambda x, w, b, v: F.linear(F.linear(x, w, b).relu(), v), (6, 6), (6,), (3, 6)), ROWS,
        dense_after("relu", "gelu", use_bias=False), "output",
    ),
    "matmul": (
        lambda: Functional(lambda x, w, b, v: torch.matmul((x @ w + b).relu(), v), (6, 6), (6,), (6, 3)), ROWS,
        dense_after("relu", "gelu", use_bias=False), "output",
    ),
    "einsum": (
        lambda: Functional(lambda x, w: torch.einsum("nte,ehd->nthd", x, w).tanh(), (4, 2, 3)), SEQUENCES,
        lambda wrong: sequential(
            (6, 4), layers.EinsumDense("nte,ehd->nthd", (6, 2, 3)), layers.Activation("sigmoid" if wrong else "tanh")
        ), "output",
    ),
    "conv2d": (
        lambda: Functional(
            lambda x, w, b, v: F.conv2d(F.conv2d(x, w, b, padding=1).relu(), v), (4, 3, 3, 3), (4,), (2, 4, 3, 2)
        ), IMAGES,
        lambda wrong: sequential(
            (6, 5, 3), layers.Conv2D(4, 3, padding="same", activation="gelu" if wrong else "relu"),
            layers.Conv2D(2, (3, 2), use_bias=False),
        ), "output",
    ),
    "embedding": (
        lambda: Functional(lambda x, w, v: F.embedding(x, w).tanh() @ v, (12, 6), (6, 2)), TOKENS,
        lambda wrong: sequential(
            (5,), layers.Embedding(12, 6), layers.Activation("sigmoid" if wrong else "tanh"),
            layers.Dense(2, use_bias=False),
        ), "output",
    ),
    "layer-norm": (
        lambda: nn.Sequential(
            nn.Linear(6, 8), OwnNorm(lambda norm, x: F.layer_norm(x, (8,), norm.weight, norm.bias, 1e-6), 8)
        ), ROWS, normed(lambda e: layers.LayerNormalization(epsilon=e)), "activation:1",
    ),
    "batch-norm": (
        lambda: nn.Sequential(nn.Conv2d(3, 4, 3), OwnNorm(batch_norm, 4, "running_mean", "running_var")), IMAGES,
        conv_and([], lambda e: layers.BatchNormalization(epsilon=e)), "activation:1",
    ),
    "frozen-batch-norm": (
        lambda: nn.Sequential(nn.Conv2d(3, 4, 3), FrozenBatchNorm(4)), IMAGES,
        conv_and([], lambda e: layers.BatchNormalization(epsilon=e)), "activation:1",
    ),
    "prelu": (
        lambda: nn.Sequential(nn.Conv2d(3, 4, 3), OwnPReLU(4), nn.Flatten()), IMAGES,
        lambda wrong: sequential(
            (6, 5, 3), layers.Conv2D(4, 3), layers.PReLU(shared_axes=[1, 2]),
            layers.Activation("relu" if wrong else "linear"), layers.Permute((3, 1, 2)), layers.Flatten(),
        ), "activation:2",
    ),
    "prelu-of-one-slope": (
        lambda: nn.Sequential(nn.Conv2d(3, 4, 3), nn.PReLU(), nn.Conv2d(4, 2, 1)), IMAGES,
        lambda wrong: sequential(
            (6, 5, 3), layers.Conv2D(4, 3, activation="relu" if wrong else None), layers.PReLU(shared_axes=[1, 2, 3]),
            layers.Conv2D(2, 1),
        ), "activation:1",
    ),
    "instance-norm": (
        lambda: nn.Sequential(nn.Conv2d(3, 4, 3), nn.InstanceNorm2d(4), nn.ReLU()), IMAGES,
        conv_and([layers.ReLU()], lambda e: layers.GroupNormalization(-1, epsilon=e, scale=False, center=False)),
        "activation:2",
    ),
    "instance-norm-affine": (
        lambda: nn.Sequential(nn.Conv2d(3, 4, 3), nn.InstanceNorm2d(4, affine=True), nn.ReLU()), IMAGES,
        conv_and([layers.ReLU()], lambda e: layers.GroupNormalization(-1, epsilon=e)), "activation:1",
    ),
    "grouped-convolution": (
        lambda: nn.Sequential(nn.Conv2d(3, 6, 3, groups=3), nn.ReLU(), nn.Conv2d(6, 6, 2, groups=6)), IMAGES,
        lambda wrong: sequential(
            (6, 5, 3), layers.Conv2D(6, 3, groups=3, activation="gelu" if wrong else "relu"), layers.DepthwiseConv2D(2)
        ), "activation:1",
    ),
    "transposed-convolution": (
        lambda: nn.Sequential(nn.ConvTranspose2d(3, 4, 4, 2, 1), nn.ReLU(), nn.ConvTranspose2d(4, 4, 3)), IMAGES,
        lambda wrong: sequential(
            (6, 5, 3), layers.Conv2DTranspose(4, 4, 2, padding="same", activation="gelu" if wrong else "relu"),
            layers.Conv2DTranspose(4, 3),
        ), "activation:1",
    ),
    "spectral-norm": (
        parametrized(parametrizations.spectral_norm), ROWS, dense_after("tanh", "sigmoid"), "activation:1",
    ),
    "orthogonal": (parametrized(parametrizations.orthogonal), ROWS, dense_after("tanh", "sigmoid"), "activation:1"),
    "own-parametrization": (
        parametrized(lambda layer: parametrize.register_parametrization(layer, "weight", Symmetric())), ROWS,
        dense_after("tanh", "sigmoid"), "activation:1",
    ),
    "bag-of-means": (
        lambda: nn.Sequential(nn.EmbeddingBag(12, 6), nn.Linear(6, 2)), TOKENS,
        pooled(layers.GlobalAveragePooling1D, layers.GlobalMaxPooling1D), "activation:1",
    ),
    "bag-of-sums": (
        lambda: nn.Sequential(nn.EmbeddingBag(12, 6, mode="sum"), nn.Linear(6, 2)), TOKENS,
        pooled(lambda: layers.Lambda(lambda x: ops.sum(x, 1)), layers.GlobalAveragePooling1D), "activation:1",
    ),
    "lstm-cell": (in_a_loop("LSTMCell"), SEQUENCES, recurrent("LSTM"), "activation:out"),
    "gru-cell": (in_a_loop("GRUCell"), SEQUENCES, recurrent("GRU"), "activation:out"),
    "rnn-cell": (in_a_loop("RNNCell"), SEQUENCES, recurrent("SimpleRNN"), "activation:out"),
    "cells-in-a-stack": (
        Stack, SEQUENCES,
        lambda wrong: sequential((6, 4), layers.RNN(
            [layers.LSTMCell(5), layers.LSTMCell(5, activation="relu" if wrong else "tanh")], return_sequences=True
        )), "activation:lstm",
    ),
    "tied-module": (lambda: Tied("module"), TOKENS, reversible, "output"),
    "tied-linear": (lambda: Tied("linear"), TOKENS, reversible, "output"),
    "tied-matmul": (lambda: Tied("matmul"), TOKENS, reversible, "output"),
    "tied-with-a-bias": (lambda: Tied("module", bias=True), TOKENS, TiedWithBias, "output"),
    "1-plus-weight-in-pytorch": (
        lambda: nn.Sequential(nn.Linear(6, 8), RMSNorm(8, True), nn.Linear(8, 3)), ROWS,
        normed(lambda e: layers.RMSNormalization(epsilon=e), lambda: layers.Dense(3)), "activation:1",
    ),
    "1-plus-weight-of-a-layer-norm": (
        lambda: nn.Sequential(nn.Linear(6, 8), LayerNorm1P(8, eps=1e-6), nn.Linear(8, 3)), ROWS,
        normed(lambda e: layers.LayerNormalization(epsilon=e), lambda: layers.Dense(3)), "activation:1",
    ),
    "1-plus-weight-in-keras": (
        lambda: nn.Sequential(nn.Linear(6, 8), RMSNorm(8, False), nn.Linear(8, 3)), ROWS,
        normed(OneMore, lambda: layers.Dense(3)), "activation:1",
    ),
    "1-plus-weight-in-keras-beside-a-known-norm": (
        lambda: nn.Sequential(nn.Linear(6, 8), nn.RMSNorm(8, 1e-6), nn.Linear(8, 3)), ROWS,
        normed(OneMore, lambda: layers.Dense(3)), "activation:1",
    ),
    "1-plus-weight-in-both": (
        lambda: nn.Sequential(nn.Linear(6, 8), RMSNorm(8, True), nn.Linear(8, 3)), ROWS,
        normed(OneMore, lambda: layers.Dense(3)), "activation:1",
    ),
    "1-plus-weight-at-the-end": (
        lambda: nn.Sequential(nn.Linear(6, 8), RMSNorm(8, True)), ROWS, normed(OneMore), "activation:1",
    ),
    "bloom": (by_head(as_bloom), HEADS, three(), "activation:dense"),
    "bloom-without-bias": (by_head(as_bloom, bias=False), HEADS, three(use_bias=False), "activation:dense"),
    "bloom-of-three-heads": (by_head(as_bloom, 3), HEADS, three(3), "activation:dense"),
    "neox": (by_head(as_neox), HEADS, three(), "activation:dense"),
    "neox-of-three-heads": (by_head(as_neox, 3), HEADS, three(3), "activation:dense"),
    "interleaved": (by_head(as_interleaved), HEADS, three(), "activation:dense"),
    "bloom-beside-einsums": (by_head(as_bloom), HEADS, three_einsums, "activation:dense"),
    "bloom-beside-an-attention": (Scaled, HEADS, one_attention, "activation:dense"),
    "falcon": (
        Falcon, numbers(3, 5, 8), lambda wrong: sequential((5, 8), Grouped(0.5 if wrong else 1.0)), "activation:dense",
    ),
    "two-biases": (
        lambda: nn.Sequential(OneBiasMore(nn.Linear(6, 6), 6), nn.Linear(6, 3)), ROWS,
        lambda wrong: sequential(
            (6,), layers.Dense(6), layers.Lambda(lambda x: ops.tanh(3 * x if wrong else 2 * x)), layers.Dense(3)
        ), "activation:1",
    ),
    "three-biases-of-a-matmul": (
        lambda: Functional(lambda x, w, a, b, c: (x @ w + a + (b + c)).tanh(), (6, 5), (5,), (5,), (5,)), ROWS,
        lambda wrong: sequential((6,), layers.Dense(5, activation="sigmoid" if wrong else "tanh")), "output",
    ),
    "two-biases-of-a-convolution": (
        lambda: OneBiasMore(nn.Conv2d(3, 4, 3), (4, 1, 1), torch.relu), IMAGES,
        lambda wrong: sequential(
            (6, 5, 3), layers.Conv2D(4, 3), layers.Lambda(lambda x: ops.gelu(2 * x) if wrong else ops.relu(2 * x))
        ), "output",
    ),
    "a-bias-more-in-a-residual-stream": (Stream, ROWS, stream, "activation:c"),
    "the-first-of-two-has-the-bias": (TwoLinears, (ROWS, numbers(4, 4)), two_denses(True), "activation:out"),
    "the-second-of-two-has-the-bias": (TwoLinears, (ROWS, numbers(4, 4)), two_denses(False), "activation:out"),
    "a-bias-after-the-sum": (TwoLinears, (ROWS, numbers(4, 4)), two_denses(True, own=True), "activation:out"),
}  # fmt: skip

# Of each kind one or two stay in the default run.
QUICK = frozenset({"matmul", "einsum", "1-plus-weight-in-keras", "bloom", "the-second-of-two-has-the-bias"})
ROWS_OF_CASES = [pytest.param(case, marks=[] if case in QUICK else pytest.mark.slow) for case in CASES]


def made(case, wrong):
    theirs, x, port, _ = CASES[case]
    torch.manual_seed(0)
    keras.utils.set_random_seed(1)
    module = theirs()
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.add_(torch.randn_like(parameter), alpha=0.1)  # biases and scales of no layer stay 0 or 1
    return module, port(wrong), x


@pytest.mark.parametrize("case", ROWS_OF_CASES)
def test_a_right_port_passes(case):
    report = parity.check(*made(case, False))
    assert report.passed, str(report)


@pytest.mark.parametrize("case", ROWS_OF_CASES)
def test_a_wrong_one_is_caught_where_it_is(case):
    report = parity.check(*made(case, True))
    assert report.verdict is Verdict.NOT_EQUIVALENT, str(report)
    assert report.first_divergence == CASES[case][3], str(report)


@pytest.mark.parametrize(
    ("case", "said"),
    [
        ("1-plus-weight-in-pytorch", r"1\.weight: the PyTorch side multiplies by 1 \+ weight; Keras's .*/scale = 1"),
        ("1-plus-weight-in-keras", r"1\.weight: Keras's layer multiplies by 1 \+ .*/scale"),
    ],
)
def test_which_side_multiplies_by_one_more_is_said(case, said):
    notes = [note for note in parity.check(*made(case, False), loss=False).notes if "multiplies by 1" in note]
    assert len(notes) == 1
    assert re.match(said, notes[0]), notes


@pytest.mark.slow
def test_the_weights_of_a_norm_are_transferred_as_one_more_and_back():
    module, port, x = made("1-plus-weight-in-pytorch", False)
    assert parity.transfer(module, port, x)
    scale = port.layers[1].get_weights()[0]
    assert np.array_equal(scale, (1 + module[1].weight.detach().double()).float().numpy())
    other = made("1-plus-weight-in-pytorch", False)[0]
    with torch.no_grad():
        other[1].weight.zero_()
    assert parity.transfer(other, port, x, reverse=True)
    assert np.allclose(other[1].weight.detach(), module[1].weight.detach(), atol=1e-7)


def test_two_biases_are_transferred_as_their_sum_and_back_as_the_first():
    module, port, x = made("two-biases", False)
    assert parity.transfer(module, port, x)
    first, more = module[0].inner.bias.detach().numpy(), module[0].bias.detach().numpy()
    assert np.array_equal(port.layers[0].get_weights()[1], first + more)
    assert parity.transfer(module, port, x, reverse=True)
    assert np.array_equal(module[0].inner.bias.detach().numpy(), first + more)
    assert not module[0].bias.detach().numpy().any()


@pytest.mark.slow
def test_rows_of_heads_are_transferred_there_and_back():
    module, port, x = made("bloom", False)
    assert parity.transfer(module, port, x)
    before = module.query_key_value.weight.detach().clone()
    with torch.no_grad():
        module.query_key_value.weight.zero_()
    assert parity.transfer(module, port, x, reverse=True)
    assert torch.equal(module.query_key_value.weight, before)


def test_an_untrained_bias_more_in_keras_is_not_equivalent():
    module = nn.Sequential(nn.Linear(6, 6, bias=False), nn.Linear(6, 3))
    port = sequential((6,), layers.Dense(6, bias_initializer="ones"), layers.Dense(3))
    with pytest.raises(BlitzError, match="bias"):
        parity.check(module, port, ROWS)
