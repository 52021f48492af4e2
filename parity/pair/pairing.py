"""Which PyTorch parameter is which Keras variable, for two models that were written apart.

What a run of both has told comes first, see `following.py`; the rest pairs by name where names match, otherwise by
structure: kind and shapes, in the order the layers are called. What cannot be paired is listed, never guessed. Knows
the layers by their classes' names and imports neither framework.
"""

from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

import numpy as np

from keras_blitz.errors import BlitzError
from keras_blitz.weights.mapped import Mapped, summed_biases
from parity.pair import nearest, pieces
from parity.pair.advice import advise
from parity.pair.fits import fitted, forms, prepared
from parity.pair.units import FREE, Unit, full_names, join_path

LISTED = 6  # units of either side that a refusal names

Match = tuple[Unit, Unit, str]


class Seen(NamedTuple):
    """A pair that a run of both models has told, by names: PyTorch's unit, Keras's, how, and in which form."""

    path: str
    name: str
    how: str
    form: int = 0


class UnpairedError(BlitzError):
    """Weights that cannot be mapped; `units` are those that can.

    `rest` is the pairing where Keras alone has more, `left` are PyTorch's units that are left over.
    """

    def __init__(
        self, message: str, units: list[Match], rest: "Pairing | None" = None, left: Sequence[Unit] = ()
    ):  # fmt: skip
        super().__init__(message)
        self.units, self.rest, self.left = units, rest, left


@dataclass(frozen=True)
class Pairing:
    """The pairs of units, and the weights in them.

    Args:
        weights: Keras's weights by PyTorch's names.
        units: (PyTorch's unit, Keras's unit, how): "given" by hand, "flow": the same value arrives at both, "name" or
            "structure".
        notes: what is worth saying, a line each.
        unused: PyTorch's buffers without a counterpart, and tensors that its forward does not use.
        surplus: Keras's units that PyTorch lacks.
    """

    weights: list[Mapped]
    units: list[Match]
    notes: list[str]
    unused: list[str]
    surplus: Sequence[Unit] = ()

    @property
    def twins(self) -> dict[str, str]:
        """PyTorch's names of the second biases that Keras has in one with the first -> that of the first."""
        return _twins(self.weights)


def pair(
    theirs: Sequence[Unit],
    ours: Sequence[Unit],
    given: Mapping[str, str] | None = None,
    seen: Sequence[Seen] = (),
    uncalled: Callable[[], Collection[str]] = frozenset,
    written: Callable[[str], str] = str,
    plain: Collection[str] = (),
) -> Pairing:
    """Pair PyTorch's units with Keras's.

    Args:
        theirs: PyTorch's units, in the order they are called.
        ours: Keras's, likewise.
        given: module path -> layer name, where given by the user.
        seen: those that a run of both models has told.
        uncalled: () -> names of PyTorch's tensors that its forward does not use.
        written: the name of a Keras unit -> as the user may write it.
        plain: names of Keras's units that are given features which PyTorch has flattened in the same order.

    Raises:
        UnpairedError: what cannot be paired, both sides' leftovers with their shapes.
        BlitzError: a name in `given` is of no layer, or the two do not fit.
    """
    left = _Left(*prepared(theirs, ours, given))
    left.ours = [unit.in_plain_order() if unit.name in plain else unit for unit in left.ours]
    given_forms = {(pair.path, pair.name): pair.form for pair in seen if pair.how == "given"}
    for one, other in pairs_by_hand(left.theirs, left.ours, given or {}):
        left.take(one, other, "given", given_forms.get((one.name, other.name), 0))
    by_name = [{unit.name: unit for unit in side} for side in (left.theirs, left.ours)]
    for path, name, how, form in (pair for pair in seen if pair.how != "given"):
        left.take(by_name[0][path], by_name[1][name], how, form)
    left.take_names()
    left.take_structure()
    return _finish(left, uncalled, written)


@dataclass
class _Left:
    """The units that are not paired yet, and the pairs."""

    theirs: list[Unit]
    ours: list[Unit]
    units: list[Match] = field(default_factory=list)

    def take(self, one: Unit, other: Unit, how: str, form: int = 0) -> None:
        """Pair two units."""
        self.units.append((one, forms(one, other)[form], how))
        self.theirs.remove(one)
        self.ours.remove(other)

    def take_names(self) -> None:
        """Pair the units of one name."""
        for one in list(self.theirs):
            named = [other for other in self.ours if have_one_name(one, other) and fitted(one, other)]
            if len(named) == 1:
                self.take(one, named[0], "name")

    def take_structure(self) -> None:
        """Pair the units of which both sides have as many of one kind and shape, then what fits in another form."""
        for signature in dict.fromkeys(unit.signature for unit in self.theirs):
            left, right = ([u for u in side if u.signature == signature] for side in (self.theirs, self.ours))
            if len(left) == len(right):
                for one, other in zip(left, right, strict=True):
                    self.take(one, other, "structure")
        for one in list(self.theirs):
            fitting = [other for other in self.ours if other.signature != one.signature and fitted(one, other)]
            if fitting and len(fitting) == sum(each.signature == one.signature for each in self.theirs):
                self.take(one, fitting[0], "structure")


