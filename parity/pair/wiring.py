"""Two models written apart, side by side: which call is which, and how each tensor lies."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from keras_blitz.weights import layout
from keras_blitz.weights.layout import Layout
from parity.core.trace import Trace
from parity.pair import pairing

# PyTorch's modules that keep channels on axis 1, by the last part of the file they are defined in.
SPATIAL = ("conv", "batchnorm", "pooling", "instancenorm", "upsampling", "padding", "pixelshuffle")
SEQUENTIAL = ("linear", "sparse", "rnn", "transformer")


@dataclass(frozen=True)
class KerasCall:
    """One call of a Keras layer: its name, number from 0, the layer, what it was given and returned (dry run)."""

    name: str
    number: int
    layer: Any
    given: np.ndarray
    result: np.ndarray


def spatial(calls: Sequence) -> dict[str, bool]:
    """Say of each PyTorch call whether channels are its axis 1: a convolution's are; a ReLU's as what came before."""
    found, now = {}, _first_says(calls)
    for call in calls:
        now = _says(call.module, now)
        found[call.name] = now
    return found


def _says(module, before: bool) -> bool:
    where = type(module).__module__.rpartition(".")[2]
    if type(module).__name__ == "MultiheadAttention" or where in SEQUENTIAL or type(module).__name__ == "LayerNorm":
        return False
    return True if where in SPATIAL or type(module).__name__ == "GroupNorm" else before


def _first_says(calls: Sequence) -> bool:
    """What the first module that says anything says; True where none does."""
    return next((_says(c.module, True) for c in calls if _says(c.module, True) == _says(c.module, False)), True)


def family(layer, name: str = "") -> str:
    """Return what a layer without weights does, in a word both frameworks share."""
    if name.endswith("/activation"):
        return "activation"
    module, kind = type(layer).__module__.lower(), type(layer).__name__.lower()
    for word in ("activation", "dropout", "pool", "flatten", "upsampl", "softmax"):
        if word in kind or word in module.rpartition(".")[2]:
            return {"softmax": "activation"}.get(word, word)
    if ".activations." in module:
        return "activation"
    return kind


def _does(call: KerasCall) -> str:
    """Return a call's family; a Lambda that keeps the shape is taken for an activation."""
    found = family(call.layer, call.name)
    return "activation" if found == "lambda" and call.given.shape == call.result.shape else found


def match(theirs: Sequence, ours: Sequence[KerasCall], units: Sequence) -> dict[tuple[str, int], str]:
    """Pair the calls: layers with weights as their weights are, the others by kind and order between those.

    Args:
        theirs: PyTorch's calls.
        ours: Keras's calls.
        units: the pairs of units, (PyTorch's, Keras's, how).
    """
    of = {}
    for one, other, _ in units:
        stacked = one.kind in pairing.GATES and one.owner.num_layers > 1
        if one.kind != pairing.FREE and not (stacked and not one.name.endswith(f"[{one.owner.num_layers - 1}]")):
            of[other.name] = one.name.split("[")[0]
    weighted = set(of.values())
    left = [("=", c.path) if c.path in weighted else family(c.module) for c in theirs]
    right = [("=", of[c.name]) if c.name in of else _does(c) for c in ours]
    found = {
        (ours[j].name, ours[j].number): theirs[i].name
        for i, j in _aligned(left, right)
        if isinstance(left[i], tuple) or len(theirs[i].shape) == ours[j].result.ndim
    }
    calls = {(c.path, c.number): c.name for c in theirs}
    for call in ours:  # two branches may be called in either order
        name = calls.get((of.get(call.name), call.number))
        if name and name not in found.values():
            found[call.name, call.number] = name
    return found


def _aligned(left: list, right: list) -> list[tuple[int, int]]:
    """Return the longest common subsequence as pairs of indices; a layer with weights counts for many without."""

    def worth(token):
        return 1000 if isinstance(token, tuple) else 1

    best = np.zeros((len(left) + 1, len(right) + 1), np.int64)
    for i in range(len(left) - 1, -1, -1):
        for j in range(len(right) - 1, -1, -1):
            taken = best[i + 1, j + 1] + worth(left[i]) if left[i] == right[j] else -1
            best[i, j] = max(taken, best[i + 1, j], best[i, j + 1])
    i = j = 0
    pairs = []
    while i < len(left) and j < len(right):
        if left[i] == right[j] and best[i, j] == best[i + 1, j + 1] + worth(left[i]):
            pairs.append((i, j))
            i, j = i + 1, j + 1
        elif best[i + 1, j] >= best[i, j + 1]:
            i += 1
        else:
            j += 1
    return pairs


