"""All mistakes, a file a kind."""

from fnmatch import fnmatchcase

from keras_blitz.errors import BlitzError
from parity.faults import (
    gradients,
    layers,
    losses,
    normalization,
    optimizers,
    precision,
    randomness,
    schedules,
    training,
    weights,
)
from parity.faults.fault import Fault

FAULTS: tuple[Fault, ...] = (
    *weights.FAULTS,
    *layers.FAULTS,
    *normalization.FAULTS,
    *losses.FAULTS,
    *gradients.FAULTS,
    *optimizers.FAULTS,
    *schedules.FAULTS,
    *training.FAULTS,
    *precision.FAULTS,
    *randomness.FAULTS,
)


def select(patterns: list[str]) -> list[Fault]:
    """Return the mistakes that the command line names.

    Args:
        patterns: ids, or patterns with `*`; none means all.

    Raises:
        BlitzError: a pattern names no mistake.
    """
    for pattern in patterns:
        if not any(fnmatchcase(fault.id, pattern) for fault in FAULTS):
            raise BlitzError(f"no mistake {pattern!r}; `parity faults` plants all {len(FAULTS)} and names them")
    return [fault for fault in FAULTS if not patterns or any(fnmatchcase(fault.id, p) for p in patterns)]
