"""What each axis of a PyTorch tensor holds: a letter for each axis, "SCSS" for images (N, C, H, W). Pure Python.

C is channels or features, S a place, such as the batch, the time or the height, and ? is not known. F is a part of
features that were split, and what it holds is not known, either.
"""

from collections.abc import Iterable, Sequence
from math import prod

CHANNELS, PLACE, UNKNOWN, PART = "C", "S", "?", "F"

Group = tuple[list[int], list[int]]  # axes of one shape, and those of the other that hold the same values


def reshape_groups(given: Sequence[int], wanted: Sequence[int]) -> list[Group]:
    """Pair the axes of two shapes of one size: (6, 4) and (2, 3, 4) are [0] with [0, 1] and [1] with [2]."""
    found: list[Group] = []
    i = j = 0
    while i < len(given) or j < len(wanted):
        left, right = list(range(i, min(i + 1, len(given)))), list(range(j, min(j + 1, len(wanted))))
        i, j = i + len(left), j + len(right)
        while (one := prod(given[a] for a in left)) != (other := prod(wanted[b] for b in right)):
            if one < other:
                left.append(i)
                i += 1
            else:
                right.append(j)
                j += 1
        found.append((left, right))
    return found


def unknown(rank: int) -> str:
    """Return the letters of a tensor of which nothing is known."""
    return UNKNOWN * rank


def of_maps(rank: int, channels: int = 1) -> str:
    """Return the letters of a tensor with its channels on one axis: (N, C, H, W)."""
    return PLACE * channels + CHANNELS + PLACE * (rank - channels - 1)


def joined(letters: Iterable[str]) -> str:
    """Return the letter of an axis of which several tensors tell: what is known of it, where they do not disagree."""
    letters = set(letters)
    known = letters - {UNKNOWN, PART}
    if len(known) == 1:
        return known.pop()
    return PART if PART in letters and not known else UNKNOWN


def broadcast(tensors: Sequence[tuple[str, Sequence[int]]], shape: Sequence[int]) -> str:
    """Return the letters of what is computed value by value from tensors, whose last axes are each other's.

    An axis of size 1 that is repeated says nothing of what it becomes.

    Args:
        tensors: letters and shape of each.
        shape: of the result.
    """
    found = ""
    for back in range(len(shape), 0, -1):
        size = shape[-back]
        found += joined(axes[-back] for axes, own in tensors if len(own) >= back and own[-back] == size)
    return found


def reshaped(axes: str, shape: Sequence[int], wanted: Sequence[int]) -> str:
    """Return the letters after a reshape, in which axes are merged and split.

    What is merged of places is a place, of channels channels. Of channels that are split the first part is still
    channels; the last one, too, where places before them have become part of what comes before it, as in a detection
    head's (N, H, W, A·4) -> (N, H·W·A, 4).
    """
    if not prod(shape) or not prod(wanted):
        return unknown(len(wanted))
    found = [PLACE] * len(wanted)
    for left, right in reshape_groups(shape, wanted):
        letters = [axes[axis] for axis in left if shape[axis] != 1]
        for axis, letter in zip(right, _parts(letters, [wanted[axis] for axis in right]), strict=True):
            found[axis] = letter if wanted[axis] != 1 else UNKNOWN
    return "".join(found)


def _parts(letters: Sequence[str], sizes: Sequence[int]) -> list[str]:
    """Return the letters of the axes of these sizes that axes of these letters become."""
    if set(letters) == {PLACE}:
        return [PLACE] * len(sizes)
    wide = [k for k, size in enumerate(sizes) if size != 1]
    found = [UNKNOWN] * len(sizes)
    if set(letters) == {CHANNELS} and wide:
        found = [PART] * len(sizes)
        found[wide[0]] = CHANNELS
    elif len(wide) > 1 and letters[-1:] == [CHANNELS]:
        found[wide[-1]] = CHANNELS
    return found


def without(axes: str, removed: Iterable[int]) -> str:
    """Return the letters without those of axes, which may be counted from the end."""
    gone = {axis % len(axes) for axis in removed} if axes else set()
    return "".join(letter for axis, letter in enumerate(axes) if axis not in gone)


def with_new(axes: str, at: int) -> str:
    """Return the letters with a new axis, a place beside channels that are there already, else not known.

    Args:
        axes: the letters.
        at: the new axis, which may be counted from the end of the result.
    """
    at %= len(axes) + 1
    return axes[:at] + (PLACE if CHANNELS in axes else UNKNOWN) + axes[at:]


def product(left: str, right: str) -> str:
    """Return the letters of a product of matrices.

    What stands beside a matrix of which nothing is known, a weight, becomes features. The axes before those of the
    matrices are places, such as an attention's heads: each has a product of its own.
    """
    rows = left[-2:-1]
    columns = CHANNELS if right[-1:] in (UNKNOWN, PART) else right[-1:]
    return PLACE * (max(len(left), len(right)) - 2) + rows + columns


def channels_of(axes: str) -> int | None:
    """Return the only axis of channels of a tensor whose other axes are known to be places; None where it has none."""
    return axes.index(CHANNELS) if axes.count(CHANNELS) == 1 and not {UNKNOWN, PART} & set(axes) else None


def may_be_maps(axes: str) -> bool:
    """Return whether axis 1 of a tensor may hold channels, and no axis after it does."""
    return len(axes) > 2 and axes[1] != PLACE and CHANNELS not in axes[2:]
