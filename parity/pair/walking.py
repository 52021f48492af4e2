"""One run of a Keras model beside PyTorch's: each layer that is called takes the weights of its likely twin."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from keras_blitz import keras_internals
from keras_blitz.weights.mapped import Mapped
from parity.core import tolerance
from parity.core.modes import PRECISIONS
from parity.pair.alike import Value, apart, distance, distance_padded
from parity.pair.fits import forms, leaf_of
from parity.pair.pairing import Seen, have_one_name, is_rounded, spelled, values
from parity.pair.units import FREE, RECURRENT, Unit


class Choice(NamedTuple):
    """A unit of PyTorch, and the form, of those that fit, in which Keras's has its weights."""

    path: str
    form: int = 0


@dataclass
class Walk:
    """What one run of the Keras model has told.

    Args:
        found: the pairs, in the order of Keras's calls; `how` is "given", "flow", "name" or "structure".
        choices: Keras's unit -> what it could have had as well, what it took first.
        taken_back: Keras's unit -> what it needs and what one before it has taken on a guess.
        apart: how far the outputs are from PyTorch's, relative; infinite where they are others.
        in_any_order: the same, whichever of Keras's outputs each of PyTorch's is.
        plain: Keras's units that were given features which PyTorch has flattened in the same order.
    """

    found: list[Seen] = field(default_factory=list)
    choices: dict[str, list[Choice]] = field(default_factory=dict)
    taken_back: dict[str, Choice] = field(default_factory=dict)
    apart: float = np.inf
    in_any_order: float = np.inf
    plain: set[str] = field(default_factory=set)

    @property
    def agrees(self) -> bool:
        """The outputs are PyTorch's."""
        return bool(np.isfinite(self.apart))

    @property
    def flows(self) -> int:
        """How many units were given what their twins were."""
        return sum(pair.how == "flow" for pair in self.found)

    @property
    def open_choices(self) -> list[str]:
        """The units of Keras whose choice may be why the next one did not find its twin; the latest first."""
        hows = ["flow" if pair.how == "given" else pair.how for pair in self.found]
        last = len(hows) - 1 - hows[::-1].index("flow") if "flow" in hows else -1
        lost = next((k for k in range(last + 1, len(hows)) if hows[k] != "flow"), len(hows))
        return [pair.name for pair in self.found[lost::-1] if len(self.choices.get(pair.name, ())) > 1]


