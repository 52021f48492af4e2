"""The three verdicts on a port."""

from collections.abc import Iterable
from enum import StrEnum


class Verdict(StrEnum):
    """What is known of a port after it was compared; only the first passes."""

    EQUIVALENT = "equivalent"
    NOT_EQUIVALENT = "not equivalent"
    NOT_DECIDED = "not decided"  # nothing that proves anything was compared

    @property
    def headline(self) -> str:
        """The verdict as a report's first line has it: what does not pass stands out."""
        return self.replace("not ", "NOT ")


def worst(verdicts: Iterable[str]) -> Verdict:
    """Return the verdict on several together: one that is not equivalent decides; of none, nothing is known."""
    given = set(verdicts)
    if Verdict.NOT_EQUIVALENT in given:
        return Verdict.NOT_EQUIVALENT
    return Verdict.EQUIVALENT if given == {Verdict.EQUIVALENT} else Verdict.NOT_DECIDED
