"""The ways in which PyTorch's weights may be read, the plain one first, the others where it does not do.

* Biases that are parts of one sum, `fc(x) + bias` or `a(x) + b(y)`, of which Keras has one: their sum.
* The rows of a packed query, key and value, where what PyTorch does with the outputs allows two arrangements.
"""

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from keras_blitz.weights.mapped import Mapped
from parity.pair import addresses, following, pairing
from parity.pair.hand import ByHand
from parity.pair.pairing import Pairing, UnpairedError
from parity.pair.pieces import arrangements
from parity.pair.theirs import Theirs
from parity.pair.units import FREE, Unit, full_names, join_path
from parity.record.torch_flow import Flow

Sum = tuple[str, ...]  # names of biases
Told = tuple[Pairing, set[str]]  # and Keras's units that are given features which PyTorch flattened in the same order


@dataclass(frozen=True)
class Reading:
    """One way.

    Args:
        sums: the biases that count as one.
        arranged: which of the arrangements the pieces of packed layers have.
    """

    sums: tuple[Sum, ...] = ()
    arranged: int = 0


def as_seen(units: Sequence[Unit], flow: Flow) -> list[Unit]:
    """Return PyTorch's units with what its run has told of their tensors."""
    return [
        replace(
            unit, columns=flow.columns.get(unit.name), split=flow.splits.get(unit.name, ()),
            plus_one=unit.name in flow.plus_one or join_path(unit.path, "weight") in flow.plus_one,
        )
        for unit in units
    ]  # fmt: skip


def paired(
    theirs: Theirs, model: Any, dtype: str, told: ByHand, fixed: bool, uncalled: Callable[[], Collection[str]]
) -> Told:
    """Return the pairs of units under the first reading in which the models agree, or else in which all are paired.

    Args:
        theirs: PyTorch's side.
        model: the Keras model.
        dtype: a name in `PRECISIONS`.
        told: the units, and what was given by hand.
        fixed: the model keeps its own weights.
        uncalled: () -> names of PyTorch's tensors that its forward does not use.

    Raises:
        UnpairedError: what cannot be paired as it is.
    """

    written = partial(addresses.way_to, model)

    def under(reading: Reading) -> Told:
        units = _read(told.theirs, told.ours, reading)
        seen, plain = following.paired(theirs, model, dtype, units, told.pairs, fixed, reading)
        try:
            return _first_of_twins(pairing.pair(*units, told.pairs, seen, uncalled, written, plain)), plain
        except UnpairedError as error:
            if error.rest is None:
                raise
            return _first_of_twins(error.rest), plain

    agreeing = [each.reading for each in theirs.followed if each.agrees]
    if agreeing:
        return under(agreeing[-1])
    try:
        found = under(Reading())
    except UnpairedError as error:
        return _first_that_agrees([Reading(sums) for sums in _sums(error.left, theirs.flow)], under, theirs, error)
    if theirs.followed[-1].agrees or not _is_open(told.theirs, found[0]):
        return found
    other = under(Reading(arranged=1))
    return other if theirs.followed[-1].agrees else found


def _first_that_agrees(
    readings: Sequence[Reading], under: Callable[[Reading], Told], theirs: Theirs, refusal: UnpairedError
) -> Told:
    """Return the pairs under the first reading in which the models agree, else under the first that pairs all.

    Raises:
        UnpairedError: the refusal, if none does.
    """
    first = None
    for reading in readings:
        try:
            found = under(reading)
        except UnpairedError:
            continue
        if any(each.agrees for each in theirs.followed):
            return found
        first = first or found
    if first is None:
        raise refusal from None
    return first


def _sums(left: Sequence[Unit], flow: Flow) -> list[tuple[Sum, ...]]:
    """Return the sums of which a bias is left over: the least that has it, then the largest.

    What is added to a residual stream is a sum of ever more biases, of which the stream uses the parts, too.
    """
    names = {name for unit in left for name in full_names(unit)}
    found = []
    for choose in (min, max):
        around = [[each for each in flow.added if name in each] for name in sorted(names)]
        found.append(_joined([choose(sums, key=len) for sums in around if sums]))
    return [sums for sums in dict.fromkeys(found) if sums]


