"""The layout of each tensor of a Keras model relative to PyTorch's, for two models that were written apart."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from keras_blitz.weights import kinds, layout
from keras_blitz.weights.layout import Layout
from parity.core.axes import CHANNELS, PART, channels_of, may_be_maps, unknown
from parity.pair.alike import Value, apart
from parity.pair.wiring import KerasCall

Sizes = tuple[int, ...]


@dataclass(frozen=True)
class Flat:
    """Features that were flattened.

    Args:
        sizes: (H, W, C) that they were flattened from.
        origin: the same for all that one Flatten has ordered, such as a Dropout's result after it.
    """

    sizes: Sizes
    origin: int


def flattened(
    ours: Sequence[KerasCall], inputs: Sequence[np.ndarray], theirs: Sequence, channels_first: bool = False
) -> dict[tuple[str, int], Flat]:
    """Find the calls whose features (N, H·W·C) were flattened from a channels-last tensor, by their values.

    (name, number) is the call's input, (name, −1 − number) what it returns. What PyTorch flattened in the same order,
    as after a Permute or of a sequence (N, T, C), is none of these; nor is what a model that keeps its channels first
    flattens, unless its Flatten is told so and moves them last.

    Args:
        ours: Keras's calls, in order.
        inputs: what the model was given.
        theirs: PyTorch's calls.
        channels_first: the Keras model keeps its channels on axis 1.
    """
    seen = [array for array in inputs if array.ndim > 2 and not channels_first]
    permuted: list[np.ndarray] = []
    known: list[tuple[np.ndarray, Flat]] = []  # flat arrays, and what they were flattened from
    found: dict[tuple[str, int], Flat] = {}
    orders = {shape[1:] for call in theirs for shape in (call.shape, call.fed) if len(shape) > 2}

    def reordered(sizes: Sizes) -> bool:
        return len(sizes) > 1 and (sizes not in orders or (sizes[-1], *sizes[:-1]) in orders)

    for call in ours:
        if call.given.ndim == 2 and (flat := _origin(call.given, known, seen)) and reordered(flat.sizes):
            found[call.name, call.number] = flat
            if call.name.endswith("/activation") or _keeps_features(call.layer):
                known.append((call.result, flat))
                found[call.name, -1 - call.number] = flat
        name = type(call.layer).__name__
        moves = channels_first and name == "Flatten" and call.layer.data_format == "channels_first"
        given = np.moveaxis(call.given, 1, -1) if moves and call.given.ndim > 2 else call.given
        flattens = moves if channels_first else name in ("Flatten", "Reshape")
        if flattens and call.result.ndim == 2 and reordered(given.shape[1:]):
            found[call.name, -1 - call.number] = Flat(given.shape[1:], _signature(call.result))
        if flattens and given.ndim > 2 and not channels_first and not any(_equal(given, each) for each in permuted):
            seen.append(given)  # what an operation returned, and no layer
        if name == "Permute":
            permuted.append(call.result)
            seen = [array for array in seen if array.size != call.result.size]  # its order is the user's affair
        elif call.result.ndim > 2 and not channels_first:
            seen.append(call.result)
        elif moves:
            seen.append(given)
    return found


def _origin(flat: np.ndarray, known: Sequence[tuple[np.ndarray, Flat]], seen: Sequence[np.ndarray]) -> Flat | None:
    """Return what an array (N, H·W·C) was flattened from, None where it was not."""
    same = (each for array, each in known if _equal(array, flat))
    new = (Flat(array.shape[1:], _signature(flat)) for array in reversed(seen) if _flat_of(array, flat))
    return next(same, None) or next(new, None)


def _signature(flat: np.ndarray) -> int:
    return hash(np.ascontiguousarray(flat).tobytes())


def _keeps_features(layer: Any) -> bool:
    kind = kinds.of_keras(layer)
    return kind is not None and kind.flatten == "keeps"


def _flat_of(array: np.ndarray, flat: np.ndarray) -> bool:
    return array.shape[0] == flat.shape[0] and array.size == flat.size and _equal(array.reshape(flat.shape), flat)


def _equal(one: np.ndarray, other: np.ndarray) -> bool:
    return one.shape == other.shape and np.array_equal(one, other)


@dataclass(frozen=True)
class Heads(Layout):
    """(N, T, heads, size) in Keras, as EinsumDense returns it; (N, T, heads · size) in PyTorch, as Linear does."""

    sizes: tuple[int, int] = (1, 1)

    def to_torch(self, array: np.ndarray) -> np.ndarray:
        """Return the array with its last two axes as one."""
        return array.reshape(self.torch_shape(array.shape))

    def to_keras(self, array: np.ndarray) -> np.ndarray:
        """Return the array with its last axis as two."""
        return array.reshape(*array.shape[:-1], *self.sizes)

    def torch_shape(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """Return PyTorch's shape."""
        return (*shape[:-2], shape[-2] * shape[-1])


