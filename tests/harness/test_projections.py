"""Linear maps that the two frameworks write in other ways: heads split or joined, an attention's projections."""

import keras
import numpy as np
import pytest
from keras import layers
from stand_ins import layer

import parity
from keras_blitz.errors import BlitzError
from keras_blitz.weights import mapped
from keras_blitz.weights.mapped import plain, stack
from parity.pair.units import keras_units

pytestmark = pytest.mark.covers("H12")

torch = pytest.importorskip("torch", reason="needs PyTorch: pip install 'keras-blitz[torch]'")
nn = torch.nn


def numbers(*shape: int) -> np.ndarray:
    return np.random.RandomState(0).randn(*shape)


# Equation, kernel's and bias's shape, index in PyTorch's weight -> index in the kernel
EQUATIONS = {
    "plain": ("ab,bc->ac", (3, 4), (4,), {(2, 1): (1, 2)}),
    "heads-split": ("abc,cde->abde", (16, 3, 4), (3, 4), {(2 * 4 + 3, 5): (5, 2, 3)}),
    "heads-joined": ("abde,dec->abc", (3, 4, 16), (16,), {(5, 2 * 4 + 3): (2, 3, 5)}),
    "ellipsis": ("...x,xy->...y", (3, 4), (4,), {(3, 2): (2, 3)}),
    "kernel-out-first": ("btd,nhd->btnh", (2, 4, 6), (2, 4), {(1 * 4 + 3, 5): (1, 3, 5)}),
    "output-in-another-order": ("bd,dnh->bhn", (6, 2, 4), None, {(3 * 2 + 1, 5): (5, 1, 3)}),
}


@pytest.mark.parametrize("case", EQUATIONS)
def test_an_einsum_as_a_linear_by_its_indices(case):
    equation, kernel, bias, indices = EQUATIONS[case]
    made = layer("EinsumDense", "e", {"kernel": kernel, **({"bias": bias} if bias else {})}, equation=equation)
    weights = keras_units({"e": made}, {})[0].weights
    value = weights["weight"].value()
    assert all(value[theirs] == made.weights[0].array[ours] for theirs, ours in indices.items())
    for weight in weights.values():
        new = np.random.RandomState(1).standard_normal(weight.shape)
        weight.assign(new)
        assert np.array_equal(weight.value(), new.astype("float32"))


def test_an_einsum_over_a_shared_axis_is_no_linear():
    assert mapped.einsum(layer("EinsumDense", "e", {"kernel": (3, 4, 5)}, equation="abc,bcd->abd")) == []


def test_a_stack_of_tensors():
    made = layer("Own", "o", {"a": (2, 3), "b": (4, 3)})
    one = stack("weight", [plain(v.name, v) for v in made.weights])
    assert one.shape == (6, 3)
    assert np.array_equal(one.value(), np.concatenate([v.array for v in made.weights]))
    new = np.arange(18.0).reshape(6, 3)
    one.assign(new)
    assert [v.array[0, 0] for v in made.weights] == [0, 6]
    assert np.array_equal(one.value(), new)


class Attention(nn.Module):
    def __init__(self, packed=False, bias=True):
        super().__init__()
        self.packed = packed
        if packed:
            self.qkv = nn.Linear(16, 48, bias=bias)
        else:
            self.q, self.k, self.v = (nn.Linear(16, 16, bias=bias) for _ in range(3))
        self.o = nn.Linear(16, 16, bias=bias)

    def forward(self, x):
        q, k, v = self.qkv(x).chunk(3, -1) if self.packed else (self.q(x), self.k(x), self.v(x))
        q, k, v = (each.unflatten(-1, (4, 4)).transpose(1, 2) for each in (q, k, v))
        return self.o(((q @ k.transpose(-1, -2) / 2).softmax(-1) @ v).transpose(1, 2).flatten(2))


class Block(nn.Module):
    """An encoder's block: its attention's output and a dense layer have the projections' shape."""

    def __init__(self, packed=False):
        super().__init__()
        self.norm, self.attention, self.fc = nn.LayerNorm(16), Attention(packed), nn.Linear(16, 16)

    def forward(self, x):
        x = x + self.attention(self.norm(x))
        return x + self.fc(x)


def attention(mistake, **options):
    inputs = keras.Input((7, 16))
    made = layers.MultiHeadAttention(2 if mistake else 4, 8 if mistake else 4, **options)
    return keras.Model(inputs, made(inputs, inputs))


def block(mistake):
    inputs = x = keras.Input((7, 16))
    y = layers.LayerNormalization(epsilon=1e-5)(x)
    x = x + layers.MultiHeadAttention(4, 4)(y, y, use_causal_mask=mistake)
    return keras.Model(inputs, x + layers.Dense(16)(x))


def heads(mistake):
    split = layers.EinsumDense("abc,cde->abde", (None, 4, 4), bias_axes="de")
    crossed = [layers.Permute((1, 3, 2))] if mistake else []
    return keras.Sequential([keras.Input((7, 16)), split, *crossed, layers.Reshape((7, 16)), layers.Dense(3)])


PAIRS = {
    "three-and-an-output": (Attention, attention),
    "without-bias": (lambda: Attention(bias=False), lambda mistake: attention(mistake, use_bias=False)),
    "one-for-three": (lambda: Attention(True), attention),
    "a-block": (Block, block),
    "a-block-packed": (lambda: Block(True), block),
    "heads": (lambda: nn.Sequential(nn.Linear(16, 16), nn.Linear(16, 3)), heads),
}


@pytest.mark.parametrize("mistake", [False, True], ids=["right", "wrong"])
@pytest.mark.parametrize("case", PAIRS)
def test_pairs(case, mistake):
    theirs, port = PAIRS[case]
    torch.manual_seed(0)
    report = parity.check(theirs(), port(mistake), numbers(2, 7, 16))
    assert report.passed is not mistake, str(report)


def test_the_projections_are_named():
    report = parity.check(Attention(), attention(False, name="mha"), numbers(2, 7, 16))
    assert {(one, other) for one, other, _ in report.weights} == {
        ("q", "mha/query"), ("k", "mha/key"), ("v", "mha/value"), ("o", "mha/attention_output")}  # fmt: skip


def test_projections_by_hand():
    x = numbers(2, 7, 16)
    by_hand = {"q": "mha/query", "k": "mha/key", "v": "mha/value"}
    assert parity.check(Attention(), attention(False, name="mha"), x, weights=by_hand).passed
    crossed = {"q": "mha/value", "k": "mha/key", "v": "mha/query"}
    assert not parity.check(Attention(), attention(False, name="mha"), x, weights=crossed).passed
    assert parity.check(Attention(True), attention(False, name="mha"), x, weights={"qkv": "mha"}).passed
    with pytest.raises(BlitzError, match="mha/query, mha/key"):
        parity.check(Attention(), attention(False, name="mha"), x, weights={"q": "mha"})
