"""The three verdicts on a port."""

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
