"""PyTorch's side of a case, live or from its golden file."""

from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from keras_blitz.errors import BlitzError
from parity import golden
from parity.cases.case import Case
from parity.difference import Difference
from parity.trace import Trace


@dataclass(frozen=True)
class Reference:
    """What a port is judged by.

    Args:
        truth: PyTorch's float64 trace.
        own: PyTorch's own float32 error, by name.
        steps: the training steps `truth` holds; None: all.
    """

    truth: Trace
    own: Mapping[str, Difference]
    steps: tuple[int, ...] | None = None

    @property
    def version(self) -> str:
        """The version of the PyTorch that was run."""
        return self.truth.meta["version"]


def torch_installed() -> bool:
    """Whether PyTorch can be found, without importing it."""
    return find_spec("torch") is not None


def live(case: Case) -> Reference:
    """Run PyTorch in float64 and float32.

    Raises:
        BlitzError: PyTorch is not installed.
    """
    if not torch_installed():
        raise BlitzError("PyTorch is not installed: pip install 'keras-blitz[torch]', or use the golden traces")
    truth = case.record_reference("float64")
    return Reference(truth, golden.own_error(truth, case.record_reference("float32")))


def record(case: Case, folder: Path) -> Path:
    """Run PyTorch and write the case's golden file.

    Raises:
        BlitzError: PyTorch is not installed, or the file cannot be written.
    """
    reference = live(case)
    kept = golden.condense(reference.truth, case.kept_steps)
    return golden.write(case.subject, kept, golden.own_error(kept, case.record_reference("float32")), folder)


def from_golden(case: Case) -> Reference:
    """Read the case's golden file.

    Raises:
        TraceError: there is none, or it is broken.
    """
    truth, own = golden.read(case.subject)
    return Reference(truth, own, case.kept_steps)
