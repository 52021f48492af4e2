"""Reasons why a normalization differs."""

from functools import partial
from typing import Any

import numpy as np

from keras_blitz.weights import kinds
from parity.pair.hints.clue import Clue, Hint, called


def _epsilon(gap: str, clue: Clue) -> str:
    kind, theirs = kinds.of_torch(clue.module), getattr(clue.module, "eps", None)
    if theirs is None or (kind.eps_gap if kind else "bn-eps-default") != gap:
        return ""
    name = "epsilon" if hasattr(clue.layer, "epsilon") else "eps"
    mine = getattr(clue.layer, name, None)
    if mine is None or theirs == mine or not _with(clue, name, theirs):
        return ""
    return f"eps is {theirs:.6g} in PyTorch, {mine:.6g} in Keras, and with PyTorch's it agrees"


def _groups(clue: Clue) -> str:
    theirs, mine = getattr(clue.module, "num_groups", None), getattr(clue.layer, "groups", None)
    if None in (theirs, mine) or theirs == mine or not _with(clue, "groups", theirs):
        return ""
    return f"PyTorch has {theirs} groups, Keras {mine}, and with PyTorch's it agrees"


def _with(clue: Clue, name: str, value: Any) -> bool:
    before = getattr(clue.layer, name)
    setattr(clue.layer, name, value)
    try:
        return clue.agrees(called(clue.layer, clue.given, clue.train))
    finally:
        setattr(clue.layer, name, before)


def _own_statistics(clue: Clue) -> str:
    """PyTorch keeps no running statistics, so it takes the batch's in eval mode, too."""
    if clue.train or getattr(clue.module, "track_running_stats", True):
        return ""
    agrees = clue.agrees(called(clue.layer, clue.given, True))
    return "PyTorch normalizes by the batch's own statistics in eval mode, and with training=True it agrees" * agrees


def _frozen(clue: Clue) -> str:
    """Keras runs a frozen BatchNormalization as in eval mode, PyTorch one whose parameters are frozen does not."""
    if not clue.train or getattr(clue.layer, "trainable", True) or not hasattr(clue.layer, "moving_variance"):
        return ""
    clue.layer.trainable = True
    try:
        agrees = clue.agrees(called(clue.layer, clue.given, True))
    finally:
        clue.layer.trainable = False
    return "trainable=False makes Keras's use its running statistics, and without it it agrees" * agrees


def _normalized_axes(clue: Clue) -> str:
    """A GroupNorm normalizes over height and width, too, a LayerNormalization over channels alone: try the former."""
    layer, groups = clue.layer, getattr(clue.module, "num_groups", None)
    if groups is None or type(layer).__name__ != "LayerNormalization" or clue.given.shape[-1] % groups:
        return ""
    x = clue.given.reshape(len(clue.given), -1, groups, clue.given.shape[-1] // groups)
    mean, variance = (each(x, axis=(1, 3), keepdims=True) for each in (np.mean, np.var))
    value = ((x - mean) / np.sqrt(variance + clue.module.eps)).reshape(clue.given.shape)
    value = value * (1 if layer.gamma is None else np.asarray(layer.gamma))
    if not clue.agrees(value + (0 if layer.beta is None else np.asarray(layer.beta))):
        return ""
    return (
        "PyTorch's normalizes over height and width, too: keras.layers.GroupNormalization("
        f"{groups}, epsilon={clue.module.eps:g}) agrees"
    )


HINTS = (
    Hint("bn-eps-default", partial(_epsilon, "bn-eps-default")),
    Hint("layernorm-eps", partial(_epsilon, "layernorm-eps")),
    Hint("groupnorm", partial(_epsilon, "groupnorm")),
    Hint("groupnorm", _groups),
    Hint("groupnorm", _normalized_axes),
    Hint("bn-track-false", _own_statistics),
    Hint("bn-frozen", _frozen),
)
