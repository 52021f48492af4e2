"""What `parity.check` is asked to record: its arguments."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from keras_blitz.errors import BlitzError
from parity.core.modes import DTYPES, MODES


@dataclass(frozen=True)
class Options:
    """The arguments of `check`, beside the two models and the inputs."""

    loss: Any
    weights: Any
    train: bool
    optimizer: Any
    steps: int
    dtypes: tuple[str, ...]
    target: Any
    modes: tuple[str, ...] = ("eager",)

    def validate(self) -> None:
        """Raise a BlitzError for what makes no sense."""
        unknown = [dtype for dtype in self.dtypes if dtype not in DTYPES]
        if unknown or not self.dtypes:
            raise BlitzError(f"dtypes must be some of {', '.join(DTYPES)}, not {list(self.dtypes)}")
        if not self.modes or not set(self.modes) <= set(MODES):
            raise BlitzError(f"modes must be some of {', '.join(MODES)}, not {list(self.modes)}")
        if not (self.weights in ("auto", "keep") or isinstance(self.weights, Mapping)):
            raise BlitzError(f'weights must be "auto", "keep" or {{module path: layer name}}, not {self.weights!r}')
        if self.loss not in (None, False) and not (isinstance(self.loss, tuple | list) and len(self.loss) == 2):
            raise BlitzError("loss must be a pair: (PyTorch's loss, Keras's loss)")
        if self.optimizer is not None and not (isinstance(self.optimizer, tuple | list) and len(self.optimizer) == 2):
            raise BlitzError("optimizer must be a pair: (PyTorch's: parameters -> optimizer, Keras's optimizer)")
        if self.steps < 0 or bool(self.steps) != (self.optimizer is not None):
            raise BlitzError(f"steps={self.steps}: an optimizer takes at least 1 step, and steps need an optimizer")
        if self.steps and self.loss is False:
            raise BlitzError("loss=False records forward only; steps need a loss, or None")


def arrays_of(tree: Any) -> Any:
    """Return a structure of tensors as one of NumPy arrays.

    Raises:
        BlitzError: an entry that is not a number.
    """
    if tree is None:
        return None
    if isinstance(tree, Mapping):
        return {str(key): arrays_of(value) for key, value in tree.items()}
    if isinstance(tree, tuple) or (isinstance(tree, list) and any(hasattr(entry, "shape") for entry in tree)):
        return tuple(map(arrays_of, tree))
    array = np.array(tree.detach().cpu().numpy() if hasattr(tree, "detach") else tree)
    if array.dtype.kind not in "fiub":
        raise BlitzError(f"inputs must be numbers, not {array.dtype}")
    return array


def typed(tree: Any, dtype: str) -> Any:
    """Return a structure of arrays with its floating-point numbers in this type."""
    if isinstance(tree, Mapping):
        return {key: typed(value, dtype) for key, value in tree.items()}
    if isinstance(tree, tuple):
        return tuple(typed(value, dtype) for value in tree)
    return tree.astype(dtype) if tree is not None and tree.dtype.kind == "f" else tree
