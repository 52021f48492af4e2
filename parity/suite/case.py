"""A case: one thing ported, in one dtype and one mode, and how to record both its sides."""

from collections.abc import Callable
from dataclasses import dataclass

from parity.core.trace import Trace


@dataclass(frozen=True)
class Case:
    """One row of `parity list`.

    Args:
        subject: what is ported, on which input: "lenet", "lenet-sample". Cases of one subject share a golden file.
        group: the kind of case, "networks".
        covers: ids of the inventory, docs/inventory.md.
        dtype: "float64" or "float32".
        mode: "eager", "graph" or "xla".
        record_reference: (dtype, sample) -> PyTorch's trace, from weights moved by rounding where sample > 0. Imports
            PyTorch.
        record_port: (dtype, mode, patterns) -> the port's trace without the names that match one of the patterns.
            Imports TensorFlow.
        isolate: () -> PyTorch's trace and the port's, each layer given what PyTorch's was given; None: no layers.
        not_golden: patterns of the names that a golden file leaves out, to stay small; live runs compare them.
        samples: how many float32 runs PyTorch's own error is the largest of; 0 where the subject has no float32 case.
        heavy: needs gigabytes; its subject runs in a process of its own.
        needs: a data set that must be prepared on this machine, without which the case is skipped; "": none.
        slow: left out of a plain run, which is to stay under a minute; `--slow` takes it.
        row: the row of the tables that the case is of. Cases of one row share a compiled step, and so they run in one
            process, one after the other; "": the subject.
    """

    subject: str
    group: str
    covers: tuple[str, ...]
    dtype: str
    mode: str
    record_reference: Callable[[str, int], Trace]
    record_port: Callable[..., Trace]
    isolate: Callable[[], tuple[Trace, Trace]] | None = None
    not_golden: tuple[str, ...] = ()
    samples: int = 1
    heavy: bool = False
    needs: str = ""
    slow: bool = False
    row: str = ""

    @property
    def id(self) -> str:
        """The case's name on the command line and in reports."""
        return f"{self.subject}-{self.dtype}-{self.mode}"

    @property
    def row_or_subject(self) -> str:
        """What the cases have in common that share a compiled step."""
        return self.row or self.subject
