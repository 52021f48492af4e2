"""Random numbers in train mode that PyTorch and Keras are both given: a fixed array for each place that draws some.

Dropout, stochastic depth and noise are all made of two streams. What PyTorch keeps with probability 1 − p, Keras keeps
where a uniform number is at least p, so that a mask drawn with `bernoulli_` on one side and with `rand` or a dropout
layer on the other is the same mask.
"""

from dataclasses import dataclass

import numpy as np

from parity.core.inputs import stream


@dataclass(frozen=True)
class Draw:
    """Random numbers that PyTorch drew in a forward pass.

    Args:
        path: of the innermost module that ran.
        number: of the draw in this module, from 0; a module that is called twice goes on counting.
        kind: "uniform" in [0, 1), "mask", the same where it is known what becomes of them: at least p is kept, or
            "normal" with mean 0 and deviation 1.
        shape: of the numbers.
        given: what they were multiplied by or added to, and what the module was given; empty where not known.
    """

    path: str
    number: int
    kind: str
    shape: tuple[int, ...]
    given: tuple[np.ndarray, ...] = ()

    @property
    def name(self) -> str:
        """The path, in later draws with the number: "drop", "drop#2"."""
        return self.path + (f"#{self.number + 1}" if self.number else "")

    def numbers(self) -> np.ndarray:
        """Return the numbers, float64."""
        return numbers(self.kind, self.shape, self.name)


def numbers(kind: str, shape: tuple[int, ...], name: str) -> np.ndarray:
    """Return the numbers of a place, float64.

    Args:
        kind: "uniform" or "mask" for numbers in [0, 1), or "normal" for those with mean 0 and deviation 1.
        shape: any.
        name: of the place.
    """
    random = stream("draw", name)
    return random.standard_normal(shape) if kind == "normal" else random.random_sample(shape)


def mirrored(kind: str, values: np.ndarray) -> np.ndarray:
    """Return numbers as random as these: what is kept where u < q is kept where 1 − u is."""
    return -values if kind == "normal" else 1 - values


def dropout_mask(uniform: np.ndarray, rate: float) -> np.ndarray:
    """Return 0 where a uniform number is less than the rate (0 ≤ rate < 1), else 1/(1 − rate)."""
    return (uniform >= rate) / (1 - rate)
