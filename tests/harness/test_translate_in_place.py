"""Changes in place, and sizes that follow the batch: translated as PyTorch does them, or refused by one line."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from torch import nn  # noqa: E402

import parity  # noqa: E402
from keras_blitz.errors import BlitzError  # noqa: E402

pytestmark = pytest.mark.torch


class Net(nn.Module):
    def __init__(self, steps):
        super().__init__()
        self.steps = steps
        self.fc, self.query, self.token = nn.Linear(8, 8), nn.Embedding(5, 8), nn.Parameter(torch.ones(1, 1, 8) / 3)

    def forward(self, x):
        return self.steps(self, x)


def of_views(net, x):
    y = net.fc(x)
    half, column, flat = y[:, :6], y[:, 1], y.view(-1, 2, 4)
    y[:, 0] = 0
    y[..., :2] += x[..., 2:4]
    flat[:, 1].mul_(2)  # seen by half and y
    half[:, 3:].copy_(x[:, :3])
    y.t()[7].add_(1)
    y[x > 1] = 0.5
    return y, half + 1, column


def of_zeros(net, x):
    y = torch.zeros(x.shape[0], 2, 4)
    y[:, 0] = net.fc(x)[:, :4]
    y[:, 1, 1:3] = x[:, :2]
    return y * net.token[:, :, :4]


def of_queries(net, x):
    queries = net.query.weight.unsqueeze(1).repeat(1, len(x), 1)  # (5, N, 8)
    tokens = net.token.expand(3, x.shape[0], 8)
    return (queries + net.fc(x)).transpose(0, 1), (tokens * x).transpose(0, 1)


def as_numpy(outputs):
    return [np.asarray(each) for each in (outputs if isinstance(outputs, (list, tuple)) else [outputs])]


@pytest.mark.parametrize("steps", [of_views, of_zeros, of_queries])
def test_other_examples_in_another_number_give_what_pytorch_gives(steps):
    torch.manual_seed(0)
    net, other = Net(steps), torch.randn(5, 8)
    port = parity.translate(net, torch.randn(3, 8).numpy(), check=False)
    with torch.no_grad():
        expected = as_numpy(net(other.clone()))
    actual = as_numpy(port.model(other.numpy()))
    for one, two in zip(expected, actual, strict=True):
        np.testing.assert_allclose(two, one, atol=1e-6)


def test_a_view_that_is_changed_is_proven():
    port = parity.translate(Net(of_views), np.random.RandomState(0).randn(3, 8).astype("f"), dtypes=("float64",))
    assert port.passed, port.proof.line


@pytest.mark.parametrize(
    ("steps", "words"),
    [
        (lambda net, x: net.fc(x) / len(x), ["div", "is given 2, and 3", "net.fc(x) / len(x)"]),
        (lambda net, x: net.fc(x) * torch.tensor(float(len(x))), ["constant", "torch.tensor(float(len(x)))"]),
        (lambda net, x: net.token.expand(2 * len(x), 3, 8) + 1, ["number of examples", "net.token.expand(2"]),
        (lambda net, x: torch.stack([net.token] * len(x)), ["as many tensors", "torch.stack("]),
        (lambda net, x: net.fc(x).index_copy_(0, torch.tensor([0]), x[:1]), ["net.fc(x).index_copy_("]),
    ],
)  # fmt: skip
def test_what_follows_the_batch_otherwise_is_refused_with_its_line(steps, words):
    with pytest.raises(BlitzError) as caught:
        parity.translate(Net(steps), np.ones((2, 8), "f"), check=False)
    assert [word for word in [*words, "test_translate_in_place.py"] if word not in str(caught.value)] == []


def test_a_change_that_autograd_does_not_see_is_refused():
    def steps(net, x):
        y = net.fc(x)
        y.detach().mul_(2)
        return y

    with pytest.raises(BlitzError, match=r"shares memory.*y\.detach\(\)\.mul_\(2\)"):
        parity.translate(Net(steps), np.ones((2, 8), "f"), check=False)


def test_a_gate_over_every_size_is_no_tile():
    class Gate(nn.Sequential):
        def forward(self, x):
            return x * torch.sigmoid(self[0](x.mean((2, 3), keepdim=True))).expand_as(x)

    images = [np.ones((2, 3, *size), "f") for size in ((4, 6), (6, 8))]
    port = parity.translate(Gate(nn.Conv2d(3, 3, 1)), images[0], other=images[1], check=False)
    assert "ops.tile" not in port.source
    assert "(None, None, 3)" in port.source


class Round(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        return x.round()

    @staticmethod
    def backward(ctx, gradient):
        return gradient


def test_a_gradient_of_ones_own_without_a_rule_is_a_stub_among_the_others():
    net = Net(lambda net, x: torch.special.i0(Round.apply(net.fc(x))))
    port = parity.translate(net, np.ones((2, 8), "f"), partial=True)
    assert [("Round" in port.holes[0]), ("special_i0" in port.holes[1]), len(port.holes)] == [True, True, 2]
    with pytest.raises(BlitzError, match=r"Round.*special_i0.*parity\.translates"):
        parity.translate(net, np.ones((2, 8), "f"))
