"""Two traces from files compared, for `parity compare`."""

from pathlib import Path

import numpy as np

from parity.compare import Comparison, compare
from parity.golden import own_error
from parity.trace import ABSENT, Trace, TraceError


def compare_files(reference: Path, port: Path, truth: Path | None = None) -> Comparison:
    """Compare two saved traces.

    Args:
        reference: the expected trace.
        port: the trace to judge, of arrays.
        truth: for float32 traces, the float64 trace that both are judged by.

    Raises:
        TraceError: a file is missing or broken, or the traces are of different types.
    """
    expected, actual = Trace.load(reference), Trace.load(port)
    name, dtype = f"{reference} {port}", _dtype(actual, port)
    if truth is not None:
        exact = Trace.load(truth)
        if dtype == "float64":
            raise TraceError(f"{port}: a float64 trace; --truth is for float32 ones")
        missing = [entry for entry in exact if entry not in expected]
        if missing:
            raise TraceError(f"{reference}: lacks {', '.join(missing[:3])}, which {truth} has")
        return compare(exact, actual, case=name, dtype=dtype, own=own_error(exact, expected))
    return compare(expected, actual, case=name, dtype=dtype)


def _dtype(trace: Trace, path: Path) -> str:
    """Return the one floating-point type of a trace."""
    if any(value is not ABSENT and not isinstance(value, np.ndarray) for value in trace.values()):
        raise TraceError(f"{path}: holds fingerprints, as golden traces do; it can be A, not B")
    found = {str(v.dtype) for v in trace.values() if v is not ABSENT and v.dtype.kind == "f"}
    if len(found) > 1:
        raise TraceError(f"{path}: holds {' and '.join(sorted(found))}; a trace has one type")
    return found.pop() if found else "float64"
