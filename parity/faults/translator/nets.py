"""Small PyTorch networks that the rules translate right: each rule that a mistake is planted in is used in two."""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn


class Layers(nn.Module):
    """An image network of layers, in which no argument has its default."""

    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 4, 3, stride=(2, 1), padding=(1, 0))
        self.bn = nn.BatchNorm2d(4, eps=1e-2, momentum=0.3)
        self.act = nn.LeakyReLU(0.3)
        self.conv2 = nn.Conv2d(4, 4, 3, padding=2, dilation=2, bias=False)
        self.norm = nn.GroupNorm(2, 4, eps=1e-2)
        self.pool = nn.AvgPool2d(3, 2, 1, ceil_mode=True, count_include_pad=False)
        self.mix = nn.Conv2d(4, 6, 1)
        self.fc = nn.Linear(6, 5)

    def forward(self, x):  # noqa: D102
        x = self.act(self.bn(self.conv1(x)))
        x = x + self.norm(self.conv2(x))
        return self.fc(self.mix(self.pool(x)).mean((2, 3)))


class Functions(nn.Module):
    """The same in functions of `torch.nn.functional`, with a head that flattens a map."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)
        self.bn = nn.BatchNorm2d(4, eps=1e-2, momentum=0.3)
        self.body = nn.Conv2d(4, 4, 3, padding=2, dilation=2, groups=2)
        self.drop = nn.Dropout(0.3)
        self.fc = nn.Linear(4 * 2 * 4, 5)

    def forward(self, x):  # noqa: D102
        x = F.conv2d(x, self.conv.weight, self.conv.bias, stride=(2, 1), padding=(1, 0))
        x = F.leaky_relu(self.bn(x), 0.3)
        x = x + self.body(x)
        x = F.avg_pool2d(x, 3, 2, 1, ceil_mode=True, count_include_pad=False)
        return self.fc(self.drop(torch.flatten(x, 1)))


class Growing(nn.Module):
    """Images that grow, and a pooled map that is flattened."""

    def __init__(self):
        super().__init__()
        self.up = nn.ConvTranspose2d(3, 4, 3, stride=2, padding=1, output_padding=1)
        self.resize = nn.Upsample(size=(7, 5), mode="bilinear", align_corners=True)
        self.elu = nn.ELU(0.5)
        self.conv = nn.Conv2d(4, 8, 3, padding=1, groups=2).requires_grad_(False)
        self.shuffle = nn.PixelShuffle(2)
        self.pool = nn.AdaptiveAvgPool2d((3, 2))
        self.drop = nn.Dropout(0.4)
        self.fc = nn.Linear(2 * 3 * 2, 5)

    def forward(self, x):  # noqa: D102
        x = self.elu(self.resize(self.up(x)))
        x = self.shuffle(F.interpolate(self.conv(x), scale_factor=2, mode="bilinear", align_corners=True))
        return self.fc(self.drop(self.pool(x).flatten(1)))


class Block(nn.Module):
    """Attention by one matrix for query, key and value, and a gate of two halves."""

    def __init__(self, width: int = 8):
        super().__init__()
        self.norm = nn.LayerNorm(width, eps=1e-2)
        self.qkv, self.proj = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.gate = nn.Linear(width, 2 * width)
        self.gelu = nn.GELU("tanh")

    def forward(self, x):  # noqa: D102
        n, length, width = x.shape
        q, k, v = self.qkv(self.norm(x)).chunk(3, -1)
        q, k, v = (each.view(n, length, 2, -1).transpose(1, 2) for each in (q, k, v))
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.proj(y.transpose(1, 2).reshape(n, length, width))
        value, gate = self.gate(x).chunk(2, -1)
        return x + value * self.gelu(gate)


class Language(nn.Module):
    """A block on tokens; the output layer is tied to the embedding."""

    def __init__(self):
        super().__init__()
        self.words = nn.Embedding(7, 8)
        self.block = Block()
        self.head = nn.Linear(8, 7, bias=False)
        self.head.weight = self.words.weight

    def forward(self, tokens):  # noqa: D102
        return self.head(self.block(self.words(tokens)))


class Attention(nn.Module):
    """Attention by products, with a mask and square weights that belong to no layer."""

    def __init__(self, width: int = 6):
        super().__init__()
        self.query, self.key, self.value = (nn.Parameter(torch.zeros(width, width)) for _ in range(3))
        self.mask: torch.Tensor
        self.register_buffer("mask", torch.tril(torch.ones(5, 5)) == 0)
        self.norm, self.out = nn.LayerNorm(width, eps=1e-2), nn.Linear(width, 6)

    def forward(self, x):  # noqa: D102
        q, k, v = F.linear(x, self.query), F.linear(x, self.key), x @ self.value
        scores = (q @ k.transpose(1, 2) * 0.4).masked_fill(self.mask, float("-inf"))
        y = F.scaled_dot_product_attention(x, x, scores.softmax(-1) @ v, scale=0.3)
        return self.out(F.gelu(self.norm(y), approximate="tanh"))


class Steps(nn.Module):
    """A recurrent stack, running sums, and what is cut and joined along the time."""

    def __init__(self):
        super().__init__()
        self.rnn = nn.RNN(4, 3, nonlinearity="relu", bidirectional=True, batch_first=True)
        self.norm = nn.LayerNorm(6, eps=1e-2)
        self.fc = nn.Linear(12, 3)

    def forward(self, x):  # noqa: D102
        y = self.norm(self.rnn(x)[0])
        early, late = y.split([2, 3], 1)
        y = torch.cat([late, early], 1).cumsum(1)
        y = torch.cat([y.roll(1, 1), y.clamp(-0.5, 0.7)], -1)
        return self.fc(y.log_softmax(1))


class Gates(nn.Module):
    """Two inputs, a gate whose gradient is stopped in one of two places, and a layer that is not trained."""

    def __init__(self):
        super().__init__()
        self.left, self.right, self.tail = nn.Linear(4, 3), nn.Linear(5, 3), nn.Linear(6, 4)
        self.scale = nn.Parameter(torch.zeros(3))
        self.right.requires_grad_(False)

    def forward(self, left, right):  # noqa: D102
        gate, value = torch.sigmoid(self.left(left)), self.right(right)
        joined = torch.cat([gate.detach() * value, torch.sub(value, gate, alpha=2) * self.scale], 1)
        return self.tail(joined.clamp(min=-0.3) + joined.mean(1, keepdim=True))


class Teacher(nn.Module):
    """A target that is computed without gradients by a layer that is called twice; the output layer is tied."""

    def __init__(self):
        super().__init__()
        self.words = nn.Embedding(7, 4)
        self.body, self.head = nn.Linear(4, 4), nn.Linear(4, 7, bias=False)
        self.head.weight = self.words.weight

    def forward(self, tokens):  # noqa: D102
        x = self.words(tokens)
        with torch.no_grad():
            target = torch.tanh(self.body(x))
        return self.head(torch.sub(self.body(x).tanh(), target, alpha=0.5).roll(1, 1).cumsum(1))


class Pieces(nn.Module):
    """A sequence of which a part is replaced, and what is repeated as a whole and place by place."""

    def __init__(self):
        super().__init__()
        self.first, self.last = nn.Linear(4, 4), nn.Linear(16, 3)
        self.norm, self.out = nn.LayerNorm(16, eps=1e-2), nn.Linear(3, 2)

    def forward(self, x):  # noqa: D102
        y = self.first(x)
        y[:, 1:3] = x[:, 3:]
        y = self.norm(torch.cat([y.repeat(1, 1, 2), y.repeat_interleave(2, -1)], -1))
        return self.out(torch.logcumsumexp(self.last(y), 1))


class Warped(nn.Module):
    """Images that are turned and moved, of which a part is replaced."""

    def __init__(self):
        super().__init__()
        self.conv1, self.places, self.conv2 = nn.Conv2d(3, 4, 3, padding=1), nn.Linear(4, 6), nn.Conv2d(4, 3, 1)
        self.norm1, self.norm2 = nn.GroupNorm(2, 4, eps=1e-2), nn.GroupNorm(1, 3, eps=1e-2)

    def forward(self, x):  # noqa: D102
        x = self.conv1(x)
        theta = self.places(x.mean((2, 3))).view(-1, 2, 3)
        grid = F.affine_grid(theta, [len(x), 4, 6, 8], align_corners=True)
        y = self.norm1(F.grid_sample(x, grid, align_corners=True))
        y[:, 1:3, 2:] = x[:, :2, 2:]
        return self.norm2(torch.logcumsumexp(self.conv2(y), 2))


def images() -> np.ndarray:
    """Return images (N, C, H, W) whose sizes differ."""
    return np.random.RandomState(0).randn(3, 3, 6, 8).astype("f")


def sequences(width: int) -> np.ndarray:
    """Return sequences (N, L, width) of 5 steps."""
    return np.random.RandomState(0).randn(3, 5, width).astype("f")


def tokens() -> np.ndarray:
    """Return tokens (N, L) below 7."""
    return np.random.RandomState(0).randint(0, 7, (3, 5))


def two_vectors() -> tuple[np.ndarray, np.ndarray]:
    """Return two batches of vectors."""
    stream = np.random.RandomState(0)
    return stream.randn(3, 4).astype("f"), stream.randn(3, 5).astype("f")


NETS: dict[str, tuple[type[nn.Module], Callable[[], Any]]] = {
    "layers": (Layers, images),
    "functions": (Functions, images),
    "growing": (Growing, lambda: images()[..., :4, :3]),
    "language": (Language, tokens),
    "attention": (Attention, lambda: sequences(6)),
    "steps": (Steps, lambda: sequences(4)),
    "gates": (Gates, two_vectors),
    "teacher": (Teacher, tokens),
    "pieces": (Pieces, lambda: sequences(4)),
    "warped": (Warped, images),
}


def made(name: str) -> tuple[nn.Module, Any]:
    """Return a network and its inputs, made from fixed seeds each time; nothing in it is 0 or 1."""
    kind, inputs = NETS[name]
    torch.manual_seed(0)
    module = kind()
    for tensor in [*module.parameters(), *module.buffers()]:
        if tensor.is_floating_point():
            tensor.data.copy_(torch.rand_like(tensor) * 0.6 + 0.2 - 0.5 * (tensor.dim() > 1))
    return module, inputs()
