"""PyTorch's side of a case, live or from its golden file."""

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from keras_blitz.errors import BlitzError
from parity.core.difference import Difference
from parity.core.own_error import floating_names, own_error
from parity.core.trace import Trace, TraceError
from parity.record.frameworks import torch_installed
from parity.suite import golden
from parity.suite.case import Case


@dataclass(frozen=True)
class Reference:
    """What a port is judged by.

    Args:
        truth: PyTorch's float64 trace.
        own: PyTorch's own float32 error, by name; empty where no case is in float32, None where it is not known.
        left_out: patterns of the names that were not kept.
    """

    truth: Trace
    own: Mapping[str, Difference] | None
    left_out: tuple[str, ...] = ()

    @property
    def version(self) -> str:
        """The version of the PyTorch that was run."""
        return str(self.truth.meta.get("version", ""))

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write truth and own error as one trace file.

        Raises:
            BlitzError: the file cannot be written.
        """
        # A measure needs no more digits, and each takes room in the golden files.
        own = {n: [float(f"{e.max_abs:.4g}"), float(f"{e.rms:.4g}"), e.scale] for n, e in (self.own or {}).items()}
        self.truth.save(path, left_out=list(self.left_out), **({} if self.own is None else {"own": own}))

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> "Reference":
        """Read what `save` wrote, or a trace without PyTorch's own error.

        Raises:
            TraceError: the file is missing, broken or of another kind.
        """
        trace = Trace.load(path)
        left_out = trace.meta.pop("left_out", [])
        if not (isinstance(left_out, list) and all(isinstance(pattern, str) for pattern in left_out)):
            raise TraceError(f"{path}: its record of what was left out is broken")
        own = trace.meta.pop("own", None)
        if own is None:
            return cls(trace, None, tuple(left_out))
        try:
            errors = {name: _difference(*own[name]) for name in floating_names(trace) if own}
        except (KeyError, TypeError, ValueError):
            raise TraceError(f"{path}: its record of PyTorch's own error is broken") from None
        return cls(trace, errors, tuple(left_out))


def _difference(max_abs: Any, rms: Any, scale: Any) -> Difference:
    """Return an error as `Reference.save` wrote it, whatever a damaged file has in its place."""
    return Difference(float(max_abs), float(rms), float(scale))


def _float32_runs(case: Case) -> Iterator[Trace]:
    return (case.record_reference("float32", sample) for sample in range(case.samples))


def _need_torch() -> None:
    if not torch_installed():
        raise BlitzError("this needs PyTorch: pip install 'keras-blitz[torch]', or use the golden traces (--golden)")


def live(case: Case) -> Reference:
    """Run PyTorch in float64 and float32.

    Raises:
        BlitzError: PyTorch is not installed.
    """
    _need_torch()
    truth = case.record_reference("float64", 0)
    return Reference(truth, own_error(truth, _float32_runs(case)))


def record(case: Case, folder: Path) -> Path:
    """Run PyTorch and write the case's golden file.

    Raises:
        BlitzError: PyTorch is not installed, or the file cannot be written.
    """
    _need_torch()
    truth = golden.condense(case.record_reference("float64", 0), case.not_golden)
    path = golden.path_of(case.subject, folder)
    Reference(truth, own_error(truth, _float32_runs(case)), case.not_golden).save(path)
    return path


def from_golden(case: Case, folder: Path = golden.FOLDER) -> Reference:
    """Read the case's golden file.

    Raises:
        TraceError: there is none, or it is broken.
    """
    path = golden.path_of(case.subject, folder)
    remedy = f"record it with PyTorch: parity record {case.subject}"
    if not path.exists():
        raise TraceError(f"{path}: no golden trace of {case.subject!r}; {remedy}")
    try:
        reference = Reference.load(path)
    except TraceError as error:
        raise TraceError(f"{error}; {remedy}") from None
    if reference.own is None:
        raise TraceError(f"{path}: a trace, but not a golden one; {remedy}")
    return reference
