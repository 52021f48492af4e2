"""Reasons why what several tensors are joined to differs: two parts are tried in the other order."""

import numpy as np

from parity.pair.hints.clue import Clue, Hint


def _turn(clue: Clue) -> str:
    """A Concatenate whose second part PyTorch has first: the shapes are the same, the channels exchanged."""
    if type(clue.layer).__name__ != "Concatenate":
        return ""
    axis = clue.layer.axis % clue.given.ndim
    theirs = axis if clue.layout.permutation is None else clue.layout.permutation.index(axis)
    turned = np.roll(clue.actual, -clue.given.shape[axis], theirs)
    return "PyTorch has its two parts in the other order: [b, a] for [a, b]" if clue.is_expected(turned) else ""


HINTS = (Hint("", _turn),)
