"""Random mistakes: each changes the description that Keras's side is written from."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from parity.faults.random.network import Network, Node


@dataclass(frozen=True)
class Mistake:
    """A network that somebody ported wrongly.

    Args:
        kind: "eps", "residual".
        network: what Keras's side is written from.
        at: PyTorch's nodes where the difference begins, each a right answer to where it is.
        twins: Keras's node -> PyTorch's node, an exchange of weights under which it may be right after all.
    """

    kind: str
    network: Network
    at: tuple[str, ...]
    twins: Mapping[str, str] = field(default_factory=dict)


def mistake(network: Network, seed: int) -> Mistake:
    """Return a random mistake in a network, the same for a seed."""
    rng = np.random.RandomState(seed + 3)
    for kind in rng.permutation(list(KINDS)):
        places = [place for node in network.nodes for place in KINDS[kind](network, node)]
        possible = [place for place in places if _fits(place.network)]
        if possible:
            return replace(possible[rng.randint(len(possible))], kind=str(kind))
    raise ValueError("no mistake is possible in this network")


def _fits(network: Network) -> bool:
    try:
        network.shapes()
    except ValueError:
        return False
    return True


def _changed(network: Network, node: Node, **settings) -> Iterator[Mistake]:
    """Yield the network with other settings of a node, and of those that share its weights."""
    tied = [other for other in network.nodes if other.holder == node.holder]
    if node.tied:
        return
    for other in tied:
        network = network.with_node(other.but(**settings))
    yield Mistake("", network, tuple(other.name for other in tied))


def _eps(network: Network, node: Node) -> Iterator[Mistake]:
    if "eps" in node.settings:
        yield from _changed(network, node, eps=1e-3 if node["eps"] < 1e-3 else 1e-5)


def _groups(network: Network, node: Node) -> Iterator[Mistake]:
    if node.kind == "groupnorm":
        yield from _changed(network, node, groups=1 if node["groups"] > 1 else 2)


def _momentum(network: Network, node: Node) -> Iterator[Mistake]:
    if node.kind == "batchnorm":
        yield from _changed(network, node, momentum=0.99)


def _form(network: Network, node: Node) -> Iterator[Mistake]:
    others = {
        "gelu": "gelu_tanh", "gelu_tanh": "gelu", "hardswish": "silu", "silu": "hardswish", "relu": "relu6",
        "relu6": "relu", "sigmoid": "hardsigmoid", "hardsigmoid": "sigmoid", "elu": "selu", "mish": "silu",
    }  # fmt: skip
    if node.kind == "activation" and node["form"] in others:
        yield from _changed(network, node, form=others[node["form"]], slope=1.0)


def _slope(network: Network, node: Node) -> Iterator[Mistake]:
    if node.get("form") == "leaky_relu":
        yield from _changed(network, node, slope=0.3)
    if node.get("form") == "elu":
        yield from _changed(network, node, slope=node["slope"] + 0.5)


def _same(network: Network, node: Node) -> Iterator[Mistake]:
    """Padding "same" where PyTorch pads on both sides."""
    if any(node.get("padding", ())) and (set(node["stride"]) != {1} or node.kind == "avgpool"):
        yield from _changed(network, node, same=True)


def _padding(network: Network, node: Node) -> Iterator[Mistake]:
    if node.get("padding"):
        yield from _changed(network, node, padding=tuple(int(not p) for p in node["padding"]))


def _stride(network: Network, node: Node) -> Iterator[Mistake]:
    """The stride on the next convolution, or the one before."""
    if node.kind == "conv" and set(node["stride"]) == {2}:
        rank = len(node["stride"])
        for other in network.nodes:
            near = other.inputs[0] == node.name or other.name == node.inputs[0]
            if other.kind == "conv" and not other.tied and near:
                moved = network.with_node(node.but(stride=(1,) * rank)).with_node(other.but(stride=(2,) * rank))
                first = node.name if other.inputs[0] == node.name else other.name
                yield Mistake("", moved, (first,))
        yield from _changed(network, node, stride=(1,) * rank)


def _dilation(network: Network, node: Node) -> Iterator[Mistake]:
    if node.kind == "conv" and max(node["kernel"]) == 3 and set(node["stride"]) == {1} and node["padding"][0]:
        spread = 3 - node["dilation"][0]
        rank = len(node["kernel"])
        yield from _changed(network, node, dilation=(spread,) * rank, padding=(spread,) * rank)


def _missing(network: Network, node: Node) -> Iterator[Mistake]:
    weights = node.kind in ("batchnorm", "groupnorm", "layernorm")
    if (weights or node.kind in ("activation", "softmax", "scale", "dropout")) and not _is_tied(network, node):
        yield Mistake("", network.without(node.name), (node.name,))


def _extra(network: Network, node: Node) -> Iterator[Mistake]:
    if node.kind in ("linear", "conv", "add", "concat", "lstm", "gru"):
        added = Node("extra", "activation", (), {"form": "relu", "slope": 0.0})
        users = tuple(user.name for user in network.users(node.name)) or (node.name,)
        yield Mistake("", network.followed_by(node.name, added), (*users, node.name))


def _order(network: Network, node: Node) -> Iterator[Mistake]:
    """A norm and an activation in the other order."""
    users = network.users(node.name)
    if len(users) == 1 and {node.kind, users[0].kind} & {"activation"} and node.name not in network.outputs:
        after = users[0]
        if {node.kind, after.kind} & {"batchnorm", "groupnorm", "layernorm"} and not after.tied and not node.tied:
            bare = network.without(node.name)
            yield Mistake("", bare.followed_by(after.name, node), (node.name, after.name))


def _join(network: Network, node: Node) -> Iterator[Mistake]:
    """Branches in the other order; where they are of one shape, their weights exchanged are right."""
    if node.kind in ("subtract", "concat"):
        inputs = (node.inputs[1], node.inputs[0], *node.inputs[2:])
        yield Mistake("", network.with_node(replace(node, inputs=inputs)), (node.name,), _exchange(network, node))


def _exchange(network: Network, node: Node) -> dict[str, str]:
    """Return Keras's nodes with the weights of the other branch's, as far as the branches are alike."""
    found: dict[str, str] = {}
    one, other = node.inputs[0], node.inputs[1]
    names = {each.name for each in network.nodes}
    while one in names and other in names and one != other:
        left, right = network.node(one), network.node(other)
        if (left.kind, left.settings) != (right.kind, right.settings):
            break
        found |= {left.name: right.name, right.name: left.name}
        one, other = left.inputs[0], right.inputs[0]
    return found


def _operation(network: Network, node: Node) -> Iterator[Mistake]:
    others = {"add": "multiply", "subtract": "add", "multiply": "add"}
    if node.kind in others:
        yield Mistake("", network.with_node(replace(node, kind=others[node.kind])), (node.name,))


def _residual(network: Network, node: Node) -> Iterator[Mistake]:
    if node.kind in ("add", "subtract"):
        kept = network.node(node.inputs[0]) if node.inputs[0] not in network.inputs else None
        if kept is not None:
            yield Mistake("", network.without(node.name), (node.name,))


def _pool(network: Network, node: Node) -> Iterator[Mistake]:
    others = {"maxpool": "avgpool", "avgpool": "maxpool", "globalavg": "globalmax", "globalmax": "globalavg"}
    if node.kind in others and network.shapes()[node.inputs[0]].layout == "maps":
        yield Mistake("", network.with_node(replace(node, kind=others[node.kind])), (node.name,))


def _axis(network: Network, node: Node) -> Iterator[Mistake]:
    shapes = network.shapes()
    if node.kind == "softmax" and shapes[node.inputs[0]].layout != "vector":
        yield from _changed(network, node, axis=1)
    if node.kind == "upsample" and len(shapes[node.inputs[0]].space) == 2:
        yield from _changed(network, node, mode="bilinear")


def _flatten(network: Network, node: Node) -> Iterator[Mistake]:
    shape = network.shapes()[node.inputs[0]]
    if node.kind == "flatten" and shape.layout == "maps" and len(shape.space) == 2:  # (2, 1) would be PyTorch's order
        yield from _changed(network, node, order=(2, 1, 3))


def _last(network: Network, node: Node) -> Iterator[Mistake]:
    if node.kind == "last":
        yield from _changed(network, node, first=True)
    if node.kind in ("lstm", "gru"):
        yield from _changed(network, node, cell="relu")
        if not node["bidirectional"]:
            yield from _changed(network, node, backwards=True)


def _bias(network: Network, node: Node) -> Iterator[Mistake]:
    if "bias" in node.settings:
        yield from _changed(network, node, bias=not node["bias"])


def _tie(network: Network, node: Node) -> Iterator[Mistake]:
    """The second call of a layer is one of its own, or two layers are one."""
    if node.tied:
        yield Mistake("", network.with_node(replace(node, tied="")), (node.name,))
    if node.kind in ("conv", "linear") and not _is_tied(network, node):
        shapes = network.shapes()
        for other in network.nodes[: network.nodes.index(node)]:
            alike = (other.kind, other.settings) == (node.kind, node.settings) and not other.tied
            if alike and shapes[other.inputs[0]].channels == shapes[node.inputs[0]].channels:
                yield Mistake("", network.with_node(replace(node, tied=other.name)), (node.name,))


def _wrong(network: Network, node: Node) -> Iterator[Mistake]:
    """A layer that is given another value of the same shape: what was before the last layer."""
    shapes = network.shapes()
    before = node.inputs[0]
    if before in network.inputs or not shapes[before].sizes:
        return
    earlier = network.node(before).inputs[0]
    if shapes[earlier] == shapes[before] and node.kind not in ("add", "subtract", "concat"):
        inputs = (earlier, *node.inputs[1:])
        yield Mistake("", network.with_node(replace(node, inputs=inputs)), (node.name,))


def _is_tied(network: Network, node: Node) -> bool:
    return bool(node.tied) or any(other.tied == node.name for other in network.nodes)


KINDS: dict[str, Callable[[Network, Node], Iterator[Mistake]]] = {
    "eps": _eps, "groups": _groups, "momentum": _momentum, "activation form": _form, "slope": _slope,
    "padding same": _same, "padding": _padding, "stride": _stride, "dilation": _dilation, "missing layer": _missing,
    "extra layer": _extra, "norm order": _order, "branches": _join, "operation": _operation, "residual": _residual,
    "pooling": _pool, "axis": _axis, "flatten order": _flatten, "recurrent": _last, "bias": _bias, "tie": _tie,
    "wrong input": _wrong,
}  # fmt: skip