def flattened(
    ours: Sequence[KerasCall], inputs: Sequence[np.ndarray], theirs: Sequence, channels_first: bool = False
) -> dict[tuple[str, int], tuple[int, ...]]:
    """Find the calls whose features (N, H·W·C) were flattened from a channels-last tensor, by their values.

    (name, number) is the call's input, (name, −1 − number) what it returns. What PyTorch flattened in the same order,
    as after a Permute or of a sequence (N, T, C), is none of these; nor is what a model that keeps its channels first
    flattens, but by a Flatten that is told so, which moves them last.
    """
    seen = [array for array in inputs if array.ndim > 2 and not channels_first]
    known: list[tuple[np.ndarray, tuple[int, ...]]] = []
    found = {}
    orders = {shape[1:] for call in theirs for shape in (call.shape, call.fed) if len(shape) > 2}
    for call in ours:
        if call.given.ndim == 2:
            sizes = next((s for array, s in known if _equal(array, call.given)), None)
            sizes = sizes or next((a.shape[1:] for a in reversed(seen) if _flat_of(a, call.given)), None)
            if sizes and len(sizes) > 1 and (sizes not in orders or (sizes[-1], *sizes[:-1]) in orders):
                found[call.name, call.number] = sizes
                if call.name.endswith("/activation") or type(call.layer).__name__ in layout.FEATURE_WISE:
                    known.append((call.result, sizes))
                    found[call.name, -1 - call.number] = sizes
        moves = channels_first and type(call.layer).__name__ == "Flatten" and call.layer.data_format == "channels_first"
        given = np.moveaxis(call.given, 1, -1) if moves and call.given.ndim > 2 else call.given
        sizes = given.shape[1:]
        kind = moves if channels_first else type(call.layer).__name__ in ("Flatten", "Reshape")
        flattens = kind and call.result.ndim == 2 and len(sizes) > 1
        if flattens and (sizes not in orders or (sizes[-1], *sizes[:-1]) in orders):
            found[call.name, -1 - call.number] = sizes
        if type(call.layer).__name__ == "Permute":
            seen = [array for array in seen if array.size != call.result.size]  # its order is the user's affair
        elif call.result.ndim > 2 and not channels_first:
            seen.append(call.result)
        elif moves:
            seen.append(given)
    return found


def _flat_of(array: np.ndarray, flat: np.ndarray) -> bool:
    return array.shape[0] == flat.shape[0] and array.size == flat.size and _equal(array.reshape(flat.shape), flat)


def _equal(one: np.ndarray, other: np.ndarray) -> bool:
    return one.shape == other.shape and np.array_equal(one, other)


def fit(shape: tuple[int, ...], expected: tuple[int, ...] | None, channels_first: bool) -> Layout:
    """Return the layout in which a tensor of this shape has the expected one.

    Args:
        shape: Keras's.
        expected: PyTorch's.
        channels_first: whether axis 1 are PyTorch's channels; decides where both orders fit.
    """
    last = layout.by_rank(len(shape))
    candidates = [last, layout.SAME] if channels_first else [layout.SAME, last]
    fitting = [lies for lies in candidates if expected is not None and lies.torch_shape(shape) == tuple(expected)]
    return (fitting or candidates)[0]


def adapted(trace: Trace, recurrent: Mapping[str, Any], last_only: set[str]) -> Trace:
    """Return PyTorch's trace with its recurrent modules' sequences as Keras has them: (N, T, C), or the last step."""

    def changed(name: str, value):
        kind, _, rest = name.partition(":")
        path = rest.partition("#")[0]
        if kind not in ("activation", "fed") or path not in recurrent:
            return value
        module = recurrent[path]
        value = value if module.batch_first else value.swapaxes(0, 1)
        if kind == "fed" or path not in last_only:
            return value
        if not module.bidirectional:
            return value[:, -1]
        half = value.shape[-1] // 2
        return np.concatenate([value[:, -1, :half], value[:, 0, half:]], -1)

    return trace.with_entries((name, changed(name, value)) for name, value in trace.items())
