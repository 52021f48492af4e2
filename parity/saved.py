"""Two traces from files compared, for `parity compare`."""

from pathlib import Path

import numpy as np

from parity.compare import Comparison, compare
from parity.oracle import Reference, own_error
from parity.trace import ABSENT, Trace, TraceError


def compare_files(reference: Path, port: Path, truth: Path | None = None) -> Comparison:
    """Compare two saved traces.

    Args:
        reference: the expected trace; a golden one, or one that `parity run --traces` saved, knows PyTorch's own
            float32 error too.
        port: the trace to judge, of arrays.
        truth: for float32 traces, the float64 trace that both are judged by.

    Raises:
        TraceError: a file is missing or broken, or the traces are of different types.
    """
    expected, actual = Reference.load(reference), Trace.load(port)
    dtype = _dtype(actual, port)
    if truth is not None:
        expected = _judged_by(Trace.load(truth), expected.truth, reference, truth)
    actual = actual.at_steps(expected.steps)
    return compare(expected.truth, actual, case=f"{reference} {port}", dtype=dtype, own=expected.own)


def _judged_by(exact: Trace, float32: Trace, reference: Path, truth: Path) -> Reference:
    missing = [name for name in exact if name not in float32]
    if missing:
        raise TraceError(f"{reference}: lacks {', '.join(missing[:3])}, which {truth} has")
    misshapen = [n for n, v in exact.items() if v is not ABSENT and v.shape != getattr(float32[n], "shape", None)]
    if misshapen:
        raise TraceError(f"{reference}: {', '.join(misshapen[:3])} not shaped as in {truth}")
    return Reference(exact, own_error(exact, float32))


def _dtype(trace: Trace, path: Path) -> str:
    """Return the one floating-point type of a trace."""
    if any(value is not ABSENT and not isinstance(value, np.ndarray) for value in trace.values()):
        raise TraceError(f"{path}: holds fingerprints, as golden traces do; it can be A, not B")
    found = {str(v.dtype) for v in trace.values() if v is not ABSENT and v.dtype.kind == "f"}
    if len(found) > 1:
        raise TraceError(f"{path}: holds {' and '.join(sorted(found))}; a trace has one type")
    return found.pop() if found else "float64"
