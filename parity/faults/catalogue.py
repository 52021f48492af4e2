"""All mistakes, one file per kind."""

import re
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


def select(patterns: list[str], more: Sequence[Fault] = (), hidden: Sequence[str] = ()) -> list[Fault]:
    """Return the mistakes that the command line names.

    Args:
        patterns: ids, or patterns with `*`; none means all.
        more: the mistakes of the user's door and of the translator, which come after the catalogue's.
        hidden: how the ids of mistakes begin that are not known because PyTorch is missing.

    Raises:
        BlitzError: a pattern names no mistake, or one that needs PyTorch.
    """
    known = (*FAULTS, *more)
    for pattern in patterns:
        if not any(fnmatchcase(fault.id, pattern) for fault in known):
            fixed = re.split(r"[*?\[]", pattern)[0]
            if any(fixed.startswith(prefix) or prefix.startswith(fixed) for prefix in hidden):
                raise BlitzError(f"{pattern!r} names mistakes that run PyTorch: pip install 'keras-blitz[torch]'")
            alike = near(pattern, (fault.id for fault in known))
            raise BlitzError(f"no mistake {pattern!r}{alike}; `parity faults` plants all {len(known)} and names them")
    return [fault for fault in known if not patterns or any(fnmatchcase(fault.id, p) for p in patterns)]
