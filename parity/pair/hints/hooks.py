"""The reason that a forward hook of the user's changes what PyTorch's module returns."""

from parity.pair.hints.clue import Clue, Hint
from parity.record import torch_functions


def _hooked(clue: Clue) -> str:
    if not getattr(clue.module, "_forward_hooks", None):
        return ""
    if not clue.is_actual(torch_functions.without_hooks(clue.module, clue.layout.to_torch(clue.given))):
        return ""
    return "a forward hook changes what PyTorch's module returns, and without the hook it returns what Keras's does"


HINTS = (Hint("", _hooked),)
