"""What a mistyped name may have meant."""

from collections.abc import Iterable
from difflib import get_close_matches


def near(name: str, known: Iterable[str], *, cutoff: float = 0.6) -> str:
    """Return "; near: …" with up to three names that are like this one; "" where none is.

    Args:
        name: as it was typed.
        known: the names that there are.
        cutoff: how alike they must be, 0 to 1.
    """
    found = get_close_matches(name, list(dict.fromkeys(known)), n=3, cutoff=cutoff)
    return f"; near: {', '.join(found)}" if found else ""
