"""Cases run one after the other: record both sides, compare, go on."""

import time
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from itertools import groupby
from typing import Any

from keras_blitz.errors import BlitzError, one_line
from parity.core.compare import Comparison, compare
from parity.core.trace import Trace
from parity.record.frameworks import load_frameworks, torch_installed
from parity.suite import apart, oracle
from parity.suite.case import Case
from parity.suite.oracle import Reference


@dataclass(frozen=True)
class Result:
    """What came of a case.

    Args:
        case: what was run.
        comparison: the verdict; empty where there is an error.
        seconds: wall time of recording and comparing.
        error: why it could not be compared.
        missing: it could not because a piece is missing or broken, such as its golden trace.
        torch: the version of the PyTorch it was compared with.
        reference: PyTorch's side, if it was to be kept.
        port: the port's trace, likewise.
    """

    case: Case
    comparison: Comparison
    seconds: float
    error: str = ""
    missing: bool = False
    torch: str = ""
    reference: Reference | None = field(default=None, repr=False)
    port: Trace | None = field(default=None, repr=False)

    @property
    def passed(self) -> bool:
        """Compared, and within bounds."""
        return not self.error and self.comparison.passed


def run(cases: Iterable[Case], *, live: bool, keep_traces: bool = False) -> Generator[Result, None, None]:
    """Yield the result of each case. A case that raises fails, with its error; the others go on.

    Args:
        cases: in an order that keeps a subject's cases close together.
        live: PyTorch runs; otherwise its golden traces are read.
        keep_traces: keep both sides in the results; they are large.
    """
    references = _References(oracle.live if live else oracle.from_golden)
    for subject, group in groupby(cases, key=lambda case: case.subject if case.heavy else ""):
        if not subject:
            for case in group:
                with _one_thread(live):
                    result = _run(case, references, keep_traces)
                yield result
            continue
        together = list(group)
        for case, result in zip(together, apart.each(_run_apart, together, live, keep_traces), strict=True):
            yield result or Result(case, Comparison(()), 0.0, "the process that ran it died; is there memory enough?")


@cache
def _references_apart(live: bool) -> "_References":
    return _References(oracle.live if live else oracle.from_golden)


def _run_apart(case: Case, live: bool, keep_traces: bool) -> Result:
    load_frameworks(live)
    return _run(case, _references_apart(live), keep_traces)


def isolated(case: Case) -> Comparison:
    """Compare each layer by itself, given what PyTorch's module was given, so that no error is an earlier one's.

    Raises:
        BlitzError: the case has no layers, or it is a float32 one.
    """
    if case.isolate is None or case.dtype != "float64":
        raise BlitzError(f"{case.id}: layers are isolated in float64 cases of networks only, live and eager")
    truth, port = case.isolate()
    return compare(truth, port, case=case.id, dtype=case.dtype)


@contextmanager
def _one_thread(live: bool) -> Iterator[None]:
    """Keep PyTorch's operations on small tensors to one thread: where other work keeps the cores busy, its threads wait
    for each other five times as long as they work.
    """
    if not live or not torch_installed():
        yield
        return
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


class _References:
    """PyTorch's side of the last network's subjects, so that it is recorded once for all dtypes and modes."""

    def __init__(self, source: Callable[[Case], Reference], kept: int = 2):
        self._source, self._kept = source, kept
        self._held: dict[str, Reference] = {}

    def of(self, case: Case) -> Reference:
        if case.subject not in self._held:
            while len(self._held) >= self._kept:
                del self._held[next(iter(self._held))]
            self._held[case.subject] = self._source(case)
        return self._held[case.subject]


def _run(case: Case, references: _References, keep_traces: bool) -> Result:
    start = time.perf_counter()
    try:
        reference = references.of(case)  # first: PyTorch must be imported before TensorFlow
        port = case.record_port(case.dtype, case.mode).without(reference.left_out)
        comparison = compare(reference.truth, port, case=case.id, dtype=case.dtype, own=reference.own)
    except Exception as error:  # a port under test may raise anything; it fails, and the others go on
        missing = isinstance(error, BlitzError)
        return Result(case, Comparison(()), time.perf_counter() - start, one_line(error), missing)
    kept: dict[str, Any] = {"reference": reference, "port": port} if keep_traces else {}
    return Result(case, comparison, time.perf_counter() - start, torch=reference.version, **kept)
