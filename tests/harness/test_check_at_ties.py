"""A ReLU's unit so near zero that Keras's rounding, and none of PyTorch's runs, decides its sign."""

import keras
import pytest
from keras.backend import standardize_dtype

torch = pytest.importorskip("torch")
import parity  # noqa: E402

UNIT, EXAMPLE = 7, 3


def _is_float32(y):
    return standardize_dtype(y.dtype) == "float32"


class Residual(torch.nn.Module):
    """The sum before the ReLU is that of two layers: no module returns it."""

    def __init__(self):
        super().__init__()
        self.a, self.b, self.c = torch.nn.Linear(16, 128), torch.nn.Linear(16, 128), torch.nn.Linear(128, 5)

    def forward(self, x):
        return self.c(torch.relu(self.a(x) + self.b(x)))


class Rounding(keras.layers.Dense):
    """A dense layer whose float32 sums of one unit are off by 1e-6, as other orders of summing are."""

    def call(self, x):
        y = super().call(x)
        return y - 1.1e-6 * keras.ops.one_hot(UNIT, 128, dtype="float32") if _is_float32(y) else y


class Wrong(keras.layers.ReLU):
    """Its gradient is 1 in 1,000 too small, in float32 alone."""

    def call(self, x):
        y = super().call(x)
        return y - 1e-3 * (y - keras.ops.stop_gradient(y)) if _is_float32(y) else y


def _pair():
    torch.manual_seed(0)
    net, x = Residual(), torch.randn(8, 16)
    with torch.no_grad():
        sums = net.double().a(x.double()) + net.b(x.double())
        net.a.bias[UNIT] += 1e-6 - sums[EXAMPLE, UNIT]
    return net.float(), x.numpy()


def _port(relu, dtype):
    x = keras.Input((16,), dtype=dtype)
    a, b = Rounding(128, dtype=dtype, name="a")(x), keras.layers.Dense(128, dtype=dtype, name="b")(x)
    return keras.Model(x, keras.layers.Dense(5, dtype=dtype, name="c")(relu(dtype=dtype)(a + b)))


def test_a_right_port_agrees_where_its_rounding_decides_a_unit():
    net, x = _pair()
    report = parity.check(net, lambda dtype: _port(keras.layers.ReLU, dtype), x)
    assert report.passed
    assert set(report.comparisons["float32"].at_ties) >= {"grad:a.weight", "grad:a.bias", "grad:input"}
    assert report.comparisons["float64"].at_ties == ()
    assert "where rounding decides a ReLU's unit" in str(report)


def test_a_wrong_gradient_is_not_excused_by_a_tie():
    net, x = _pair()
    report = parity.check(net, lambda dtype: _port(Wrong, dtype), x)
    assert not report.passed
    assert {row.name for row in report.comparisons["float32"].failures} >= {"grad:a.weight", "grad:b.weight"}
