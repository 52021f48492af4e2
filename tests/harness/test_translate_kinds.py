"""`parity.translate` on what models of transformers and timm do: small modules of the same kinds, each proven."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")

import torch.nn.functional as F  # noqa: E402
from nets_to_translate import Residual, lively  # noqa: E402
from torch import nn  # noqa: E402

import parity  # noqa: E402
from keras_blitz.errors import BlitzError  # noqa: E402
from parity.translate.widened import widened  # noqa: E402

pytestmark = pytest.mark.torch

WORDS = np.random.RandomState(0).randint(1, 9, (3, 5))
NUMBERS = np.random.RandomState(0).randn(3, 5, 4).astype("f")
IMAGES = np.random.RandomState(0).randn(3, 3, 8, 6).astype("f")


class ScaledEmbedding(nn.Embedding):
    """A forward of its own around the look-up."""

    def forward(self, ids):
        return super().forward(ids)


class Tied(nn.Module):
    """Two tables and an output layer that are one tensor, with a row for padding."""

    def __init__(self):
        super().__init__()
        self.shared = ScaledEmbedding(9, 4, padding_idx=0)
        self.table = ScaledEmbedding(9, 4, padding_idx=0)
        self.head = nn.Linear(4, 9, bias=False)
        self.table.weight = self.head.weight = self.shared.weight

    def forward(self, ids):
        return self.head(torch.tanh(self.table(ids)) + self.shared(ids.flip(1) if False else ids))


class Rotated(nn.Module):
    """Sines of positions, computed in forward, and a norm that casts up to float32."""

    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(torch.ones(4))
        self.register_buffer("frequencies", torch.tensor([1.0, 0.1, 0.01, 0.001]), persistent=False)
        self.register_buffer("positions", torch.arange(5)[None], persistent=False)

    def forward(self, x):
        angles = self.positions[..., None].float() * self.frequencies
        x = x * angles.cos() + x.roll(1, -1) * angles.sin()
        wide = x.to(torch.float32)
        wide = wide * torch.rsqrt(wide.pow(2).mean(-1, keepdim=True) + 1e-6)
        return self.scale * wide.to(x.dtype)


class Attentive(nn.Module):
    """Attention that drops in train mode alone, beside a module of the name that Keras would give its layer."""

    def __init__(self):
        super().__init__()
        self.query, self.key, self.dropout = nn.Linear(4, 4), nn.Linear(4, 4), nn.Dropout(0.2)

    def forward(self, x):
        p = 0.3 if self.training else 0.0
        return self.dropout(F.scaled_dot_product_attention(self.query(x), self.key(x), x, dropout_p=p))


class LastWord(nn.Module):
    """The vector of the largest word of each example, and types that are looked up by positions."""

    def __init__(self):
        super().__init__()
        self.words, self.types = nn.Embedding(9, 4), nn.Embedding(2, 4)
        self.mask = nn.Parameter(torch.zeros(4))  # which forward does not use
        self.register_buffer("kinds", torch.tensor([[0, 1, 0, 1, 1, 0, 1, 0, 1, 0]]), persistent=False)

    def forward(self, ids):
        kinds = torch.gather(self.kinds.expand(len(ids), -1), 1, ids)
        x = self.words(ids) + self.types(kinds)
        return x[torch.arange(len(x)), ids.argmax(-1)]


class Windows(nn.Module):
    """Attention scores of an image's windows, with a mask for each window."""

    def __init__(self):
        super().__init__()
        self.proj = nn.Linear(3, 3)

    def forward(self, x):
        n = len(x)
        x = x.view(n, 3, 2, 4, 6).permute(0, 2, 3, 4, 1).reshape(n * 2, 24, 3)
        mask = torch.arange(48.0).view(2, 24, 1).repeat(n, 1, 1)
        return (self.proj(x) + mask).view(n, 48, 3)


class NormAct(nn.BatchNorm2d):
    """A BatchNorm with the activation inside, by the function."""

    def forward(self, x):
        x = F.batch_norm(x, self.running_mean, self.running_var, self.weight, self.bias, self.training, 0.1, self.eps)
        return F.relu(x)


class Joined(nn.Module):
    """Two inputs that are read again after variables have their names; a cell's states handed on."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1, bias=False), NormAct(4), Residual(4, 4))
        self.encoder, self.decoder = nn.LSTM(4, 3, batch_first=True), nn.LSTM(4, 3, batch_first=True)
        self.head = nn.Linear(4 * 8 * 6 + 3, 2)

    def forward(self, image, row):
        image = self.conv(image).flatten(1)
        _, state = self.encoder(row)
        row, _ = self.decoder(row, state)
        return self.head(torch.cat([image, row[:, -1]], dim=1))


CASES = {
    "tied": (Tied, (WORDS,)),
    "rotated": (Rotated, (NUMBERS,)),
    "attentive": (Attentive, (NUMBERS,)),
    "last-word": (LastWord, (WORDS,)),
    "windows": (Windows, (IMAGES,)),
    "joined": (Joined, (IMAGES, NUMBERS)),
}


def made(name):
    torch.manual_seed(0)
    net, inputs = CASES[name]
    return lively(net()), inputs


@pytest.mark.parametrize("name", list(CASES))
def test_kind_is_proven(name):
    module, inputs = made(name)
    port = parity.translate(module, inputs, dtypes=("float64",))
    assert port.passed, str(port.report)
    assert "in float64" in port.source.splitlines()[0]


def test_lost_dropout_of_attention_is_seen(monkeypatch):
    monkeypatch.setattr("parity.translate.port.add_train_mode", lambda *_: None)
    module, inputs = made("attentive")
    port = parity.translate(module, inputs, dtypes=("float64",))
    assert not port.passed
    assert "train mode" in port.source.splitlines()[0]


def test_constants_in_float32_are_seen(monkeypatch):
    monkeypatch.setattr("parity.translate.port.add_exact_constants", lambda *_: None)
    module, inputs = made("rotated")
    assert not parity.translate(module, inputs, dtypes=("float64",)).passed


def test_widened_module_is_itself_in_float32_and_exact_in_float64():
    module, (inputs,) = made("rotated")
    plain = torch.from_numpy(inputs)
    before = module(plain)
    narrow = module.double()(plain.double())
    wide = widened(module)
    exact = wide(plain.double())
    assert 1e-9 < (narrow - exact).abs().max() < 1e-5
    assert torch.equal(wide.float()(plain), before)


class Shrinks(nn.Module):
    def forward(self, x):
        return x.squeeze(0) if len(x) == 1 else x * 2


def test_one_example_that_loses_an_axis_is_one_line():
    with pytest.raises(BlitzError, match="another batch size"):
        parity.translate(Shrinks(), np.ones((1, 3), "f"))
