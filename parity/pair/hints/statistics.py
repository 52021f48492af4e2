"""Reasons why BatchNorm's running statistics or a recurrent layer's second bias differ."""

from collections.abc import Iterator
from typing import Any

from parity.core.compare import Row
from parity.pair.hints.clue import see


def of_row(pairing: Any, row: Row) -> Iterator[str]:
    """Explain a tensor that is not an activation: BatchNorm's running statistics, a recurrent layer's second bias.

    Args:
        pairing: which weights correspond.
        row: the tensor that differs.
    """
    if any(weight.twin and row.name.endswith(f":param:{weight.name}") for weight in pairing.weights):
        yield f"{see('lstm-map')}; an update moves PyTorch's two biases, and Keras's one half as far as their sum"
    _, _, buffer = row.name.rpartition("buffer:")
    path, _, leaf = buffer.rpartition(".")
    found = next(((one, other) for one, other, _ in pairing.units if one.name == path), None)
    if leaf not in ("running_mean", "running_var") or found is None:
        return
    theirs, mine = found[0].owner.momentum, getattr(found[1].owner, "momentum", None)
    if theirs is None:
        yield see("bn-momentum-none")
    elif mine is not None and type(found[1].owner).__module__.startswith("keras_blitz."):
        if abs(mine - theirs) > 1e-9:
            yield f"{see('bn-momentum')}; keras_blitz's momentum is PyTorch's own, {theirs:g}; the port has {mine:g}"
    elif mine is not None and type(found[1].owner).__name__ == "BatchNormalization":
        if abs((1 - mine) - theirs) > 1e-9:
            yield f"{see('bn-momentum')}; PyTorch's momentum {theirs:g} is {1 - theirs:g} in Keras, which has {mine:g}"
        elif leaf == "running_var":
            yield f"{see('bn-unbiased-running-var')}; Keras accumulates the biased variance"
