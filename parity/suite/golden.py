"""Golden traces: PyTorch's side, recorded once, so that the harness runs without PyTorch.

One file per subject: PyTorch's float64 trace, a fingerprint where a tensor has over `KEEP` values, and PyTorch's own
float32 error in every tensor. Written by `parity record`.
"""

from collections.abc import Iterable
from pathlib import Path

import numpy as np

from parity.core.fingerprint import condensed
from parity.core.trace import Trace, Value

FOLDER = Path(__file__).parents[1] / "golden"
KEEP = 320  # values; a fingerprint is as large


def path_of(subject: str, folder: Path = FOLDER) -> Path:
    """Return where the golden trace of a subject is."""
    return folder / f"{subject}.npz"


def condense(truth: Trace, left_out: Iterable[str]) -> Trace:
    """Return a float64 trace as it is kept: without the names that match `left_out`, fingerprints for what is large."""
    kept = truth.without(left_out)
    return kept.with_entries((name, _condense(value)) for name, value in kept.items())


def _condense(value: Value) -> Value:
    return condensed(value, KEEP) if isinstance(value, np.ndarray) else value
