"""Writes a network as a PyTorch user does: a module with PyTorch's own layers."""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from parity.faults.random.network import Network, Node, Shape

FORMS: dict[str, tuple[Callable[[Node], nn.Module], Callable]] = {
    "relu": (lambda n: nn.ReLU(), lambda n, x: F.relu(x)),
    "relu6": (lambda n: nn.ReLU6(), lambda n, x: F.relu6(x)),
    "gelu": (lambda n: nn.GELU(), lambda n, x: F.gelu(x)),
    "gelu_tanh": (lambda n: nn.GELU("tanh"), lambda n, x: F.gelu(x, approximate="tanh")),
    "leaky_relu": (lambda n: nn.LeakyReLU(n["slope"]), lambda n, x: F.leaky_relu(x, n["slope"])),
    "hardswish": (lambda n: nn.Hardswish(), lambda n, x: F.hardswish(x)),
    "hardsigmoid": (lambda n: nn.Hardsigmoid(), lambda n, x: F.hardsigmoid(x)),
    "elu": (lambda n: nn.ELU(n["slope"]), lambda n, x: F.elu(x, n["slope"])),
    "silu": (lambda n: nn.SiLU(), lambda n, x: x * torch.sigmoid(x)),
    "tanh": (lambda n: nn.Tanh(), lambda n, x: torch.tanh(x)),
    "sigmoid": (lambda n: nn.Sigmoid(), lambda n, x: x.sigmoid()),
    "softplus": (lambda n: nn.Softplus(), lambda n, x: F.softplus(x)),
    "mish": (lambda n: nn.Mish(), lambda n, x: F.mish(x)),
    "selu": (lambda n: nn.SELU(), lambda n, x: F.selu(x)),
}


class Block(nn.Module):
    """A part of a network, which only holds layers."""


class LayerNorm2d(nn.LayerNorm):
    """Normalizes the channels of maps, as ConvNeXt has it."""

    def forward(self, x):
        """Take and return (N, C, …)."""
        return super().forward(x.movedim(1, -1)).movedim(-1, 1)


class Net(nn.Module):
    """The network: its layers by their paths, and its nodes in order."""

    def __init__(self, network: Network, rng: np.random.RandomState):
        super().__init__()
        self._network, self._shapes = network, network.shapes()
        self._own = {name for name in _named(network, self._shapes) if rng.rand() < 0.6}
        made = [node for node in network.nodes if not node.tied]
        for node in made if rng.rand() < 0.6 else [made[i] for i in rng.permutation(len(made))]:
            module = _module(node, self._shapes[node.inputs[0]], node.name in self._own)
            if module is not None:
                _register(self, node.name, module)

    def forward(self, *inputs):
        """Call all nodes and return the outputs, a tuple where they are several."""
        values = dict(zip(self._network.inputs, inputs, strict=True))
        modules = dict(self.named_modules())
        for node in self._network.nodes:
            given = [values[name] for name in node.inputs]
            module = modules.get(node.holder)
            values[node.name] = _call(node, module, self._shapes[node.inputs[0]], given)
        outputs = tuple(values[name] for name in self._network.outputs)
        return outputs if len(outputs) > 1 else outputs[0]


def emit(network: Network, seed: int) -> Net:
    """Return the module, with random weights and running statistics."""
    rng = np.random.RandomState(seed)
    torch.manual_seed(seed)
    net = Net(network, rng)
    for module in net.modules():
        if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
            assert module.running_mean is not None
            assert module.running_var is not None
            nn.init.normal_(module.running_mean, 0, 0.3)
            nn.init.uniform_(module.running_var, 0.5, 1.5)
        if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d | nn.LayerNorm | nn.GroupNorm):
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.normal_(module.bias, 0, 0.3)
    return net.eval()


def inputs_of(network: Network, seed: int) -> tuple[np.ndarray, ...]:
    """Return random inputs in PyTorch's layout, three examples."""
    rng = np.random.RandomState(seed + 1)
    count = next((node["count"] for node in network.nodes if node.kind == "embedding"), 0)
    return tuple(
        rng.randint(0, count, (3, *shape.sizes))
        if shape.layout == "tokens"
        else rng.standard_normal((3, *shape.sizes)).astype(np.float32)
        for shape in network.inputs.values()
    )


def _named(network: Network, shapes: dict[str, Shape]) -> list[str]:
    """Return the nodes that may be a module or a function."""
    plain = ("activation", "dropout", "maxpool", "avgpool", "upsample", "flatten", "softmax", "globalavg", "globalmax")
    return [n.name for n in network.nodes if n.kind in plain and not n.tied and shapes[n.inputs[0]].layout != "tokens"]


def _register(net: nn.Module, path: str, module: nn.Module) -> None:
    *parts, last = path.split(".")
    for part in parts:
        if not hasattr(net, part):
            setattr(net, part, Block())
        net = getattr(net, part)
    setattr(net, last, module)


