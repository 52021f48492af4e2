"""`parity.translate` on many functions at once, on an image's channels-last layout and PyTorch's own."""

import ast
import builtins

import numpy as np
import pytest

torch = pytest.importorskip("torch")

import torch.nn.functional as F  # noqa: E402
from torch import nn  # noqa: E402

import parity  # noqa: E402
from keras_blitz.errors import BlitzError  # noqa: E402
from parity.translate import registry  # noqa: E402
from parity.translate.program import Literal  # noqa: E402

pytestmark = pytest.mark.torch

RANDOM = np.random.RandomState(0)
IMAGES, ROWS = RANDOM.randn(2, 3, 5, 4).astype("f"), RANDOM.randn(3, 5, 4).astype("f")


class Forward(nn.Module):
    """A layer, and functions of what it returns."""

    def __init__(self, layer, function):
        super().__init__()
        self.layer, self.function = layer, function

    def forward(self, x):
        x = self.layer(x)
        return x, *self.function(x)


def elements(x):
    """What each value is by itself, or with its neighbor."""
    y = x.flip(1)
    yield torch.absolute(x) + torch.negative(x) + 2.0**x + torch.true_divide(y, 3)
    yield torch.div(x, 0.3, rounding_mode="trunc") * y + torch.fix(3 * x) * y
    positive = (x * x + 1).detach()
    yield 3.0 // positive * x + 3.0 % positive
    yield torch.greater(x, y) * x + torch.less(x, 0.1) * y + torch.greater_equal(x, y) * 2.0 + torch.less_equal(y, x)
    yield (x * 3).short() * y + (x * 3).char() * x + (x.abs() * 3).byte() * x
    yield torch.gcd((x * 9).long(), (y * 6).long()) * x + torch.lcm((x * 9).long(), (y * 6).long()) * y
    quarters, bounds = (x * 4).round() / 4, torch.tensor([-0.5, 0.0, 0.25, 0.75])
    yield from (torch.bucketize(quarters, bounds) * x, torch.bucketize(quarters, bounds, right=True) * y)
    yield torch.searchsorted(x.sort(-1)[0].contiguous(), y.contiguous(), side="right") * y


def joins(x):
    """Joins and splits along PyTorch's axes."""
    y, flat = x.flip(1), x.mean((0, 1)).flatten()
    yield from (torch.hstack([x, y]), torch.dstack([x, y]), torch.column_stack([x.flatten(1), x.flatten(1).sum(1)]))
    yield from (torch.hstack([flat, flat]), torch.vstack([flat, flat * 2]), torch.dstack([flat, flat * 2]))
    yield torch.vstack([x.transpose(0, 1), y.transpose(0, 1)]).transpose(0, 1)
    yield torch.dstack([x.flatten(1), y.flatten(1)])
    yield from torch.hsplit(x[:, :4], 2)
    yield from torch.dsplit(x[:, :, :4], (1, 3))
    yield from (torch.atleast_3d(x.flatten(1)), torch.atleast_2d(flat), x.unsafe_chunk(2, -1)[1])
    yield from torch.meshgrid(flat, torch.arange(3.0), indexing="xy")
    yield from (torch.cartesian_prod(flat, torch.arange(3.0)), torch.broadcast_tensors(x, x.amax(1, keepdim=True))[1])
    yield from (x.mT, x.adjoint() * 2, x.transpose(1, 2).mH)


def places(x):
    """What constant indices choose, and what is put where."""
    yield from (x[:, [0, 2], [1, 3]], x[:, torch.tensor([0, 2]), torch.tensor([-1, 0])])
    yield from (x[..., torch.tensor([True, False, True, True])], x[..., torch.triu_indices(4, 4)[0]])
    yield x.repeat_interleave(torch.tensor([1, 0, 2, 1]), -1)
    yield from (x.index_add(1, torch.tensor([0, 2]), x[:, :2]), x.index_fill(1, torch.tensor([0, 2]), 0.5) * x)


def statistics(x):
    """Numbers of an axis, the batch included."""
    yield from (x.std(0), x.var((0, 2), unbiased=False), x.var(0, keepdim=True), x.std())
    yield from (torch.quantile(x, 0.3, 1), torch.quantile(x, x.new_tensor([0.2, 0.7]), dim=-1), x.quantile(0.6))
    yield from (torch.nanquantile(x, 0.4, dim=2, keepdim=True), torch.msort(x.transpose(0, 1)), torch.trapz(x, dim=1))
    yield from (torch.mode(x.round(), 1)[0] * 1.0, torch.corrcoef(x.mean(0).flatten(1)), x.sum(1, dtype=x.dtype))
    yield torch.renorm(x.transpose(0, 1), 2, 0, 1.0)


