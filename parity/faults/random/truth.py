"""Whether two sides of a random pair are one function: weights copied by construction, outputs compared in float64.

Nothing of `parity.check` is used: no pairing, no comparison.
"""

from collections.abc import Mapping
from copy import deepcopy

import keras
import numpy as np
import torch

from keras_blitz import precision
from parity.faults.random import in_keras, in_torch
from parity.faults.random.network import Network, Node

SAME, OTHER = 1e-9, 1e-6  # relative: one function below, two above; Keras rounds some constants to float32, 1e-8


def distance(theirs: Network, ours: Network, seed: int, twins: Mapping[str, str] | None = None) -> float:
    """Return max|Keras − PyTorch| / max|PyTorch| over the outputs; infinite where weights or outputs do not fit.

    Args:
        theirs: what PyTorch's side is written from.
        ours: what Keras's side is.
        seed: of the pair.
        twins: Keras's node -> PyTorch's node whose weights it gets, where that is not the one of its name.
    """
    module = in_torch.emit(theirs, seed)
    inputs = in_torch.inputs_of(theirs, seed)
    with precision("float64"):
        built = in_keras.emit(ours, seed)
        try:
            _fill(theirs, built, module, twins or {})
        except (ValueError, KeyError):
            return np.inf
        found = built.model(*[_as_keras(theirs, name, x) for name, x in zip(theirs.inputs, inputs, strict=True)])
    double = [torch.tensor(x).double() if x.dtype.kind == "f" else torch.tensor(x) for x in inputs]
    with torch.no_grad():
        expected = deepcopy(module).double()(*double)
    shapes = theirs.shapes()
    triples = zip(theirs.outputs, _listed(expected), _listed(found), strict=True)
    return max(_apart(one.numpy(), np.asarray(other), shapes[name].layout) for name, one, other in triples)


def _listed(values) -> list:
    return list(values) if isinstance(values, list | tuple) else [values]


def _as_keras(network: Network, name: str, x: np.ndarray):
    x = np.moveaxis(x, 1, -1) if network.inputs[name].layout == "maps" else x
    return keras.ops.convert_to_tensor(x, "float64" if x.dtype.kind == "f" else "int32")


def _apart(expected: np.ndarray, actual: np.ndarray, layout: str) -> float:
    actual = np.moveaxis(actual, -1, 1) if layout == "maps" else actual
    if actual.shape != expected.shape:
        return np.inf
    return float(np.abs(expected - actual).max() / max(np.abs(expected).max(), 1e-30))


def _fill(theirs: Network, built: in_keras.Built, module: torch.nn.Module, twins: Mapping[str, str]) -> None:
    shapes, modules = theirs.shapes(), dict(module.named_modules())
    for name, layer in built.layers.items():
        if not layer.weights:
            continue
        node = theirs.node(twins.get(name, name))
        held = {key: value.numpy() for key, value in modules[node.holder].state_dict().items()}
        before = next((n for n in theirs.nodes if n.name == node.inputs[0] and n.kind == "flatten"), None)
        source = shapes[before.inputs[0]] if before else None
        spread = source.sizes if source and source.layout == "maps" else None
        values = _weights(node, held, spread, shapes[node.inputs[0]].channels)
        if len(values) != len(layer.weights) and node.get("bias") is not False:
            raise ValueError("a bias is missing")
        layer.set_weights([*values, *(np.zeros(v.shape) for v in layer.weights[len(values) :])])


def _weights(node: Node, held: dict, spread: tuple[int, ...] | None, channels: int) -> list[np.ndarray]:
    """Return Keras's weights of a node, in Keras's order.

    Args:
        node: PyTorch's.
        held: its state_dict.
        spread: (C, H, W) that its input was flattened from.
        channels: of its input.
    """
    bias = [held["bias"]] if "bias" in held else []
    if node.kind == "conv" and node["groups"] == channels > 1:
        kernel = np.moveaxis(held["weight"][:, 0], 0, -1)
        return [kernel.reshape(*kernel.shape[:-1], channels, -1), *bias]
    if node.kind == "conv":
        return [np.moveaxis(held["weight"], (0, 1), (-1, -2)), *bias]
    if node.kind == "linear":
        kernel = held["weight"].T
        if spread:
            kernel = np.moveaxis(kernel.reshape(*spread, -1), 0, -2).reshape(kernel.shape)
        return [kernel, *bias]
    if node.kind == "batchnorm":
        return [held[name] for name in ("weight", "bias", "running_mean", "running_var")]
    if node.kind in ("lstm", "gru"):
        ends = ("_l0", "_l0_reverse") if node["bidirectional"] else ("_l0",)
        return [value for end in ends for value in _cell(node.kind, held, end)]
    return list(held.values())


def _cell(kind: str, held: dict, end: str) -> list[np.ndarray]:
    """Return kernel, recurrent kernel and bias; a GRU's gates are r, z, n in PyTorch and z, r, n in Keras."""

    def moved(value: np.ndarray) -> np.ndarray:
        r, z, n = np.split(value, 3)
        return np.concatenate([z, r, n])

    names = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
    w, u, b, c = (held[name + end] if kind == "lstm" else moved(held[name + end]) for name in names)
    return [w.T, u.T, b + c if kind == "lstm" else np.stack([b, c])]
