"""Two models written apart, side by side: which call is which."""

from bisect import bisect_left
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from keras_blitz.weights import kinds
from keras_blitz.weights.kinds import Kind
from parity.pair.pairing import Match
from parity.pair.units import FREE, RECURRENT, Unit, cell_kind

Key = tuple[str, int]  # a Keras layer's name, and the number of the call from 0
Names = dict[Key, str]  # PyTorch's name of the call
Token = str | tuple[str, str]  # what a call does; ("=", PyTorch's path) of a layer with weights

# What a class does that the table of kinds does not know, by a word in its name or in that of its file.
FAMILIES = {
    "activation": "activation", "softmax": "activation", "dropout": "dropout", "pool": "pool", "flatten": "flatten",
    "upsampl": "upsample",
}  # fmt: skip

ALIGNED_AT_ONCE = 10**6  # pairs of calls, a second


@dataclass(frozen=True)
class KerasCall:
    """One call of a Keras layer: its name, number from 0, the layer, what it was given and returned (dry run)."""

    name: str
    number: int
    layer: Any
    given: np.ndarray
    result: np.ndarray


def channels_first(calls: Sequence) -> dict[str, bool]:
    """Say of each PyTorch call whether channels are its axis 1: a convolution's are; a ReLU's as what came before."""
    axes = [_channels(call.module) for call in calls]
    now = next((axis for axis in axes if axis is not None), 1)
    found = {}
    for call, axis in zip(calls, axes, strict=True):
        now = now if axis is None else axis
        found[call.name] = now == 1
    return found


def _channels(module: Any) -> int | None:
    """Return PyTorch's axis of channels in what a module returns; None where it is as in what the module was given.

    A user's own subclass may move them to the last axis and back, as ConvNeXt's `LayerNorm2d(nn.LayerNorm)` does; of an
    opened one that is left out.
    """
    kind, cls = kinds.of_torch(module), type(module)
    if kind is None:
        return None
    is_opened = any(each.__name__ == "Opened" for each in cls.__mro__)
    known = is_opened or cls.__name__ in kind.torch or kinds.is_of_framework(cls)
    return kind.channels if known or kind.channels == 1 else None


def family(layer: Any, kind: Kind | None) -> str:
    """Return what a layer without weights does, in a word both frameworks share."""
    if kind:
        return kind.name
    own, file = type(layer).__name__.lower(), type(layer).__module__.lower().rpartition(".")[2]
    return next((does for word, does in FAMILIES.items() if word in own or word in file), own)


def keras_family(layer: Any) -> str:
    """Return what a Keras layer does."""
    return family(layer, kinds.of_keras(layer))


def _does(call: KerasCall) -> str:
    """Return a call's family; a Lambda that keeps the shape is taken for an activation."""
    if call.name.endswith("/activation"):
        return "activation"
    does = keras_family(call.layer)
    return "activation" if does == "lambda" and call.given.shape == call.result.shape else does


def tokens(theirs: Sequence, ours: Sequence[KerasCall], units: Sequence[Match]) -> tuple[list[Token], list[Token]]:
    """Return what each call of both sides does; the arguments are those of `match`."""
    of = _paths(units)
    weighted = set(of.values())
    cut = [(one.path, other.path) for one, other, _ in units if is_piece(one) or is_piece(other)]

    def token(path: str | None, own: str, side: int, does: str) -> Token:
        if path is not None:
            return "=", path
        is_cut = any(names[side] == own for names in cut)  # such a layer returns what none of the other side does
        return f"piece {side}: {own}" if is_cut else does

    left = [
        token(c.path if c.path in weighted else None, c.path, 0, family(c.module, kinds.of_torch(c.module)))
        for c in theirs
    ]
    return left, [token(of.get(c.name), c.name, 1, _does(c)) for c in ours]


