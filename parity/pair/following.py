"""Which weights are whose, by what flows: two layers that are given the same value are one.

PyTorch's side is run once, in float64. Then the Keras model is run, and each layer that is called takes the weights of
the unit that was given the same value, so that what follows it gets the right values, too. Among several that were
given the same, such as an attention's query, key and value, names decide, then order; if the wrong one was taken, a
later layer, or the output, shows it, and the others are tried. Where no assignment makes the models agree, names decide
where both models have them, so that the difference is located where a reader looks for it.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf

from parity.core.trace import named_outputs
from parity.pair import feed, pairing, settling
from parity.pair.alike import Value
from parity.pair.fits import prepared
from parity.pair.guard import guarded
from parity.pair.options import typed
from parity.pair.pairing import Seen
from parity.pair.theirs import Theirs
from parity.pair.units import Unit, cell_kind
from parity.pair.walking import Choice, Run, Walk, Witness, is_stacked, owner_of
from parity.record import torch_state
from parity.record.watch import watched

# Runs of the Keras model, at most. An attention without names takes 6 for the orders of query, key and value, and six
# layers given one value 720. A run takes the time of the model, so a large one has fewer beyond the first 24.
RUNS = 24
MORE_RUNS = 6000  # divided by the number of units
DEAD_RUNS = 8  # at most, where the outputs agree and a layer was given another value than the unit that it took


@dataclass(frozen=True)
class Followed:
    """What the runs of both models have told.

    Args:
        found: the numbers of PyTorch's unit and of Keras's, how, and in which form.
        plain: the numbers of Keras's units given features that PyTorch has flattened in the same order.
        agrees: the outputs are PyTorch's.
        runs: how many assignments were tried.
        cut: there were more to try.
        reading: of PyTorch's units, see `readings.py`.
    """

    found: list[tuple[int, int, str, int]]
    plain: list[int]
    agrees: bool
    runs: int
    cut: bool
    reading: Any = None


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
        self.by_hand = {name: path for path, name in given.items()}
        state = typed(torch_state.held_by(theirs.module), "float32")
        self.known = Witness(units, {unit.name: _fed(theirs, unit) for unit in units[0]}, state, dtype)
        outputs = theirs.flow.outputs
        self.outputs = {name: Value(array) for name, array in outputs.items() if array.dtype.kind == "f"}
        self.runs, self.most = 0, RUNS + MORE_RUNS // max(1, len(units[1]))
        self.cut = False
        self.learned: dict[tuple, int] = {}  # (signature, units given the same) -> which of them was right
        self.owners: dict[int, Any] = {}
        self.owned: dict[int, list[str]] = {}
        for unit in units[1]:
            owner = owner_of(unit, model)
            self.owners[id(owner)] = owner
            self.owned.setdefault(id(owner), []).append(unit.name)

    def follow(self) -> Walk:
        """Run the Keras model, again with other choices where a layer or the output shows that one was wrong."""
        best = self._walk({})
        open_ones, tried = self._others(best, {}), set[tuple]()
        while open_ones and self.runs < self.most and not self._is_done(best):
            forced = open_ones.pop()
            key = tuple(sorted(forced.items()))
            if key not in tried:
                tried.add(key)
                walk = self._walk(forced)
                if self._is_better(walk, best):
                    self._learn(forced, best)
                    best = walk
                open_ones += self._others(walk, forced)
        self.cut = bool(open_ones) and self.runs >= self.most
        return self._by_names(best)

    def _is_done(self, best: Walk) -> bool:
        """Whether the outputs agree, and not by chance: a dead layer gives the same ones, whatever comes before it."""
        crossed = any(pair.how != "flow" and any(self.known.fed[pair.path]) for pair in best.found)
        return best.apart <= self.known.rounding and not (crossed and self.runs < DEAD_RUNS)

    def _is_better(self, walk: Walk, best: Walk) -> bool:
        """Whether a run has better pairs: outputs that agree, or are nearer by far, else more units by flow."""
        if max(walk.apart, best.apart) <= self.known.rounding:
            return walk.flows > best.flows
        if walk.agrees and best.agrees:
            return not self.known.is_near(best.apart, walk.apart)
        return (walk.agrees, walk.flows) > (best.agrees, best.flows)

    def _by_names(self, best: Walk) -> Walk:
        """Return the run in which units of one name are twins, where that of the best pairs is another.

        Where the best pairs agree it must agree, too, but for the order of the outputs: two heads that are exchanged
        are a mistake, and not two heads that have each other's names.
        """
        names = {name: Choice(path) for name, path in self.known.namesakes.items()}
        named = {name: choice for name, choice in names.items() if choice.path not in self.by_hand.values()}
        crossed = [pair for pair in best.found if pair.name in named and named[pair.name].path != pair.path]
        walk = self._walk(named) if crossed else best
        return best if best.agrees and np.isinf(walk.in_any_order) else walk

    def _learn(self, forced: Mapping[str, Choice], walk: Walk) -> None:
        """Keep which of several was right: in the next block of the same layers it will be again."""
        for name, choice in forced.items():
            options = Run(self.known, {}, {}, True, {}).in_order(walk.choices.get(name, ()))
            if len(options) > 1 and choice in options:
                self.learned[self.known.ours[name].signature, len(options)] = options.index(choice)

    def _others(self, walk: Walk, forced: Mapping[str, Choice]) -> list[dict[str, Choice]]:
        """Return the choices to try after a run: last the one to try first, what a guess gives back or the latest."""
        names = [pair.name for pair in walk.found]
        others = []
        for name in reversed(walk.open_choices):
            before = {pair.name: Choice(pair.path, pair.form) for pair in walk.found[: names.index(name)]}
            others += [{**before, name: choice} for choice in reversed(walk.choices[name][1:])]
        return [*others, {**forced, **walk.taken_back}] if walk.taken_back else others

    def _walk(self, forced: Mapping[str, Choice]) -> Walk:
        """Run the Keras model once.

        Args:
            forced: Keras's unit -> the choice, for those that are not open.
        """
        self.runs += 1
        run = Run(self.known, self.by_hand, forced, self.fixed, self.learned)
        seen: set[int] = set()

        def before(layer: Any, given: Any) -> None:
            if id(layer) in seen or not tf.executing_eagerly() or not tf.is_tensor(given):
                return
            seen.add(id(layer))
            value = Value(np.asarray(given))
            for name in self.owned[id(layer)]:
                run.arrive(name, value)

        with watched(self.owners.values(), before):
            output = guarded("the Keras model", feed.run, self.theirs, self.model, self.dtype)
        run.walk.apart, run.walk.in_any_order = self._apart(output)
        return run.walk

    def _apart(self, output: Any) -> tuple[float, float]:
        """Return how far the output that is furthest from PyTorch's is, by place and in any order; infinite if not one.

        Outputs are those of one name, or of one place, where both models return as many: two heads of one shape that
        are given the same value are told apart by nothing else.
        """
        actual = {name: Value(np.asarray(value)) for name, value in named_outputs(output)}
        flow = self.theirs.flow.outputs
        if actual.keys() != flow.keys() and len(actual) == len(flow):
            actual = dict(zip(flow, actual.values(), strict=True))

        def furthest(ours: Callable[[str], Iterable[Value]]) -> float:
            bound, kept = self.known.bound, feed.keeps_channels_first(self.model)
            each = (
                [settling.output_distance(self.theirs, name, own, other, kept, bound) for other in ours(name)]
                for name, own in self.outputs.items()
            )
            return max((min(distances, default=np.inf) for distances in each), default=0.0)

        in_any_order = furthest(lambda name: actual.values())
        return furthest(lambda name: [actual[name]]) if len(actual) == len(flow) else in_any_order, in_any_order


def _fed(theirs: Theirs, unit: Unit) -> list[list[Value]]:
    """Return what a unit of PyTorch's was given: what its tensor was used with, then what its module was given."""
    if is_stacked(unit):
        return []
    path = next((path for path, module in theirs.module.named_modules() if module is unit.owner), "")
    given = theirs.flow.given.get(path, [])
    for name in unit.added:
        given = [*given, *theirs.flow.given.get(name.rpartition(".")[0], ())]
    if unit.name.startswith(f"{path}[out_proj]"):
        given = []
    if unit.number and path in theirs.flow.arguments:  # an attention's key and value
        given = [each[unit.number] for each in theirs.flow.arguments[path] if unit.number < len(each)]
    if cell_kind(unit.owner) and len({array.shape for array in given}) == 1:
        given = [*given, np.stack(given, 1)]  # (N, T, C), what the whole layer is given
    own = [Value(array) for array in given]
    met = [value for name in (unit.name, *unit.added) for value in theirs.flow.met.get(name, ())]
    return [[Value(array) for array in met], own] if met else [own]


