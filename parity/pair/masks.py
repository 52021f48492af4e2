"""The same random numbers on both sides, in train mode: which draw of Keras is which of PyTorch's."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from math import prod

import numpy as np

from keras_blitz.errors import BlitzError
from keras_blitz.weights import layout
from parity.core.draws import Draw, mirrored, numbers
from parity.record.keras_draws import Place

# Of the largest value: what two draws are applied to counts as the same below it. A dropout's input is never nearly
# another's by chance, so that constants in float32 and reduced precision may have their rounding.
SAME, SAME_REDUCED = 1e-3, 0.1
RUNS = 64  # at most, to find a pairing under which the outputs agree

Arrange = Callable[[np.ndarray, tuple[int, ...]], np.ndarray | None]


class UnsharedError(BlitzError):
    """Random numbers of the two frameworks cannot be paired, so that no verdict is possible."""


@dataclass(frozen=True)
class Structure:
    """What the pairing of the layers tells of where random numbers are drawn.

    Args:
        paths: (layer's name, number of its call) -> PyTorch's name of the call.
        sizes: what Keras's features were flattened from, (H, W, C).
        channels_first: PyTorch's name of a call -> whether its axis 1 holds the channels that Keras has last.
        bound: SAME or SAME_REDUCED.
    """

    paths: Mapping[tuple[str, int], str]
    sizes: frozenset[tuple[int, ...]]
    channels_first: Callable[[str], bool]
    bound: float = SAME


class Shared:
    """Pairs the draws of a Keras model, in a first run, with those of PyTorch, and gives them PyTorch's numbers.

    A draw is paired with the one of PyTorch that is applied to the same values; among equals, and where none is, the
    name decides, then the layer, then the order. What is left over gets numbers of its own, which the comparison shows.

    Args:
        draws: PyTorch's, in order.
        structure: decides where values do not.
        choices: of each place, in order, which of its options to take; the first where there is none.
    """

    def __init__(self, draws: Sequence[Draw], structure: Structure, choices: Sequence[int] = ()):
        self.left, self.structure, self.choices = list(draws), structure, list(choices)
        self.extra: list[Place] = []
        self.known: dict[tuple[int, int], np.ndarray] = {}
        self.names: dict[tuple[int, int], str] = {}  # (layer's id, number of its draw) -> the draw's name in PyTorch
        self.options: list[int] = []  # how many each place has
        self.strange = 0  # places that are applied to other values than any draw of PyTorch

    def pair(self, place: Place) -> np.ndarray | None:
        """Return the numbers of a place, and keep them for later runs."""
        if place.shape is None:
            return None
        options = self._options(place)
        choice = self.choices[len(self.options)] if len(self.options) < len(self.choices) else 0
        self.options.append(len(options))
        if options:
            draw, values = options[min(choice, len(options) - 1)]
            self.left.remove(draw)
            self.names[id(place.layer), place.number] = draw.name
        else:
            self.extra.append(place)
            values = numbers(place.kind, place.shape, f"keras:{place.layer.name}:{place.number}")
        self.known[id(place.layer), place.number] = values
        return values

    def again(self, place: Place) -> np.ndarray | None:
        """Return the numbers of a place that the first run paired; None where it drew none there."""
        return self.known.get((id(place.layer), place.number))

    def notes(self) -> list[str]:
        """Say what one side draws alone.

        Raises:
            UnsharedError: one side may draw in one piece what the other draws in several.
        """
        ours = ", ".join(dict.fromkeys(place.layer.name for place in self.extra))
        theirs = ", ".join(dict.fromkeys(draw.path or "forward" for draw in self.left))
        sizes = [sum(prod(each.shape or ()) for each in side) for side in (self.extra, self.left)]
        if self.extra and sizes[0] == sizes[1] and len(self.extra) != len(self.left):
            raise UnsharedError(
                f"{ours}: Keras draws in {len(self.extra)} pieces the random numbers that PyTorch draws in "
                f"{len(self.left)} ({theirs}), so that they cannot be shared; use train=False, or a rate of 0"
            )
        found = []
        if ours:
            found.append(f"{ours}: Keras draws random numbers in train mode that PyTorch's module does not draw")
        if theirs:
            found.append(f"{theirs}: PyTorch draws random numbers in train mode that the Keras model does not draw")
        return found

    def _options(self, place: Place) -> list[tuple[Draw, np.ndarray]]:
        """Return the draws that a place may correspond to, with their numbers in Keras's layout, the likeliest first.

        Those that are applied to the same values; where there is none, one. Numbers of which it is not known what is
        kept may be meant the other way round.
        """
        fitting = sorted(self._fitting(place), key=lambda each: each[:5])
        close = [each for each in fitting if not each[0]]
        self.strange += not close
        draws = {id(draw): (draw, values) for *_, draw, values in reversed(close or fitting[:1])}
        likeliest = list(draws.values())[::-1]
        kinds = {place.kind, *(draw.kind for draw, _ in likeliest)}
        turned = [] if kinds == {"mask"} else [(draw, mirrored(place.kind, values)) for draw, values in likeliest]
        return [*likeliest, *turned]

    def _fitting(self, place: Place) -> Iterator[tuple]:
        """Yield (how unlike a draw is in five respects …, the draw, its numbers in Keras's layout)."""
        of = {path for (name, _), path in self.structure.paths.items() if name == place.layer.name}
        modules = {path.partition("#")[0] for path in of}
        for order, draw in enumerate(self.left):
            if (draw.kind == "normal") != (place.kind == "normal"):
                continue
            for rank, arrange in enumerate(self._arrangements(draw.path)):
                values = arrange(draw.numbers(), place.shape or ())
                if values is not None:
                    far = self._distance(draw, place, arrange) >= self.structure.bound
                    named = draw.path == place.layer.name
                    yield far, not named, draw.path not in modules, order, rank, draw, values

    def _arrangements(self, path: str) -> list[Arrange]:
        """Return the ways in which an array of PyTorch's may be laid out in Keras, the likeliest first."""
        plain: list[Arrange] = [_as_it_is, _channels_last]
        ordered = plain[::-1] if self.structure.channels_first(path) else plain
        return [*ordered, *(partial(_flatten, sizes) for sizes in self.structure.sizes), _time_second, _reshape]

    def _distance(self, draw: Draw, place: Place, arrange: Arrange) -> float:
        """Return how far apart the values are that two draws are applied to, of the largest; infinite if not known."""
        pairs = ((arrange(given, ours.shape), ours) for given in draw.given for ours in place.given)
        return min((apart(theirs, ours) for theirs, ours in pairs if theirs is not None), default=np.inf)


def paired(draws: Sequence[Draw], structure: Structure, run: Callable[[Shared], float]) -> Shared:
    """Return the pairing under which a Keras model does what PyTorch does, if there is one among those that fit.

    Another option of a place is tried only where the outputs differ, in order: an early wrong one makes all values
    after it differ.

    Args:
        draws: PyTorch's, in order.
        structure: decides where values do not.
        run: runs the Keras model with a pairing, and returns how far its outputs are from PyTorch's, relative.
    """

    def tried(choices: Sequence[int]) -> tuple[int, float, Shared]:
        shared = Shared(draws, structure, choices)
        apart = run(shared)
        return shared.strange, apart, shared

    best, runs, place = tried(()), 1, 0
    while place < len(best[2].options) and best[1] >= structure.bound and runs < RUNS:
        before = best[2].choices + [0] * (place - len(best[2].choices))
        for option in range(1, min(best[2].options[place], RUNS - runs)):
            best = min(best, tried([*before[:place], option]), key=lambda each: each[:2])
            runs += 1
        place += 1
    return best[2]


def apart(one: np.ndarray, other: np.ndarray) -> float:
    """Return the largest difference, relative to the largest value."""
    a, b = (np.asarray(value, "float64") for value in (one, other))
    return float(np.abs(a - b).max(initial=0) / max(np.abs(a).max(initial=0), 1e-300))


def _as_it_is(array: np.ndarray, shape: tuple[int, ...]) -> np.ndarray | None:
    return array if array.shape == shape else None


def _channels_last(array: np.ndarray, shape: tuple[int, ...]) -> np.ndarray | None:
    return _as_it_is(layout.by_rank(array.ndim).to_keras(array), shape)


def _flatten(sizes: tuple[int, ...], array: np.ndarray, shape: tuple[int, ...]) -> np.ndarray | None:
    flat = array.ndim == 2 and array.shape[1] == prod(sizes)
    return _as_it_is(layout.flattened(sizes).to_keras(array), shape) if flat else None


def _time_second(array: np.ndarray, shape: tuple[int, ...]) -> np.ndarray | None:
    """Swap the axes of a sequence (T, N, C), as PyTorch's recurrent modules have it."""
    return _as_it_is(array.swapaxes(0, 1), shape) if array.ndim == 3 else None


def _reshape(array: np.ndarray, shape: tuple[int, ...]) -> np.ndarray | None:
    """Keep the order, as of attention's heads: (N·H, T, S) and (N, H, T, S)."""
    return array.reshape(shape) if array.size == prod(shape) else None