class Witness:
    """What is known before a run: the units, what PyTorch's were given, and what fits what.

    Args:
        units: PyTorch's and Keras's, in the order they are called.
        fed: PyTorch's unit -> what it was given, the surest first: what a parameter was used with, then what its module
            was given.
        state: PyTorch's weights.
        dtype: a name in `PRECISIONS`.
    """

    def __init__(
        self,
        units: tuple[Sequence[Unit], Sequence[Unit]],
        fed: Mapping[str, Sequence[Sequence[Value]]],
        state: Mapping[str, np.ndarray],
        dtype: str,
    ):
        self.theirs = {unit.name: unit for unit in units[0]}
        self.ours = {unit.name: unit for unit in units[1]}
        self.fed, self.state = fed, state
        self.bound = tolerance.GIVEN[PRECISIONS[dtype].compute]
        self.rounding = tolerance.GIVEN_ROUNDING[PRECISIONS[dtype].compute]
        self._forms: dict[tuple[str, str], list[Unit]] = {}
        paths = {spelled(path): path for path in self.theirs}
        names = {name: paths.get(spelled(name)) for name in self.ours}
        self.namesakes = {name: path for name, path in names.items() if path is not None and self.forms(path, name)}

    def forms(self, path: str, name: str) -> list[Unit]:
        """Return Keras's unit in each form in which it can hold the weights of PyTorch's."""
        if (path, name) not in self._forms:
            self._forms[path, name] = forms(self.theirs[path], self.ours[name])
        return self._forms[path, name]

    def apart(self, path: str, value: Value) -> tuple[float, float]:
        """Return how far a value is from what PyTorch's unit was given, by the surest that is known, and by any."""
        measures = (distance, distance_padded)
        each = [
            min((measure(v, value, self.bound) for v in fed for measure in measures), default=np.inf)
            for fed in self.fed[path]
        ]
        return (each[0], min(each)) if each else (np.inf, np.inf)

    def is_near(self, apart: float, nearest: float) -> bool:
        """Whether a distance is as small as the nearest, but for rounding."""
        return apart <= max(nearest * tolerance.GIVEN_FACTOR, self.rounding)

    def is_plain(self, path: str, name: str, value: Value) -> bool:
        """Whether a Keras unit that a Flatten comes before is given the features in the order of PyTorch's."""
        way = self.ours[name].flattened
        if way is None or value.array.ndim != 2:
            return False
        turned = Value(way.to_torch(value.array))
        fed = [each for known in self.fed[path] for each in known]
        same, moved = (min((apart(each, one) for each in fed), default=np.inf) for one in (value, turned))
        return same < min(moved, self.bound)

    def copy(self, choice: Choice, name: str, plain: bool) -> None:
        """Give a Keras unit the weights of PyTorch's; `plain`: features are in PyTorch's order, though flattened."""
        for weight, value in self._values(choice, name, plain):
            weight.assign(value)

    def holds(self, choice: Choice, name: str) -> bool:
        """Return whether a Keras unit has the weights of PyTorch's, as a model has that was converted."""
        orders = (False, True) if self.ours[name].plain else (False,)
        held = (self._values(choice, name, plain) for plain in orders)
        return any(all(np.array_equal(w.value(), value) or is_rounded(w, value) for w, value in each) for each in held)

    def _values(self, choice: Choice, name: str, plain: bool) -> Iterator[tuple[Mapped, np.ndarray]]:
        one, unit = self.theirs[choice.path], self.ours[name]
        form = (forms(one, unit.in_plain_order()) if plain else self.forms(choice.path, name))[choice.form]
        return values(one, form, self.state)


