"""Reasons why a weight that was copied by hand differs: its values, read with what may have been left out."""

from collections.abc import Iterator

import numpy as np

from keras_blitz.weights.layout import Layout
from parity.pair.hints.clue import see


def of_copied(layout: Layout | None, actual: np.ndarray, expected: np.ndarray) -> Iterator[str]:
    """Explain a weight of Keras's own that is not PyTorch's.

    Args:
        layout: of the Keras variable.
        actual: its value in PyTorch's layout.
        expected: PyTorch's.
    """
    if layout is None or layout.permutation is None:
        return
    kept = layout.to_keras(actual)
    if layout.split and _are_same(kept.T, expected):
        sizes = layout.split[1]
        yield f"{see('flatten-order')}; its features are in PyTorch's order, channels first, and Keras flattens {sizes}"
    elif _are_same(kept, expected):
        gap = "linear-transpose" if kept.ndim == 2 else "conv-weight-layout"
        yield f"{see(gap)}; its values are PyTorch's, with PyTorch's axes"


def _are_same(one: np.ndarray, other: np.ndarray) -> bool:
    return one.shape == other.shape and np.allclose(one, other, rtol=1e-6, atol=0)
