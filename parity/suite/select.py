"""Every case of the tables, and those that a command line names."""

from collections.abc import Sequence
from fnmatch import fnmatchcase

from keras_blitz.errors import BlitzError
from parity.cases import (
    autograd,
    distributed,
    families,
    losses,
    more_losses,
    networks,
    ops,
    optimizers,
    randomness,
    schedules,
    small,
    training,
)
from parity.core.modes import DTYPES, MODES
from parity.core.nearest import near
from parity.suite import calls as call_cases
from parity.suite import distributed as distributed_cases
from parity.suite import networks as network_cases
from parity.suite import training as training_cases
from parity.suite.case import Case


def all_cases() -> list[Case]:
    """Return every case, in the order they run."""
    nets = (networks.ROWS, families.ROWS, optimizers.ROWS, small.ROWS, autograd.NETWORKS)
    functions = (losses.ROWS, more_losses.ROWS, schedules.ROWS, randomness.ROWS, ops.ROWS, autograd.ROWS)
    return [
        *(case for rows in nets for case in network_cases.cases(rows)),
        *(case for rows in functions for case in call_cases.cases(rows)),
        *training_cases.cases(training.ROWS),
        *distributed_cases.cases(distributed.ROWS),
    ]


def select(
    patterns: list[str], *, slow: bool = False, dtypes: tuple[str, ...] = DTYPES, modes: tuple[str, ...] = MODES
) -> list[Case]:
    """Return the cases that the command line names.

    Args:
        patterns: ids, prefixes of ids, patterns with `*`, groups or inventory ids; none means all.
        slow: the slow ones too. A slow case named by its whole id is taken all the same.
        dtypes: only these.
        modes: only these.

    Raises:
        BlitzError: a pattern names no case, or nothing is left.
    """
    known = all_cases()
    for pattern in patterns:
        if not any(_matches(case, pattern) for case in known):
            alike = _suggest(pattern, known)
            raise BlitzError(f"no case {pattern!r}{alike}; `parity list` shows the groups of all {len(known)}")
    chosen = [
        case
        for case in known
        if (not patterns or any(_matches(case, pattern) for pattern in patterns))
        and case.dtype in dtypes
        and case.mode in modes
    ]
    left = [case for case in chosen if slow or not case.slow or case.id in patterns]
    if not left:
        raise BlitzError("only slow cases are left; add --slow" if chosen else "no case has this dtype and mode")
    return left


def _suggest(pattern: str, known: Sequence[Case]) -> str:
    names = (name for case in known for name in (case.group, case.subject, *case.covers, case.id))
    return near(pattern, names)


def find_listed(patterns: list[str]) -> tuple[list[Case], list[tuple[str, str]]]:
    """Return the cases that `parity list` is asked for, and the tests and scripts of the inventory ids among them.

    Args:
        patterns: as in `select`; an inventory id may have no case, "*" stands for every id too.

    Raises:
        BlitzError: a pattern names neither a case nor an inventory id.
    """
    from parity import inventory

    evidence = [(id, where) for id, where in inventory.listing() if id in patterns or "*" in patterns]
    shown = {id for id, _ in evidence}
    named = [
        pattern for pattern in patterns
        if pattern not in shown or any(_matches(case, pattern) for case in all_cases())
    ]  # fmt: skip
    return select(named, slow=True) if named or not patterns else [], evidence


def _matches(case: Case, pattern: str) -> bool:
    names = (case.id, case.group, *case.covers)
    # A prefix ends where a part of the id does: "mnist" is not "mnist0".
    return pattern in names or case.id.startswith(f"{pattern.rstrip('-')}-") or fnmatchcase(case.id, pattern)
