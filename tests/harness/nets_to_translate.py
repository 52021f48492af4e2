"""Small PyTorch networks as people write them, for the tests of `parity.translate`."""

import math

import torch
import torch.nn.functional as F
from torch import nn


class Residual(nn.Module):
    """Two convolutions beside the identity, or beside a convolution where the shape changes."""

    def __init__(self, inner, outer, stride=1, shortcut=False):
        super().__init__()
        self.conv1 = nn.Conv2d(inner, outer, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(outer, eps=1e-3)
        self.conv2 = nn.Conv2d(outer, outer, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(outer)
        self.shortcut = nn.Conv2d(inner, outer, 1, stride, bias=False) if shortcut else None

    def forward(self, x):
        identity = x
        out = F.relu(self.bn1(self.conv1(x)))
        out = self.bn2(self.conv2(out))
        if self.shortcut is not None:
            identity = self.shortcut(x)
        out += identity
        return F.relu(out)


class Images(nn.Module):
    """A residual network whose head flattens a map that is not square."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.ReLU())
        self.blocks = nn.Sequential(Residual(4, 4), Residual(4, 4), Residual(4, 6, 2, shortcut=True))
        self.drop = nn.Dropout(0.3)
        self.fc = nn.Linear(6 * 4 * 3, 5)

    def forward(self, x):
        x = self.blocks(self.stem(x))
        x = self.drop(torch.flatten(x, 1))
        return self.fc(x)


class SelfAttention(nn.Module):
    def __init__(self, width=8, heads=2, longest=9):
        super().__init__()
        self.qkv = nn.Linear(width, 3 * width)
        self.proj = nn.Linear(width, width)
        self.heads = heads
        self.register_buffer("mask", torch.tril(torch.ones(longest, longest)))

    def forward(self, x):
        n, length, width = x.shape
        q, k, v = self.qkv(x).view(n, length, 3, self.heads, -1).permute(2, 0, 3, 1, 4).unbind(0)
        weights = q @ k.transpose(-2, -1) / math.sqrt(width // self.heads)
        weights = weights.masked_fill(self.mask[:length, :length] == 0, float("-inf"))
        y = weights.softmax(-1) @ v
        return self.proj(y.transpose(1, 2).reshape(n, length, width))


class Layer(nn.Module):
    def __init__(self, width=8):
        super().__init__()
        self.norm1, self.attn = nn.LayerNorm(width), SelfAttention(width)
        self.norm2 = nn.LayerNorm(width)
        self.mlp = nn.Sequential(nn.Linear(width, 2 * width), nn.GELU(), nn.Linear(2 * width, width))

    def forward(self, x):
        x = x + self.attn(self.norm1(x))
        return x + self.mlp(self.norm2(x))


class Language(nn.Module):
    """A small GPT: positions, causal attention, an output layer that is tied to the embedding."""

    def __init__(self, words=11, width=8):
        super().__init__()
        self.words, self.positions = nn.Embedding(words, width), nn.Embedding(9, width)
        self.layers = nn.ModuleList([Layer(width), Layer(width), Layer(width)])
        self.head = nn.Linear(width, words, bias=False)
        self.head.weight = self.words.weight

    def forward(self, tokens):
        places = torch.arange(tokens.shape[1])
        x = self.words(tokens) + self.positions(places)
        for layer in self.layers:
            x = layer(x)
        return self.head(x)


class Patches(nn.Module):
    """A small ViT: a class token, positions, a transformer layer of PyTorch's own, a scale of its own."""

    def __init__(self, width=8):
        super().__init__()
        self.embed = nn.Conv2d(3, width, 4, 4)
        self.token = nn.Parameter(torch.zeros(1, 1, width))
        self.place = nn.Parameter(torch.zeros(1, 7, width))
        self.encoder = nn.TransformerEncoderLayer(width, 2, 12, dropout=0.0, batch_first=True)
        self.scale = nn.Parameter(torch.ones(width))
        self.head = nn.Linear(width, 3)

    def forward(self, images):
        x = self.embed(images).flatten(2).transpose(1, 2)
        x = torch.cat([self.token.expand(len(x), -1, -1), x], dim=1) + self.place
        x = self.encoder(x) * self.scale
        return {"logits": self.head(x[:, 0]), "tokens": x}


class Sequences(nn.Module):
    """A bidirectional LSTM, the last states of both directions, and frozen features."""

    def __init__(self):
        super().__init__()
        self.lstm = nn.LSTM(5, 4, bidirectional=True, batch_first=True)
        self.features = nn.Linear(8, 6).requires_grad_(False)
        self.fc = nn.Linear(6, 3)

    def forward(self, x):
        _, (hidden, _) = self.lstm(x)
        hidden = torch.cat([hidden[0], hidden[1]], 1)
        return self.fc(torch.tanh(self.features(hidden)))


class Gates(nn.Module):
    """Two inputs, two outputs, and a gradient that is stopped."""

    def __init__(self):
        super().__init__()
        self.left, self.right = nn.Linear(4, 3), nn.Linear(5, 3)

    def forward(self, left, right):
        gate = torch.sigmoid(self.left(left))
        value = self.right(right)
        return gate * value, (gate.detach() * value).sum(-1)


class DoubleConv(nn.Module):
    """Two convolutions, each with a BatchNorm and a ReLU."""

    def __init__(self, into, out):
        super().__init__()
        self.double_conv = nn.Sequential(
            nn.Conv2d(into, out, 3, padding=1, bias=False), nn.BatchNorm2d(out), nn.ReLU(inplace=True),
            nn.Conv2d(out, out, 3, padding=1, bias=False), nn.BatchNorm2d(out), nn.ReLU(inplace=True),
        )  # fmt: skip

    def forward(self, x):
        return self.double_conv(x)


class UNet(nn.Module):
    """Down twice, up twice; each way up is joined with what went down."""

    def __init__(self):
        super().__init__()
        self.inc, self.down1, self.down2 = DoubleConv(3, 4), DoubleConv(4, 6), DoubleConv(6, 8)
        self.pool = nn.MaxPool2d(2)
        self.up1, self.conv1 = nn.ConvTranspose2d(8, 6, 2, stride=2), DoubleConv(12, 6)
        self.up2, self.conv2 = nn.ConvTranspose2d(6, 4, 2, stride=2), DoubleConv(8, 4)
        self.outc = nn.Conv2d(4, 2, 1)

    def forward(self, x):
        x1 = self.inc(x)
        x2 = self.down1(self.pool(x1))
        x = self.down2(self.pool(x2))
        x = self.conv1(torch.cat([x2, self.up1(x)], 1))
        return self.outc(self.conv2(torch.cat([x1, self.up2(x)], 1)))


def lively(module, seed=0):
    """Give weights that start as zeros or ones, and running statistics, other values; return the module."""
    draw = torch.Generator().manual_seed(seed)
    for name, tensor in [*module.named_parameters(), *module.named_buffers()]:
        if name.endswith("running_var"):
            tensor.data = torch.rand(tensor.shape, generator=draw) + 0.5
        elif tensor.is_floating_point() and (tensor.dim() < 2 or not tensor.abs().max()):
            tensor.data = tensor.data + torch.randn(tensor.shape, generator=draw) * 0.1
    return module
