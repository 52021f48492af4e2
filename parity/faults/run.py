"""Plants every mistake, runs the cases it must fail in, and says what was caught and located."""

import time
from collections.abc import Iterable
from dataclasses import dataclass
from fnmatch import fnmatchcase

from parity.core.locate import first_divergence
from parity.faults.fault import Fault, Place, Where
from parity.faults.plant import planted
from parity.suite.case import Case
from parity.suite.run import run
from parity.suite.select import all_cases

LOCATED = 0.95  # the least share of the mistakes


@dataclass(frozen=True)
class Finding:
    """What a planted mistake did in one place.

    Args:
        place: where it was planted.
        caught: the case failed, by what it compared.
        seen: the tensor where the difference begins; "" if there is none.
        problem: what was said of it.
        error: why nothing could be compared; a mistake that raises proves nothing of the comparison.
    """

    place: Where
    caught: bool
    seen: str = ""
    problem: str = ""
    error: str = ""

    @property
    def located(self) -> bool:
        """The difference begins where it should, and says what it should."""
        return self.caught and fnmatchcase(self.seen, self.place.seen) and self.place.says in self.problem


@dataclass(frozen=True)
class Outcome:
    """What came of a mistake: one finding per place."""

    fault: Fault
    findings: tuple[Finding, ...]
    seconds: float

    @property
    def caught(self) -> bool:
        """In every place."""
        return all(finding.caught for finding in self.findings)

    @property
    def located(self) -> bool:
        """In every place."""
        return all(finding.located for finding in self.findings)

    @property
    def survived(self) -> bool:
        """In every place the case passed."""
        return not any(finding.caught or finding.error for finding in self.findings)

    @property
    def as_expected(self) -> bool:
        """Caught, or survived where that is argued; located is a matter of the share."""
        return self.survived if self.fault.survives else self.caught


@dataclass(frozen=True)
class RightPair:
    """What was said of a pair without a mistake, or of a network translated by the rules as they are.

    Args:
        id: the pair's, or the network's.
        problem: "" where it was found equivalent in each mode; else what was said: a false alarm.
        seconds: wall time.
    """

    id: str
    problem: str
    seconds: float

    @property
    def passed(self) -> bool:
        """It was found equivalent."""
        return not self.problem


def cases_of(faults: Iterable[Fault]) -> list[Case]:
    """Return the cases that these mistakes are planted in, in the order they run."""
    named = {place.case for fault in faults for place in fault.places}
    return [case for case in all_cases() if case.id in named]


def outcome(fault: Fault, cases: dict[str, Case]) -> Outcome:
    """Plant a mistake in each of its places.

    Args:
        fault: the mistake.
        cases: by id.
    """
    start = time.perf_counter()
    findings = tuple(_finding(place, cases[place.case]) for place in fault.places if isinstance(place, Place))
    return Outcome(fault, findings, time.perf_counter() - start)


def _finding(place: Place, case: Case) -> Finding:
    with planted(place.plant):
        result = next(run([case], live=False))
    first = first_divergence(result.comparison.rows)
    if result.error or first is None:
        return Finding(place, bool(result.comparison.problem), error=result.error, problem=result.comparison.problem)
    return Finding(place, True, first.name, first.problem)


def enough_located(outcomes: Iterable[Outcome]) -> bool:
    """Whether at least `LOCATED` of the mistakes were located."""
    located = [outcome.located for outcome in outcomes if not outcome.fault.survives]
    return sum(located) >= LOCATED * len(located)
