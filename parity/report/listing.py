"""The cases as `parity list` prints them."""

import textwrap
from collections.abc import Iterator, Sequence
from typing import Any

from parity.suite.case import Case

NO_BREAK = "\N{NO-BREAK SPACE}"


def row(case: Case) -> dict[str, Any]:
    """Return one case as a row of the JSON."""
    return {
        "id": case.id,
        "group": case.group,
        "covers": list(case.covers),
        "dtype": case.dtype,
        "mode": case.mode,
        "slow": case.slow,
    }


def cases(chosen: Sequence[Case], evidence: Sequence[tuple[str, str]]) -> Iterator[str]:
    """Yield one line per case, then one per test or script.

    Args:
        chosen: the cases.
        evidence: (inventory id, the test or script that shows it).
    """
    width = max((len(case.id) for case in chosen), default=0)
    for case in chosen:
        yield f"{case.id:<{width}}  {' '.join(case.covers)}{'  slow' if case.slow else ''}"
    if chosen and evidence:
        yield ""
    for name, where in evidence:
        yield f"{name:<4} {where}"


def groups(chosen: Sequence[Case], width: int) -> Iterator[str]:
    """Yield the cases by group: its name and counts, then its subjects, each with the number of its cases.

    Args:
        chosen: all cases.
        width: of the terminal.
    """
    counts: dict[str, dict[str, int]] = {}
    for case in chosen:
        subjects = counts.setdefault(case.group, {})
        subjects[case.subject] = subjects.get(case.subject, 0) + 1
    for group, subjects in counts.items():
        yield f"{group}: {sum(subjects.values())} cases of {len(subjects)} subjects"
        yield _fill([f"{subject} {count}" for subject, count in subjects.items()], width)
        yield ""
    yield f"{len(chosen):,} cases; `parity list CASE` lists those of a subject, group, pattern or inventory id"


def _fill(parts: Sequence[str], width: int) -> str:
    """Return the parts as indented lines with commas between them; a part is never broken."""
    unbroken = ", ".join(part.replace(" ", NO_BREAK) for part in parts)
    lines = textwrap.fill(
        unbroken, width, initial_indent="  ", subsequent_indent="  ", break_on_hyphens=False, break_long_words=False
    )
    return lines.replace(NO_BREAK, " ")