def notes(theirs: Theirs, units: Sequence[pairing.Match]) -> list[str]:
    """Say how weights were paired where it was not all by what flows, and how many assignments were tried.

    Args:
        theirs: PyTorch's side, after `paired`.
        units: the pairs.
    """
    counts = Counter(how for _, _, how in units)
    found = []
    if counts["name"] + counts["structure"]:
        how = ", ".join(f"{count} by {how}" for how, count in counts.items() if how != "given")
        found.append(f"weights paired: {how}; by flow: both received the same value")
    runs, cut = max((each.runs for each in theirs.followed), default=1), any(each.cut for each in theirs.followed)
    if runs > 1:
        agreed = "one of which agrees" if any(each.agrees for each in theirs.followed) else "none of which agrees"
        more = "; there are more: weights= names the pairs" if cut else ""
        found.append(f"{runs} assignments of weights given the same value were tried, {agreed}{more}")
    return found


def paired(
    theirs: Theirs, model: Any, dtype: str, units: tuple[Sequence[Unit], Sequence[Unit]], given: Mapping[str, str],
    fixed: bool, reading: Any = None,
) -> tuple[list[Seen], set[str]]:  # fmt: skip
    """Return the pairs of units that a run of both tells, and Keras's that are given features in PyTorch's order.

    The arguments are those of `Follower`, and how PyTorch's weights are read. What one precision has told holds for the
    others, whose layers may have other names, if the models agreed in it; else this precision is asked, too.
    """
    torch_side, keras_side = prepared(*units, given)
    known = [each for each in theirs.followed if each.reading == reading]
    if not (known and known[-1].agrees):
        by_hand = pairing.pairs_by_hand(torch_side, keras_side, given)
        hand = {one.name: other.name for one, other in by_hand}
        follower = Follower(theirs, model, dtype, (torch_side, keras_side), hand, fixed)
        walk = follower.follow()
        names = [[unit.name for unit in side] for side in (torch_side, keras_side)]
        found = [(names[0].index(p.path), names[1].index(p.name), p.how, p.form) for p in walk.found]
        plain = [names[1].index(name) for name in walk.plain]
        if walk.agrees or not known:
            known.append(Followed(found, plain, walk.agrees, follower.runs, follower.cut, reading))
            theirs.followed.append(known[-1])
        if walk.agrees:
            theirs.flow.forget()
    told = known[-1]
    seen = [Seen(torch_side[i].name, keras_side[j].name, how, form) for i, j, how, form in told.found]
    return seen, {keras_side[j].name for j in told.plain}
