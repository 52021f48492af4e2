"""`parity.translate` on weights, gradients and axes of an unusual form: each is proven, and a wrong one is not."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")

import torch.nn.functional as F  # noqa: E402
from nets_to_translate import lively  # noqa: E402
from torch import nn  # noqa: E402

import parity  # noqa: E402
from keras_blitz.errors import BlitzError  # noqa: E402
from parity.translate import layout, registry  # noqa: E402
from parity.translate.rules import repetition  # noqa: E402

pytestmark = pytest.mark.torch

NUMBERS = np.random.RandomState(0).randn(3, 5, 8).astype("f")
NODES = np.random.RandomState(0).randn(6, 4).astype("f")
EDGES = np.array([[0, 1, 2, 5, 4, 0, 2], [1, 2, 0, 2, 3, 3, 5]])


class Square(nn.Linear):
    """A Linear that multiplies by its transposed weight itself; the weight is square."""

    def forward(self, x):
        return x @ self.weight.T + self.bias


class Table(nn.Module):
    """A table of places that no checkpoint has, looked up by numbers that depend on the input."""

    def __init__(self):
        super().__init__()
        self.register_buffer("table", torch.linspace(0, 1, 28).sin().reshape(7, 4), persistent=False)
        self.head = nn.Linear(4, 4)

    def forward(self, x):
        places = (x[..., 0] > 0).int().cumsum(-1)
        return self.head(self.table.index_select(0, places.reshape(-1)).view(*places.shape, 4) * x[..., 4:])


class Gelu(torch.autograd.Function):
    """GELU's approximation with its gradient written out."""

    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return 0.5 * x * (1 + torch.tanh(0.8 * x * (1 + 0.04 * x * x)))

    @staticmethod
    def backward(ctx, upstream):
        (x,) = ctx.saved_tensors
        t = torch.tanh(0.8 * x * (1 + 0.04 * x * x))
        return upstream * (0.5 * (1 + t) + 0.5 * x * (1 - t * t) * (0.8 + 0.096 * x * x))


class Halved(Gelu):
    """The same with a mistake in the gradient."""

    @staticmethod
    def backward(ctx, upstream):
        return Gelu.backward(ctx, upstream) * 0.5


class WithFunction(nn.Module):
    def __init__(self, function=Gelu):
        super().__init__()
        self.function, self.up, self.down = function, nn.Linear(8, 6), nn.Linear(6, 2)

    def forward(self, x):
        return self.down(self.function.apply(self.up(x)))


class Heads(nn.Module):
    """Heads and examples in one axis, and rows of a table that are the same for each example."""

    def __init__(self):
        super().__init__()
        self.proj, self.rows = nn.Linear(8, 8), nn.Parameter(torch.zeros(2, 5, 4))

    def forward(self, x):
        n, length, _ = x.shape
        x = self.proj(x).view(n, length, 2, 4).permute(0, 2, 1, 3).contiguous().view(n * 2, length, 4)
        scores = torch.bmm(x, self.rows.repeat(n, 1, 1).transpose(1, 2))
        x = torch.baddbmm(x, scores, x, beta=0.5, alpha=0.25)
        return x.view(n, 2, length, 4).permute(0, 2, 1, 3).reshape(n, length, 8)


class OneKey(nn.Module):
    """Attention with two heads, of which both have one key and value."""

    def __init__(self):
        super().__init__()
        self.qkv, self.out = nn.Linear(8, 16), nn.Linear(8, 3)

    def forward(self, x):
        n, length, _ = x.shape
        parts = self.qkv(x).view(n, length, 4, 4)
        q, k, v = (each.transpose(1, 2) for each in (parts[:, :, :2], parts[:, :, 2:3], parts[:, :, 3:]))
        y = F.scaled_dot_product_attention(q, k, v)
        return self.out(y.transpose(1, 2).reshape(n, length, 8))


class Normed(nn.Module):
    """A weight-normed convolution, and dropout that makes a train mode."""

    def __init__(self):
        super().__init__()
        self.conv = nn.utils.parametrizations.weight_norm(nn.Conv1d(8, 4, 3, padding=1), dim=2)
        self.drop = nn.Dropout(0.2)

    def forward(self, x):
        return self.drop(self.conv(x.transpose(1, 2)))


class Messages(nn.Module):
    """Messages along edges: axis 0 is the nodes."""

    def __init__(self):
        super().__init__()
        self.lin = nn.Linear(4, 4)

    def forward(self, x, edges):
        source, target = edges
        return self.lin(x.index_add(0, target, x[source], alpha=0.5))


class NormOfMaps(nn.LayerNorm):
    """A LayerNorm over the channels of (N, C, L), with an activation of its own after it."""

    def forward(self, x):
        x = F.layer_norm(x.transpose(1, 2), self.normalized_shape, self.weight, self.bias, self.eps)
        return F.gelu(x.transpose(1, 2))


class Opened(nn.Module):
    """Norms that do more than the layer of their name."""

    def __init__(self):
        super().__init__()
        self.conv, self.norm, self.head = nn.Conv1d(5, 6, 3), NormOfMaps(6), nn.Linear(6, 2)

    def forward(self, x):
        return self.head(self.norm(self.conv(x)).mean(2))


