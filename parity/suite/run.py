"""Cases are run: record both sides, compare, go on; one after the other, or side by side."""

import gc
import os
import time
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from itertools import groupby
from typing import Any

from keras_blitz.errors import BlitzError, one_line
from parity.core.compare import Comparison, compare
from parity.core.evidence import verdict_of
from parity.core.trace import Trace
from parity.core.verdict import Verdict
from parity.record.frameworks import load_frameworks, torch_installed
from parity.suite import apart, oracle
from parity.suite.case import Case
from parity.suite.oracle import Reference

MOST_PROCESSES = 4  # unless more are asked for: each takes 2 GB


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
    def verdict(self) -> Verdict:
        """A port that raises is not equivalent; without a golden trace to compare it with, nothing is decided."""
        if self.error:
            return Verdict.NOT_DECIDED if self.missing else Verdict.NOT_EQUIVALENT
        return verdict_of(self.comparison, ())

    @property
    def passed(self) -> bool:
        """Compared, and within bounds."""
        return self.verdict is Verdict.EQUIVALENT


def run(
    cases: Iterable[Case],
    *,
    live: bool,
    keep_traces: bool = False,
    jobs: int = 1,
    started: Callable[[Case], None] | None = None,
) -> Generator[Result, None, None]:
    """Yield the result of each case. A case that raises fails, with its error; the others go on.

    Args:
        cases: in an order that keeps a row's cases together.
        live: PyTorch runs; otherwise its golden traces are read.
        keep_traces: keep both sides in the results; they are large.
        jobs: how many processes run cases side by side, and the results come as they complete; 1: the cases run here,
            in their order, but for the heavy ones.
        started: is called with each case that begins.
    """
    cases = list(cases)
    if min(jobs, len(rows(cases))) > 1:
        yield from _run_apart(rows(cases), live, keep_traces, jobs, started)
        cases = [case for case in cases if case.heavy]  # each subject has all cores and all memory
    references = _References(oracle.live if live else oracle.from_golden)
    for subject, group in groupby(cases, key=lambda case: case.subject if case.heavy else ""):
        if subject:
            yield from _run_apart([list(group)], live, keep_traces, 1, started)
            continue
        for case in group:
            if started:
                started(case)
            with _one_thread(live):
                result = _run(case, references, keep_traces)
            yield result


def processes(cases: Iterable[Case], asked: int | None = None) -> int:
    """Return how many processes run the cases side by side: as asked for, or as are worth starting; 1: this one alone.

    A process imports the frameworks first, which takes as long as some 20 cases.
    """
    light = rows(cases)
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    worth = min(cores, MOST_PROCESSES, sum(map(len, light)) // 20)
    return max(1, min(asked or worth, len(light)))


def rows(cases: Iterable[Case]) -> list[list[Case]]:
    """Return the cases that are not heavy, row by row; a row's share what they compile and read."""
    by_row: dict[str, list[Case]] = {}
    for case in cases:
        if not case.heavy:
            by_row.setdefault(case.row_or_subject, []).append(case)
    return list(by_row.values())


def _run_apart(
    groups: list[list[Case]], live: bool, keep_traces: bool, jobs: int, started: Callable[[Case], None] | None
) -> Iterator[Result]:
    died = "the process that ran it died; is there memory enough?"
    for case, result in apart.each(_run_there, groups, live, keep_traces, jobs=jobs, started=started):
        yield result or Result(case, Comparison(()), 0.0, died)


def _run_there(case: Case, live: bool, keep_traces: bool) -> Result:
    references = _references_there(live)
    with _one_thread(live and not case.heavy):
        return _run(case, references, keep_traces)


@cache
def _references_there(live: bool) -> "_References":
    load_frameworks(live)
    gc.freeze()  # the frameworks stay, as in `parity.cli`
    return _References(oracle.live if live else oracle.from_golden)


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
    """PyTorch's side of the subjects of one row, so that it is recorded once for all dtypes and modes."""

    def __init__(self, source: Callable[[Case], Reference]):
        self._source = source
        self._row = ""
        self._held: dict[str, Reference] = {}

    def of(self, case: Case) -> Reference:
        if case.row_or_subject != self._row:
            self._row, self._held = case.row_or_subject, {}
        if case.subject not in self._held:
            self._held[case.subject] = self._source(case)
        return self._held[case.subject]


def _run(case: Case, references: _References, keep_traces: bool) -> Result:
    start = time.perf_counter()
    try:
        reference = references.of(case)  # first: PyTorch must be imported before TensorFlow
        port = case.record_port(case.dtype, case.mode, tuple(reference.left_out))
        comparison = compare(reference.truth, port, case=case.id, dtype=case.dtype, own=reference.own)
    except Exception as error:  # a port under test may raise anything; it fails, and the others go on
        missing = isinstance(error, BlitzError)
        return Result(case, Comparison(()), time.perf_counter() - start, one_line(error), missing)
    kept: dict[str, Any] = {"reference": reference, "port": port} if keep_traces else {}
    return Result(case, comparison, time.perf_counter() - start, torch=reference.version, **kept)
