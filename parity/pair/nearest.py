"""Which `weights=` would try what is nearest to weights that cannot be paired: text to paste."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import accumulate, permutations

from parity.pair.fits import fitted
from parity.pair.units import Unit, full_names
from parity.pair.variables import Held, held_by

LENGTH = 600  # of the text; what is longer is cut, because nobody reads it
MOST_AXES = 5

Shapes = Mapping[str, tuple[int, ...]]


def suggest(theirs: Sequence[Unit], ours: Sequence[Unit], written: Callable[[str], str]) -> str:
    """Return the entries of `weights=` that pair each PyTorch unit with what is nearest, None where nothing is near.

    Args:
        theirs: PyTorch's units that are left over.
        ours: Keras's.
        written: a Keras unit's name -> as the user may write it.
    """
    free, entries, rest = list(ours), list[str](), list[Unit]()
    for one in theirs:
        other = next((each for each in free if fitted(one, each)), None)
        if other is None:
            rest.append(one)
            continue
        free.remove(other)
        entries.append(f'"{one.name}": "{written(other.name)}"')
    shapes = {name: shape for one in rest for name, shape in zip(full_names(one), one.shapes.values(), strict=True)}
    held = {written(name): each for name, each in held_by(free)}
    entries += _of_tensors(shapes, held)
    whole = ", ".join(entries)
    return f"{{{whole}}}" if len(whole) <= LENGTH else f"{{{whole[:LENGTH].rpartition(', ')[0]}, …}}"


def _of_tensors(shapes: Shapes, held: dict[str, Held]) -> Iterator[str]:
    left = dict(shapes)
    for name, shape in shapes.items():
        if name not in left:
            continue
        taken = [name]
        packed = [variable for variable, each in held.items() if _of_several(each.shape, left, name)]
        if spelled := _of_one(shape, held):
            yield f'"{name}": {spelled}'
        elif names := _of_several(shape, {variable: each.shape for variable, each in held.items()}):
            yield f'"{name}": [{_list(names)}]'
            for variable in names:
                del held[variable]
        elif packed:
            taken = _of_several(held.pop(packed[0]).shape, left, name)
            yield f'({_list(taken)}): "{packed[0]}"'
        else:
            yield f'"{name}": None'
        for done in taken:
            del left[done]


def _of_one(shape: tuple[int, ...], held: dict[str, Held]) -> str:
    """Return the entry for a single variable that has the sizes of a tensor, in whatever order; it is taken away."""
    for variable, each in held.items():
        raw = tuple(each.variable.shape)
        if shape == each.shape:
            form = ""
        elif order := _order(shape, raw):
            form = '"transpose"' if order == tuple(range(len(raw)))[::-1] else str(order)
        else:
            continue
        del held[variable]
        return f'("{variable}", {form})' if form else f'"{variable}"'
    return ""


def _order(shape: tuple[int, ...], raw: tuple[int, ...]) -> tuple[int, ...] | None:
    """Return the order of a tensor's axes that makes a variable's shape, the reversed one first."""
    if sorted(shape) != sorted(raw) or len(shape) > MOST_AXES:
        return None
    orders = [tuple(range(len(raw)))[::-1], *permutations(range(len(raw)))]
    return next(order for order in orders if tuple(shape[axis] for axis in order) == raw)


def _of_several(shape: tuple[int, ...], parts: Shapes, first: str = "") -> list[str]:
    """Return the parts, from the first on, that have the rows of a tensor together; none where there are none."""
    alike = [name for name, each in parts.items() if each[1:] == shape[1:] and len(each) == len(shape)]
    alike = alike[alike.index(first) :] if first in alike else alike if not first else []
    sums = list(accumulate(parts[name][0] for name in alike))
    return alike[: sums.index(shape[0]) + 1] if shape and shape[0] in sums[1:] else []


def _list(names: Sequence[str]) -> str:
    return ", ".join(f'"{name}"' for name in names)
