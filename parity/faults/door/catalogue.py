"""All mistakes of the user's door, one file per kind."""

from parity.faults.door import layers, losses, optimizers, precision, state, steps, vacuous, weights
from parity.faults.fault import Fault

MISTAKES: tuple[Fault, ...] = (
    *layers.MISTAKES,
    *state.MISTAKES,
    *weights.MISTAKES,
    *losses.MISTAKES,
    *optimizers.MISTAKES,
    *steps.MISTAKES,
    *precision.MISTAKES,
    *vacuous.MISTAKES,
)
