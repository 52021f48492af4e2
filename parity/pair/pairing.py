"""Which PyTorch parameter is which Keras variable, for two models that were written apart.

By name where names match, otherwise by structure: kind and shapes, in the order the layers are called. What cannot be
paired is listed, never guessed. Knows the layers by their classes' names and imports neither framework.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from keras_blitz.errors import BlitzError
from keras_blitz.weights import kinds
from parity.pair.mapped import Mapped
from parity.pair.units import FREE, RECURRENT, Unit, join_path

Match = tuple[Unit, Unit, str]


class UnpairedError(BlitzError):
    """Weights that cannot be mapped; `units` are those that can."""

    def __init__(self, message: str, units: list[Match]):
        super().__init__(message)
        self.units = units


@dataclass(frozen=True)
class Pairing:
    """The pairs of units, and the weights in them.

    Args:
        weights: Keras's weights by PyTorch's names.
        units: (PyTorch's unit, Keras's unit, "name", "structure" or "given").
        notes: what is worth saying, a line each.
        unused: PyTorch's buffers without a counterpart.
    """

    weights: list[Mapped]
    units: list[Match]
    notes: list[str]
    unused: list[str]

    @property
    def twins(self) -> list[str]:
        """PyTorch's names of the second biases that Keras has in one with the first."""
        return [weight.name for weight in self.weights if weight.twin]


def pair(theirs: Sequence[Unit], ours: Sequence[Unit], given: Mapping[str, str] | None = None) -> Pairing:
    """Pair PyTorch's units with Keras's.

    Args:
        theirs: PyTorch's units, in the order they are called.
        ours: Keras's, likewise.
        given: module path -> layer name, for those that are not to be found.

    Raises:
        UnpairedError: what cannot be paired, both sides' leftovers with their shapes.
        BlitzError: a name in `given` is of no layer, or the two do not fit.
    """
    theirs, ours = [_unnumbered(unit) for each in theirs for unit in _loosened(each, ours)], list(ours)
    units: list[Match] = []

    def take(one: Unit, other: Unit, how: str) -> None:
        units.append((one, other, how))
        theirs.remove(one)
        ours.remove(other)

    _take_given(theirs, ours, given or {}, take)
    for one in list(theirs):
        same = [o for o in ours if _spelled(o.name) == _spelled(one.name) and o.signature == one.signature]
        if len(same) == 1:
            take(one, same[0], "name")
    for signature in dict.fromkeys(unit.signature for unit in theirs):
        left, right = ([u for u in side if u.signature == signature] for side in (theirs, ours))
        if len(left) == len(right):
            for one, other in zip(left, right, strict=True):
                take(one, other, "structure")
    unused = [one.name for one in theirs if one.kind == FREE and not _is_parameter(one)]
    left_over = [one for one in theirs if one.name not in unused]
    fixed = [other for other in ours if _is_fixed(other)]
    if left_over or len(fixed) < len(ours):
        raise UnpairedError(_unpaired(left_over, ours), units)
    notes = [f"PyTorch's buffers without a counterpart, left alone: {', '.join(unused)}"] if unused else []
    if fixed:
        names = ", ".join(other.name for other in fixed)
        notes.append(f"Keras's weights that are not trained, without a counterpart, left alone: {names}")
    return Pairing([w for one, other, _ in units for w in _renamed(one, other)], units, notes, unused)


def _take_given(
    theirs: list[Unit], ours: list[Unit], given: Mapping[str, str], take: Callable[[Unit, Unit, str], None]
) -> None:
    for path, name in given.items():
        one = next((unit for unit in theirs if unit.name == path), None)
        other = next((unit for unit in ours if unit.name == name), None)
        if one is None or other is None:
            missing, side, units = (path, "PyTorch's", theirs) if one is None else (name, "Keras's", ours)
            raise BlitzError(f"weights: {missing!r} names none of {side} layers: {', '.join(u.name for u in units)}")
        if one.signature != other.signature:
            raise BlitzError(f"weights: {one} and {other} do not fit each other")
        take(one, other, "given")


def _spelled(name: str) -> str:
    """Return a name as both frameworks can spell it: Keras allows no dots in some places."""
    return name.replace(".", "_").replace("/", "_").lower()


def _loosened(one: Unit, ours: Sequence[Unit]) -> list[Unit]:
    """Return the weights of a module, each as a unit, where Keras has no layer for it and none that could stand in.

    An InstanceNorm is a GroupNormalization in Keras, or a layer of the user's own, whose weights are each a unit; so is
    an LSTMCell, where it is not keras_blitz's.
    """
    kind = kinds.of_torch(one.owner)
    if not (kind and (kind.pairs_as or kind.verbatim)) or any(other.signature == one.signature for other in ours):
        return [one]
    return [Unit(join_path(one.name, name), FREE, {"": shape}, owner=one.owner) for name, shape in one.shapes.items()]


def _unnumbered(unit: Unit) -> Unit:
    """Name the weights of a recurrent layer as Keras's are, without the number in its stack."""
    if unit.kind not in RECURRENT:
        return unit
    shapes = {_base(name): shape for name, shape in unit.shapes.items()}
    return replace(unit, shapes=shapes, numbered={_base(name): name for name in unit.shapes})


def _base(name: str) -> str:
    """Return weight_ih_reverse of weight_ih_l1_reverse."""
    reverse = name.endswith("_reverse")
    return name.removesuffix("_reverse").rpartition("_l")[0] + ("_reverse" if reverse else "")


def _is_parameter(unit: Unit) -> bool:
    return unit.name.rpartition(".")[2] in dict(unit.owner.named_parameters(recurse=False))


def _is_fixed(unit: Unit) -> bool:
    """Whether these are variables that nothing trains, of no known layer, such as the count of a Normalization."""
    variables = [variable for weight in unit.weights.values() for variable in weight.variables]
    return unit.kind == FREE and not any(variable.trainable for variable in variables)


def _renamed(one: Unit, other: Unit) -> list[Mapped]:
    """Return Keras's weights under PyTorch's full names, in PyTorch's order."""
    leaves = {short: one.numbered.get(short, short) for short in one.shapes}
    found = [
        replace(other.weights[short], name=join_path(one.path, leaf) if leaf else one.name)
        for short, leaf in leaves.items()
    ]
    if one.kind == FREE and one.owner is not None:  # of no known layer: PyTorch knows whether it is a parameter
        return [replace(weight, trainable=_is_parameter(one)) for weight in found]
    return found


def _unpaired(theirs: Sequence[Unit], ours: Sequence[Unit]) -> str:
    sides = (("PyTorch", theirs), ("Keras", ours))
    left = "; ".join(f"{side} has {', '.join(map(str, units)) or 'nothing more'}" for side, units in sides)
    hint = 'name the layers alike, or give weights={"module path": "layer name"}'
    return f"these weights cannot be mapped: {left}. {hint}"
