"""Two traces from files compared, for `parity compare`."""

from pathlib import Path

from parity.core.compare import Comparison, compare
from parity.core.fingerprint import Fingerprint
from parity.core.own_error import own_error
from parity.core.trace import Absent, Trace, TraceError, is_floating
from parity.suite.oracle import Reference


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
        exact = Trace.load(truth)
        for path, trace, wanted in ((truth, exact, "float64"), (reference, expected.truth, "float32")):
            if _dtype(trace, path) != wanted:
                raise TraceError(f"{path}: with --truth, A and B are float32 and the truth is float64")
        if dtype != "float32":
            raise TraceError(f"{port}: a {dtype} trace needs no --truth; leave it out")
        expected = _judged_by(exact, expected.truth, reference, truth)
    elif expected.own is None and _dtype(expected.truth, reference) not in ("float64", dtype):
        raise TraceError(f"{reference}: float32; a float64 trace is not judged by it")
    actual = actual.without(expected.left_out)
    return compare(expected.truth, actual, case=f"{reference} {port}", dtype=dtype, own=expected.own)


def _judged_by(exact: Trace, float32: Trace, reference: Path, truth: Path) -> Reference:
    missing = [name for name in exact if name not in float32]
    if missing:
        raise TraceError(f"{reference}: lacks {', '.join(missing[:3])}, which {truth} has")
    misshapen = [
        n for n, v in exact.items() if not isinstance(v, Absent) and v.shape != getattr(float32[n], "shape", None)
    ]
    if misshapen:
        raise TraceError(f"{reference}: {', '.join(misshapen[:3])} not shaped as in {truth}")
    return Reference(exact, own_error(exact, [float32]))


def _dtype(trace: Trace, path: Path) -> str:
    """Return the one floating-point type of a trace."""
    if any(isinstance(value, Fingerprint) for value in trace.values()):
        raise TraceError(f"{path}: holds fingerprints, as golden traces do; it can only be A, without --truth")
    found = {str(v.dtype) for v in trace.values() if is_floating(v)}
    if len(found) > 1:
        raise TraceError(f"{path}: holds {' and '.join(sorted(found))}; a trace has one type")
    if found - {"float32", "float64"}:
        raise TraceError(f"{path}: holds {found.pop()}; only float32 and float64 can be judged")
    return found.pop() if found else "float64"