def _joined(sums: Sequence[frozenset[str]]) -> tuple[Sum, ...]:
    """Return sums with those as one that share a bias."""
    found: list[frozenset[str]] = []
    for each in sums:
        shared = [other for other in found if other & each]
        found = [other for other in found if not other & each] + [each.union(*shared)]
    return tuple(tuple(sorted(each)) for each in found)


def _is_open(units: Sequence[Unit], found: Pairing) -> bool:
    """Return whether a layer was cut into pieces whose rows may be arranged in another way, too."""
    for unit in units:
        pieces = [one.rows for one, _, _ in found.units if one.rows is not None and one.path == unit.name]
        if unit.split and pieces and len(arrangements(unit.split, list(map(len, pieces)))) > 1:
            return True
    return False


def _read(theirs: Sequence[Unit], ours: Sequence[Unit], reading: Reading) -> tuple[list[Unit], list[Unit]]:
    """Return both sides' units under a reading."""
    theirs = [replace(unit, arranged=reading.arranged) for unit in theirs]
    if not reading.sums:
        return theirs, list(ours)
    members = {name for names in reading.sums for name in names}
    alike = {_weight_of(unit) for unit in theirs if members & set(full_names(unit))} - {None}
    left = [part for unit in theirs for part in _without_bias(unit, alike, str(join_path(unit.path, "bias")))]
    right = [part for unit in ours for part in _without_bias(unit, alike, f"{unit.name}/bias")]
    shapes = {unit.name: unit.shapes[""] for unit in left if unit.kind == FREE}
    added = {names[0]: {name: shapes[name] for name in names[1:]} for names in map(_modules_first, reading.sums)}
    others = {name for names in added.values() for name in names}
    return [replace(unit, added=added.get(unit.name, {})) for unit in left if unit.name not in others], right


def _modules_first(names: Sum) -> list[str]:
    return sorted(names, key=lambda name: not name.endswith("bias"))


def _weight_of(unit: Unit) -> tuple | None:
    """Return the kind and shape of a linear map or a convolution, None for another unit."""
    is_linear = unit.kind == "linear" or unit.kind.startswith("conv")
    return (unit.kind, unit.shapes["weight"]) if is_linear and "weight" in unit.shapes else None


def _without_bias(unit: Unit, alike: Collection, name: str) -> Iterator[Unit]:
    """Yield a layer without its bias, and the bias, where its weight is like one of those."""
    if _weight_of(unit) not in alike or "bias" not in unit.shapes:
        yield unit
        return
    shape, weight = unit.shapes["bias"], unit.weights.get("bias")
    yield replace(
        unit, shapes={"weight": unit.shapes["weight"]},
        weights={leaf: each for leaf, each in unit.weights.items() if leaf == "weight"},
    )  # fmt: skip
    held = {"": replace(weight, name="")} if weight else {}
    yield replace(unit, name=name, kind=FREE, shapes={"": shape}, weights=held, columns=None)


def _first_of_twins(found: Pairing) -> Pairing:
    """Return the pairs with each sum of biases in that layer of PyTorch's whose twin has the one bias in Keras.

    Where none has, as where it is added after them, the layer that has the sum returns more than its twin.
    """
    layers = {id(other.owner): one.path for one, other, _ in found.units if one.kind != FREE}
    sums = {one.name: join_path(layers.get(id(other.owner), "?"), "bias") for one, other, _ in found.units if one.added}
    firsts = {first: own for first, own in sums.items() if own in {w.name for w in found.weights if w.twin}}
    apart = {first.rpartition(".")[0] for first, own in sums.items() if own != first and first not in firsts}

    def of(weight: Mapped) -> Mapped:
        return replace(weight, twin=weight.name in firsts) if weight.name in {*firsts, *firsts.values()} else weight

    units = [
        (replace(one, partial=True) if one.kind != FREE and one.path in apart else one, other, how)
        for one, other, how in found.units
    ]
    return replace(found, weights=[of(weight) for weight in found.weights], units=units) if sums else found
