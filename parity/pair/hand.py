"""What the entries of `weights=` name in two models: pairs of layers, links of tensors, and what is left alone."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from typing import Any

import numpy as np

from keras_blitz.errors import BlitzError
from keras_blitz.weights.mapped import Mapped
from parity.pair import links
from parity.pair.byhand import Entry, split_index
from parity.pair.fits import tensors
from parity.pair.links import Link, Part
from parity.pair.pairing import Match, Pairing
from parity.pair.units import FREE, Unit, full_names
from parity.pair.variables import Held, held_by, parts_of

NEAREST = 4  # names that a message lists


@dataclass
class ByHand:
    """What the entries say of two models.

    Args:
        theirs: PyTorch's units that are still to be paired.
        ours: Keras's.
        pairs: PyTorch's unit -> Keras's.
        links: of tensors.
        names: (PyTorch's, Keras's) of what is linked, as the user wrote it.
        alone: PyTorch's tensors that are left alone.
        kept: Keras's units that are.
    """

    theirs: list[Unit]
    ours: list[Unit]
    pairs: dict[str, str] = field(default_factory=dict)
    links: list[Link] = field(default_factory=list)
    names: list[tuple[str, str]] = field(default_factory=list)
    alone: list[str] = field(default_factory=list)
    kept: list[Unit] = field(default_factory=list)

    def weights(self, module: Any) -> list[Mapped]:
        """Return Keras's linked weights by PyTorch's names."""
        shapes = {name: tuple(tensor.shape) for name, tensor in module.state_dict().items()}
        return links.weights_of(self.links, shapes, set(dict(module.named_parameters())))

    def added_to(self, found: Pairing, module: Any) -> Pairing:
        """Return the pairs of all other units with what was linked by hand and left alone."""
        units: list[Match] = [(Unit(one, FREE, {}), Unit(other, FREE, {}), "given") for one, other in self.names]
        notes = [f"left alone, as weights= says: {', '.join(self.alone)}"] if self.alone else []
        return replace(
            found, weights=[*self.weights(module), *found.weights], units=[*units, *found.units],
            notes=[*notes, *found.notes], unused=[*found.unused, *self.alone], surplus=[*found.surplus, *self.kept],
        )  # fmt: skip


def resolve(entries: Sequence[Entry], theirs: Sequence[Unit], ours: Sequence[Unit], module: Any) -> ByHand:
    """Return what the entries say.

    Args:
        entries: of `weights=`.
        theirs: PyTorch's units.
        ours: Keras's.
        module: PyTorch's.

    Raises:
        BlitzError: a name is of nothing, or shapes do not fit.
    """
    names = _Names(theirs, ours, module)
    found = ByHand(list(theirs), list(ours))
    linked = [entry for entry in entries if entry.theirs and entry.ours and not names.is_plain(entry)]
    used = {part.tensor for entry in linked for part in names.parts(entry)}
    for entry in entries:
        if not entry.ours:
            found.alone += [each for name in entry.theirs for each in names.tensors_of(name)]
        elif not entry.theirs:
            found.kept += [unit for name in entry.ours for unit in names.units_of(name)]
        elif names.is_plain(entry) and not used & names.tensors_of_unit(entry.theirs[0]):
            found.pairs[entry.theirs[0]] = names.full(entry.ours[0])
        else:
            found.links += names.links(entry)
            found.names.append((", ".join(entry.theirs), ", ".join(entry.ours)))
    taken = {name for each in found.links for name in each.parts} | set(found.alone)
    held = {id(each.variable) for each in found.links}
    found.theirs = [part for unit in theirs for part in _their_rest(unit, taken)]
    found.ours = [part for unit in ours if unit not in found.kept for part in _our_rest(unit, held)]
    return found


class _Names:
    """What the names in the entries are.

    Args:
        theirs: PyTorch's units.
        ours: Keras's.
        module: PyTorch's.
    """

    def __init__(self, theirs: Sequence[Unit], ours: Sequence[Unit], module: Any):
        first = {id(tensor): name for name, tensor in module.named_parameters()}
        tied = {name: first[id(tensor)] for name, tensor in module.named_parameters(remove_duplicate=False)}
        state = module.state_dict()
        self.shapes = {name: tuple(tensor.shape) for name, tensor in state.items()}
        self.first = {name: tied.get(name, name) for name in state}
        self.theirs = {unit.name: unit for unit in theirs}
        self.ours = {part.name: part for unit in ours for part in [unit, *parts_of(unit)]}
        self.whole = list(ours)
        self.held = dict(held_by(ours))

    def is_plain(self, entry: Entry) -> bool:
        """Return whether an entry names two units, or tensors of no known layer, which are paired like any others."""
        if len(entry.theirs) > 1 or len(entry.ours) > 1 or entry.form is not None or split_index(entry.theirs[0])[1]:
            return False
        held = self.held.get(entry.ours[0])
        return entry.theirs[0] not in self.shapes or held is None or held.known is None

    def parts(self, entry: Entry) -> list[Part]:
        """Return the tensors that an entry names, a module's one by one."""
        return [part for name in entry.theirs for part in self._parts(name).values()]

    def tensors_of(self, name: str) -> list[str]:
        """Return the names of the tensors of a module with all that is in it, or of a tensor."""
        found = [each for each in self.shapes if each == name or each.startswith(f"{name}.")]
        return found or self._missing(name, "PyTorch's modules or tensors", [*self.theirs, *self.shapes])

    def tensors_of_unit(self, name: str) -> set[str]:
        """Return the tensors of a unit or of its name; none where it names none."""
        unit = self.theirs.get(name)
        return set(full_names(unit)) if unit else {self.first[name]} if name in self.first else set()

    def units_of(self, name: str) -> list[Unit]:
        """Return Keras's units of a layer, or that have a variable."""
        found = [u for u in self.whole if u.name == name or u.name.startswith(f"{name}/")]
        return found or self._missing(name, "Keras's layers", list(self.ours))

    def links(self, entry: Entry) -> list[Link]:
        """Return the links of an entry: of tensors, or of each of the tensors that modules and layers have."""
        sides = [self._parts(name) for name in entry.theirs]
        leaves = list(sides[0])
        if any(list(side) != leaves for side in sides):
            raise BlitzError(f"weights: {entry}: they have other tensors: {', '.join(map(str, map(list, sides)))}")
        if leaves != [""] and entry.form is not None:
            raise BlitzError(f"weights: {entry}: a form is for a single tensor: {entry.theirs[0]}.{leaves[0]}")
        found = []
        for leaf in leaves:
            held = [self._variable(name, leaf) for name in entry.ours]
            found += _linked([side[leaf] for side in sides], held, entry)
        return found

    def full(self, name: str) -> str:
        """Return the name of a model's own variable, "model/scale" of "scale"; any other name as it is."""
        own = [each for each in self.held if each.endswith(f"/{name}")]
        return own[0] if len(own) == 1 and not self._inside(name) else name

    def _inside(self, name: str) -> list[str]:
        return [each for each in self.held if each == name or each.startswith(f"{name}/")]

    def _parts(self, text: str) -> dict[str, Part]:
        """Return leaf -> the part of a tensor that a name stands for; "" of a single tensor."""
        name, index = split_index(text)
        if name in self.shapes:
            return {"": links.part_of(self.first[name], index, self.shapes[name])}
        unit = self.theirs.get(text)
        if unit is None or unit.kind == FREE:
            return self._missing(text, "PyTorch's modules or tensors", [*self.theirs, *self.shapes])
        leaves = zip(unit.shapes, full_names(unit), strict=True)
        return {leaf: links.part_of(name, "", self.shapes[name]) for leaf, name in leaves}

    def _variable(self, name: str, leaf: str) -> Held:
        """Return a variable by its name, or that of a layer which is PyTorch's tensor of this leaf."""
        if leaf:
            unit = self.ours.get(name)
            if unit is None:
                return self._missing(name, "Keras's layers", list(self.ours))
            weight = unit.weights.get(leaf)
            if weight is None or len(weight.variables) > 1:
                raise BlitzError(f"weights: {name!r} has no single variable for PyTorch's {leaf!r}: {unit}")
            return Held(weight.variable, weight)
        inside = self._inside(self.full(name))
        if len(inside) > 1:
            raise BlitzError(f"weights: {name!r} has several variables, name one: {', '.join(inside)}")
        return self.held[inside[0]] if inside else self._missing(name, "Keras's variables", list(self.held))

    def _missing(self, name: str, what: str, known: Iterable[str]) -> Any:
        known = list(dict.fromkeys(known))
        near = get_close_matches(name, known, NEAREST, 0.3) or known[:NEAREST]
        raise BlitzError(f"weights: {name!r} names none of {what}; the nearest are {', '.join(near)}")


