"""Which weights are whose, by what flows: two layers that are given the same value are one.

PyTorch's side is run once, in float64. Then the Keras model is run, and each layer that is called takes the weights of
the unit that was given the same value, so that what follows it gets the right values, too. Among several that were
given the same, such as an attention's query, key and value, names decide, then order; if the wrong one was taken, a
later layer, or the output, shows it, and the others are tried.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
import tensorflow as tf

from keras_blitz import keras_internals
from parity.core import tolerance
from parity.core.modes import PRECISIONS
from parity.core.trace import named_outputs
from parity.pair import feed, pairing
from parity.pair.alike import Value, distance
from parity.pair.fits import fitted, leaf_of, prepared
from parity.pair.guard import guarded
from parity.pair.options import typed
from parity.pair.pairing import have_one_name, values
from parity.pair.theirs import Theirs
from parity.pair.units import FREE, Unit
from parity.record import torch_flow, torch_recorder
from parity.record.watch import watched

RUNS = 24  # of the Keras model, at most: an attention without names takes 6 for the orders of query, key and value

Found = tuple[str, str, str]  # PyTorch's unit, Keras's unit, how


@dataclass
class Walk:
    """What one run of the Keras model has told.

    Args:
        found: the pairs, in the order of Keras's calls; `how` is "flow", "name" or "structure".
        choices: Keras's unit -> the units of PyTorch that it could have had as well, the one it took first.
        taken_back: Keras's unit -> the unit of PyTorch that it needs and that one before it has taken on a guess.
        agree: the outputs are PyTorch's.
    """

    found: list[Found] = field(default_factory=list)
    choices: dict[str, list[str]] = field(default_factory=dict)
    taken_back: dict[str, str] = field(default_factory=dict)
    agree: bool = False

    @property
    def score(self) -> tuple[bool, int]:
        """Of two runs, the one with the greater score has the better pairs."""
        return self.agree, sum(how == "flow" for _, _, how in self.found)

    @property
    def open_choices(self) -> list[str]:
        """The units of Keras whose choice may be why the next one did not find its twin; the latest first."""
        hows = [how for _, _, how in self.found]
        last = len(hows) - 1 - hows[::-1].index("flow") if "flow" in hows else -1
        lost = next((k for k in range(last + 1, len(hows)) if hows[k] != "flow"), len(hows))
        return [name for _, name, _ in self.found[lost::-1] if len(self.choices.get(name, ())) > 1]


class Follower:
    """Both models, ready to be run beside each other.

    Args:
        theirs: PyTorch's side.
        model: the Keras model, whose weights are overwritten.
        dtype: a name in `PRECISIONS`.
        units: PyTorch's and Keras's units, in the order they are called.
        given: the pairs that were given by hand: PyTorch's unit -> Keras's.
        fixed: the model keeps its own weights; no value is assigned.
    """

    def __init__(
        self, theirs: Theirs, model: Any, dtype: str, units: tuple[Sequence[Unit], Sequence[Unit]],
        given: Mapping[str, str], fixed: bool = False,
    ):  # fmt: skip
        self.theirs, self.model, self.dtype, self.fixed = theirs, model, dtype, fixed
        self.bound = tolerance.GIVEN[PRECISIONS[dtype].compute]
        self.rounding = tolerance.GIVEN_ROUNDING[PRECISIONS[dtype].compute]
        self.units = {unit.name: unit for unit in units[0]}
        self.ours = {unit.name: unit for unit in units[1]}
        self.by_hand = {name: path for path, name in given.items()}
        run = partial(torch_flow.given, theirs.module, typed(theirs.inputs, "float64"))
        fed, outputs = guarded("the PyTorch module", run)
        paths = {id(module): path for path, module in theirs.module.named_modules()}
        values = {path: [Value(array) for array in arrays] for path, arrays in fed.items()}
        self.fed = {
            name: [] if _is_stacked(unit) else values.get(paths.get(id(unit.owner), ""), [])
            for name, unit in self.units.items()
        }  # fmt: skip
        self.outputs = {name: Value(array) for name, array in outputs.items() if array.dtype.kind == "f"}
        self.state = typed(torch_recorder.state_of(theirs.module), "float32")
        self.fit: dict[tuple[str, str], bool] = {}
        self.runs = 0
        self.learned: dict[tuple, int] = {}  # (signature, units given the same) -> which of them was right
        self.owners: dict[int, Any] = {}
        self.owned: dict[int, list[Unit]] = {}
        for unit in self.ours.values():
            owner = _owner(unit, model)
            self.owners[id(owner)] = owner
            self.owned.setdefault(id(owner), []).append(unit)

    def follow(self) -> Walk:
        """Run the Keras model, again with other choices where a layer or the output shows that one was wrong."""
        best = self._walk({})
        open_ones, tried = self._others(best, {}), set[tuple]()
        while open_ones and not best.agree and self.runs < RUNS:
            forced = open_ones.pop()
            key = tuple(sorted(forced.items()))
            if key not in tried:
                tried.add(key)
                walk = self._walk(forced)
                if walk.score > best.score:
                    self._learn(forced, best)
                best = max(best, walk, key=lambda each: each.score)  # the first of equals
                open_ones += self._others(walk, forced)
        return best

    def _learn(self, forced: Mapping[str, str], walk: Walk) -> None:
        """Keep which of several was right: in the next block of the same layers it will be again."""
        for name, path in forced.items():
            options = self._in_order(walk.choices.get(name, ()))
            if len(options) > 1 and path in options:
                self.learned[self.ours[name].signature, len(options)] = options.index(path)

    def _in_order(self, names: Collection[str]) -> list[str]:
        return [name for name in self.units if name in names]

    def _others(self, walk: Walk, forced: Mapping[str, str]) -> list[dict[str, str]]:
        """Return the choices to try after a run: last the one to try first, what a guess gives back or the latest."""
        names = [name for _, name, _ in walk.found]
        others = []
        for name in reversed(walk.open_choices):
            before = {other: path for path, other, _ in walk.found[: names.index(name)]}
            others += [{**before, name: path} for path in reversed(walk.choices[name][1:])]
        return [*others, {**forced, **walk.taken_back}] if walk.taken_back else others

    def _walk(self, forced: Mapping[str, str]) -> Walk:
        """Run the Keras model once.

        Args:
            forced: Keras's unit -> PyTorch's, for the choices that are not open.
        """
        self.runs += 1
        walk = Walk()
        free = {name: unit for name, unit in self.units.items() if name not in self.by_hand.values()}
        reserved = set(forced.values())
        seen: set[int] = set()

        def before(layer: Any, given: Any) -> None:
            if id(layer) in seen or not tf.executing_eagerly() or not tf.is_tensor(given):
                return
            seen.add(id(layer))
            value = Value(np.asarray(given))
            for unit in self.owned[id(layer)]:
                self._arrive(walk, unit, value, free, reserved, forced)

        with watched(self.owners.values(), before):
            output = guarded("the Keras model", feed.run, self.theirs, self.model, self.dtype)
        walk.agree = self._agree(output)
        return walk

    def _arrive(
        self, walk: Walk, unit: Unit, value: Value, free: dict[str, Unit], reserved: set[str], forced: Mapping[str, str]
    ) -> None:
        """Find the twin of a Keras unit whose layer is called with this value, and copy its weights."""
        if unit.name in self.by_hand:
            self._copy(self.units[self.by_hand[unit.name]], unit)
            return
        fitting = [
            one
            for one in free.values()
            if self._fits(one, unit) and (one.name not in reserved or forced.get(unit.name) == one.name)
        ]
        if self.fixed:  # the weights themselves are the first witness
            fitting = [one for one in fitting if self._holds(unit, one)] or fitting
        apart = {one.name: self._apart(one, value) for one in fitting}
        if unit.name in forced:
            fitting = [one for one in fitting if one.name == forced[unit.name]]
        if not fitting:
            return
        nearest = min(apart[one.name] for one in fitting)
        same = [one for one in fitting if np.isfinite(nearest) and self._is_near(apart[one.name], nearest)]
        if not same:
            held = [p for p, n, how in walk.found if how != "flow" and self._fits(self.units[p], unit)]
            needed = [path for path in held if np.isfinite(self._apart(self.units[path], value))]
            if needed:
                walk.taken_back[unit.name] = needed[0]
        one, how, others = self._choose(unit, same, fitting)
        walk.choices[unit.name] = [one.name, *(o.name for o in others if o is not one)]
        walk.found.append((one.name, unit.name, how))
        del free[one.name]
        self._copy(one, unit)

    def _choose(self, unit: Unit, same: list[Unit], fitting: list[Unit]) -> tuple[Unit, str, list[Unit]]:
        """Return a unit's twin, how it was found, and what it could have been as well."""
        named = [one for one in same or fitting if have_one_name(one, unit)]
        if unit.kind == FREE and not named:  # the scale and the shift of a norm are given the same
            named = [one for one in same if leaf_of(one) == leaf_of(unit)]
        if same:
            likely = same[self.learned.get((unit.signature, len(same)), 0)]
            return (named or [likely])[0], "flow", same
        if named:
            return named[0], "name", named
        # Nothing was given this value: not what another one's name asks for, if there is more.
        names = [one for one in fitting if not any(have_one_name(one, o) for o in self.ours.values())]
        left = names or fitting
        unknown = [one for one in left if one.kind == FREE or not self.fed[one.name]]
        return left[0], "structure", unknown

    def _fits(self, one: Unit, other: Unit) -> bool:
        key = one.name, other.name
        if key not in self.fit:
            self.fit[key] = fitted(one, other) is not None
        return self.fit[key]

    def _apart(self, one: Unit, value: Value) -> float:
        return min((distance(fed, value, self.bound) for fed in self.fed[one.name]), default=np.inf)

    def _is_near(self, apart: float, nearest: float) -> bool:
        return apart <= max(nearest * tolerance.GIVEN_FACTOR, self.rounding)

    def _copy(self, one: Unit, other: Unit) -> None:
        if not self.fixed:
            for weight, value in values(one, fitted(one, other) or other, self.state):
                weight.assign(value)

    def _holds(self, other: Unit, one: Unit) -> bool:
        """Return whether a Keras unit has the weights of PyTorch's, as a model has that was converted."""
        return all(
            np.array_equal(weight.value(), value)
            for weight, value in values(one, fitted(one, other) or other, self.state)
        )

    def _agree(self, output: Any) -> bool:
        """Return whether each of PyTorch's outputs is one of Keras's."""
        actual = [Value(np.asarray(value)) for _, value in named_outputs(output)]
        return all(any(np.isfinite(distance(one, a, self.bound)) for a in actual) for one in self.outputs.values())


