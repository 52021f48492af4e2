"""Reasons why an activation differs: which one PyTorch's values are of, and which one Keras's."""

from collections.abc import Callable, Iterator
from functools import partial

import numpy as np
import tensorflow as tf

from parity.core.difference import measure
from parity.pair.hints.clue import Clue, Hint

ACTIVATIONS: dict[str, Callable] = {
    "identity": lambda x: x,
    "relu": tf.nn.relu,
    "relu6": tf.nn.relu6,
    "gelu (erf)": lambda x: 0.5 * x * (1 + tf.math.erf(x * np.sqrt(0.5))),
    "gelu (tanh)": lambda x: 0.5 * x * (1 + tf.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3))),
    "gelu (x·sigmoid(1.702·x))": lambda x: x * tf.sigmoid(1.702 * x),
    "leaky_relu(0.01)": lambda x: tf.where(x > 0, x, 0.01 * x),
    "leaky_relu(0.2)": lambda x: tf.where(x > 0, x, 0.2 * x),
    "leaky_relu(0.3)": lambda x: tf.where(x > 0, x, 0.3 * x),
    "elu": lambda x: tf.where(x > 0, x, tf.math.expm1(tf.minimum(x, 0))),
    "selu": lambda x: 1.0507009873554805 * tf.where(x > 0, x, 1.6732632423543772 * tf.math.expm1(tf.minimum(x, 0))),
    "silu": tf.nn.silu,
    "mish": lambda x: x * tf.tanh(tf.nn.softplus(x)),
    "sigmoid": tf.sigmoid,
    "hard_sigmoid (x/6 + 0.5)": lambda x: tf.clip_by_value(x / 6 + 0.5, 0, 1),
    "hard_sigmoid (0.2·x + 0.5)": lambda x: tf.clip_by_value(0.2 * x + 0.5, 0, 1),
    "hard_swish (x·(x/6 + 0.5))": lambda x: x * tf.clip_by_value(x / 6 + 0.5, 0, 1),
    "hard_swish (x·(0.2·x + 0.5))": lambda x: x * tf.clip_by_value(0.2 * x + 0.5, 0, 1),
    "log_sigmoid": lambda x: -tf.nn.softplus(-x),
    "tanh": tf.tanh,
    "hardtanh": lambda x: tf.clip_by_value(x, -1, 1),
    "softsign": tf.nn.softsign,
    "softplus": tf.nn.softplus,
    "softplus (x itself above 20)": lambda x: tf.where(x > 20, x, tf.nn.softplus(x)),
}
# The gap of a pair, by what the names of PyTorch's and of Keras's activation begin with.
PAIRS = (
    ("gelu", "gelu (erf)", "gelu"),
    ("gelu-tanh", "gelu (tanh)", "gelu"),
    ("leaky-relu-slope", "leaky_relu", "leaky_relu"),
    ("softplus-threshold", "softplus", "softplus"),
    ("softmax-implicit-dim", "softmax", "softmax"),
    ("ce-softmax-in-model", "identity", "softmax"),
    ("ce-softmax-in-model", "softmax", "identity"),
    ("bce-with-logits", "identity", "sigmoid"),
    ("bce-with-logits", "sigmoid", "identity"),
)


def _named(clue: Clue) -> tuple[str, str]:
    """Return the names of PyTorch's and of Keras's activation, "" where one is not known, or they are the same."""
    if clue.given.shape != np.shape(clue.call.result) or clue.given.dtype not in (np.float32, np.float64):
        return "", ""
    values = dict(values_of(clue.layout.to_torch(clue.given)))
    theirs = _nearest({name: value for name, value in values.items() if clue.is_expected(value)}, clue.expected)
    mine = _nearest({name: value for name, value in values.items() if clue.is_actual(value)}, clue.actual)
    return (theirs, mine) if theirs and mine and theirs != mine else ("", "")


def values_of(x: np.ndarray) -> Iterator[tuple[str, np.ndarray]]:
    """Return each activation of an array in PyTorch's layout."""
    for name, function in ACTIVATIONS.items():
        yield name, np.asarray(function(tf.constant(x)))
    for dim in range(x.ndim):
        yield f"softmax(dim={dim})", np.asarray(tf.nn.softmax(x, dim))
        yield f"log_softmax(dim={dim})", np.asarray(tf.nn.log_softmax(x, dim))


def _nearest(values: dict[str, np.ndarray], to: np.ndarray) -> str:
    return min(values, key=lambda name: measure(to, values[name]).relative, default="")


def _gap_of(theirs: str, mine: str) -> str:
    fits = (gap for gap, one, other in PAIRS if theirs.startswith(one) and mine.startswith(other))
    return next(fits, "")


def _activation(gap: str, clue: Clue) -> str:
    theirs, mine = _named(clue)
    if not theirs or _gap_of(theirs, mine) != gap:
        return ""
    return f"PyTorch's is {theirs}, Keras's is {mine}"


HINTS = tuple(Hint(gap, partial(_activation, gap)) for gap in dict.fromkeys([*(gap for gap, _, _ in PAIRS), ""]))