def _finish(left: _Left, uncalled: Callable[[], Collection[str]], written: Callable[[str], str]) -> Pairing:
    """Return the pairs, with what may be left over.

    Raises:
        UnpairedError: what may not.
    """
    unused = [one.name for one in left.theirs if one.kind == FREE and not _is_parameter(one)]
    over = [one for one in left.theirs if one.name not in unused]
    notes = [f"PyTorch's buffers without a counterpart, left alone: {', '.join(unused)}"] if unused else []
    not_used = set(uncalled()) if over else set()
    never_used = [one for one in over if not_used.issuperset(full_names(one))]
    if never_used:
        names = ", ".join(one.name for one in never_used)
        notes.append(f"PyTorch's modules that its forward does not use, without a counterpart, left alone: {names}")
        unused += [name for one in never_used for name in full_names(one)]
        over = [one for one in over if one not in never_used]
    if over:
        raise UnpairedError(_report_unpaired(over, left.ours, written), left.units, left=over)
    fixed = [other for other in left.ours if _is_fixed(other)]
    notes += _notes_on_keras(fixed, left.units)
    surplus = [other for other in left.ours if other not in fixed]
    found = Pairing(_merge(left.units), left.units, notes, unused, surplus)
    if surplus:
        raise UnpairedError(_report_unpaired([], left.ours, written), left.units, found)
    return found


def _notes_on_keras(fixed: Sequence[Unit], units: Sequence[Match]) -> Iterator[str]:
    """Say which of Keras's weights have no counterpart and need none."""
    if fixed:
        names = ", ".join(other.name for other in fixed)
        yield f"Keras's weights that are not trained, without a counterpart, left alone: {names}"
    for one, other, _ in units:
        yield from (_shift_note(one, other, weight) for weight in other.weights.values() if weight.read)
    idle = [f"{other.name}/{v.name}" for _, other, _ in units for weight in other.idle for v in weight.variables]
    if idle:
        yield f"Keras's weights that PyTorch lacks and that do nothing, left as they are: {', '.join(idle)}"


def _shift_note(one: Unit, other: Unit, weight: Mapped) -> str:
    """Say which side multiplies by 1 + weight."""
    name, scale = one.name, other.name
    if one.kind != FREE:
        name, scale = join_path(one.path, "weight"), f"{other.name}/{weight.variable.name}"
    if weight.part(np.zeros(weight.shape))[0].mean() > 0:
        return f"{name}: the PyTorch side multiplies by 1 + weight; Keras's {scale} = 1 + weight"
    return f"{name}: Keras's layer multiplies by 1 + {scale}, which is PyTorch's weight - 1"


def values(one: Unit, other: Unit, state: Mapping[str, np.ndarray]) -> Iterator[tuple[Mapped, np.ndarray]]:
    """Yield each weight of a Keras unit with its value in PyTorch's.

    Args:
        one: PyTorch's.
        other: Keras's.
        state: PyTorch's whole state.
    """
    weights = _rename(one, other)
    own = summed({weight.name: state[weight.name] for weight in weights}, _twins(weights))
    for weight in weights:
        yield weight, own[weight.name] if one.rows is None else own[weight.name][one.rows]


def _twins(weights: Sequence[Mapped]) -> dict[str, str]:
    """Return the second biases -> the first ones, which the same variables hold."""
    held = {weight.name: tuple(map(id, weight.variables)) for weight in weights}
    first = {held[weight.name]: weight.name for weight in weights if not weight.twin}
    return {weight.name: first[held[weight.name]] for weight in weights if weight.twin}


def summed(state: Mapping[str, np.ndarray], twins: Mapping[str, str]) -> dict[str, np.ndarray]:
    """Return a state with the first of several biases as the sum of all, and the others, its twins, as zero.

    Args:
        state: PyTorch's weights.
        twins: names of the second biases -> that of the first.
    """
    found = dict(state)
    for name, first in twins.items():
        found[first] = summed_biases(found[first], found[name].reshape(found[first].shape))
        found[name] = np.zeros_like(found[name])
    return found


def is_rounded(weight: Mapped, value: np.ndarray) -> bool:
    """Return whether a weight is PyTorch's but for what float32 has lost of it, as 1 + w loses of w."""
    bound = 2 * np.finfo(np.float32).eps
    return weight.read is not None and np.allclose(weight.value(), value, bound, bound)


def have_one_name(one: Unit, other: Unit) -> bool:
    """Return whether two units have the same name, each as its framework spells it."""
    return spelled(one.name) == spelled(other.name)