def algebra(x):
    """Linear algebra; distances of rows."""
    y, square = x.flip(1), x.transpose(-1, -2) @ x + 3 * torch.eye(x.shape[-1])
    one, other = x.mean(0).flatten(1), x.amax(0).flatten(1)
    yield from (torch.cdist(x, y * 0.5 + 1), torch.cdist(x, y * 0.5 + 1, p=1.0), torch.kron(one[:2, :2], other[:2, :2]))
    yield from (torch.det(square), square.inverse(), torch.linalg.cholesky(square), torch.logdet(square))
    yield from torch.linalg.slogdet(square)
    yield torch.linalg.solve(square, x.transpose(-1, -2))
    yield torch.linalg.solve_triangular(torch.linalg.cholesky(square), x.transpose(-1, -2), upper=False)
    yield from (torch.linalg.matrix_power(square / 50, 3), torch.linalg.multi_dot([one, other.t(), one]))
    yield from (torch.vdot(one[0], other[0]), torch.linalg.vecdot(x, y, dim=1))
    yield from (torch.linalg.norm(x, dim=1), torch.linalg.matrix_norm(x), torch.linalg.diagonal(x))


def losses(x):
    """Losses of elements, classes and rows."""
    y, classes, share = x.flip(1), x.flip(1).argmax(1), torch.sigmoid(x.flip(1)).detach()
    sign = torch.sign(y).detach()
    yield from (F.mse_loss(x, share), F.l1_loss(x, share, reduction="sum"), F.smooth_l1_loss(x, share, beta=0.5))
    yield from (F.huber_loss(x, share, delta=0.3), F.huber_loss(x, share, reduction="none"))
    yield from (F.kl_div(F.log_softmax(x, 1), share, reduction="batchmean"), F.poisson_nll_loss(x, share))
    yield from (F.soft_margin_loss(x, sign), F.hinge_embedding_loss(x, sign, margin=0.4, reduction="none"))
    yield F.binary_cross_entropy(torch.sigmoid(x), share, reduction="none")
    yield F.binary_cross_entropy_with_logits(x, share, pos_weight=torch.tensor([1.0, 2.0, 3.0, 4.0]))
    yield F.binary_cross_entropy_with_logits(x, torch.zeros_like(x))
    yield F.gaussian_nll_loss(x, share, torch.sigmoid(x) + 0.1, full=True)
    yield F.margin_ranking_loss(x, y, sign, margin=0.2)
    yield F.cross_entropy(x, classes, label_smoothing=0.1, ignore_index=0)
    yield F.cross_entropy(x, classes, weight=torch.arange(1.0, x.shape[1] + 1), reduction="none")
    yield F.cross_entropy(x, torch.softmax(y, 1))
    yield nn.NLLLoss(reduction="sum")(F.log_softmax(x, 1), classes)
    rows = x.flatten(2).mean(2)
    yield from (
        F.multi_margin_loss(rows, rows.argmin(1)),
        F.multilabel_soft_margin_loss(rows, share.flatten(2)[:, :, 0]),
    )
    yield F.triplet_margin_loss(rows, rows * 2, rows.flip(1), swap=True)
    yield F.cosine_embedding_loss(rows, rows.flip(1), sign.flatten(1)[:, 0], reduction="none")


FUNCTIONS = (elements, joins, places, statistics, algebra, losses)


def translated(function, image):
    torch.manual_seed(0)
    layer = nn.Conv2d(3, 6, 1) if image else nn.Linear(4, 4)
    return parity.translate(Forward(layer, function), IMAGES if image else ROWS, dtypes=("float64",), train=False)


@pytest.mark.slow
@pytest.mark.parametrize("image", [True, False], ids=["image", "rows"])
@pytest.mark.parametrize("function", FUNCTIONS, ids=lambda function: function.__name__)
def test_functions_are_proven(function, image):
    port = translated(function, image)
    assert port.passed, str(port.report)


class Cells(nn.Module):
    """Steps of recurrent cells, called in a loop, from states of zeros and from those of the last step."""

    def __init__(self):
        super().__init__()
        self.lstm, self.gru, self.rnn = nn.LSTMCell(4, 5), nn.GRUCell(5, 6), nn.RNNCell(6, 3, nonlinearity="relu")

    def forward(self, x):
        state, hidden, last = None, x.new_zeros(len(x), 6), None
        for step in x.unbind(1):
            state = self.lstm(step, state)
            hidden = self.gru(state[0], hidden)
            last = self.rnn(hidden, last)
        return last, state[1]


