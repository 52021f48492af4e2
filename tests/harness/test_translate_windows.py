"""`parity.translate` on windows of images: those that overlap, those that are folded back, and each image's for all."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")

import torch.nn.functional as F  # noqa: E402
from nets_to_translate import lively  # noqa: E402
from torch import nn  # noqa: E402

import parity  # noqa: E402
from keras_blitz.errors import BlitzError  # noqa: E402
from parity.translate import registry  # noqa: E402

pytestmark = pytest.mark.torch

IMAGES = np.random.RandomState(0).randn(2, 3, 8, 6).astype("f")


class Folded(nn.Module):
    """Values of windows, mixed and summed where they overlap."""

    def __init__(self):
        super().__init__()
        self.unfold, self.mix = nn.Unfold((3, 2), padding=1, stride=2), nn.Linear(18, 18)

    def forward(self, x):
        columns = self.mix(self.unfold(x).transpose(1, 2)).transpose(1, 2)
        return F.fold(columns, x.shape[2:], (3, 2), padding=1, stride=2) + F.fold(F.unfold(x, 2), x.shape[2:], 2)


class Halo(nn.Module):
    """Windows with their surroundings, each weighed by a query that all windows of an image share."""

    def __init__(self):
        super().__init__()
        self.query, self.head = nn.Linear(3, 3), nn.Linear(16, 2)

    def forward(self, x):
        n, c = x.shape[:2]
        windows = F.pad(x, [1, 1, 1, 1]).unfold(2, 4, 2).unfold(3, 4, 2)  # (N, C, 4, 3, 4, 4)
        windows = windows.permute(0, 2, 3, 1, 4, 5).reshape(n * 12, c, 16)
        query = self.query(x.mean((2, 3))).repeat_interleave(12, dim=0)
        return self.head(windows * query[..., None]).reshape(n, 12, c * 2)


class Pixels(nn.Module):
    """Layers over the pixels of each channel, to which their input is added."""

    def __init__(self):
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(48, 48) for _ in range(3))

    def forward(self, x):
        x = x.flatten(2)
        for layer in self.layers:
            x = x + layer(x)
        return x


class RepeatedFlat(nn.Module):
    def forward(self, x):
        return x.repeat_interleave(2)


class OneImage(nn.Module):
    def __init__(self):
        super().__init__()
        self.unfold = nn.Unfold(2)

    def forward(self, x):
        return self.unfold(x[:, 0])


def translated(net):
    torch.manual_seed(0)
    return parity.translate(lively(net()), IMAGES, dtypes=("float64",))


@pytest.mark.parametrize("net", [Folded, Halo])
def test_windows_are_proven(net):
    port = translated(net)
    assert port.passed, str(port.report)


def _tiled(_, builder, x, repeats, dim):
    return builder.op("ops.tile({0}, ({count}, 1))", [builder.view(x)], count=repeats)


def _of_another_step(rule, builder, x, axis, size, step):
    return rule(builder, x, axis, size, 1)


def test_sums_stay_in_the_order_that_the_layers_want():
    torch.manual_seed(0)
    port = parity.translate(lively(Pixels()), IMAGES, check=False)
    assert port.source.count("transpose") == 1, port.source


MISTAKES = {
    "halo-of-another-step": ("unfold", _of_another_step),
    "tiled-not-repeated": ("repeat_interleave", _tiled),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_mistake_in_windows_is_caught(mistake, monkeypatch):
    name, change = MISTAKES[mistake]
    registry.load()
    rule = registry.FUNCTIONS[name]
    monkeypatch.setitem(registry.FUNCTIONS, name, lambda builder, *args, **named: change(rule, builder, *args, **named))
    assert "NOT equivalent in eval mode" in translated(Halo).proof.line


@pytest.mark.parametrize(("net", "words"), [(RepeatedFlat, "repeat_interleave"), (OneImage, "Unfold")])
def test_what_windows_cannot_be_is_one_line(net, words):
    with pytest.raises(BlitzError, match=words):
        translated(net)
