"""Layouts: Keras's axis i of a tensor is PyTorch's axis layout[i]. Pure Python, no framework."""

from collections.abc import Callable, Sequence

from parity.core.axes import Group, reshape_groups

Layout = tuple[int, ...]

groups = reshape_groups


def natural(rank: int) -> Layout:
    """Return PyTorch's own order."""
    return tuple(range(rank))


def channels_last(rank: int) -> Layout:
    """Return the order of Keras's images: (N, H, W, C) for PyTorch's (N, C, H, W)."""
    return (0, *range(2, rank), 1) if rank > 2 else natural(rank)


def permuted(layout: Layout, axes: Sequence[int]) -> Layout:
    """Return the layout of `x.permute(axes)` when nothing is moved in memory."""
    return tuple(list(axes).index(axis) for axis in layout)


def without(layout: Layout, axes: Sequence[int]) -> Layout:
    """Return the layout after PyTorch's axes were removed."""
    left = sorted(set(layout) - set(axes))
    return tuple(left.index(axis) for axis in layout if axis in left)


def moves(given: Layout, wanted: Layout) -> tuple[int, ...]:
    """Return the argument of a transpose from one layout to another."""
    return tuple(given.index(axis) for axis in wanted)


def keeps_order(layout: Layout, shape: Sequence[int], found: Sequence[Group]) -> bool:
    """Return whether the axes of each group stand side by side and in order, so that a reshape needs no transpose."""
    order = [axis for axis in layout if shape[axis] != 1]
    for left, _ in found:
        wanted = [axis for axis in left if shape[axis] != 1]
        at = [order.index(axis) for axis in wanted]
        if at != list(range(at[0], at[0] + len(at))) if at else False:
            return False
    return True


def gathered(layout: Layout, shape: Sequence[int], found: Sequence[Group], wanted: Sequence[int]) -> Layout:
    """Return a layout like this one, in which the axes of each group stand together.

    The place of a group is that of its first axis, or that of its last one where the result of the reshape then has
    a more usual order: what follows needs no other transpose.
    """
    made = [_together(layout, shape, found, place) for place in (min, max)]
    kept = [order for order in made if keeps_order(order, shape, found)]
    return min(kept, key=lambda order: _rareness(reshaped(order, shape, found, wanted)), default=natural(len(shape)))


def _together(layout: Layout, shape: Sequence[int], found: Sequence[Group], place: Callable[..., int]) -> Layout:
    order = list(layout)
    for left, _ in found:
        if keeps_order(tuple(order), shape, found):
            break
        if any(shape[axis] != 1 for axis in left):
            pivot = order[place(order.index(axis) for axis in left)]
            at = sum(axis not in left for axis in order[: order.index(pivot)])
            order = [axis for axis in order if axis not in left]
            order[at:at] = left
    return tuple(order)


def is_usual(layout: Layout) -> bool:
    """Return whether a layout is PyTorch's own order, or channels last of images."""
    return _rareness(layout) < (1 if len(layout) == 3 else 2)


def _rareness(layout: Layout) -> int:
    """Return 0 for PyTorch's own order, 1 for channels last, 2 for others."""
    usual = [natural(len(layout)), channels_last(len(layout))]
    return usual.index(layout) if layout in usual else len(usual)


def reshaped(layout: Layout, shape: Sequence[int], found: Sequence[Group], wanted: Sequence[int]) -> Layout:
    """Return the layout of the result of a reshape whose groups keep their order.

    An axis of size 1 may stand anywhere: it does where the result is nearest to PyTorch's order, and beside the axis
    before it where that is as near, because what is repeated along it is often merged with that axis.
    """
    result: list[int] = []
    for axis in (axis for axis in layout if shape[axis] != 1):
        right = next(right for left, right in found if axis in left)
        result += [each for each in right if wanted[each] != 1 and each not in result]
    for axis in (axis for axis, size in enumerate(wanted) if size == 1):
        after = result.index(axis - 1) + 1 if axis - 1 in result else 0
        places = sorted(range(len(result) + 1), key=lambda place: place != after)
        place = min(places, key=lambda place: _turns([*result[:place], axis, *result[place:]]))
        result.insert(place, axis)
    return tuple(result)


def _turns(layout: Sequence[int]) -> int:
    """Return how many pairs of axes are not in PyTorch's order."""
    return sum(one > other for n, one in enumerate(layout) for other in layout[n:])


def same_order(one: Layout, other: Layout, shape: Sequence[int]) -> bool:
    """Return whether two layouts differ in axes of size 1 alone, so that a reshape leads from one to the other."""
    return [a for a in one if shape[a] != 1] == [a for a in other if shape[a] != 1]
