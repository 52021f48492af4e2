"""The same random numbers on both sides, in train mode: which draw of Keras is which of PyTorch's."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from math import prod

import numpy as np

from keras_blitz.errors import BlitzError
from keras_blitz.weights import layout
from parity.core.draws import Draw, numbers
from parity.record.keras_draws import Place

# Of the largest value: what two draws are applied to counts as the same below it. A dropout's input is never nearly
# another's by chance, so that constants in float32 and reduced precision may have their rounding.
SAME, SAME_REDUCED = 1e-3, 0.1

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
    """

    def __init__(self, draws: Sequence[Draw], structure: Structure):
        self.left, self.structure = list(draws), structure
        self.extra: list[Place] = []
        self.known: dict[tuple[int, int], np.ndarray] = {}

    def pair(self, place: Place) -> np.ndarray | None:
        """Return the numbers of a place, and keep them for later runs."""
        if place.shape is None:
            return None
        draw = self._chosen(place)
        if draw is None:
            self.extra.append(place)
            values = numbers(place.kind, place.shape, f"keras:{place.layer.name}:{place.number}")
        else:
            self.left.remove(draw[0])
            values = draw[1]
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

    def _chosen(self, place: Place) -> tuple[Draw, np.ndarray] | None:
        """Return the draw that a place corresponds to, and its numbers in Keras's layout; None where there is none."""
        layers = {path for (name, _), path in self.structure.paths.items() if name == place.layer.name}
        fitting = [
            (self._distance(draw, place, arrange) >= self.structure.bound, draw.path != place.layer.name,
             draw.path not in {path.partition("#")[0] for path in layers}, order, rank, draw, values)
            for order, draw in enumerate(self.left)
            for rank, arrange in enumerate(self._arrangements(draw.path))
            if draw.kind == place.kind and (values := arrange(draw.numbers(), place.shape or ())) is not None
        ]  # fmt: skip
        return min(fitting, key=lambda each: each[:5])[5:] if fitting else None

    def _arrangements(self, path: str) -> list[Arrange]:
        """Return the ways in which an array of PyTorch's may be laid out in Keras, the likeliest first."""
        plain: list[Arrange] = [_as_it_is, _channels_last]
        ordered = plain[::-1] if self.structure.channels_first(path) else plain
        return [*ordered, *(partial(_flattened, sizes) for sizes in self.structure.sizes), _time_second, _reshaped]

    def _distance(self, draw: Draw, place: Place, arrange: Arrange) -> float:
        """Return how far apart the values are that two draws are applied to, of the largest; infinite if not known."""
        pairs = ((arrange(given, ours.shape), ours) for given in draw.given for ours in place.given)
        return min((_apart(theirs, ours) for theirs, ours in pairs if theirs is not None), default=np.inf)


def _apart(one: np.ndarray, other: np.ndarray) -> float:
    a, b = (np.asarray(value, "float64") for value in (one, other))
    return float(np.abs(a - b).max(initial=0) / max(np.abs(a).max(initial=0), 1e-300))


def _as_it_is(array: np.ndarray, shape: tuple[int, ...]) -> np.ndarray | None:
    return array if array.shape == shape else None


def _channels_last(array: np.ndarray, shape: tuple[int, ...]) -> np.ndarray | None:
    return _as_it_is(layout.by_rank(array.ndim).to_keras(array), shape)


def _flattened(sizes: tuple[int, ...], array: np.ndarray, shape: tuple[int, ...]) -> np.ndarray | None:
    flat = array.ndim == 2 and array.shape[1] == prod(sizes)
    return _as_it_is(layout.flattened(sizes).to_keras(array), shape) if flat else None


def _time_second(array: np.ndarray, shape: tuple[int, ...]) -> np.ndarray | None:
    """Swap the axes of a sequence (T, N, C), as PyTorch's recurrent modules have it."""
    return _as_it_is(array.swapaxes(0, 1), shape) if array.ndim == 3 else None


def _reshaped(array: np.ndarray, shape: tuple[int, ...]) -> np.ndarray | None:
    """Keep the order, as of attention's heads: (N·H, T, S) and (N, H, T, S)."""
    return array.reshape(shape) if array.size == prod(shape) else None
