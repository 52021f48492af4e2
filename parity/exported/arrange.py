"""Which input of a file is which of the module's, and how the axes of each are ordered: NumPy alone."""

from collections.abc import Mapping, Sequence
from itertools import permutations

import numpy as np

from keras_blitz.errors import BlitzError

Shape = Sequence[int | None]


def fits(shape: Sequence[int], entry: Shape) -> bool:
    """Whether an array of this shape, whose axis 0 is the batch, can be what a file has in this place."""
    return len(shape) == len(entry) and all(size in (None, own) for own, size in zip(shape[1:], entry[1:], strict=True))


def channels_last(rank: int) -> tuple[int, ...]:
    """Return the order of the axes of PyTorch's (N, C, …) in (N, …, C)."""
    return (0, *range(2, rank), 1) if rank > 2 else tuple(range(rank))


def order_of(name: str, shape: Sequence[int], entry: Shape, channels_first: bool | None) -> tuple[int, ...] | None:
    """Return PyTorch's axes in the file's order; None where the array fits in no order.

    Args:
        name: of the input, for the message.
        shape: of the array, in PyTorch's layout.
        entry: in the file.
        channels_first: whether the file has channels on axis 1; None: as the sizes say.

    Raises:
        BlitzError: both orders fit.
    """
    same, last = tuple(range(len(shape))), channels_last(len(shape))
    both = [order for order in dict.fromkeys((same, last)) if fits([shape[axis] for axis in order], entry)]
    if len(both) < 2:
        return both[0] if both else None
    if channels_first is None:
        raise BlitzError(
            f"{name}, {tuple(shape)}, fits the file's {tuple(entry)} with channels on axis 1 and on the last: give "
            "channels_first=True or False, or inputs whose sizes differ"
        )
    return same if channels_first else last


def assigned(
    given: Mapping[str, np.ndarray], entries: Mapping[str, Shape], channels_first: bool | None
) -> dict[str, str]:
    """Return the module's input for each input of the file.

    Equal names decide, else shapes where they leave one way.

    Args:
        given: the module's inputs by name.
        entries: the shapes of the file's inputs by name.
        channels_first: see `order_of`.

    Raises:
        BlitzError: another number of inputs, no way, or several ways.
    """
    listed = ", ".join(f"{name} {tuple(shape)}" for name, shape in entries.items())
    if len(given) != len(entries):
        raise BlitzError(f"the module takes {len(given)} inputs, the file {len(entries)}: {listed}")
    if set(given) == set(entries):
        return {name: name for name in entries}
    ways = [
        dict(zip(entries, names, strict=True))
        for names in permutations(given)
        if all(
            order_of(name, given[name].shape, entry, True if channels_first is None else channels_first) is not None
            for name, entry in zip(names, entries.values(), strict=True)
        )
    ]
    if not ways:
        shapes = ", ".join(f"{name} {array.shape}" for name, array in given.items())
        raise BlitzError(f"the inputs, {shapes}, do not fit those of the file: {listed}")
    if len(ways) > 1:
        raise BlitzError(f"several inputs fit several of the file: {listed}; give names={{forward's: the file's}}")
    return ways[0]