class Bags(nn.Module):
    """Bags of words, weighted in one of two."""

    def __init__(self):
        super().__init__()
        self.bag, self.weighted = nn.EmbeddingBag(9, 4, mode="max"), nn.EmbeddingBag(9, 3, mode="sum", padding_idx=2)
        self.head = nn.Linear(7, 2)

    def forward(self, words, weights):
        return self.head(torch.cat([self.bag(words), self.weighted(words, per_sample_weights=weights)], 1))


class Kernels(nn.Module):
    """Convolutions by function: of a module's own weights, of a buffer and of a parameter."""

    def __init__(self):
        super().__init__()
        self.up = nn.ConvTranspose2d(3, 4, 3, stride=2)
        self.register_buffer("blur", torch.rand(4, 1, 2, 2))
        self.line = nn.Parameter(torch.rand(4, 3, 2))

    def forward(self, x):
        x = F.conv_transpose2d(x, self.up.weight, self.up.bias, stride=2, output_padding=1)
        x = F.conv_transpose2d(x, self.blur, stride=2, padding=1, groups=4)
        row = F.conv_transpose1d(x[:, :, 0], self.line, stride=2, dilation=2)
        row = F.conv1d(row, self.line * 2, padding=1)
        return x, row, F.conv3d(x[:, :, :, :, None], x.new_ones(2, 4, 2, 3, 1) * 0.1)


WORDS = RANDOM.randint(0, 9, (3, 5))
MODULES = {
    "cells": (Cells, (ROWS,)),
    "bags": (Bags, (WORDS, RANDOM.rand(3, 5).astype("f"))),
    "kernels": (Kernels, (IMAGES,)),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", list(MODULES))
def test_modules_are_proven(name):
    torch.manual_seed(0)
    module, inputs = MODULES[name]
    port = parity.translate(module(), inputs, dtypes=("float64",), train=False)
    assert port.passed, str(port.report)


def changed(rule, **fields):
    """Return a rule that writes these arguments of the layer otherwise."""

    def wrong(builder, *args, **kwargs):
        write = builder.layer

        def layer(name, inputs, arguments, **options):
            return write(name, inputs, {**arguments, **{key: Literal(each) for key, each in fields.items()}}, **options)

        builder.layer = layer
        try:
            return rule(builder, *args, **kwargs)
        finally:
            del builder.layer

    return wrong


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "fields", "function"),
    [
        ("cross_entropy", {"label_smoothing": 0.3}, losses),
        ("huber_loss", {"delta": 0.4}, losses),
        ("bucketize", {"right": True}, elements),
        ("std", {"correction": 0}, statistics),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_wrong_argument_is_seen(name, fields, function, monkeypatch):
    monkeypatch.setitem(registry.FUNCTIONS, name, changed(registry.FUNCTIONS[name], **fields))
    port = translated(function, image=False)
    assert port.report.verdict == "not equivalent"


def test_arguments_that_no_rule_has_are_one_line():
    with pytest.raises(BlitzError, match="torch's where with these arguments") as raised:
        translated(lambda x: (torch.where(x > 0)[0] * 1.0,), image=False)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("inputs", "named"),
    [(None, "inputs must be an array"), ((ROWS, None), r"inputs\[1\] must be an array"), ((), r"not \(\)")],
    ids=["none", "none-of-two", "empty"],
)
def test_inputs_that_are_no_arrays_are_one_line(inputs, named):
    with pytest.raises(BlitzError, match=named) as raised:
        parity.translate(nn.Linear(4, 2), inputs)
    assert "\n" not in str(raised.value)


def test_outputs_that_are_not_tensors_are_said():
    port = parity.translate(Named(), ROWS, check=False)
    assert [note for note in port.notes if "output['name']" in note and "leaves it out" in note]
    assert "also returns 'cat'" in port.source
    assert not any("nothing" in note for note in port.notes)


class Named(nn.Module):
    """A tensor, a text and None by name; a list that a module's name stands in, and a variable with a builtin's."""

    def __init__(self):
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(4, 4) for _ in range(4))

    def forward(self, x):
        sum = x * 2
        outputs = [sum]
        for layer in self.layers:
            sum = torch.relu(layer(sum))
            outputs.append(sum)
        return {"x": torch.cat([torch.sin(each) for each in outputs], 2), "name": "cat", "nothing": None}


def test_no_variable_has_the_name_of_a_module_or_a_builtin():
    port = parity.translate(Named(), ROWS, check=False)
    tree = ast.parse(port.source)
    assigned = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}
    assert assigned
    assert not assigned & {*dir(builtins), "torch", "keras", "ops", "layers", "np"}
