"""Stochastic depth is translated, and proven in train mode: both sides draw the same rows."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from torch import nn  # noqa: E402

import parity  # noqa: E402
from keras_blitz.layers import StochasticDepth as OwnStochasticDepth  # noqa: E402
from parity.translate import registry  # noqa: E402

pytestmark = pytest.mark.torch


class StochasticDepth(nn.Module):
    """As torchvision has it."""

    def __init__(self, p, mode):
        super().__init__()
        self.p, self.mode = p, mode

    def forward(self, x):
        if not self.training or self.p == 0:
            return x
        size = [x.shape[0]] + [1] * (x.dim() - 1) if self.mode == "row" else [1] * x.dim()
        noise = torch.empty(size, dtype=x.dtype).bernoulli_(1 - self.p)
        return x * noise.div_(1 - self.p)


class CopiedDropPath(nn.Module):
    """As timm has it, under the name that a model has copied it by."""

    def __init__(self, drop_prob):
        super().__init__()
        self.drop_prob = drop_prob

    def forward(self, x):
        if not self.training or not self.drop_prob:
            return x
        keep = 1 - self.drop_prob
        return x.div(keep) * (keep + torch.rand((x.shape[0],) + (1,) * (x.dim() - 1), dtype=x.dtype)).floor_()


class Unscaled(CopiedDropPath):
    """No DropPath by its name: it is recorded as it runs in eval mode, and train mode cannot be proven."""

    def forward(self, x):
        return super().forward(x) * (1 - self.drop_prob) if self.training else x


class Residual(nn.Module):
    def __init__(self, *drops):
        super().__init__()
        self.branches = nn.ModuleList(nn.Linear(3, 3) for _ in drops)
        self.drops = nn.ModuleList(drops)

    def forward(self, x):
        for branch, drop in zip(self.branches, self.drops, strict=True):
            x = x + drop(torch.tanh(branch(x)))
        return x


INPUTS = np.random.RandomState(0).randn(12, 4, 3).astype("f")


def port_of(*drops, **options):
    torch.manual_seed(0)
    return parity.translate(Residual(*drops), INPUTS, dtypes=("float64",), **options)


def test_rows_batches_and_paths_are_proven_in_train_mode():
    port = port_of(StochasticDepth(0.3, "row"), StochasticDepth(0.4, "batch"), CopiedDropPath(0.3), CopiedDropPath(0.0))
    assert port.passed, str(port.report)
    assert set(port.proof.reports) == {"eval mode", "train mode"}
    made = [layer for layer in port.model.layers if isinstance(layer, OwnStochasticDepth)]
    assert [(layer.rate, layer.mode) for layer in made] == [(0.3, "row"), (0.4, "batch"), (0.3, "row")]


@pytest.mark.parametrize(
    "change", [lambda drop: setattr(drop, "p", 0.5), lambda drop: setattr(drop, "mode", "batch")], ids=["rate", "mode"]
)
def test_another_rate_or_mode_is_caught(change, monkeypatch):
    registry.load()
    rule = registry.ALIKE["StochasticDepth"]

    def wrong(builder, drop, x):
        other = StochasticDepth(drop.p, drop.mode)
        change(other)
        return rule(builder, other, x)

    monkeypatch.setitem(registry.ALIKE, "StochasticDepth", wrong)
    port = port_of(StochasticDepth(0.3, "row"))
    assert not port.passed
    assert port.proof.reports["eval mode"].passed


def test_what_is_not_scaled_is_not_taken_for_it():
    assert not port_of(Unscaled(0.3), train=True).passed
    with pytest.raises(ValueError, match="scale_by_keep"):
        drop = CopiedDropPath(0.3)
        drop.scale_by_keep = False
        port_of(drop, check=False)


class Twice(nn.Module):
    """One stochastic depth after two branches, as MaxViT has it; the first block of a network has none."""

    def __init__(self, p):
        super().__init__()
        self.one, self.other, self.drop = nn.Linear(3, 3), nn.Linear(3, 3), StochasticDepth(p, "row")

    def forward(self, x):
        x = x + self.drop(torch.tanh(self.one(x)))
        return x + self.drop(torch.tanh(self.other(x)))


def test_a_layer_that_some_blocks_have_is_called_again_under_its_own_name():
    torch.manual_seed(0)
    port = parity.translate(nn.Sequential(Twice(0.0), Twice(0.2), Twice(0.4)), INPUTS, dtypes=("float64",))
    assert port.passed, port.proof.line
    assert port.source.count("StochasticDepth(") == 1


class Partitioned(nn.Module):
    """Windows of a map whose rows are exchanged with them before the norm, as MaxViT's grid has it."""

    def __init__(self):
        super().__init__()
        self.norm = nn.LayerNorm(3)

    def forward(self, x):
        x = x.reshape(len(x), 2, 2, 3).swapaxes(1, 2)
        return self.norm(torch.cat([x, x[:, :1] * 2], 1)).swapaxes(1, 2)


def test_norm_of_exchanged_axes_is_compared_in_pytorchs_order():
    assert parity.translate(Partitioned(), INPUTS, dtypes=("float64",)).passed