def _is_stacked(unit: Unit) -> bool:
    """Return whether it is not the first of a stack of recurrent layers: what it is given is inside the module."""
    return unit.name != unit.path and not unit.name.endswith("[0]")


def _owner(unit: Unit, model: Any) -> Any:
    """Return the layer that has a unit: of a weight that the model holds outside its innermost layers, the nearest."""
    if unit.owner is not model:
        return unit.owner
    held = {id(variable) for weight in unit.weights.values() for variable in weight.variables}
    inner = keras_internals.inner_layers(model, itself=True)  # each after the one that holds it
    return [layer for layer in inner if held <= {id(variable) for variable in layer.weights}][-1]


def paired(
    theirs: Theirs, model: Any, dtype: str, units: tuple[Sequence[Unit], Sequence[Unit]], given: Mapping[str, str],
    fixed: bool,
) -> list[Found]:  # fmt: skip
    """Return the pairs of units that a run of both models tells.

    The arguments are those of `Follower`. What one precision has told holds for the other, whose layers may have other
    names.
    """
    torch_side, keras_side = prepared(*units, given)
    if not theirs.paired:
        by_hand = pairing.pairs_by_hand(torch_side, keras_side, given)
        hand = {one.name: other.name for one, other in by_hand}
        walk = Follower(theirs, model, dtype, (torch_side, keras_side), hand, fixed).follow()
        names = [[unit.name for unit in side] for side in (torch_side, keras_side)]
        theirs.paired[:] = [(names[0].index(p), names[1].index(n), how) for p, n, how in walk.found]
    return [(torch_side[i].name, keras_side[j].name, how) for i, j, how in theirs.paired]
