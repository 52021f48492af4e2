"""PyTorch's sizes: one number for all axes, or one for each."""

Pair = int | tuple[int, int]
Sizes = int | tuple[int, ...]

_SEVERAL = {1: "one in a tuple", 2: "a pair of them", 3: "three of them"}


def pair(value: Pair, argument: str, least: int) -> tuple[int, int]:
    """Return (height, width); arguments as for `sizes`."""
    height, width = sizes(value, argument, least, 2)
    return height, width


def sizes(value: Sizes, argument: str, least: int, rank: int) -> tuple[int, ...]:
    """Return a number for each axis.

    Args:
        value: a whole number, or as many as there are axes.
        argument: its name, for the error.
        least: the least it may be.
        rank: the number of axes, 1–3.

    Raises:
        ValueError: not one whole number or `rank` of them, or one below `least`.
    """
    given = (value,) * rank if isinstance(value, int) else tuple(value)
    if len(given) != rank or any(not isinstance(size, int) or size < least for size in given):
        raise ValueError(f"{argument} must be a whole number ≥ {least} or {_SEVERAL[rank]}, not {value!r}")
    return given