def is_piece(unit: Unit) -> bool:
    """Return whether a unit is a part of a layer of either side, of a packed one or without its bias."""
    is_keras_piece = bool(unit.weights) and unit.name.endswith("]") and unit.kind not in RECURRENT
    return unit.partial or unit.rows is not None or is_keras_piece


def _paths(units: Sequence[Match]) -> dict[str, str]:
    """Return Keras's layer -> PyTorch's path, of the layers whose weights are paired."""
    found = _of_own_modules(units)
    for one, other, _ in units:
        known = one.kind != FREE and not _is_inside(one) and not _is_a_bags_table(one, other)
        if known and not (is_piece(one) or is_piece(other)):
            found[other.path.removesuffix("/attention_output")] = one.path  # what an attention returns
    return found


def _of_own_modules(units: Sequence[Match]) -> dict[str, str]:
    """Return the same of classes of a user's own, such as a Linear with a transposed weight, beside a known layer."""
    layers: dict[str, set[str]] = {}
    whole = {one.path for one, _, _ in units if one.kind != FREE}
    for one, other, _ in units:
        path, layer = one.name.rpartition(".")[0], other.name.rpartition("/")[0]
        if one.kind == FREE == other.kind and path and path not in whole:
            layers.setdefault(path, set()).add(layer if _is_known(one, other) else "")
    single = {path: next(iter(names)) for path, names in layers.items() if len(names) == 1}
    counts = Counter(single.values())
    return {layer: path for path, layer in single.items() if layer and counts[layer] == 1}


def _is_known(one: Unit, other: Unit) -> bool:
    """Return whether one of the layers is a known one; not a table, which the other side may add to something.

    Nor is a Parameter, which returns the tensor itself and not what a module makes of it.
    """
    if type(other.owner).__name__ == "Parameter" and kinds.is_of_framework(type(other.owner)):
        return False
    found = (kinds.of_torch(one.owner), kinds.of_keras(other.owner))
    return any(kind is not None and kind.has_weights and kind.paired != "embedding" for kind in found)


def match(
    theirs: Sequence, ours: Sequence[KerasCall], units: Sequence[Match], met: Mapping[Key, str] | None = None
) -> Names:
    """Pair the calls: layers with weights as their weights are, the others by kind and order between those.

    Args:
        theirs: PyTorch's calls.
        ours: Keras's calls.
        units: the pairs of units, (PyTorch's, Keras's, how).
        met: pairs that come before all others, see `meeting.py`.
    """
    found: Names = dict(met or {})
    left, right = tokens(theirs, ours, units)
    places = {call.name: i for i, call in enumerate(theirs)}
    for j, call in enumerate(ours):
        if name := found.get((call.name, call.number)):  # what is left is aligned between these
            left[places[name]] = right[j] = ("met", name)
    for i, j in _aligned(left, right):
        if isinstance(left[i], tuple) or len(theirs[i].shape) == ours[j].result.ndim:
            found[ours[j].name, ours[j].number] = theirs[i].name
    calls, paths = {(c.path, c.number): c.name for c in theirs}, _paths(units)
    for call in ours:  # two branches may be called in either order
        name = calls.get((paths.get(call.name, ""), call.number))
        if name and name not in found.values():
            found[call.name, call.number] = name
    return found


def renamed(names: Names, dropouts: Names, theirs: Sequence) -> Names:
    """Pair the calls of dropout layers as their random numbers are, and the others as they were.

    Args:
        names: (name, number) of Keras's call -> PyTorch's name of the call.
        dropouts: the same of dropout layers; may name what is not a dropout module.
        theirs: PyTorch's calls.
    """
    known = {call.name for call in theirs if family(call.module, kinds.of_torch(call.module)) == "dropout"}
    found = {key: name for key, name in dropouts.items() if name in known}
    return {key: name for key, name in names.items() if name not in found.values()} | found


