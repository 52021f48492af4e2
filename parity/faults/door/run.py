"""Hands right pairs and mistakes to `parity.check`, and says what was caught, located, and called wrong falsely."""

import time
import warnings
from collections.abc import Sequence

import parity
from keras_blitz.errors import BlitzError, one_line
from parity.core.verdict import Verdict
from parity.faults.door.handed import Handed
from parity.faults.door.mistake import REFUSED, UNDECIDED, DoorPlace
from parity.faults.door.pairs import PAIRS, handed
from parity.faults.fault import Fault
from parity.faults.run import Finding, Outcome, RightPair

MODES = ("eager", "graph")
CRASHED = "crashed"


def pairs_of(faults: Sequence[Fault], all_faults: bool) -> list[str]:
    """Return the pairs that these mistakes are made in, or all of them."""
    named = {place.case for fault in faults for place in fault.places}
    return [pair for pair in PAIRS if all_faults or pair in named]


def check_pair(pair: str) -> RightPair:
    """Hand over a right pair, in eager and graph mode."""
    start = time.perf_counter()
    seen, said = _verdict(handed(pair), MODES)
    return RightPair(pair, f"{seen}: {said}" if seen else "", time.perf_counter() - start)


def outcome(fault: Fault) -> Outcome:
    """Make a mistake in each of its pairs."""
    start = time.perf_counter()
    findings = tuple(_finding(place) for place in fault.places if isinstance(place, DoorPlace))
    return Outcome(fault, findings, time.perf_counter() - start)


def _finding(place: DoorPlace) -> Finding:
    try:
        wrong = place.change(handed(place.case))
    except Exception as error:  # a mistake that cannot be made proves nothing
        return Finding(place, False, error=one_line(error))
    seen, said = _verdict(wrong, ("eager",))
    if seen == CRASHED or (seen == REFUSED and place.seen != REFUSED):
        return Finding(place, False, seen, error=said)
    expected = place.seen if place.seen in (UNDECIDED, REFUSED) else ""
    caught = seen == expected if expected else seen not in ("", UNDECIDED)
    return Finding(place, caught, seen, said)


def _verdict(given: Handed, modes: Sequence[str]) -> tuple[str, str]:
    """Return (what was seen, what was said of it).

    What was seen is the first tensor that differs, `UNDECIDED`, `REFUSED`, `CRASHED`, or "" for equivalent.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Keras's, of the mistakes themselves
            report = parity.check(given.module, given.model, given.inputs, modes=modes, **given.options)
    except BlitzError as error:
        return REFUSED, one_line(error)
    except Exception as error:  # what a user's objects raise must be a BlitzError by now
        return CRASHED, one_line(error)
    if report.verdict is Verdict.NOT_DECIDED:
        return UNDECIDED, "; ".join(report.undecided) or "nothing was compared"
    if report.verdict is Verdict.EQUIVALENT:
        return "", ""
    row = report.location.row if report.location else None
    problem = next((found.problem for found in report.comparisons.values() if found.problem), "")
    return (row.name, row.problem) if row else ("all", problem)
