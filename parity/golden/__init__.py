"""Golden traces: PyTorch's side, recorded once, so that the harness runs without PyTorch.

A file a subject: PyTorch's float64 trace, a fingerprint where a tensor has over `KEEP` values, and PyTorch's own
float32 error in every tensor. Written by `parity record`.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np

from parity.difference import Difference, measure
from parity.fingerprint import fingerprint
from parity.trace import ABSENT, Trace, TraceError, Value

FOLDER = Path(__file__).parent
KEEP = 512  # values; a fingerprint is as large


def path_of(subject: str, folder: Path = FOLDER) -> Path:
    """Return where the golden trace of a subject lies."""
    return folder / f"{subject}.npz"


def condense(truth: Trace, kept_steps: Iterable[int] | None) -> Trace:
    """Return a float64 trace as it is kept: only some steps, fingerprints for what is large."""
    entries = truth.at_steps(kept_steps).items()
    return Trace(((name, _condensed(value)) for name, value in entries), **truth.meta)


def _condensed(value: Value) -> Value:
    large = value is not ABSENT and value.dtype.kind == "f" and value.size > KEEP and np.isfinite(value).all()
    return fingerprint(value) if large else value


def own_error(truth: Mapping[str, Value], float32: Trace) -> dict[str, Difference]:
    """Return PyTorch's own float32 error in every floating-point tensor of `truth`."""
    return {
        name: measure(value, float32[name])
        for name, value in truth.items()
        if value is not ABSENT and np.dtype(value.dtype).kind == "f"
    }


def write(subject: str, truth: Trace, own: Mapping[str, Difference], folder: Path = FOLDER) -> Path:
    """Write a golden file; `truth` is condensed already, `own` was measured against it."""
    path = path_of(subject, folder)
    kept = Trace(truth.items(), **truth.meta, own={name: [e.max_abs, e.rms, e.scale] for name, e in own.items()})
    kept.save(path)
    return path


def read(subject: str, folder: Path = FOLDER) -> tuple[Trace, dict[str, Difference]]:
    """Read a golden file: the truth, and PyTorch's own float32 error.

    Raises:
        TraceError: there is none, or it is broken.
    """
    path = path_of(subject, folder)
    if not path.is_file():
        raise TraceError(f"{path}: no golden trace of {subject!r}; record it with PyTorch: parity record {subject}")
    trace = Trace.load(path)
    try:
        own = {name: Difference(*map(float, numbers)) for name, numbers in trace.meta.pop("own").items()}
    except (KeyError, AttributeError, TypeError, ValueError):
        raise TraceError(f"{path}: not a golden trace; record it anew: parity record {subject}") from None
    return trace, own
