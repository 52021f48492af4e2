"""All right pairs, by id."""

from collections.abc import Callable

import keras
import torch

from parity.faults.door import images, plain, sequences
from parity.faults.door.handed import Handed

PAIRS: dict[str, Callable[[], Handed]] = {
    make.__name__.replace("_", "-"): make for make in (*plain.PAIRS, *images.PAIRS, *sequences.PAIRS)
}


def handed(pair: str) -> Handed:
    """Return a right pair, made from fixed seeds each time."""
    torch.manual_seed(0)
    keras.utils.set_random_seed(0)
    return PAIRS[pair]()
