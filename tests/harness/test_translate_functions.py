"""`parity.translate` on functions of torch that people call in `forward`, each proven, and a wrong rule."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")

import torch.nn.functional as F  # noqa: E402
from torch import nn  # noqa: E402

import parity  # noqa: E402
from keras_blitz.errors import BlitzError  # noqa: E402
from parity.translate import registry  # noqa: E402
from parity.translate.rules import reduction  # noqa: E402

pytestmark = pytest.mark.torch

IMAGES = np.random.RandomState(0).randn(2, 3, 5, 4).astype("f")


class Forward(nn.Module):
    """A convolution, and a function of what it returns."""

    def __init__(self, function):
        super().__init__()
        torch.manual_seed(0)
        self.conv = nn.Conv2d(3, 4, 1)
        self.function = function

    def forward(self, x):
        return self.function(self.conv(x))


def squeeze_excite(x):
    weights = torch.sigmoid(x.mean((2, 3))).view(len(x), 4, 1, 1)
    return x * weights.expand_as(x)


def by_hand(x):
    return (x - x.mean(-1, keepdim=True)) / (x.std(-1, keepdim=True) + 1e-6), x.var((1, 3)), x.std(2, unbiased=False)


def activations(x):
    x = F.elu(x, 0.7) + F.celu(x, alpha=0.6) + F.selu(x) + F.softplus(x, 2) + F.mish(x)
    return F.glu(x, 1), F.softsign(x), F.logsigmoid(x)


def rounded(x):
    return x.round() * x, x.ceil() * x, x.trunc() * x


def best(x):
    values, places = x.flip(1, 3).topk(2)
    return values, places * 1.0


def shrinks(x):
    x = F.threshold(x, 0.1, -2.0) + F.tanhshrink(x) + F.softshrink(x, 0.3) + F.hardshrink(x, 0.2)
    return F.prelu(x, x.new_full((4,), 0.25)), F.softmin(x, 1), F.rms_norm(x, (4,))


def by_name(x):
    y = torch.tanh(x)
    y = torch.acos(y) + torch.asin(y) + torch.atanh(y) + torch.erfinv(y) + torch.exp2(y) + torch.lgamma(y + 2)
    z = torch.atan2(x, x * x - 1) + torch.hypot(x, y) + torch.fmod(x, 0.7) + torch.xlogy(2.0, x * x + 1)
    return y, z, torch.logaddexp(x, z), torch.copysign(x * x, x) * torch.isfinite(x), torch.lerp(x, y, 0.3)


def ordered(x):
    values, places = torch.sort(x, 1, descending=True)
    spread, mean = torch.std_mean(x, (2, 3))
    squares, _ = torch.var_mean(x, 1, unbiased=False, keepdim=True)
    return values * places, x.argsort(2) * x, x.median(1)[0], x.cummax(2)[0], spread, mean, squares


def products(x):
    return torch.relu(x).cumprod(2), x.logcumsumexp(1), x.diff(dim=3), x.norm(1, dim=1), torch.maximum(x, -x).tril()


def scattered(x):
    places = x.argsort(3)
    base = torch.zeros_like(x)
    base.scatter_(2, x.argmax(2, keepdim=True), 0.5)
    chosen = F.one_hot(x.argmax(1), 4) * x.permute(0, 2, 3, 1)
    return base * x, x.scatter(1, places[:, :1, :, :], x[:, 1:2] * 2), x.scatter_add(3, places, x * x), chosen


def compared(x):
    y = x.flip(1)
    angle, length = F.cosine_similarity(x, y), F.pairwise_distance(x, y, p=1.5)
    form = F.bilinear(x.mean(3).transpose(1, 2), x.amax(3).transpose(1, 2), x.new_zeros(2, 4, 4) + 0.5)
    return (
        angle,
        length,
        form,
        torch.einsum("...ij,...ik->...k", x[:, :3], y[:, :3]),
        F.mse_loss(x, y, reduction="none"),
    )


def sampled(x):
    grid = torch.tanh(x[:, :2]).permute(0, 2, 3, 1) * 1.2
    x = F.pixel_unshuffle(F.pad(x, (0, 0, 0, 1), mode="replicate"), 2)
    near = F.grid_sample(x, grid, "nearest", "border", align_corners=True)
    return F.grid_sample(x, grid, align_corners=False), near, F.pixel_shuffle(x, 2), F.instance_norm(x, eps=1e-3)


FUNCTIONS = (squeeze_excite, by_hand, activations, rounded, best)
MORE = (shrinks, by_name, ordered, products, scattered, compared, sampled)


def translated(function):
    return parity.translate(Forward(function).eval(), IMAGES, dtypes=("float64",))


@pytest.mark.slow
@pytest.mark.parametrize("function", MORE, ids=lambda function: function.__name__)
def test_more_functions_are_proven(function):
    port = translated(function)
    assert port.passed, str(port.report)


@pytest.mark.slow
def test_another_slope_is_seen(monkeypatch):
    monkeypatch.setitem(
        registry.FUNCTIONS, "softshrink", lambda builder, x, *_: builder.op("ops.soft_shrink({0})", [x])
    )
    assert not translated(shrinks).passed


@pytest.mark.parametrize(
    ("function", "says"),
    [
        (lambda x: F.one_hot(x.argmax(1)) * 1.0, "one_hot without num_classes"),
        (lambda x: x[x > 0], "truth values"),
        (lambda x: torch.unique(x), "unique"),
        (lambda x: torch.fft.fft(x).real, "complex"),
        (lambda x: x.nonzero() * 1.0, "nonzero"),
    ],
)
def test_what_has_no_translation_is_one_line_with_the_users_own(function, says):
    with pytest.raises(BlitzError, match=says) as raised:
        translated(function)
    assert "test_translate_functions.py" in str(raised.value)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("function", FUNCTIONS, ids=lambda function: function.__name__)
def test_function_is_proven(function):
    port = translated(function)
    assert port.passed, str(port.report)
    with torch.no_grad():
        others = torch.randn(3, 3, 5, 4)
        expected = port.module(others)
    actual = port.model(others.numpy().transpose(0, 2, 3, 1))
    if function is squeeze_excite:
        np.testing.assert_allclose(np.transpose(actual, (0, 3, 1, 2)), expected.numpy(), rtol=1e-5, atol=1e-6)


def test_biased_variance_is_seen(monkeypatch):
    monkeypatch.setattr(reduction, "_counts", lambda *_: (20, 20))
    assert not translated(by_hand).passed


def test_gradient_of_a_constants_deviation_is_zero():
    port = translated(lambda x: x.std(3) * 2)
    import tensorflow as tf

    images = tf.ones((2, 5, 4, 3))
    with tf.GradientTape() as tape:
        total = tf.reduce_sum(port.model(images))
    gradients = tape.gradient(total, port.model.trainable_variables)
    assert all(np.isfinite(gradient).all() for gradient in gradients)
