"""Where a mistake is made in a right pair, and what `parity.check` must say of it."""

from dataclasses import dataclass

from parity.faults.door.handed import Change

UNDECIDED, REFUSED = "not decided", "refused"


@dataclass(frozen=True)
class DoorPlace:
    """One mistake in one pair.

    Args:
        case: the pair's id.
        seen: pattern of the first tensor that must differ; `UNDECIDED` where no verdict is right; `REFUSED` where a
            `BlitzError` is.
        change: makes the mistake.
        says: a part of what must be said.
    """

    case: str
    seen: str
    change: Change
    says: str = ""


def at(pair: str, seen: str, change: Change, says: str = "") -> DoorPlace:
    """Return a mistake that must be found not equivalent, beginning at a tensor."""
    return DoorPlace(pair, seen, change, says)


def undecided(pair: str, says: str, change: Change) -> DoorPlace:
    """Return what leaves nothing to judge: agreement would prove nothing."""
    return DoorPlace(pair, UNDECIDED, change, says)


def refused(pair: str, says: str, change: Change) -> DoorPlace:
    """Return what must be refused in one line."""
    return DoorPlace(pair, REFUSED, change, says)