def _linked(parts: Sequence[Part], held: Sequence[Held], entry: Entry) -> list[Link]:
    """Return the links of one tensor's parts with one variable, or of one part with several that have its rows."""
    if len(held) == 1:
        return [_link(parts, held[0], entry)]
    (part,) = parts
    counts = [each.shape[0] for each in held]
    if sum(counts) != len(part.places):
        raise BlitzError(f"weights: {entry}: {part.tensor} has {len(part.places)} rows, they have {counts}")
    pieces = np.split(part.places, np.cumsum(counts)[:-1])
    return [_link([Part(part.tensor, piece)], one, entry) for piece, one in zip(pieces, held, strict=True)]


def _link(parts: Sequence[Part], held: Held, entry: Entry) -> Link:
    known = held.known
    shape = (sum(len(part.places) for part in parts), *parts[0].places.shape[1:])
    fits = known is not None and known.shape == (shape if len(parts) > 1 else parts[0].places.shape)

    def function(*arrays: np.ndarray) -> np.ndarray:
        array = np.concatenate(arrays) if len(arrays) > 1 else arrays[0]
        return known.part(array)[0] if known is not None and fits else array

    return links.link(parts, held.variable, entry.form, function, str(entry))


def _their_rest(unit: Unit, taken: set[str]) -> list[Unit]:
    """Return what of a PyTorch unit is not linked: the unit itself, or its other tensors."""
    names = full_names(unit)
    if not taken & set(names):
        return [unit]
    pairs = zip([unit] if unit.kind == FREE else list(tensors(unit)), names, strict=True)
    return [part for part, name in pairs if name not in taken]


def _our_rest(unit: Unit, held: set[int]) -> list[Unit]:
    """Return what of a Keras unit is not linked: the unit itself, or its other variables."""

    def is_linked(part: Unit) -> bool:
        return any(id(variable) in held for weight in part.weights.values() for variable in weight.variables)

    if not is_linked(unit):
        return [unit]
    parts = [each for part in parts_of(unit) for each in ([part] if not is_linked(part) else tensors(part))]
    return [part for part in parts if not is_linked(part)]
