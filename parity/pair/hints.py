"""The likely reason of a difference: candidates that were tried on the layer where it begins, and hold."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from keras_blitz import keras_internals
from keras_blitz.weights import kinds
from keras_blitz.weights.layout import Layout
from parity.core.compare import Row
from parity.core.difference import measure
from parity.core.tolerance import SAME_VALUE
from parity.pair.pairing import Pairing

ACTIVATIONS: dict[str, Callable] = {
    "identity": lambda x: x,
    "relu": tf.nn.relu,
    "relu6": tf.nn.relu6,
    "gelu (erf)": lambda x: 0.5 * x * (1 + tf.math.erf(x * np.sqrt(0.5))),
    "gelu (tanh)": lambda x: 0.5 * x * (1 + tf.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3))),
    "leaky_relu(0.01)": lambda x: tf.where(x > 0, x, 0.01 * x),
    "leaky_relu(0.2)": lambda x: tf.where(x > 0, x, 0.2 * x),
    "leaky_relu(0.3)": lambda x: tf.where(x > 0, x, 0.3 * x),
    "elu": lambda x: tf.where(x > 0, x, tf.math.expm1(tf.minimum(x, 0))),
    "silu": tf.nn.silu,
    "sigmoid": tf.sigmoid,
    "tanh": tf.tanh,
    "softplus": tf.nn.softplus,
}


@dataclass(frozen=True)
class Clue:
    """The layer that differs though its input does not.

    Args:
        module: PyTorch's.
        call: Keras's call.
        given: Keras's input.
        actual: what Keras's layer returned, in PyTorch's layout.
        expected: what PyTorch's module returned.
        layout: of the output.
        train: train mode.
    """

    module: Any
    call: Any
    given: np.ndarray
    actual: np.ndarray
    expected: np.ndarray
    layout: Layout
    train: bool

    def agrees(self, value) -> bool:
        """Whether a Keras value is what PyTorch has."""
        found = self.layout.to_torch(np.asarray(value))
        return found.shape == self.expected.shape and measure(self.expected, found).relative < SAME_VALUE


def of_layer(clue: Clue) -> list[str]:
    """Return the explanations that hold when they are tried."""
    return [said for test in (_epsilon, _activation, _padding, _ceil_mode, _normalized_axes) for said in test(clue)]


def _see(gap: str) -> str:
    return f"looks like {gap}: see `parity gaps {gap}`"


def _epsilon(clue: Clue) -> Iterator[str]:
    layer, theirs = clue.call.layer, getattr(clue.module, "eps", None)
    mine = getattr(layer, "epsilon", getattr(layer, "eps", None))
    if theirs is None or mine is None or theirs == mine:
        return
    kind = kinds.of_torch(clue.module)
    gap = kind.eps_gap if kind else "bn-eps-default"
    name = "epsilon" if hasattr(layer, "epsilon") else "eps"
    setattr(layer, name, theirs)
    try:
        value = layer(
            tf.constant(clue.given), **({"training": clue.train} if keras_internals.takes_training(layer) else {})
        )
    finally:
        setattr(layer, name, mine)
    if clue.agrees(value):
        yield f"{_see(gap)}; eps is {theirs:g} in PyTorch, {mine:g} in Keras, and with PyTorch's it agrees"


def _activation(clue: Clue) -> Iterator[str]:
    x = tf.constant(clue.given)
    if clue.given.shape != np.shape(clue.call.result) or x.dtype not in (tf.float32, tf.float64):
        return
    values = {name: function(x) for name, function in ACTIVATIONS.items()}
    theirs = [name for name, value in values.items() if clue.agrees(value)]
    mine = [
        name
        for name, value in values.items()
        if measure(clue.actual, clue.layout.to_torch(value.numpy())).relative < SAME_VALUE
    ]
    if theirs and mine:
        both = theirs[0], mine[0]
        gap = ""
        if all(name.startswith("gelu") for name in both):
            gap = _see("gelu") + "; "
        if all(name.startswith("leaky") for name in both):
            gap = _see("leaky-relu-slope") + "; "
        yield f"{gap}PyTorch's is {both[0]}, Keras's is {both[1]}"


def _padding(clue: Clue) -> Iterator[str]:
    """SAME pads behind where PyTorch pads on both sides: try the explicit pads."""
    layer, pads = clue.call.layer, getattr(clue.module, "padding", None)
    if getattr(layer, "padding", None) != "same" or pads is None or isinstance(pads, str):
        return
    rank = clue.given.ndim - 2
    pads = (pads,) * rank if isinstance(pads, int) else tuple(pads)
    kind = kinds.of_keras(layer)
    if kind and kind.name.startswith("convtranspose"):
        yield from _transposed(clue, pads)
        return
    if not hasattr(layer, "kernel") and "Max" not in type(layer).__name__:
        return
    value = -np.inf if "Max" in type(layer).__name__ else 0.0
    padded = np.pad(clue.given, [(0, 0), *((p, p) for p in pads), (0, 0)], constant_values=value)
    if clue.agrees(_with(layer, padded, padding="valid", activation=keras.activations.linear)):
        gap = "maxpool-same" if "Max" in type(layer).__name__ else "conv-same-stride2"
        yield f"{_see(gap)}; with {pads} padded on each side and padding='valid' it agrees"


def _transposed(clue: Clue, pads: tuple[int, ...]) -> Iterator[str]:
    whole = np.asarray(
        _with(clue.call.layer, clue.given, padding="valid", output_padding=None, activation=keras.activations.linear)
    )
    sizes = clue.expected.shape[2:]
    whole = np.pad(
        whole,
        [(0, 0), *((0, max(0, p + n - w)) for p, n, w in zip(pads, sizes, whole.shape[1:-1], strict=True)), (0, 0)],
    )
    cropped = whole[(slice(None), *(slice(p, p + n) for p, n in zip(pads, sizes, strict=True)))]
    if clue.agrees(cropped):
        yield f"{_see('convtranspose-same')}; the whole output cropped by {pads} in front agrees"


def _with(layer, given: np.ndarray, **settings):
    """Call a layer with other settings, and give it its own back."""
    before = {name: getattr(layer, name) for name in settings if hasattr(layer, name)}
    try:
        for name in before:
            keras_internals.set_untracked(layer, name, settings[name])
        return layer.call(tf.constant(given))
    finally:
        for name, value in before.items():
            keras_internals.set_untracked(layer, name, value)


def _ceil_mode(clue: Clue) -> Iterator[str]:
    if getattr(clue.module, "ceil_mode", False) and clue.actual.shape != clue.expected.shape:
        kind = "maxpool-ceil-mode" if "Max" in type(clue.module).__name__ else "avgpool-ceil"
        yield f"{_see(kind)}; Keras drops the last window that PyTorch keeps"


def _normalized_axes(clue: Clue) -> Iterator[str]:
    """A GroupNorm normalizes over height and width, too, a LayerNormalization over channels alone: try the former."""
    layer, groups = clue.call.layer, getattr(clue.module, "num_groups", None)
    if groups is None or type(layer).__name__ != "LayerNormalization" or clue.given.shape[-1] % groups:
        return
    x = clue.given.reshape(len(clue.given), -1, groups, clue.given.shape[-1] // groups)
    mean, variance = (each(x, axis=(1, 3), keepdims=True) for each in (np.mean, np.var))
    value = ((x - mean) / np.sqrt(variance + clue.module.eps)).reshape(clue.given.shape)
    value = value * (1 if layer.gamma is None else np.asarray(layer.gamma))
    if clue.agrees(value + (0 if layer.beta is None else np.asarray(layer.beta))):
        yield (
            f"{_see('groupnorm')}; PyTorch's normalizes over height and width, too: keras.layers.GroupNormalization("
            f"{groups}, epsilon={clue.module.eps:g}) agrees"
        )


def of_row(pairing: Pairing, row: Row) -> Iterator[str]:
    """Explain a tensor that is not an activation: BatchNorm's running statistics, a recurrent layer's second bias."""
    if any(row.name.endswith(f":param:{name}") for name in pairing.twins):
        yield f"{_see('lstm-map')}; an update moves PyTorch's two biases, and Keras's one half as far as their sum"
    _, _, buffer = row.name.rpartition("buffer:")
    path, _, leaf = buffer.rpartition(".")
    found = next(((one, other) for one, other, _ in pairing.units if one.name == path), None)
    if leaf not in ("running_mean", "running_var") or found is None:
        return
    theirs, mine = found[0].owner.momentum, getattr(found[1].owner, "momentum", None)
    if theirs is None:
        yield _see("bn-momentum-none")
    elif mine is not None and type(found[1].owner).__name__ == "BatchNormalization":
        if abs((1 - mine) - theirs) > 1e-9:
            yield f"{_see('bn-momentum')}; PyTorch's momentum {theirs:g} is {1 - theirs:g} in Keras, which has {mine:g}"
        elif leaf == "running_var":
            yield f"{_see('bn-unbiased-running-var')}; Keras accumulates the biased variance"
