"""Blocks of one class that differ are one function of `parity.translate`; layers that come again are one loop."""

import ast

import numpy as np
import pytest
from keras import ops

torch = pytest.importorskip("torch")

from nets_to_translate import lively  # noqa: E402
from torch import nn  # noqa: E402
from zoo.readability import repeated, ruff  # noqa: E402

import parity  # noqa: E402
from keras_blitz.layers import RepeatBatch  # noqa: E402
from parity.translate.emit import Text  # noqa: E402

pytestmark = [pytest.mark.torch, pytest.mark.slow]

VECTORS = np.random.RandomState(0).randn(3, 5, 8).astype("f")
IMAGES = np.random.RandomState(0).randn(2, 3, 8, 6).astype("f")


class Biased(nn.Module):
    """Attention with a bias of places, which the first block makes and the others are given."""

    def __init__(self, makes):
        super().__init__()
        self.q, self.k, self.v = (nn.Linear(8, 8) for _ in range(3))
        self.places = nn.Embedding(5, 5) if makes else None

    def forward(self, x, bias=None):
        query, key = self.q(x).tanh(), self.k(x).tanh()
        scores = query @ key.transpose(1, 2)
        if bias is None:
            bias = self.places(torch.arange(5))
        return x + (scores + bias).softmax(-1) @ self.v(x), bias


class EitherWay(nn.Module):
    """Wider by a layer, or gated by another."""

    def __init__(self, width, gated):
        super().__init__()
        self.gated, self.first, self.last = gated, nn.Linear(8, width), nn.Linear(width, 8)
        self.norm, self.gate, self.more = nn.LayerNorm(8), None, None
        if gated:
            self.gate = nn.Linear(width, width)
        else:
            self.more = nn.Linear(width, width)

    def forward(self, x):
        y = self.first(x)
        y = y * self.gate(y).sigmoid() if self.gated else self.more(y)
        return self.norm(x + self.last(y).tanh())


class Plain(nn.Module):
    """A layer of another width."""

    def __init__(self, width):
        super().__init__()
        self.fc = nn.Linear(8, width)

    def forward(self, x):
        return self.fc(x).tanh()


class Light(Plain):
    """The same with a function after it."""

    def forward(self, x):
        return self.fc(x).sin()


class Collected(nn.Module):
    """All that layers of one of two classes return, joined, and added to what came in by some."""

    def __init__(self, kind, added):
        super().__init__()
        self.layers = nn.ModuleList(kind(8) for _ in range(3))
        self.one, self.two, self.three, self.added = nn.Linear(32, 8), nn.Linear(8, 8), nn.LayerNorm(8), added

    def forward(self, x):
        identity, output = x, [x]
        for layer in self.layers:
            x = layer(x)
            output.append(x)
        output = torch.cat(output, -1)
        y = self.three(self.two(self.one(output).tanh()))
        return y + identity if self.added else y


class Shared(nn.Module):
    """Layers in rounds, blocks that share a bias, and blocks of two forms."""

    def __init__(self):
        super().__init__()
        rounds, width = [], 8
        for wider, bent in ((6, True), (4, False), (8, True)):
            rounds += [nn.Linear(width, wider), nn.Tanh(), *([nn.ELU()] if bent else [])]
            width = wider
        self.features = nn.Sequential(*rounds)
        self.blocks = nn.ModuleList(Biased(n == 0) for n in range(3))
        self.steps = nn.Sequential(EitherWay(3, False), EitherWay(4, True), EitherWay(6, False))

    def forward(self, x):
        x, bias = self.features(x), None
        for block in self.blocks:
            x, bias = block(x, bias)
        return self.steps(x)


class Windows(nn.Module):
    """Four windows of each image in the batch's axis, with a weight and a constant mask for each of the four."""

    def __init__(self):
        super().__init__()
        self.mix, self.last = nn.Linear(3, 6), nn.Linear(6, 3)
        self.scale = nn.Parameter(torch.zeros(4, 6))

    def forward(self, x):
        count = len(x)
        x = x.permute(0, 2, 3, 1).reshape(count * 4, 12, 3)
        mask = torch.linspace(0, 1, 24).reshape(4, 1, 6).repeat(count, 1, 1)
        x = self.mix(x) * mask
        return self.last(x * mask.exp() + self.scale.unsqueeze(1).repeat(count, 1, 1))


def translated(module, inputs):
    torch.manual_seed(0)
    return parity.translate(lively(module), inputs, dtypes=("float64",))


@pytest.fixture(scope="module")
def shared():
    return translated(Shared(), VECTORS)


def function_of(source, name):
    """Return the text of a function; there is no second one of its class."""
    functions = [each for each in ast.parse(source).body if isinstance(each, ast.FunctionDef)]
    (only,) = [each for each in functions if each.name.startswith(name)]
    return ast.unparse(only)


def test_blocks_that_differ_are_proven_and_read_well(shared):
    assert shared.passed, shared.proof.line
    assert shared.source.count("\ndef ") == 3
    assert not repeated(shared.source)
    assert not ruff(shared.source)


def test_what_some_blocks_are_not_given_is_none(shared):
    text = function_of(shared.source, "biased")
    assert text.startswith("def biased(x, bias, path):")
    assert text.count("if bias is None:") == 1
    assert text.endswith("return (x, bias)")
    assert 'biased(x, None, "blocks.0")' in shared.source
    assert shared.source.count('biased(x, bias, "') == 2


def test_a_line_of_two_values_gives_both_their_names(shared):
    text = function_of(shared.source, "biased")
    assert [text.count(f"{name} = ops.tanh(") for name in ("query", "key")] == [1, 1]


def test_two_forms_of_a_block_are_if_and_else(shared):
    text = function_of(shared.source, "either_way")
    assert text.count("if ") == text.count("else:") == 1
    assert [text.count(f".{name}'") for name in ("first", "gate", "more", "last", "norm")] == [1] * 5


def test_layers_that_come_again_are_a_loop_over_a_table(shared):
    main = function_of(shared.source, "shared")
    assert main.count("for ") == 1
    assert "[(0, 6, True), (3, 4, False), (5, 8, True)]" in main
    assert main.count("features.") == 3


@pytest.mark.slow
def test_lists_of_two_forms_have_one_name():
    port = translated(nn.Sequential(Collected(Plain, False), Collected(Light, False), Collected(Light, True)), VECTORS)
    assert port.passed, port.proof.line
    assert function_of(port.source, "collected").count("output = [x]") == 2
    assert "_ =" not in port.source


@pytest.mark.slow
def test_a_turned_condition_is_seen(monkeypatch):
    right = Text._condition
    monkeypatch.setattr(Text, "_condition", lambda text, start: f"not {right(text, start)}")
    assert not translated(nn.Sequential(*(EitherWay(3, n == 1) for n in range(3))), VECTORS).passed


def test_masks_of_windows_are_repeated_for_each_image():
    port = translated(Windows(), IMAGES)
    assert port.passed, port.proof.line
    assert port.source.count("RepeatBatch()") == 3
    once, twice = (port.model(images.transpose(0, 2, 3, 1)) for images in (IMAGES, np.concatenate([IMAGES] * 2)))
    np.testing.assert_allclose(twice, np.concatenate([once] * 2), atol=1e-6)


@pytest.mark.slow
def test_masks_repeated_window_by_window_are_seen(monkeypatch):
    def in_a_row(_, values, like):
        return ops.repeat(values, like.shape[0] // values.shape[0], axis=0)

    monkeypatch.setattr(RepeatBatch, "call", in_a_row)
    assert not translated(Windows(), IMAGES).passed
