"""The description of a network that both sides are written from: nodes, and the shape of what each returns."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from math import prod
from typing import Any

WEIGHTED = frozenset({"conv", "linear", "batchnorm", "groupnorm", "layernorm", "embedding", "lstm", "gru"})
IN_PLACE = frozenset({"batchnorm", "groupnorm", "layernorm", "activation", "softmax", "dropout", "scale"})


@dataclass(frozen=True)
class Shape:
    """What flows along an edge, without its batch.

    Args:
        layout: "maps", (C, H, W) or (C, T) in PyTorch and channels last in Keras; "sequence", (T, C) in both;
            "vector", (C,); "tokens", (T,) integers.
        sizes: in PyTorch's order.
    """

    layout: str
    sizes: tuple[int, ...]

    @property
    def channels(self) -> int:
        """The number of channels, or features."""
        return self.sizes[0] if self.layout == "maps" else self.sizes[-1]

    @property
    def space(self) -> tuple[int, ...]:
        """The sizes without the channels."""
        return self.sizes[1:] if self.layout == "maps" else self.sizes[:-1]


@dataclass(frozen=True)
class Node:
    """One step of a network.

    Args:
        name: PyTorch's path of its module, if it has one.
        kind: what it does: "conv", "add".
        inputs: the names of the nodes, or inputs, that it is given.
        settings: what it does it with.
        tied: the name of the node whose weights it has; "" for its own.
    """

    name: str
    kind: str
    inputs: tuple[str, ...]
    settings: Mapping[str, Any] = field(default_factory=dict)
    tied: str = ""

    def __getitem__(self, setting: str) -> Any:
        return self.settings[setting]

    def get(self, setting: str, default: Any = None) -> Any:
        """Return a setting, or a default where the node has none of this name."""
        return self.settings.get(setting, default)

    def but(self, **settings: Any) -> "Node":
        """Return the node with other settings."""
        return replace(self, settings={**self.settings, **settings})

    @property
    def holder(self) -> str:
        """The name of the node that has its weights."""
        return self.tied or self.name

    def __str__(self) -> str:
        settings = ", ".join(f"{key}={value}" for key, value in self.settings.items())
        tied = f" with the weights of {self.tied}" if self.tied else ""
        return f"{self.name} = {self.kind}({', '.join(self.inputs)}{'; ' if settings else ''}{settings}){tied}"


@dataclass(frozen=True)
class Network:
    """A whole network.

    Args:
        inputs: name -> shape.
        nodes: each after those that it is given.
        outputs: the names of the nodes whose values are returned.
    """

    inputs: Mapping[str, Shape]
    nodes: tuple[Node, ...]
    outputs: tuple[str, ...]

    def shapes(self) -> dict[str, Shape]:
        """Return the shape of each input and of what each node returns."""
        found = dict(self.inputs)
        for node in self.nodes:
            found[node.name] = shape_after(node, *(found[name] for name in node.inputs))
        return found

    def node(self, name: str) -> Node:
        """Return the node of a name."""
        return next(node for node in self.nodes if node.name == name)

    def users(self, name: str) -> list[Node]:
        """Return the nodes that are given what a node returns."""
        return [node for node in self.nodes if name in node.inputs]

    def with_node(self, changed: Node) -> "Network":
        """Return the network with another node in place of the one of the same name."""
        return replace(self, nodes=tuple(changed if node.name == changed.name else node for node in self.nodes))

    def without(self, name: str) -> "Network":
        """Return the network without a node: what it was given goes to those that used it."""
        given = self.node(name).inputs[0]
        nodes = (
            replace(node, inputs=tuple(given if each == name else each for each in node.inputs))
            for node in self.nodes
            if node.name != name
        )
        return replace(
            self, nodes=tuple(nodes), outputs=tuple(given if each == name else each for each in self.outputs)
        )

    def followed_by(self, name: str, added: Node) -> "Network":
        """Return the network with one more node between a node and those that use it."""
        nodes: list[Node] = []
        for node in self.nodes:
            given = tuple(added.name if each == name else each for each in node.inputs)
            nodes.append(replace(node, inputs=given))
            nodes += [replace(added, inputs=(name,))] if node.name == name else []
        outputs = tuple(added.name if each == name else each for each in self.outputs)
        return replace(self, nodes=tuple(nodes), outputs=outputs)

    def __str__(self) -> str:
        shapes = self.shapes()
        lines = [f"{name}: {shape.layout} {shape.sizes}" for name, shape in self.inputs.items()]
        lines += [f"{node} -> {shapes[node.name].layout} {shapes[node.name].sizes}" for node in self.nodes]
        return "\n".join([*lines, f"returns {', '.join(self.outputs)}"])


def windows(sizes: tuple[int, ...], node: Node) -> Iterator[int]:
    """Yield the number of windows along each axis, ⌊(n + 2p − d(k − 1) − 1) / s⌋ + 1."""
    spread = node.get("dilation", (1,) * len(sizes))
    for n, k, s, p, d in zip(sizes, node["kernel"], node["stride"], node["padding"], spread, strict=True):
        yield (n + 2 * p - d * (k - 1) - 1) // s + 1


def shape_after(node: Node, given: Shape, *others: Shape) -> Shape:
    """Return the shape of what a node returns; `ValueError` where it cannot be given these."""
    kind = node.kind
    if kind in ("conv", "maxpool", "avgpool"):
        sizes = tuple(windows(given.space, node))
        if min(sizes) < 1:
            raise ValueError(f"{node.name}: no window fits into {given.space}")
        return Shape("maps", (node.get("filters", given.channels), *sizes))
    if kind in ("lstm", "gru"):
        units = node["units"] * (2 if node["bidirectional"] else 1)
        return Shape("sequence", (*given.space, units)) if node["sequences"] else Shape("vector", (units,))
    if kind in ("add", "subtract", "multiply"):
        if any(other != given for other in others):
            raise ValueError(f"{node.name}: {given} and {others} differ")
        return given
    if kind == "concat":
        if any((other.layout, other.space) != (given.layout, given.space) for other in others):
            raise ValueError(f"{node.name}: {given} and {others} differ")
        return _with_channels(given, given.channels + sum(other.channels for other in others))
    return _plain_shape(node, given)


def _plain_shape(node: Node, given: Shape) -> Shape:
    kind = node.kind
    if kind == "linear":
        return _with_channels(given, node["units"])
    if kind == "embedding":
        return Shape("sequence", (*given.sizes, node["units"]))
    if kind == "upsample":
        return Shape("maps", (given.channels, *(size * node["factor"] for size in given.space)))
    if kind == "flatten":
        return Shape("vector", (prod(given.sizes),))
    if kind in ("globalavg", "globalmax", "last"):
        return Shape("vector", (given.channels,))
    if kind == "to_sequence":
        return Shape("sequence", given.sizes[::-1])
    if kind == "to_maps":
        return Shape("maps", given.sizes[::-1])
    if kind in (*IN_PLACE, "gate"):
        return given
    raise ValueError(f"{node.name}: {kind} is not known")


def _with_channels(shape: Shape, channels: int) -> Shape:
    return Shape(shape.layout, (channels, *shape.space) if shape.layout == "maps" else (*shape.space, channels))
