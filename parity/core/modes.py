"""What a case can run in, and the patterns that choose among it."""

from dataclasses import dataclass
from fnmatch import fnmatchcase
from math import frexp

import numpy as np

DTYPES = ("float64", "float32")
MODES = ("eager", "graph", "xla")


@dataclass(frozen=True)
class Precision:
    """A precision that a model runs in, by the name of Keras's dtype policy.

    PyTorch's counterpart is `module.to(variable)`, and where `compute` is another type `torch.autocast("cpu", compute)`
    around the forward pass and the loss.

    Args:
        name: "mixed_bfloat16".
        compute: the type of the layers' arithmetic.
        variable: the type of parameters and buffers.
    """

    name: str
    compute: str
    variable: str

    @property
    def is_reduced(self) -> bool:
        """Whether it is coarser than float32: then it shows large mistakes only."""
        return self.name not in DTYPES

    @property
    def is_mixed(self) -> bool:
        """Whether parameters are held in another type than layers compute in."""
        return self.compute != self.variable

    @property
    def reference(self) -> str:
        """What PyTorch's side runs, in words."""
        return "autocast" if self.is_mixed else self.name

    @property
    def arrays(self) -> str:
        """The NumPy type of what both sides are given; each rounds it to a reduced type by itself."""
        return self.name if self.name in DTYPES else "float32"

    @property
    def types(self) -> frozenset[str]:
        """The NumPy types that a recorded tensor may have; a bfloat16 is recorded as float32."""
        return frozenset({self.name} if self.name in DTYPES else {self.compute, self.variable, "float32"})

    @property
    def moves(self) -> float:
        """By how much of their value weights are moved at most for a run of equal rounding."""
        return 4 * 2.0**-23 if self.name in DTYPES else 0.5 * ulp(1.0, self.compute)


PRECISIONS = {
    name: Precision(name, compute, variable)
    for name, compute, variable in (
        ("float64", "float64", "float64"),
        ("float32", "float32", "float32"),
        ("mixed_bfloat16", "bfloat16", "float32"),
        ("mixed_float16", "float16", "float32"),
        ("bfloat16", "bfloat16", "bfloat16"),
        ("float16", "float16", "float16"),
    )
}

# Type -> the exponents of one unit in the last place of 1, and of the smallest number.
_EXPONENTS = {"float64": (-52, -1074), "float32": (-23, -149), "bfloat16": (-7, -133), "float16": (-10, -24)}


def ulp(scale: float, dtype: str) -> float:
    """Return one unit in the last place of a positive number of this magnitude, in a type such as "bfloat16"."""
    unit, smallest = _EXPONENTS[dtype]
    rounded = scale if dtype == "float64" else float(np.float32(scale))  # what rounds up to a power of 2 has its unit
    return 2.0 ** max(frexp(rounded)[1] - 1 + unit, smallest) if rounded else 2.0**smallest


def key_of(dtype: str, mode: str) -> str:
    """Return what a comparison goes by: "float64", "float64-graph"."""
    return dtype if mode == "eager" else f"{dtype}-{mode}"


def mode_of(key: str) -> str:
    """Return the mode of a comparison: "graph" of "float64-graph", "eager" of "float64"."""
    return key.partition("-")[2] or "eager"


def any_matches(text: str, patterns: tuple[str, ...]) -> bool:
    """Whether a text, such as <dtype>-<mode>, matches one of these patterns."""
    return any(fnmatchcase(text, pattern) for pattern in patterns)
