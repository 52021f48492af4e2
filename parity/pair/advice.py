"""What to do about weights that cannot be mapped, where two layers differ in a way that is known."""

from collections.abc import Collection, Iterator, Sequence
from typing import Any

from keras_blitz.weights import kinds
from parity.pair.units import Unit


def advise(theirs: Sequence[Unit], ours: Sequence[Unit]) -> str:
    """Return what to change, in sentences; "" where nothing is known.

    Args:
        theirs: PyTorch's units that are left over.
        ours: Keras's.
    """
    return "".join(f"{said}. " for said in dict.fromkeys([*_slopes(theirs, ours), *_groups(theirs, ours)]))


def _slopes(theirs: Sequence[Unit], ours: Sequence[Unit]) -> Iterator[str]:
    """Keras's PReLU has a slope for each value unless told which axes share one; PyTorch one, or one for a channel."""
    for one, other in zip(*(_of(side, "prelu") for side in (theirs, ours)), strict=False):
        slopes, shape = one.shapes["weight"][0], tuple(other.weights["weight"].variables[0].shape)
        axes = list(range(1, len(shape) + (slopes == 1)))
        count = "one slope" if slopes == 1 else f"a slope for each of {slopes} channels"
        yield f"{one.name} has {count} in PyTorch, {other.name} {shape} in Keras: give it shared_axes={axes}"


def _groups(theirs: Sequence[Unit], ours: Sequence[Unit]) -> Iterator[str]:
    """A transposed convolution of Keras has no groups."""
    for one, other in zip(*(_of(side, "convtranspose") for side in (theirs, ours)), strict=False):
        groups = getattr(one.owner, "groups", 1)
        if 1 < groups > len(_of(ours, "convtranspose")):
            yield (
                f"{one.name} has {groups} groups, which Keras's {type(other.owner).__name__} cannot have: split the "
                "channels, give each group a layer of its own, and concatenate what they return"
            )


def _of(units: Sequence[Unit], kind: str) -> list[Unit]:
    return [unit for unit in units if unit.kind.startswith(kind)]


def channels_first_input(theirs: Sequence[Any], ours: Sequence[Any], shapes: Collection[tuple[int, ...]]) -> str:
    """Say of a Keras input that it has PyTorch's layout where the first convolution takes channels last; else "".

    Args:
        theirs: PyTorch's calls.
        ours: Keras's calls.
        shapes: of the inputs that Keras is given as PyTorch has them.
    """
    first = next((call for call in ours if _is_convolution(kinds.of_keras(call.layer))), None)
    for call in theirs:
        shape = call.fed
        if first is None or shape not in shapes or not _is_convolution(kinds.of_torch(call.module)):
            continue
        if first.given.ndim == len(shape) and first.given.shape[-1] != shape[1]:
            return (
                f"the Keras model's input {shape[1:]} looks channels first, and its layer {first.name} takes channels "
                f"last: use keras.Input({(*shape[2:], shape[1])}); parity.check itself moves the channels of inputs"
            )
    return ""


def _is_convolution(kind: kinds.Kind | None) -> bool:
    return kind is not None and kind.linear and kind.channels == 1
