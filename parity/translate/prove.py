"""The proof of a port: `parity.check`, in eval mode and, where it matters, in train mode."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from torch import nn

from keras_blitz.errors import BlitzError
from parity.pair.equivalence import Report, check


@dataclass(frozen=True)
class Proof:
    """What was compared.

    Args:
        reports: mode ("eval mode", "train mode") -> the report.
        error: why nothing could be compared; "" otherwise.
    """

    reports: Mapping[str, Report]
    error: str = ""

    @property
    def passed(self) -> bool:
        """Whether every mode was found equivalent."""
        return bool(self.reports) and not self.error and all(report.passed for report in self.reports.values())

    @property
    def report(self) -> Report | None:
        """The report to read: of the first mode that failed, else of the last."""
        failed = [report for report in self.reports.values() if not report.passed]
        every = failed[:1] or list(self.reports.values())
        return every[-1] if every else None

    @property
    def line(self) -> str:
        """One line for the file's head."""
        if self.error:
            return f"not proven: {self.error}"
        failed = [mode for mode, report in self.reports.items() if not report.passed]
        if failed:
            report = self.reports[failed[0]]
            begins = f", first divergence at {report.first_divergence}" if report.first_divergence else ""
            reason = f" ({report.reasons[0]})" if report.reasons else ""
            return f"not proven: {report.verdict.headline} in {failed[0]}{begins}{reason}"
        count = sum(
            len(comparison.rows) for report in self.reports.values() for comparison in report.comparisons.values()
        )
        return f"proven by parity.check, {' and '.join(self.reports)}, {count} tensors"


def prove(
    module: nn.Module, build: Callable[[str], Any], inputs: tuple[np.ndarray, ...], weights: Mapping[str, str],
    train: bool | None,
) -> Proof:  # fmt: skip
    """Compare a module with the model that was written from it, in float64 and float32.

    Args:
        module: a copy, in eval mode or not.
        build: precision -> a new model.
        inputs: in PyTorch's layout.
        weights: PyTorch's name -> Keras's, where the two differ.
        train: compare train mode, too; None: where there is something that differs in it.
    """
    train = has_train_mode(module) if train is None else train
    reports: dict[str, Report] = {}
    given = inputs if len(inputs) > 1 else inputs[0]
    for mode in ("eval mode", "train mode") if train else ("eval mode",):
        training = mode == "train mode"
        module.train(training)
        try:
            reports[mode] = check(
                module, build, given, weights=dict(weights) if weights else "auto", train=training,
                dtypes=("float64", "float32"),
            )  # fmt: skip
        except BlitzError as error:
            return Proof(reports, f"{mode}: {str(error).splitlines()[0]}")
    return Proof(reports)


def has_train_mode(module: nn.Module) -> bool:
    """Return whether a module does something else in train mode."""
    kinds = (nn.modules.batchnorm._BatchNorm, nn.modules.dropout._DropoutNd)
    return any(
        (isinstance(inner, kinds) and getattr(inner, "p", 1)) or type(inner).__name__ in ("StochasticDepth", "DropPath")
        for inner in module.modules()
    )