def _is_a_bags_table(one: Unit, other: Unit) -> bool:
    """Return whether an EmbeddingBag stands beside an Embedding, which returns what the bag adds up."""
    theirs, ours = kinds.of_torch(one.owner), kinds.of_keras(other.owner)
    return theirs is not None and ours is not None and (theirs.name, ours.name) == ("embeddingbag", "embedding")


def _is_inside(unit: Unit) -> bool:
    """Return whether what a recurrent unit returns is inside a layer on one side: a stack's, or a cell's in a loop."""
    if unit.kind not in RECURRENT:
        return False
    last = getattr(unit.owner, "num_layers", 1) - 1
    return (last > 0 and not unit.name.endswith(f"[{last}]")) or bool(cell_kind(unit.owner))


def _aligned(left: list, right: list) -> list[tuple[int, int]]:
    """Return the longest common subsequence as pairs of indices; a layer with weights counts for many without.

    The time of `_longest` is the product of both lengths. So layers with weights that both sides call once are matched
    first, and what is between two of those is aligned by itself. Where that leaves out a layer with weights, as where
    two branches are called in another order, everything is aligned at once, if it is not too long.
    """
    pairs = _between_anchors(left, right)
    counts = [Counter(token for token in side if isinstance(token, tuple)) for side in (left, right)]
    most = (counts[0] & counts[1]).total()
    if sum(isinstance(left[i], tuple) for i, _ in pairs) < most and len(left) * len(right) <= ALIGNED_AT_ONCE:
        return _longest(left, right)
    return pairs


def _between_anchors(left: list, right: list) -> list[tuple[int, int]]:
    ends = [*_anchors(left, right), (len(left), len(right))]
    pairs: list[tuple[int, int]] = []
    i = j = 0
    for end_i, end_j in ends:
        pairs += [(i + a, j + b) for a, b in _longest(left[i:end_i], right[j:end_j])]
        pairs += [(end_i, end_j)] if end_i < len(left) else []
        i, j = end_i + 1, end_j + 1
    return pairs


def _anchors(left: list, right: list) -> list[tuple[int, int]]:
    """Return the layers with weights that are called once on both sides: the most of them that are in one order."""
    counts = [Counter(side) for side in (left, right)]
    place = {token: k for k, token in enumerate(right)}
    once = [
        (k, place[token])
        for k, token in enumerate(left)
        if isinstance(token, tuple) and counts[0][token] == counts[1][token] == 1
    ]
    tails: list[int] = []  # the number in `once` that ends the best run of each length
    before: list[int] = []
    for number, (_, at) in enumerate(once):
        length = bisect_left([once[tail][1] for tail in tails], at) if tails and at < once[tails[-1]][1] else len(tails)
        before.append(tails[length - 1] if length else -1)
        tails[length : length + 1] = [number]
    found = []
    number = tails[-1] if tails else -1
    while number >= 0:
        found.append(once[number])
        number = before[number]
    return found[::-1]


def _longest(left: list, right: list) -> list[tuple[int, int]]:
    """Return the longest common subsequence as pairs of indices; a layer with weights counts for many without."""

    def worth(token):
        return 1000 if isinstance(token, tuple) else 1

    start = 0
    while start < min(len(left), len(right)) and left[start] == right[start]:
        start += 1
    best = np.zeros((len(left) + 1, len(right) + 1), np.int64)
    for i in range(len(left) - 1, start - 1, -1):
        for j in range(len(right) - 1, start - 1, -1):
            taken = best[i + 1, j + 1] + worth(left[i]) if left[i] == right[j] else -1
            best[i, j] = max(taken, best[i + 1, j], best[i, j + 1])
    pairs = [(k, k) for k in range(start)]
    i = j = start
    while i < len(left) and j < len(right):
        if left[i] == right[j] and best[i, j] == best[i + 1, j + 1] + worth(left[i]):
            pairs.append((i, j))
            i, j = i + 1, j + 1
        elif best[i + 1, j] >= best[i, j + 1]:
            i += 1
        else:
            j += 1
    return pairs
