"""The Keras layers of a node, as a Keras user spells it."""

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
from keras import layers, ops

from parity.faults.random.network import Node, Shape

# Names of Keras's for the forms that an activation argument can have.
ARGUMENTS = {
    "relu": "relu", "relu6": "relu6", "gelu": "gelu", "hardswish": "hard_silu", "hardsigmoid": "hard_sigmoid",
    "silu": "silu", "tanh": "tanh", "sigmoid": "sigmoid", "softplus": "softplus", "mish": "mish", "selu": "selu",
}  # fmt: skip


def is_argument(node: Node) -> bool:
    """Whether a node can be the `activation=` of the layer before it."""
    return node.kind == "activation" and node["form"] in ARGUMENTS


def padded(node: Node, shape: Shape, same: bool) -> tuple[list[Callable], str]:
    """Return what pads before a window, and the layer's own padding.

    PyTorch pads on both sides; Keras's "same" does so where the stride is 1 and the kernel is odd.

    Args:
        node: a convolution, a pool, or what has no window.
        shape: of what it is given.
        same: take "same" where both are right.
    """
    if node.kind not in ("conv", "maxpool", "avgpool"):
        return [], "valid"
    if node.get("same"):
        return [], "same"
    pads, rank = node["padding"], len(shape.space)
    if not any(pads):
        return [], "valid"
    spread = node.get("dilation", (1,) * rank)
    half = tuple(d * (k // 2) for k, d in zip(node["kernel"], spread, strict=True))
    odd = all(k % 2 for k in node["kernel"]) and set(node["stride"]) == {1}
    if odd and pads == half and node.kind != "avgpool" and same:
        return [], "same"
    if node.kind == "maxpool":
        edges = [(0, 0), *((p, p) for p in pads), (0, 0)]
        return [lambda x: ops.pad(x, edges, constant_values=-np.inf)], "valid"
    return [layers.ZeroPadding1D(pads[0]) if rank == 1 else layers.ZeroPadding2D(pads)], "valid"


def layer(
    node: Node, shape: Shape, padding: str, fused: Node | None, name: str | None, rng: np.random.RandomState
) -> keras.Layer | None:
    """Return the layer of a node, None where a function does it.

    Args:
        node: what it does.
        shape: of what it is given.
        padding: of a window.
        fused: the activation that is its argument.
        name: its name; None for Keras's own.
        rng: of the choices between spellings.
    """
    more = {"activation": ARGUMENTS[fused["form"]]} if fused else {}
    if node.kind == "conv":
        return _conv(node, shape, padding, name=name, **more)
    if node.kind == "linear":
        return layers.Dense(node["units"], use_bias=node["bias"], name=name, **more)
    if node.kind == "embedding":
        return layers.Embedding(node["count"], node["units"], name=name)
    if node.kind in ("lstm", "gru"):
        return _recurrent(node, name)
    if node.kind == "batchnorm":
        return layers.BatchNormalization(momentum=1 - node["momentum"], epsilon=node["eps"], name=name)
    if node.kind == "groupnorm":
        return layers.GroupNormalization(node["groups"], epsilon=node["eps"], name=name)
    if node.kind == "layernorm":
        return layers.LayerNormalization(epsilon=node["eps"], name=name)
    return _plain(node, shape, padding, name) if rng.rand() < 0.7 or node.kind in _LAYERS_ONLY else None


_LAYERS_ONLY = ("dropout", "maxpool", "avgpool", "upsample", "globalmax")


def _conv(node: Node, shape: Shape, padding: str, **more: Any) -> keras.Layer:
    rank, channels = len(shape.space), shape.channels
    common = {"strides": node["stride"], "padding": padding, "dilation_rate": node["dilation"], **more}
    common["use_bias"] = node["bias"]
    if node["groups"] == channels > 1:
        cls = (layers.DepthwiseConv1D, layers.DepthwiseConv2D)[rank - 1]
        return cls(node["kernel"], depth_multiplier=node["filters"] // channels, **common)
    cls = (layers.Conv1D, layers.Conv2D)[rank - 1]
    return cls(node["filters"], node["kernel"], groups=node["groups"], **common)


def _recurrent(node: Node, name: str | None) -> keras.Layer:
    cls = layers.LSTM if node.kind == "lstm" else layers.GRU
    more = {"activation": node["cell"]} if node.get("cell") else {}
    own = None if node["bidirectional"] else name
    cell = cls(
        node["units"], return_sequences=node["sequences"], go_backwards=node.get("backwards", False), name=own, **more
    )
    return layers.Bidirectional(cell, name=name) if node["bidirectional"] else cell


def _activation(node: Node, name: str | None) -> keras.Layer | None:
    if node["form"] == "leaky_relu":
        return layers.LeakyReLU(negative_slope=node["slope"], name=name)
    if node["form"] == "elu":
        return layers.ELU(node["slope"], name=name)
    if node["form"] == "gelu_tanh":
        return None
    return layers.Activation(ARGUMENTS[node["form"]], name=name)


def _plain(node: Node, shape: Shape, padding: str, name: str | None) -> keras.Layer | None:
    rank, kind = len(shape.space), node.kind
    if kind == "activation":
        return _activation(node, name)
    if kind in ("maxpool", "avgpool"):
        kinds = {
            "maxpool": (layers.MaxPooling1D, layers.MaxPooling2D),
            "avgpool": (layers.AveragePooling1D, layers.AveragePooling2D),
        }
        size, stride = (node[each] if rank > 1 else node[each][0] for each in ("kernel", "stride"))
        return kinds[kind][rank - 1](size, stride, padding, name=name)
    if kind == "upsample" and rank == 2:
        return layers.UpSampling2D(node["factor"], interpolation=node["mode"], name=name)
    if kind == "globalavg":
        return (layers.GlobalAveragePooling1D, layers.GlobalAveragePooling2D)[rank - 1](name=name)
    if kind == "globalmax":
        return (layers.GlobalMaxPooling1D, layers.GlobalMaxPooling2D)[rank - 1](name=name)
    if kind == "flatten":
        return None if node.get("order") else layers.Flatten(name=name)
    if kind == "softmax":
        return layers.Softmax(axis=node.get("axis", -1), name=name)
    makers: dict[str, Callable[[], keras.Layer]] = {
        "dropout": lambda: layers.Dropout(node["rate"], name=name),
        "add": lambda: layers.Add(name=name),
        "subtract": lambda: layers.Subtract(name=name),
        "multiply": lambda: layers.Multiply(name=name),
        "concat": lambda: layers.Concatenate(axis=node.get("axis", -1), name=name),
        "scale": lambda: layers.Rescaling(node["factor"], name=name),
        "upsample": lambda: layers.UpSampling1D(node["factor"], name=name),
    }
    return makers[kind]() if kind in makers else None


def functions(node: Node, shape: Shape, rng: np.random.RandomState) -> list[Callable[[Any], Any]]:
    """Return a node as functions of `keras.ops` and operators, or layers that stand beside them."""
    kind, rank = node.kind, len(shape.space)
    if kind == "activation":
        return [_form(node)]
    if kind == "gate":
        return [lambda given: given[0] * ops.reshape(given[1], (-1, *(1,) * rank, shape.channels))]
    if kind == "flatten":
        order = node.get("order")
        before: list[Callable] = [layers.Permute(order)] if order else []
        return [*before, layers.Flatten()]
    return [] if kind in ("to_sequence", "to_maps") else [_function(node, shape)]


def _function(node: Node, shape: Shape) -> Callable[[Any], Any]:
    joined: dict[str, Callable] = {
        "add": lambda given: sum(given[1:], given[0]),
        "subtract": lambda given: given[0] - given[1],
        "multiply": lambda given: given[0] * given[1] if len(given) == 2 else given[0] * given[1] * given[2],
        "concat": lambda given: ops.concatenate(given, axis=node.get("axis", -1)),
        "scale": lambda x: x * node["factor"],
        "softmax": lambda x: ops.softmax(x, axis=node.get("axis", -1)),
        "globalavg": lambda x: ops.mean(x, axis=tuple(range(1, 1 + len(shape.space)))),
        "last": lambda x: x[:, 0] if node.get("first") else x[:, -1],
    }
    return joined[node.kind]


def _form(node: Node) -> Callable[[Any], Any]:
    slope = node["slope"]
    own: dict[str, Callable] = {
        "leaky_relu": lambda x: ops.leaky_relu(x, negative_slope=slope),
        "elu": lambda x: ops.elu(x, alpha=slope),
        "gelu_tanh": lambda x: ops.gelu(x, approximate=True),
        "gelu": lambda x: ops.gelu(x, approximate=False),
        "relu": ops.relu, "relu6": ops.relu6, "hardswish": ops.hard_silu, "hardsigmoid": ops.hard_sigmoid,
        "silu": ops.silu, "tanh": ops.tanh, "sigmoid": ops.sigmoid, "softplus": ops.softplus,
        "mish": lambda x: x * ops.tanh(ops.softplus(x)), "selu": ops.selu,
    }  # fmt: skip
    return own[node["form"]]
