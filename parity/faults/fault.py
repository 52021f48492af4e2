"""A mistake people make when porting: what they did, where it is planted, and where it must be seen."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from parity.faults.plant import Plant


class Where(Protocol):
    """Where a mistake is made, and where it must be seen: in the working port, or in a pair at the user's door."""

    @property
    def case(self) -> str:
        """What is run."""

    @property
    def seen(self) -> str:
        """The pattern of what must be seen first."""

    @property
    def says(self) -> str:
        """A part of what must be said of it."""


@dataclass(frozen=True)
class Place:
    """One place in the working port.

    Args:
        case: id of the case that must fail.
        seen: pattern of the tensor's name where the difference must begin: the right layer, the right quantity.
        plant: makes the mistake.
        says: a part of what must be said of that tensor.
    """

    case: str
    seen: str
    plant: Callable[[Plant], None]
    says: str = ""


@dataclass(frozen=True)
class Fault:
    """A mistake.

    Args:
        id: its name on the command line.
        what: what people did.
        source: who did it, or what was measured: a public report, "gap" and its row in the catalogue of semantic
            differences, or H8, the inventory's own list.
        places: two at least.
        survives: why no case shows it; then every place must pass.
    """

    id: str
    what: str
    source: str
    places: tuple[Where, ...]
    survives: str = ""


def fault(name: str, what: str, source: str, *places: Where) -> Fault:
    """Return a mistake that must be caught at each place."""
    return Fault(name, what, source, places)


def survivor(name: str, what: str, survives: str, *places: Place) -> Fault:
    """Return a change that must pass, because it changes nothing that is compared."""
    return Fault(name, what, "", places, survives)


def eager(subject: str, seen: str, plant: Callable[[Plant], None], says: str = "") -> Place:
    """Return a place in a float64 case that runs eagerly."""
    return Place(f"{subject}-float64-eager", seen, plant, says)


def graph(subject: str, seen: str, plant: Callable[[Plant], None], says: str = "") -> Place:
    """Return a place in a float64 case that runs compiled."""
    return Place(f"{subject}-float64-graph", seen, plant, says)
