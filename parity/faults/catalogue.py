"""All mistakes, one file per kind."""

from collections.abc import Sequence
from fnmatch import fnmatchcase

from keras_blitz.errors import BlitzError
from parity.core.nearest import near
from parity.faults import (
    distributed,
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
    *distributed.FAULTS,
    *precision.FAULTS,
    *randomness.FAULTS,
)


def select(patterns: list[str], door: Sequence[Fault] = ()) -> list[Fault]:
    """Return the mistakes that the command line names.

    Args:
        patterns: ids, or patterns with `*`; none means all.
        door: the mistakes of the user's door, which come after the catalogue's.

    Raises:
        BlitzError: a pattern names no mistake.
    """
    known = (*FAULTS, *door)
    for pattern in patterns:
        if not any(fnmatchcase(fault.id, pattern) for fault in known):
            alike = near(pattern, (fault.id for fault in known))
            raise BlitzError(f"no mistake {pattern!r}{alike}; `parity faults` plants all {len(known)} and names them")
    return [fault for fault in known if not patterns or any(fnmatchcase(fault.id, p) for p in patterns)]
