"""Models that ask for float32 by its name, as those made for half precision do: their float64 is float64."""

import keras
import numpy as np
import pytest

import parity

torch = pytest.importorskip("torch", reason="needs PyTorch: pip install 'keras-blitz[torch]'")

from keras import layers, ops  # noqa: E402
from torch import nn  # noqa: E402

from parity.record.torch_exact import Widened  # noqa: E402

pytestmark = pytest.mark.covers("H12")

X = np.random.RandomState(3).standard_normal((4, 6, 8)).astype(np.float32)


class Softmax(nn.Module):
    """Attention whose softmax is float32, whatever the model is."""

    def __init__(self):
        super().__init__()
        self.query, self.key = nn.Linear(8, 8), nn.Linear(8, 8)

    def forward(self, x):
        scores = self.query(x) @ self.key(x).transpose(1, 2)
        return torch.softmax(scores / 3, -1, dtype=torch.float32).to(x.dtype) @ x


class RootMeanSquare(nn.Module):
    """LLaMA's norm: a mean of squares in float32."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.linspace(0.5, 1.5, 8))

    def forward(self, x):
        given = x.dtype
        x = x.float()
        x = x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + 1e-6)
        return self.weight * x.to(given)


@keras.saving.register_keras_serializable()
class Norm(layers.Layer):
    """The same in Keras, in float32 or in the type of its input."""

    def __init__(self, cast=True, eps=1e-6, **kwargs):
        super().__init__(**kwargs)
        self.cast, self.eps = cast, eps

    def build(self, shape):
        self.weight = self.add_weight(name="weight", shape=shape[-1:], initializer="ones")

    def call(self, x):
        wide = ops.cast(x, "float32") if self.cast else x
        wide = wide * ops.rsqrt(ops.mean(ops.square(wide), -1, keepdims=True) + self.eps)
        return self.weight * ops.cast(wide, x.dtype)

    def get_config(self):
        return super().get_config() | {"cast": self.cast, "eps": self.eps}


def attention(scale=3.0):
    x = keras.Input((6, 8))
    query, key = layers.Dense(8, name="query")(x), layers.Dense(8, name="key")(x)
    scores = ops.softmax(ops.matmul(query, ops.transpose(key, (0, 2, 1))) / scale, -1)
    return keras.Model(x, ops.matmul(scores, x))


def normed(**options):
    return keras.Sequential([keras.Input((6, 8)), Norm(**options)])


@pytest.mark.parametrize(
    ("net", "right", "wrong"),
    [
        (Softmax, attention, lambda: attention(3.00001)),
        (RootMeanSquare, normed, lambda: normed(eps=1.01e-6)),
        (RootMeanSquare, lambda: normed(cast=False), lambda: normed(cast=False, eps=1.01e-6)),
    ],
    ids=["softmax", "norm-that-casts-too", "norm-that-does-not"],
)
def test_a_part_in_float32_costs_a_right_port_nothing_and_hides_no_mistake(net, right, wrong):
    report = parity.check(net(), right(), X)
    assert report.passed, str(report)
    assert "casts to float32" in report.rounded
    assert parity.check(net(), wrong(), X).verdict.headline == "NOT equivalent"


def test_what_casts_nothing_is_not_mentioned():
    report = parity.check(nn.Linear(8, 3), keras.Sequential([layers.Dense(3)]), X)
    assert not report.rounded


@pytest.mark.parametrize(
    "narrow",
    [
        lambda x: x.float(), lambda x: x.to(torch.float32), lambda x: x.type(torch.float32),
        lambda x: torch.softmax(x, -1, dtype=torch.float32), lambda x: nn.functional.softmax(x, -1, 3, torch.float32),
        lambda x: torch.sum(x, -1, dtype=torch.float32), lambda x: x.to("cpu", torch.float32),
    ],
)  # fmt: skip
def test_every_way_to_ask_for_float32_gives_float64(narrow):
    x = torch.tensor(X.astype(np.float64))
    with Widened(constants=False) as widened:
        assert narrow(x).dtype == torch.float64
    assert len(widened.names) == 1
    assert narrow(x).dtype == torch.float32


def test_what_a_module_makes_of_no_tensor_is_widened_where_that_is_asked_for():
    for constants, expected in ((False, torch.float32), (True, torch.float64)):
        with Widened(constants):
            made = [torch.arange(3, dtype=torch.float32), torch.zeros(3, dtype=torch.float32)]
        assert {each.dtype for each in made} == {expected}
