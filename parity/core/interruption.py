"""A run that Ctrl-C ended before its time."""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Interruption:
    """How far a run had come.

    Args:
        done: how many had been done.
        chosen: of how many.
        what: of what, and what was done with them, in words.
    """

    done: int
    chosen: int
    what: str = "cases ran"

    def __str__(self) -> str:
        return f"interrupted: {self.done:,} of {self.chosen:,} {self.what}"

    def to_dict(self) -> dict[str, Any]:
        """Return it in the keys of a summary."""
        return {"interrupted": True, "chosen": self.chosen}
