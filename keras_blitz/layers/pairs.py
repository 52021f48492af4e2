"""PyTorch's sizes: one number for both axes, or a pair (height, width)."""

Pair = int | tuple[int, int]


def pair(value: Pair, argument: str, least: int) -> tuple[int, int]:
    """Return (height, width).

    Raises:
        ValueError: not one or two whole numbers, or one below `least`.
    """
    found = (value, value) if isinstance(value, int) else tuple(value)
    if len(found) != 2 or any(not isinstance(size, int) or size < least for size in found):
        raise ValueError(f"{argument} must be a whole number ≥ {least} or a pair of them, not {value!r}")
    return found