class Run:
    """One run.

    Args:
        witness: what is known before.
        by_hand: Keras's unit -> PyTorch's, those that were given.
        forced: Keras's unit -> the choice, where it is not open.
        fixed: the model keeps its own weights; no value is assigned.
        learned: (signature, number of choices) -> which of them was right elsewhere.
    """

    def __init__(
        self,
        witness: Witness,
        by_hand: Mapping[str, str],
        forced: Mapping[str, Choice],
        fixed: bool,
        learned: Mapping[tuple, int],
    ):
        self.known, self.by_hand, self.forced, self.fixed, self.learned = witness, by_hand, forced, fixed, learned
        self.free = [path for path in witness.theirs if path not in by_hand.values()]
        self.reserved = {choice.path for choice in forced.values()}
        self.walk = Walk()

    def arrive(self, name: str, value: Value) -> None:
        """Find the twin of a Keras unit whose layer is called with this value, and copy its weights."""
        if name in self.by_hand:
            self._take_given(name, self.by_hand[name], value)
            return
        fitting = self._fitting(name)
        if not fitting:
            return
        same = self._same(name, fitting, value)
        if not same:
            self._take_back(name, value)
        choice, how, others = self._choose(name, same, fitting)
        self.walk.choices[name] = [choice, *(other for other in others if other != choice)]
        self.walk.found.append(Seen(choice.path, name, how, choice.form))
        self.free.remove(choice.path)
        self._copy(choice, name, value)

    def _take_given(self, name: str, path: str, value: Value) -> None:
        """Copy what was given by hand, in the first of the forms that fit, or in the one to try."""
        options = [Choice(path, form) for form in range(len(self.known.forms(path, name)))]
        choice = self.forced.get(name, options[0])
        self.walk.choices[name] = [choice, *(other for other in options if other != choice)]
        self.walk.found.append(Seen(path, name, "given", choice.form))
        self._copy(choice, name, value)

    def _fitting(self, name: str) -> list[Choice]:
        """Return what fits a Keras unit, of its own kind first."""
        if name in self.forced:
            choice = self.forced[name]
            return [choice] if choice.path in self.free else []
        own = self.known.ours[name].kind
        paths = [path for path in self.free if path not in self.reserved]
        paths = sorted(paths, key=lambda path: self.known.theirs[path].kind != own)
        each = {path: self.known.forms(path, name) for path in paths}
        return [Choice(path, form) for form in (0, 1) for path in paths if form < len(each[path])]

    def _same(self, name: str, fitting: Sequence[Choice], value: Value) -> list[Choice]:
        """Return what was given this value, the nearest; what a parameter itself was used with tells more.

        Of single tensors those of the same name, too, whose module was given the value: what becomes of them is not
        always seen.
        """
        apart = {choice.path: self.known.apart(choice.path, value) for choice in fitting}
        leaf, unit = leaf_of(self.known.ours[name]), self.known.ours[name]
        for which in (0, 1):
            nearest = min(apart[choice.path][which] for choice in fitting)
            if np.isfinite(nearest):
                found = [choice for choice in fitting if self.known.is_near(apart[choice.path][which], nearest)]
                named = [c for c in fitting if unit.kind == FREE and leaf_of(self.known.theirs[c.path]) == leaf]
                return found + [c for c in named if np.isfinite(apart[c.path][1]) and c not in found]
        return []

    def _take_back(self, name: str, value: Value) -> None:
        """Note that a unit before this one has taken, on a guess, what was given the value that this one is given."""
        guesses = [pair for pair in self.walk.found if pair.how not in ("flow", "given")]
        guessed = [pair for pair in guesses if self.known.forms(pair.path, name)]
        needed = [pair.path for pair in guessed if np.isfinite(self.known.apart(pair.path, value)[1])]
        if needed:
            self.walk.taken_back[name] = Choice(needed[0])

    def _choose(
        self, name: str, same: Sequence[Choice], fitting: Sequence[Choice]
    ) -> tuple[Choice, str, Sequence[Choice]]:
        """Return a unit's twin, how it was found, and what it could have been as well."""
        unit, theirs = self.known.ours[name], self.known.theirs
        among = same or fitting
        if self.fixed:  # the weights themselves are a witness, too
            among = [choice for choice in among if self.known.holds(choice, name)] or among
        named = [choice for choice in among if have_one_name(theirs[choice.path], unit)]
        if unit.kind == FREE and not named:  # the scale and the shift of a norm are given the same
            named = [choice for choice in same if choice in among and leaf_of(theirs[choice.path]) == leaf_of(unit)]
        if same:
            ordered = self.in_order(same)
            likely = ordered[self.learned.get((unit.signature, len(same)), 0)]
            return (named or [likely if likely in among else among[0]])[0], "flow", same
        if named:
            return named[0], "name", named
        # Nothing was given this value: not what another one's name asks for, if there is more.
        asked = set(self.known.namesakes.values())
        left = [choice for choice in among if choice.path not in asked] or among
        unknown = [c for c in left if theirs[c.path].kind == FREE or not any(self.known.fed[c.path])]
        return left[0], "structure", unknown

    def in_order(self, choices: Collection[Choice]) -> list[Choice]:
        """Return choices in PyTorch's order, the first forms first."""
        order = {path: k for k, path in enumerate(self.known.theirs)}
        return sorted(choices, key=lambda choice: (choice.form, order[choice.path]))

    def _copy(self, choice: Choice, name: str, value: Value) -> None:
        plain = self.known.is_plain(choice.path, name, value)
        if plain:
            self.walk.plain.add(name)
        if not self.fixed:
            self.known.copy(choice, name, plain)


def owner_of(unit: Unit, model: Any) -> Any:
    """Return the layer that has a unit: of a weight that the model holds outside its innermost layers, the nearest."""
    if unit.owner is not model:
        return unit.owner
    held = {id(variable) for weight in unit.weights.values() for variable in weight.variables}
    inner = keras_internals.inner_layers(model, itself=True)  # each after the one that holds it
    return [layer for layer in inner if held <= {id(variable) for variable in layer.weights}][-1]


def is_stacked(unit: Unit) -> bool:
    """Return whether it is not the first of a stack of recurrent layers: what it is given is inside the module."""
    return unit.kind in RECURRENT and unit.name != unit.path and not unit.name.endswith("[0]")
