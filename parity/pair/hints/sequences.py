"""Reasons why an embedding or a recurrent layer differs."""

from functools import partial

import keras
import numpy as np

from keras_blitz import keras_internals
from keras_blitz.weights import kinds
from parity.pair.hints.clue import Clue, Hint, called, see

RECURRENT = {"lstm-map": "LSTM", "gru-map": "GRU", "rnn-map": "SimpleRNN"}  # gap -> Keras's class


def _max_norm(clue: Clue) -> str:
    limit, order = getattr(clue.module, "max_norm", None), getattr(clue.module, "norm_type", 2.0)
    if limit is None:
        return ""
    norms = np.linalg.norm(clue.actual, order, -1, keepdims=True)
    if not clue.is_expected(clue.actual * np.where(norms > limit, limit / (norms + 1e-7), 1.0)):
        return ""
    return f"PyTorch scales the rows that it looks up to max_norm={limit:g}, and so scaled it agrees"


def _masked_steps(clue: Clue) -> str:
    """Keras's recurrent layers hold their state at masked steps; the layer is run again without the mask."""
    if not isinstance(clue.layer, keras.layers.RNN | keras.layers.Bidirectional):
        return ""
    if not clue.agrees(called(clue.layer, clue.given, clue.train)):
        return ""
    return "Keras skips the masked steps (mask_zero=True, Masking), PyTorch does not, and without the mask it agrees"


def _held_steps(clue: Clue) -> str:
    """A packed sequence has zeros beyond the end of each example, Keras repeats the last value there."""
    if not isinstance(clue.layer, keras.layers.RNN) or clue.actual.shape != clue.expected.shape:
        return ""
    steps = np.any(clue.expected != 0, -1, keepdims=True)
    if steps.all() or clue.layer.zero_output_for_mask or not clue.is_expected(np.where(steps, clue.actual, 0)):
        return ""
    return (
        "only the padded steps differ: PyTorch's packed sequence has zeros there, Keras repeats the last value; with "
        "zero_output_for_mask=True it agrees"
    )


def _batch_first(clue: Clue) -> str:
    """PyTorch's recurrent modules take (T, N, C) unless they are told batch_first=True."""
    if getattr(clue.module, "batch_first", True) or clue.given.ndim != 3:
        return ""
    value = np.asarray(called(clue.layer, clue.given.swapaxes(0, 1), clue.train))
    if not any(clue.is_expected(each) for each in (value, value.swapaxes(0, 1))):
        return ""
    return (
        "PyTorch's batch_first is False: it takes axis 0 for the steps and axis 1 for the examples, and with these two "
        "axes of Keras's input exchanged it agrees"
    )


def _gates(gap: str, clue: Clue) -> str:
    """The activation of the gates, or of what they let through."""
    kind = kinds.of_torch(clue.module)
    if kind is None or not kind.gates or type(clue.layer).__name__ != RECURRENT[gap]:
        return ""
    nonlinearity = getattr(clue.module, "nonlinearity", "tanh")
    theirs = {"recurrent_activation": "sigmoid", "activation": nonlinearity}
    cell = clue.layer.cell
    mine = {name: getattr(cell, name) for name in theirs if hasattr(cell, name)}
    changed = {name: keras.activations.get(theirs[name]) for name in mine}
    try:
        for name, value in changed.items():
            keras_internals.set_untracked(cell, name, value)
        agrees = clue.agrees(called(clue.layer, clue.given, clue.train))
    finally:
        for name, value in mine.items():
            keras_internals.set_untracked(cell, name, value)
    said = [
        f"{name} is {theirs[name]} in PyTorch, {getattr(mine[name], '__name__', mine[name])} in Keras"
        for name in mine
        if mine[name] is not changed[name]
    ]
    return f"{', '.join(said)}, and with PyTorch's it agrees" if agrees and said else ""


HINTS = (
    Hint("embedding-max-norm", _max_norm),
    Hint("", _batch_first),
    Hint("", _masked_steps),
    Hint("", _held_steps),
    *(Hint(gap, partial(_gates, gap)) for gap in RECURRENT),
)


def of_padding(index: int) -> list[str]:
    """Say why an embedding's gradient differs in one row alone, which was tried."""
    return [
        f"{see('embedding-padding-idx')}; PyTorch's padding_idx={index} keeps that row from learning, nothing does in "
        "Keras (mask_zero does not), and without the row's gradient it agrees"
    ]
