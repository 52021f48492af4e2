"""The likely reasons of a difference, a file for each family: candidates that were tried where it begins, and hold.

A row is a `Hint`: the gap of the catalogue, and what tries it. A reason is said only where the Keras side, run again on
what was recorded with that one thing changed, has PyTorch's values.
"""

from itertools import islice

from parity.pair.hints import (
    activations,
    factors,
    hooks,
    joining,
    losses,
    normalization,
    optimizers,
    resizing,
    sequences,
    windows,
)
from parity.pair.hints.between import of_activation, of_sum
from parity.pair.hints.clue import Clue, explanations
from parity.pair.hints.copied import of_copied
from parity.pair.hints.factors import of_factor
from parity.pair.hints.losses import LossClue
from parity.pair.hints.optimizers import StepClue
from parity.pair.hints.sequences import of_padding
from parity.pair.hints.statistics import of_row

LAYERS = (
    *normalization.HINTS, *activations.HINTS, *windows.HINTS, *resizing.HINTS, *sequences.HINTS, *hooks.HINTS,
    *joining.HINTS,
)  # fmt: skip

__all__ = [
    "LAYERS",
    "Clue",
    "LossClue",
    "StepClue",
    "of_activation",
    "of_copied",
    "of_factor",
    "of_layer",
    "of_loss",
    "of_padding",
    "of_row",
    "of_step",
    "of_sum",
]


def of_layer(clue: Clue) -> list[str]:
    """Return the reasons that hold of a layer; a factor alone is said only where nothing tells why."""
    return list(explanations(LAYERS, clue)) or list(explanations(factors.HINTS, clue))


def of_loss(clue: LossClue) -> list[str]:
    """Return the first reason that holds of a loss; the next may hold because of it."""
    return list(islice(explanations(losses.HINTS, clue), 1))


def of_step(clue: StepClue) -> list[str]:
    """Return the first reason that holds of a step; each that is tried makes the steps again."""
    return list(islice(explanations(optimizers.HINTS, clue), 1))
