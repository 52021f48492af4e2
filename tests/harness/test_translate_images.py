"""`parity.translate` on what image models do beside plain layers: small modules of the same kinds, each proven."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")

import torch.nn.functional as F  # noqa: E402
from nets_to_translate import lively  # noqa: E402
from torch import nn  # noqa: E402

import parity  # noqa: E402
from parity.translate.rules import normalization  # noqa: E402

pytestmark = pytest.mark.torch

IMAGES = np.random.RandomState(0).randn(3, 4, 9, 7).astype("f")


class Standardized(nn.Conv2d):
    """A convolution whose kernel has each output's weights standardized, and scaled by a gain."""

    def __init__(self, *sizes, **options):
        super().__init__(*sizes, **options)
        self.gain = nn.Parameter(torch.ones(self.out_channels, 1, 1, 1))

    def forward(self, x):
        rows = self.weight.reshape(1, self.out_channels, -1)
        rows = F.batch_norm(rows, None, None, (self.gain * 0.3).view(-1), training=True, momentum=0.0, eps=1e-4)
        kernel = rows.reshape_as(self.weight)
        return F.conv2d(x, kernel, self.bias, self.stride, self.padding, self.dilation, self.groups)


class Blurred(nn.Module):
    """Downsampling by a fixed filter, the same for every channel, after a padding by reflection."""

    def __init__(self):
        super().__init__()
        taps = torch.tensor([1.0, 2.0, 1.5]) / 4
        self.register_buffer("taps", taps[:, None] * taps[None], persistent=False)

    def forward(self, x):
        kernel = self.taps[None, None].repeat(x.shape[1], 1, 1, 1)
        return F.conv2d(F.pad(x, (1, 1, 1, 1), "reflect"), kernel, stride=2, groups=x.shape[1])


class OwnGroups(nn.GroupNorm):
    def forward(self, x):
        return F.group_norm(x, self.num_groups, self.weight, self.bias, self.eps)


class Response(nn.Module):
    """Channels scaled by their length beside that of the others."""

    def __init__(self, width):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))

    def forward(self, x):
        length = x.norm(p=2, dim=(2, 3), keepdim=True)
        return x + self.weight.view(1, -1, 1, 1) * x * length / (length.mean(1, keepdim=True) + 1e-6)


class Positions(nn.Module):
    """Patches with positions of another grid, a BatchNorm of all patches, and a bias whose middle third is fixed."""

    def __init__(self):
        super().__init__()
        self.positions = nn.Parameter(torch.randn(1, 12, 4))
        self.norm, self.qkv = nn.BatchNorm1d(4), nn.Linear(4, 12, bias=False)
        self.q_bias, self.v_bias = nn.Parameter(torch.randn(4)), nn.Parameter(torch.randn(4))
        self.register_buffer("k_bias", torch.zeros(4), persistent=False)

    def forward(self, x):
        grid = self.positions.reshape(1, 3, 4, 4).permute(0, 3, 1, 2)
        grid = F.interpolate(grid, size=x.shape[2:], mode="bicubic", antialias=True)
        x = (x + grid).flatten(2).transpose(1, 2)
        x = self.norm(x.flatten(0, 1)).reshape_as(x)
        return F.linear(x, self.qkv.weight, torch.cat((self.q_bias, self.k_bias, self.v_bias)))


class Separable(nn.Module):
    def __init__(self, inner, outer, norm):
        super().__init__()
        self.norm = nn.BatchNorm2d(inner) if norm else None
        self.depth, self.point = nn.Conv2d(inner, inner, 3, padding=1, groups=inner), nn.Conv2d(inner, outer, 1)

    def forward(self, x):
        if self.norm is not None:
            x = self.norm(x)
        return self.point(self.depth(x))


class Scale(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.gain = nn.Parameter(torch.ones(width, 1, 1))

    def forward(self, x):
        return torch.tanh(x * self.gain) * 0.5


class Unit(nn.Module):
    """A stage whose first step some have and some have not, named as the class of the step is."""

    def __init__(self, inner, outer, scale, norms):
        super().__init__()
        self.scale = Scale(inner) if scale else None
        widths = [inner, *(outer for _ in norms)]
        self.steps = nn.Sequential(*map(Separable, widths, widths[1:], norms))

    def forward(self, x):
        if self.scale is not None:
            x = self.scale(x)
        return self.steps(x)


class Turned(nn.Module):
    """A linear layer of a square map with its rows and columns exchanged, and one of both maps."""

    def __init__(self):
        super().__init__()
        self.inner, self.outer = nn.Linear(4, 4), nn.Linear(8, 3)

    def forward(self, x):
        x = x[..., :7, :].permute(0, 2, 3, 1)
        turned = self.inner(x.transpose(1, 2))
        return self.outer(torch.cat([turned.transpose(1, 2), x], -1))


def convolutions():
    first = nn.Conv2d(4, 4, (3, 1), padding="same", padding_mode="circular")
    second, third = Standardized(4, 6, 3, padding=1, groups=2), Standardized(6, 4, (3, 2), stride=2, bias=False)
    return nn.Sequential(first, Blurred(), second, Response(6), third, OwnGroups(2, 4))


def stages():
    return nn.Sequential(
        Unit(4, 6, False, (False, True)), Unit(6, 6, True, (True, True)), Unit(6, 4, True, (True, True, True))
    )


CASES = {"convolutions": convolutions, "positions": Positions, "turned": Turned, "stages": stages}


@pytest.mark.parametrize("name", list(CASES))
def test_kind_is_proven(name):
    torch.manual_seed(0)
    port = parity.translate(lively(CASES[name]()), IMAGES, dtypes=("float64",))
    assert port.passed, str(port.report)


rows = normalization._rows


def other_epsilon(builder, x, weight, bias, _):
    return rows(builder, x, weight, bias, 1e-5)


def turned(builder, weight):
    return builder.to(weight, (3, 2, 1, 0))


@pytest.mark.parametrize(("rule", "mistake"), [("normalization._rows", other_epsilon), ("convolution._kernel", turned)])
def test_mistake_in_a_computed_kernel_is_seen(rule, mistake, monkeypatch):
    monkeypatch.setattr(f"parity.translate.rules.{rule}", mistake)
    port = parity.translate(lively(Standardized(4, 6, 3, groups=2)), IMAGES, dtypes=("float64",))
    assert not port.passed
    assert "not proven: NOT equivalent" in port.source.splitlines()[0]
