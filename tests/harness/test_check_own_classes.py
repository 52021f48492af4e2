"""`parity.check` of users' own classes that are named as a framework's."""

import keras
import numpy as np
import pytest
from keras import layers, ops

import parity
from keras_blitz.errors import BlitzError

torch = pytest.importorskip("torch", reason="needs PyTorch: pip install 'keras-blitz[torch]'")
nn = torch.nn


class Attention(nn.Module):
    def __init__(self):
        super().__init__()
        self.q, self.k, self.v, self.o = (nn.Linear(6, 6) for _ in range(4))

    def forward(self, x):
        return self.o((self.q(x) @ self.k(x).mT).softmax(-1) @ self.v(x))


class MultiHeadAttention(layers.Layer):
    def __init__(self, **options):
        super().__init__(**options)
        self.q, self.k, self.v, self.o = (layers.Dense(6) for _ in range(4))

    def call(self, x):
        weights = ops.softmax(ops.matmul(self.q(x), ops.swapaxes(self.k(x), -1, -2)))
        return self.o(ops.matmul(weights, self.v(x)))


class Tagger(nn.Module):
    def __init__(self):
        super().__init__()
        self.lstm, self.fc = nn.LSTM(6, 5, batch_first=True), nn.Linear(5, 3)

    def forward(self, x):
        return self.fc(self.lstm(x)[0])


class LSTM(layers.Layer):
    def __init__(self, **options):
        super().__init__(**options)
        self.lstm, self.fc = layers.LSTM(5, return_sequences=True), layers.Dense(3)

    def call(self, x):
        return self.fc(self.lstm(x))


class BothWays(nn.Module):
    def __init__(self):
        super().__init__()
        self.f, self.b = nn.Linear(6, 3), nn.Linear(6, 3)

    def forward(self, x):
        return torch.cat([self.f(x), self.b(x.flip(1))], -1)


class Bidirectional(layers.Layer):
    def __init__(self, **options):
        super().__init__(**options)
        self.f, self.b = layers.Dense(3, name="f"), layers.Dense(3, name="b")

    def call(self, x):
        return ops.concatenate([self.f(x), self.b(ops.flip(x, 1))], -1)


class RNN(nn.Module):
    def __init__(self):
        super().__init__()
        self.i2h, self.h2o = nn.Linear(6, 5), nn.Linear(5, 3)

    def forward(self, x):
        return self.h2o(torch.tanh(self.i2h(x)))


class Linear(nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(3, 6))

    def forward(self, x):
        return x @ self.weight.T


class ChannelNorm(layers.Layer):
    def build(self, shape):
        self.gamma = self.add_weight(shape=(shape[-1],), initializer="ones", name="gamma")
        self.beta = self.add_weight(shape=(shape[-1],), initializer="zeros", name="beta")

    def call(self, x):
        mean, variance = ops.moments(x, [1], keepdims=True)
        return (x - mean) / ops.sqrt(variance + 1e-5) * self.gamma + self.beta


class Normalized(nn.Module):
    def __init__(self):
        super().__init__()
        self.norm = nn.InstanceNorm1d(6, affine=True)

    def forward(self, x):
        return self.norm(x.mT).mT


class Searched(keras.Model):
    """Has an attribute that a functional model has."""

    def __init__(self, times):
        super().__init__()
        self.operations = [layers.Dense(5, activation="tanh"), layers.Dense(3), layers.Rescaling(times)]

    def call(self, x):
        for operation in self.operations:
            x = operation(x)
        return x


PAIRS = {
    "attention of Dense layers": (Attention, [MultiHeadAttention]),
    "LSTM and Dense in one": (Tagger, [LSTM]),
    "Bidirectional of Dense layers": (BothWays, [Bidirectional]),
    "RNN of Linears": (RNN, [lambda: layers.Dense(5, activation="tanh"), lambda: layers.Dense(3)]),
    "Linear without bias": (Linear, [lambda: layers.Dense(3, use_bias=False)]),
    "InstanceNorm as an own layer": (Normalized, [ChannelNorm]),
    "InstanceNorm as a GroupNormalization": (Normalized, [lambda: layers.GroupNormalization(-1, epsilon=1e-5)]),
    "attribute operations": (RNN, Searched),
}


@pytest.mark.parametrize("name", PAIRS)
@pytest.mark.parametrize("times", [1, 1.1])
def test_an_own_class_is_what_it_holds(name, times):
    torch.manual_seed(0)
    theirs, ours = PAIRS[name]
    given = np.random.RandomState(0).standard_normal((2, 4, 6)).astype("float32")

    def port(dtype):
        if ours is Searched:
            return Searched(times)
        return keras.Sequential([keras.Input((4, 6)), *(layer() for layer in ours), layers.Rescaling(times)])

    report = parity.check(theirs(), port, given, dtypes=["float64"])
    assert report.passed == (times == 1), str(report)


class LayerNorm2d(nn.LayerNorm):
    """ConvNeXt's: over the channels on axis 1."""

    def forward(self, x):
        return super().forward(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


def test_an_own_layernorm_leaves_the_channels_where_they_were():
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(3, 4, 3), LayerNorm2d(4), nn.ReLU())
    port = keras.Sequential(
        [keras.Input((6, 6, 3)), layers.Conv2D(4, 3), layers.LayerNormalization(epsilon=1e-5), layers.ReLU()]
    )
    given = np.random.RandomState(0).standard_normal((2, 3, 6, 6))
    report = parity.check(net, port, given)  # 4 channels of 4 × 4 pixels: no shape says which axis they are
    assert report.passed, str(report)


class Dense(layers.Layer):
    def build(self, shape):
        self.w = self.add_weight(shape=(shape[-1], 3), name="w")

    def call(self, x):
        return ops.matmul(x, self.w)


def test_weights_of_an_own_layer_that_fit_nothing_are_listed():
    port = keras.Sequential([keras.Input((6,)), Dense(name="own")])
    said = r"cannot be mapped: PyTorch has the module itself \(linear: .*; Keras has own/w \(parameter: "
    with pytest.raises(BlitzError, match=said):
        parity.check(nn.Linear(6, 4, bias=False), lambda dtype: port, np.ones((2, 6)))


def test_the_matrix_of_an_own_layer_may_be_the_transposed_of_pytorchs():
    port = keras.Sequential([keras.Input((6,)), Dense(name="own")])
    x = np.random.RandomState(0).randn(4, 6)
    assert parity.check(nn.Linear(6, 3, bias=False), port, x).passed