def pairs_by_hand(theirs: Sequence[Unit], ours: Sequence[Unit], given: Mapping[str, str]) -> list[tuple[Unit, Unit]]:
    """Return the units that are given by name.

    Raises:
        BlitzError: a name is of no unit, or the two do not fit.
    """
    found = []
    for path, name in given.items():
        one, other = _named(theirs, path, "."), _named(ours, name, "/")
        if one is not None and other is None:  # the only part of a layer that fits, as of an attention
            fitting = [unit for unit in ours if unit.name.startswith(f"{name}/") and fitted(one, unit)]
            other = fitting[0] if len(fitting) == 1 else None
        if one is None or other is None:
            missing, side, units = (path, "PyTorch's", theirs) if one is None else (name, "Keras's", ours)
            raise BlitzError(f"weights: {missing!r} names none of {side} layers: {', '.join(u.name for u in units)}")
        if not fitted(one, other):
            raise BlitzError(f"weights: {one} and {other} do not fit each other")
        found.append((one, other))
    return found


def _named(units: Sequence[Unit], name: str, separator: str) -> Unit | None:
    """Return the unit of a name, or the only tensor of a layer of that name."""
    inside = [unit for unit in units if unit.name.startswith(name + separator) and unit.kind == FREE]
    return next((unit for unit in units if unit.name == name), inside[0] if len(inside) == 1 else None)


def spelled(name: str) -> str:
    """Return a name as both frameworks can spell it: Keras allows no dots in some places."""
    return name.replace(".", "_").replace("/", "_").lower()


def _is_parameter(unit: Unit) -> bool:
    return unit.name.rpartition(".")[2] in dict(unit.owner.named_parameters(recurse=False))


def _is_fixed(unit: Unit) -> bool:
    """Whether these are variables that nothing trains, of no known layer, such as the count of a Normalization."""
    variables = [variable for weight in unit.weights.values() for variable in weight.variables]
    return unit.kind == FREE and not any(variable.trainable for variable in variables)


def _rename(one: Unit, other: Unit) -> list[Mapped]:
    """Return Keras's weights under PyTorch's full names, in PyTorch's order."""
    leaves = {short: one.numbered.get(short, short) for short in one.shapes}
    found = [
        replace(other.weights[short], name=join_path(one.path, leaf) if leaf else one.name)
        for short, leaf in leaves.items()
    ]
    if one.kind == FREE and one.owner is not None:  # of no known layer: PyTorch knows whether it is a parameter
        found = [replace(weight, trainable=_is_parameter(one)) for weight in found]
    return found + [_reshape(found[0], name, shape) for name, shape in one.added.items()]


def _reshape(weight: Mapped, name: str, shape: tuple[int, ...]) -> Mapped:
    """Return a bias as another one of PyTorch's that is added to it."""
    return replace(weight, name=name, shape=shape, join=lambda arrays: weight.join(arrays).reshape(shape), twin=True)


def _merge(units: Sequence[Match]) -> list[Mapped]:
    """Return Keras's weights by PyTorch's names, the pieces of a tensor as one."""
    weights = [(weight, one.rows) for one, other, _ in units for weight in _rename(one, other)]
    return pieces.merged([weight for weight, _ in weights], [rows for _, rows in weights])


def _report_unpaired(theirs: Sequence[Unit], ours: Sequence[Unit], written: Callable[[str], str]) -> str:
    """Say what is left over, by cause, and which `weights=` would try the nearest of it."""
    left = "; ".join(f"{side} has {_list(units)}" for side, units in (("PyTorch", theirs), ("Keras", ours)))
    hint = "name the layers alike, or try weights=" + nearest.suggest(theirs, ours, written) if theirs else ""
    return f"these weights cannot be mapped: {left}. {_biases(theirs, ours)}{advise(theirs, ours)}{hint}"


def _list(units: Sequence[Unit]) -> str:
    more = f", and {len(units) - LISTED} more" if len(units) > LISTED else ""
    return ", ".join(map(str, units[:LISTED])) + more if units else "nothing more"


def _biases(theirs: Sequence[Unit], ours: Sequence[Unit]) -> str:
    """Say of how many layers but the bias of one side is in the way."""

    def bare(units: Sequence[Unit], bias: bool) -> Counter:
        return Counter(
            (unit.kind, tuple(shape for leaf, shape in sorted(unit.shapes.items()) if leaf != "bias"))
            for unit in units
            if ("bias" in unit.shapes) == bias
        )

    said = ""
    for one, other, sides in ((theirs, ours, ("PyTorch", "Keras")), (ours, theirs, ("Keras", "PyTorch"))):
        if count := (bare(one, True) & bare(other, False)).total():
            said += f"In {count} of {sides[0]}'s layers only the bias is in the way, which {sides[1]}'s lack. "
    return said
