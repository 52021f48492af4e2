"""Weights and images that settle every relu and pool, by far more than rounding or 100 small steps could move.

A run of many steps of a ReLU network is chaotic in float32: a unit near zero, of which LeNet has 20,000 for three
images, is switched by rounding in every third run of 100 steps, and then the port's distance from the truth is luck, as
PyTorch's own is. Here what is compared is the optimizer, so the network is kept away from its kinks: a fourth of its
dense units is off for good, the others are on, and each pool has a winner.
"""

from collections.abc import Mapping

import numpy as np

NOISE = np.float32(0.025)  # what is left of a hidden layer's ordinary weights
BIAS = np.float32(4)
LEAD = np.float32(3)  # of a pool's winner


def state(ordinary: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Return the weights with hidden layers settled; the last layer, whose output no relu follows, stays as it is.

    A convolution passes on what is at its centre, a little of all else, and the bias.
    """
    last = list(ordinary)[-1].rpartition(".")[0]
    return {name: value if name.startswith(f"{last}.") else _settle(value) for name, value in ordinary.items()}


def _settle(value: np.ndarray) -> np.ndarray:
    if value.ndim == 1:
        return np.where((np.arange(value.size) % 4 == 1) & (value.size > 16), -BIAS, BIAS) + NOISE * value
    # None near zero, which weight decay would take through it: there the steps of Adam and its like jump.
    settled = NOISE * (value + np.copysign(np.abs(value).max(), value))
    if value.ndim == 4:
        outs, ins, height, width = value.shape
        settled[np.arange(outs), np.arange(outs) % ins, height // 2, width // 2] += 1
    return settled


def images(ordinary: np.ndarray) -> np.ndarray:
    """Return images (N, C, H, W) with one bright pixel in each 2×2 block, one of four of them brighter still."""
    settled = np.float32(0.1) * ordinary
    settled[..., ::2, ::2] += LEAD
    settled[..., ::4, ::4] += LEAD
    return settled