CASES = {
    "square": (lambda: Square(8, 8), (NUMBERS,), {}),
    "table": (Table, (NUMBERS,), {}),
    "function": (WithFunction, (NUMBERS,), {}),
    "heads": (Heads, (NUMBERS,), {}),
    "heads-of-one-example": (Heads, (NUMBERS[:1],), {}),
    "one-key": (OneKey, (NUMBERS,), {}),
    "normed": (Normed, (NUMBERS,), {}),
    "opened": (Opened, (NUMBERS,), {}),
    "messages": (Messages, (NODES, EDGES), {"batch": False}),
}


def translated(name, **options):
    torch.manual_seed(0)
    net, inputs, own = CASES[name]
    return parity.translate(lively(net()), inputs, dtypes=("float64",), **own, **options)


@pytest.mark.parametrize("name", list(CASES))
def test_form_is_proven(name):
    port = translated(name)
    assert port.passed, str(port.report)


def test_norm_that_does_more_is_compared_by_what_its_function_returns(monkeypatch):
    names = {row.name for row in translated("opened").report.comparisons["float64"].rows}
    assert "activation:norm" in names
    monkeypatch.setattr("parity.translate.port.open_module", lambda module, function: None)
    assert translated("opened").report.first_divergence == "activation:norm"


def test_square_weight_that_is_transposed_is_seen(monkeypatch):
    monkeypatch.setattr("parity.translate.transfer._as_it_is", lambda unit: unit)
    assert "output 0 is not PyTorch's" in translated("square").proof.line


def test_weight_of_a_parametrization_by_itself_is_seen(monkeypatch):
    def unnormed(module):
        module.conv = nn.Conv1d(8, 4, 3, padding=1)
        return module, ["conv.weight"]

    monkeypatch.setattr("parity.translate.port.folded", unnormed)
    port = translated("normed", check=False)
    assert "PyTorch computes conv.weight from other weights" in port.source
    torch.manual_seed(0)
    module = lively(Normed())
    assert not np.allclose(port.model(NUMBERS), module.eval()(torch.from_numpy(NUMBERS)).mT.detach(), atol=1e-3)


def test_train_mode_of_a_computed_weight_is_refused():
    with pytest.raises(BlitzError, match="weight_norm"):
        translated("normed", train=True)


def test_rows_repeated_for_the_example_alone_are_seen(monkeypatch):
    monkeypatch.setattr(
        repetition, "_tile_batch", lambda builder, x, counts: builder.op("ops.tile({0}, {counts})", [x], counts=counts)
    )
    assert not translated("heads").passed


def test_gradient_of_ones_own_is_refused():
    with pytest.raises(BlitzError, match=r"Halved, an .* with a gradient of its own"):
        parity.translate(WithFunction(Halved), NUMBERS, check=False)


def test_rule_of_an_autograd_function(monkeypatch):
    monkeypatch.setattr(registry, "FUNCTIONS", dict(registry.FUNCTIONS))

    @parity.translates(Halved)
    def halved(builder, x):
        return builder.op("ops.tanh({0})", [x])

    source = parity.translate(WithFunction(Halved), NUMBERS, check=False).source
    assert source.count("ops.tanh") == 1


def test_inputs_without_a_batch_are_said():
    with pytest.raises(BlitzError, match="--no-batch"):
        parity.translate(Messages(), (NODES, EDGES), check=False)
    source = translated("messages", check=False).source
    assert "batch_shape=(6, 4)" in source
    assert "takes these shapes alone" in source


def test_one_key_of_all_heads_needs_no_transpose():
    assert "transpose" not in translated("one-key", check=False).source


def test_merged_axes_stand_where_the_result_has_pytorchs_order():
    shape = (2, 9, 4, 8)  # (N, S, H, D), in memory (N, H, S, D)
    wanted = (2, 9, 32)
    groups = layout.groups(shape, wanted)
    order = layout.gathered((0, 2, 1, 3), shape, groups, wanted)
    assert order == (0, 1, 2, 3)
    assert layout.reshaped(order, shape, groups, wanted) == (0, 1, 2)
    shape, wanted = (2, 3, 5, 7, 6), (2, 15, 7, 6)  # channels last stay last
    assert layout.gathered((0, 3, 4, 2, 1), shape, layout.groups(shape, wanted), wanted) == (0, 3, 4, 1, 2)


def test_new_axis_stands_where_its_merge_needs_no_transpose():
    shape, wanted = (2, 4, 9, 8), (2, 4, 1, 9, 8)  # heads that are repeated, in memory (N, S, H, D)
    assert layout.reshaped((0, 2, 1, 3), shape, layout.groups(shape, wanted), wanted) == (0, 3, 1, 2, 4)
    assert layout.reshaped((1, 2, 0), (4, 9, 9), layout.groups((4, 9, 9), (1, 4, 9, 9)), (1, 4, 9, 9)) == (0, 2, 3, 1)