def fit(shape: Sizes, expected: Sizes | None, channels_first: bool, *, inner: bool = False) -> Layout:
    """Return the layout in which a tensor of this shape has the expected one, the likelier where several do.

    Args:
        shape: Keras's.
        expected: PyTorch's.
        channels_first: whether axis 1 are PyTorch's channels; decides where both orders fit.
        inner: the tensor is not an output, so that heads may have an axis of their own.
    """
    candidates = both_orders(len(shape), channels_first)
    candidates += [Heads(sizes=(shape[-2], shape[-1]))] if inner and len(shape) > 2 else []
    return (fitting(candidates, shape, expected) or candidates)[0]


def both_orders(rank: int, channels_first: bool) -> list[Layout]:
    """Return channels last and PyTorch's own order; the latter first where PyTorch's channels are not on axis 1."""
    last = layout.by_rank(rank)
    return [last, layout.SAME] if channels_first else [layout.SAME, last]


def fitting(candidates: Sequence[Layout], shape: Sizes, expected: Sizes | None) -> list[Layout]:
    """Return the layouts in which a tensor of Keras's shape has PyTorch's; none where that is not known."""
    return [each for each in candidates if expected is not None and each.torch_shape(shape) == tuple(expected)]


def of_output(rank: int, axes: str, channels_first: bool, kept: bool = False, square: bool = False) -> list[Layout]:
    """Return the layouts in which Keras may return an output, the likelier first: as PyTorch does, or channels last.

    Only what has channels may have them last: a Gram matrix (N, C, C), an attention map (N, T, T) or boxes (N, A, 4)
    that Keras returns transposed are wrong. Where PyTorch's run does not tell, as of features that are reshaped, a
    tensor (N, C, H, W) may, and one (N, C, T) after a layer whose channels come first; one of features that were split,
    if its shape tells.

    Args:
        rank: of the output.
        axes: what PyTorch's axes hold, see `core.axes`; "" where it is not known.
        channels_first: whether axis 1 are the channels of what PyTorch's last layer returns.
        kept: the Keras model keeps its channels on axis 1.
        square: axes 1 and 2 of the output are of one size.
    """
    at = channels_of(axes)
    if at and rank > 2:
        last = layout.channels_last(rank, at)
        return [layout.SAME, last] if kept else [last, layout.SAME]
    letters = axes or unknown(rank)
    told = letters[1:2] == CHANNELS and not (square and letters[2] == PART)
    if not may_be_maps(letters) or (rank == 3 and not channels_first and not told):
        return [layout.SAME]
    return both_orders(rank, channels_first and not kept)


def by_values(candidates: Sequence[Layout], actual: np.ndarray, expected: np.ndarray, bound: float) -> Layout:
    """Return the layout, of those that fit, in which two tensors are nearest; the likeliest where they agree in none.

    Args:
        candidates: the likelier first.
        actual: Keras's, of PyTorch's weights.
        expected: PyTorch's.
        bound: the relative distance up to which two tensors agree.
    """
    own = Value(expected)
    distances = [apart(own, Value(each.to_torch(actual))) for each in candidates]
    nearest = min(distances, default=np.inf)
    return candidates[distances.index(nearest)] if nearest <= bound else candidates[0]
