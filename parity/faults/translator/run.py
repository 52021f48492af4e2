"""Translates right networks, plants mistakes in the rules, and says what the proof caught and where it began."""

import time
import warnings
from collections.abc import Sequence

from keras_blitz.errors import BlitzError, one_line
from parity.faults.fault import Fault
from parity.faults.run import Finding, Outcome, RightPair
from parity.faults.translator.mistake import REFUSED, RulePlace
from parity.faults.translator.nets import NETS, made
from parity.translate.port import translate

CRASHED = "crashed"


def pairs_of(faults: Sequence[Fault], all_faults: bool) -> list[str]:
    """Return the networks that these mistakes are made in, or all of them."""
    named = {place.case for fault in faults for place in fault.places}
    return [net for net in NETS if all_faults or net in named]


def check_pair(net: str) -> RightPair:
    """Translate a network and prove it."""
    start = time.perf_counter()
    seen, said = _verdict(net)
    return RightPair(net, f"{seen}: {said}" if seen else "", time.perf_counter() - start)


def outcome(fault: Fault) -> Outcome:
    """Plant a mistake for each of its networks."""
    start = time.perf_counter()
    findings = tuple(_finding(place) for place in fault.places if isinstance(place, RulePlace))
    return Outcome(fault, findings, time.perf_counter() - start)


def _finding(place: RulePlace) -> Finding:
    with place.planted():
        seen, said = _verdict(place.case)
    if seen == CRASHED:
        return Finding(place, False, seen, error=said)
    return Finding(place, bool(seen) and (seen == REFUSED) == (place.seen == REFUSED), seen, said)


def _verdict(net: str) -> tuple[str, str]:
    """Return (what was seen, what was said of it).

    What was seen is the first tensor that differs, `REFUSED`, `CRASHED`, or "" where the port was proven.
    """
    module, inputs = made(net)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Keras's, of the mistakes themselves
            port = translate(module, inputs, dtypes=("float64",))
    except BlitzError as error:
        return REFUSED, one_line(error)
    except Exception as error:  # a rule that raises proves nothing of the proof
        return CRASHED, one_line(error)
    if port.passed:
        return "", ""
    location = None if port.report is None else port.report.location
    if location is not None:
        return location.row.name, location.row.problem
    return REFUSED, port.proof.error if port.proof else ""
