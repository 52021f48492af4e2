"""What to change in inputs that a PyTorch module refuses; each is tried on the module, and one that works is named."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from keras_blitz.errors import BlitzError


@dataclass(frozen=True)
class Remedy:
    """A likely mistake.

    Args:
        applies: array -> whether it may be made in it.
        change: array -> the array without it.
        text: the mistake, and the code that makes `x` right.
    """

    applies: Callable[[np.ndarray], bool]
    change: Callable[[np.ndarray], np.ndarray]
    text: str


REMEDIES = (
    Remedy(
        lambda x: x.dtype.kind in "iub",
        lambda x: x.astype(np.float32),
        "inputs are whole numbers and the module takes floating-point ones: x.astype('float32')",
    ),
    Remedy(
        lambda x: x.dtype.kind == "f",
        lambda x: np.abs(x).astype(np.int64) * 0,
        "inputs are floating-point numbers and the module takes whole ones, such as indices: x.astype('int64')",
    ),
    Remedy(
        lambda x: x.ndim > 2,
        lambda x: np.moveaxis(x, -1, 1),
        "inputs are in PyTorch's layout, channels first, and these have channels last: np.moveaxis(x, -1, 1)",
    ),
    Remedy(
        lambda x: x.ndim > 0,
        lambda x: x[None],
        "inputs have a first axis for the batch, which is missing here: x[None]",
    ),
)  # fmt: skip


def explain(error: BlitzError, inputs: Any, run: Callable[[Any], Any]) -> BlitzError:
    """Return the error of a module that refuses its inputs, with what to change in them where that helps.

    Args:
        error: what the module raised, as one line.
        inputs: a structure of arrays.
        run: runs the module on other inputs; it raises a BlitzError where it refuses them, too.
    """
    for remedy in REMEDIES:
        changed = _change(inputs, remedy)
        if changed is None:
            continue
        try:
            run(changed)
        except BlitzError:
            continue
        return BlitzError(f"{remedy.text} ({error})")
    return error


def _change(tree: Any, remedy: Remedy) -> Any:
    """Return the inputs with each array changed that the remedy applies to; None where it applies to none."""
    applied = []

    def walk(tree: Any) -> Any:
        if isinstance(tree, Mapping):
            return {key: walk(value) for key, value in tree.items()}
        if isinstance(tree, tuple):
            return tuple(map(walk, tree))
        if tree is None or not remedy.applies(tree):
            return tree
        applied.append(tree)
        return remedy.change(tree)

    changed = walk(tree)
    return changed if applied else None
