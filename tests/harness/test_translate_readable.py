"""What `parity.translate` makes of lists, of numbers that follow from a shape, and of what nobody reads."""

import ast
import re

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from nets_to_translate import lively  # noqa: E402
from torch import nn  # noqa: E402
from zoo.readability import as_in_pytorch, code_lines, faults, measure, repeated, ruff  # noqa: E402

import parity  # noqa: E402
from keras_blitz.errors import BlitzError  # noqa: E402

pytestmark = pytest.mark.torch

IMAGES = np.random.RandomState(0).randn(2, 3, 8, 6).astype("f")
VECTORS = np.random.RandomState(0).randn(3, 5, 8).astype("f")


class Grown(nn.Module):
    """A layer of what came before, and all joined."""

    def __init__(self, channels):
        super().__init__()
        self.conv, self.act = nn.Conv2d(channels, 2, 3, padding=1), nn.Tanh()

    def forward(self, features):
        return self.act(self.conv(torch.cat(features, 1)))


class GrowingBlock(nn.Module):
    """Each layer is given the list of all before it."""

    def __init__(self, channels, count):
        super().__init__()
        self.layers = nn.ModuleList(Grown(channels + 2 * n) for n in range(count))

    def forward(self, x):
        features = [x]
        for layer in self.layers:
            features.append(layer(features))
        return torch.cat(features, 1)


class Growing(nn.Module):
    """Two blocks of other lengths."""

    def __init__(self):
        super().__init__()
        self.first, self.second = GrowingBlock(3, 2), GrowingBlock(7, 4)

    def forward(self, x):
        return self.second(self.first(x))


class Step(nn.Module):
    """A convolution and its activation."""

    def __init__(self):
        super().__init__()
        self.conv, self.act = nn.Conv2d(3, 3, 3, padding=1), nn.Tanh()

    def forward(self, x):
        return self.act(self.conv(x))


class Gathered(nn.Module):
    """Each step is given the last one's result; all of them are joined, in one of two orders, and the last is added."""

    def __init__(self, backwards=False, early=False):
        super().__init__()
        self.steps, self.backwards, self.early = nn.ModuleList(Step() for _ in range(3)), backwards, early

    def forward(self, x):
        outputs = [x]
        for step in self.steps:
            x = step(x)
            outputs.append(x)
        if self.early:
            return torch.cat(outputs, 1) * outputs[1].mean(1, keepdim=True)
        return torch.cat(outputs[::-1] if self.backwards else outputs, 1) + x.mean(1, keepdim=True)


class Heads(nn.Module):
    """Several heads of one input, joined."""

    def __init__(self):
        super().__init__()
        self.heads = nn.ModuleList(Step() for _ in range(3))

    def forward(self, x):
        return torch.cat([head(x) for head in self.heads], 1)


class Attention(nn.Module):
    """Attention to another sequence, or to itself; the width of its first layer is that of what it is given."""

    def __init__(self, width):
        super().__init__()
        self.query, self.key, self.out = nn.Linear(width, width), nn.Linear(8, width), nn.Linear(width, 3 * width)

    def forward(self, x, other=None):
        other = x if other is None else other
        weights = (self.query(x) @ self.key(other).transpose(1, 2)).softmax(-1)
        return self.out(weights @ self.key(other))


class BothAttentions(nn.Module):
    """Attention to itself and to another; a layer's result is left."""

    def __init__(self):
        super().__init__()
        self.own, self.cross, self.narrow, self.left = Attention(8), Attention(24), nn.Linear(72, 8), nn.Linear(8, 4)

    def forward(self, x):
        self.left(x)
        return self.narrow(self.cross(self.own(x), x))


class WithHelper(nn.Module):
    """A second head that train mode alone returns."""

    def __init__(self):
        super().__init__()
        self.step, self.norm, self.helper = Step(), nn.BatchNorm2d(3), Step()

    def forward(self, x):
        x = self.norm(self.step(x))
        return {"out": x, "aux": self.helper(x)} if self.training else {"out": x}


class AnySize(nn.Module):
    """Down, up and joined again, for images of every size."""

    def __init__(self):
        super().__init__()
        self.down, self.up = nn.Conv2d(3, 4, 3, stride=2, padding=1), nn.ConvTranspose2d(4, 3, 2, stride=2)
        self.pool, self.head = nn.AdaptiveAvgPool2d(1), nn.Linear(6, 2)

    def forward(self, x):
        joined = torch.cat([x, self.up(self.down(x).relu())], 1)
        return joined, self.head(torch.flatten(self.pool(joined), 1))