def _module(node: Node, given: Shape, own: bool) -> nn.Module | None:
    """Return the layer of a node, None where a function does it."""
    rank = len(given.space)
    if node.kind == "conv":
        return (nn.Conv1d, nn.Conv2d)[rank - 1](
            given.channels, node["filters"], node["kernel"], node["stride"], node["padding"], node["dilation"],
            node["groups"], node["bias"],
        )  # fmt: skip
    if node.kind == "linear":
        return nn.Linear(given.channels, node["units"], node["bias"])
    if node.kind == "embedding":
        return nn.Embedding(node["count"], node["units"])
    if node.kind in ("lstm", "gru"):
        cls = nn.LSTM if node.kind == "lstm" else nn.GRU
        return cls(given.channels, node["units"], batch_first=True, bidirectional=node["bidirectional"])
    if node.kind in ("batchnorm", "groupnorm", "layernorm"):
        return _norm(node, given)
    return _plain_module(node, given) if own else None


def _norm(node: Node, given: Shape) -> nn.Module:
    channels, eps = given.channels, node["eps"]
    if node.kind == "batchnorm":
        return (nn.BatchNorm2d if len(given.space) == 2 else nn.BatchNorm1d)(channels, eps, node["momentum"])
    if node.kind == "groupnorm":
        return nn.GroupNorm(node["groups"], channels, eps)
    return (LayerNorm2d if given.layout == "maps" else nn.LayerNorm)(channels, eps)


def _plain_module(node: Node, given: Shape) -> nn.Module | None:
    rank, kind = len(given.space), node.kind
    if kind == "activation":
        return FORMS[node["form"]][0](node)
    if kind == "dropout":
        return nn.Dropout(node["rate"])
    if kind in ("maxpool", "avgpool"):
        cls = {"maxpool": (nn.MaxPool1d, nn.MaxPool2d), "avgpool": (nn.AvgPool1d, nn.AvgPool2d)}[kind][rank - 1]
        return cls(node["kernel"], node["stride"], node["padding"])
    if kind == "upsample":
        return nn.Upsample(scale_factor=node["factor"])
    if kind == "flatten":
        return nn.Flatten()
    if kind == "softmax":
        return nn.Softmax(dim=1 if given.layout == "maps" else -1)
    if given.layout == "maps" and kind in ("globalavg", "globalmax"):
        pools = (
            (nn.AdaptiveAvgPool1d, nn.AdaptiveAvgPool2d)
            if kind == "globalavg"
            else (nn.AdaptiveMaxPool1d, nn.AdaptiveMaxPool2d)
        )
        return nn.Sequential(pools[rank - 1](1), nn.Flatten())
    return None


def _call(node: Node, module: nn.Module | None, shape: Shape, given: list[torch.Tensor]) -> torch.Tensor:
    x, kind = given[0], node.kind
    if kind in ("lstm", "gru") and module is not None:
        value = module(x)[0]
        return value if node["sequences"] else value[:, -1]
    if module is not None:
        return module(x)
    if kind == "activation":
        return FORMS[node["form"]][1](node, x)
    if kind in ("add", "subtract", "multiply", "concat", "gate"):
        return _joined(node, shape, given)
    return _function(node, shape, x)


def _joined(node: Node, shape: Shape, given: list[torch.Tensor]) -> torch.Tensor:
    x, *others = given
    if node.kind == "concat":
        return torch.cat(given, dim=1 if shape.layout == "maps" else -1)
    if node.kind == "gate":
        return x * others[0].reshape(*others[0].shape, *(1,) * len(shape.space))
    for other in others:
        x = x + other if node.kind == "add" else x - other if node.kind == "subtract" else x * other
    return x


def _function(node: Node, shape: Shape, x: torch.Tensor) -> torch.Tensor:
    rank, kind = len(shape.space), node.kind
    space = tuple(range(2, 2 + rank)) if shape.layout == "maps" else (1,)
    pools: dict[str, tuple[Any, ...]] = {
        "maxpool": (F.max_pool1d, F.max_pool2d), "avgpool": (F.avg_pool1d, F.avg_pool2d),
    }  # fmt: skip
    if kind in pools:
        return pools[kind][rank - 1](x, node["kernel"], node["stride"], node["padding"])
    if kind == "dropout":
        return F.dropout(x, node["rate"], training=False)
    if kind == "scale":
        return x * node["factor"]
    if kind == "upsample":
        return F.interpolate(x, scale_factor=node["factor"])
    if kind == "flatten":
        return torch.flatten(x, 1)
    if kind == "softmax":
        return F.softmax(x, dim=1 if shape.layout == "maps" else -1)
    if kind == "globalavg":
        return x.mean(space)
    if kind == "globalmax":
        return x.amax(space)
    if kind == "last":
        return x[:, -1]
    return x.transpose(1, 2)  # to_sequence, to_maps
