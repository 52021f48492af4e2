"""Reasons why a normalization differs."""

from functools import partial
from typing import Any

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


HINTS = (
    Hint("bn-eps-default", partial(_epsilon, "bn-eps-default")),
    Hint("layernorm-eps", partial(_epsilon, "layernorm-eps")),
    Hint("groupnorm", partial(_epsilon, "groupnorm")),
    Hint("groupnorm", _groups),
    Hint("bn-track-false", _own_statistics),
    Hint("bn-frozen", _frozen),
)