class Tokens(nn.Module):
    """Pixels as a sequence, whose length is written into the reshape."""

    def __init__(self):
        super().__init__()
        self.conv, self.mix = nn.Conv2d(3, 4, 3), nn.Linear(4, 4)

    def forward(self, x):
        return self.mix(self.conv(x).flatten(2).transpose(1, 2))


def write(module, images):
    """Return the port, which was proven, of a module with lively weights."""
    torch.manual_seed(0)
    port = parity.translate(lively(module), images, dtypes=("float64",))
    assert port.passed, port.proof.line
    assert not ruff(port.source)
    return port


def test_list_that_grows_is_one_loop():
    source = write(Growing(), IMAGES).source
    assert source.count("features.append(grown(features, ") == 1
    assert source.count("\ndef ") == 3
    assert re.search(r"growing_block\(.*, 2\)", source)
    assert re.search(r"growing_block\(.*, 4\)", source)


def test_results_that_are_joined_are_gathered():
    source = write(Gathered(), IMAGES).source
    assert "outputs = [" in source
    assert source.count("step(") == 2  # its head and one call
    assert "ops.concatenate(outputs, -1)" in source


def test_results_that_are_joined_in_another_order_have_names():
    assert write(Gathered(backwards=True), IMAGES).source.count("step(") == 4


def test_result_that_is_read_alone_has_a_name_and_begins_the_list():
    source = write(Gathered(early=True), IMAGES).source
    assert source.count("step(") == 3
    assert "for i in range(1, 3):" in source


def test_heads_of_one_input_are_a_loop():
    assert write(Heads(), IMAGES).source.count("step(") == 2


def test_self_attention_takes_its_input_twice_and_reads_its_width():
    source = write(BothAttentions(), VECTORS).source
    assert source.count("def attention(x, other, path)") == 1
    assert "3 * channels" in source
    assert "layers.Dense(4" not in source  # what is left


def test_auxiliary_head_is_left_out_and_that_is_said():
    port = write(WithHelper(), IMAGES)
    assert list(port.proof.reports) == ["eval mode"]
    assert "auxiliary heads" in port.source[:400]
    assert '"helper' not in port.source


def test_sizes_stay_open_where_another_example_has_the_same_source():
    other = np.random.RandomState(1).randn(2, 3, 12, 16).astype("f")
    port = parity.translate(lively(AnySize()), IMAGES, other=other, dtypes=("float64",))
    assert port.passed, port.proof.line
    assert "keras.Input((None, None, 3))" in port.source
    assert "another size" in " ".join(port.source[:300].split())


def test_size_that_the_source_names_cannot_stay_open():
    with pytest.raises(BlitzError, match=r"cannot stay open: .*24.*140") as caught:
        parity.translate(Tokens(), IMAGES, other=np.zeros((2, 3, 12, 16), "f"), check=False)
    assert "\n" not in str(caught.value)


class Twin(nn.Module):
    """Step once more, under another name."""

    def __init__(self):
        super().__init__()
        self.conv, self.act = nn.Conv2d(3, 3, 3, padding=1), nn.Tanh()

    def forward(self, x):
        return self.act(self.conv(x))


def test_repeats_of_two_classes_count_apart_where_pytorch_has_them_too():
    five = "\n".join(f"    x = x + {n}" for n in range(5))
    source = "".join(f'def {name.lower()}(x):\n    """{name}."""\n{five}\n\n\n' for name in ("Step", "Twin", "Heads"))
    assert as_in_pytorch([Step, Twin], source) == [("Step", "Twin")]
    assert not as_in_pytorch([Step, Twin], source.replace('"""Twin."""', '"""Step."""'))
    assert not as_in_pytorch([Step, Heads], source.replace('"""Twin."""', '"""Heads."""'))


def test_what_is_counted_of_a_source():
    five = "\n".join(f"    x = x + {n}" for n in range(5))
    source = f'"""Doc."""\n\n\ndef one(x):\n{five}\n    return x\n\n\ndef two(x):\n{five}\n    return -x\n'
    assert repeated(source) == 1
    assert repeated(source.replace("x + 2", "x + 7", 1)) == 0
    assert code_lines(source) == 14
    assert not ruff(source)
    assert "F841" in ruff("def one():\n    x = 1\n")
    assert ruff("def one( ):\n    return 1\n")
    found = measure(Step(), source)
    assert (found["functions"], found["classes"], found["source_lines"]) == (2, 1, 6)
    assert "occur twice" in faults(found)
    assert "3 functions" in faults({**found, "functions": 3, "repeated": 0})
    assert not faults({**found, "repeated": 0})
    assert not faults({**found, "as_in_pytorch": [("One", "Two")]})
    assert ast.parse(source)
