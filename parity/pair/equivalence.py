"""The public door: a user's own PyTorch module beside their own Keras model."""

import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from keras_blitz.errors import BlitzError
from keras_blitz.versions import versions
from parity.core import tolerance
from parity.core.compare import Comparison
from parity.core.modes import DTYPES
from parity.core.verdict import Verdict
from parity.pair.options import Options, arrays_of
from parity.record.frameworks import load_frameworks, torch_installed

if TYPE_CHECKING:
    from parity.pair.locating import Location


@dataclass(frozen=True)
class Report:
    """What `check` found; print it for all of it.

    Args:
        title: which models.
        comparisons: dtype -> the verdict.
        weights: (PyTorch's module, Keras's layer, "given", "flow", "name" or "structure").
        notes: what was inferred, and what could not be done.
        location: where it begins; None where nothing differs.
        seconds: wall time.
        versions: of the packages that the figures depend on.
        undecided: why agreement proves nothing here, a line each.
    """

    title: str
    comparisons: Mapping[str, Comparison]
    weights: Sequence[tuple[str, str, str]]
    notes: Sequence[str]
    location: "Location | None"
    seconds: float
    versions: Mapping[str, str] = field(default_factory=dict)
    undecided: Sequence[str] = ()

    @property
    def verdict(self) -> Verdict:
        """A difference is one whatever else is in doubt; agreement counts only where nothing is."""
        if any(not comparison.passed for comparison in self.comparisons.values()):
            return Verdict.NOT_EQUIVALENT
        return Verdict.NOT_DECIDED if self.undecided or not self.comparisons else Verdict.EQUIVALENT

    @property
    def passed(self) -> bool:
        """Whether the port is equivalent."""
        return self.verdict is Verdict.EQUIVALENT

    def __bool__(self) -> bool:
        """Whether the port is equivalent, so that `assert parity.check(…)` asserts it."""
        return self.passed

    @property
    def first_divergence(self) -> str | None:
        """The name of the first tensor that differs."""
        return self.location.row.name if self.location else None

    def to_dict(self) -> dict[str, Any]:
        """Return the report in the keys of `parity run --json`, with the weights, the notes and the location."""
        from parity.report.json import pair_to_dict

        found = {
            "title": self.title,
            "weights": [list(entry) for entry in self.weights],
            "notes": list(self.notes),
            "location": self.location.lines() if self.location else [],
        }
        document = pair_to_dict(self.title, self.comparisons, mode="live", versions=self.versions, seconds=self.seconds)
        return {**document, **found}

    def write_html(self, path: str | os.PathLike) -> None:
        """Write the report as one self-contained page, whole or not at all."""
        from parity.report import html

        html.write(self.to_dict(), path)

    def __str__(self) -> str:
        from parity.report.text import check_lines

        return "\n".join(check_lines(self))


def assert_equivalent(*args, **kwargs) -> None:
    """Raise an AssertionError with the full report where `check`, of the same arguments, does not pass."""
    report = check(*args, **kwargs)
    if not report.passed:
        raise AssertionError(str(report))


def check(
    torch_module,
    keras_model,
    inputs,
    loss=None,
    weights: str | Mapping[str, str] = "auto",
    train: bool = False,
    optimizer=None,
    steps: int = 0,
    dtypes: Sequence[str] = DTYPES,
    *,
    target=None,
) -> Report:
    """Run copies of both models on the same weights and inputs and compare everything that can be observed.

    Args:
        torch_module: a `torch.nn.Module`; its weights are what both sides get.
        keras_model: a Keras model, or a function dtype -> model.
        inputs: an array in PyTorch's layout, a tuple with one an argument of `forward`, or a dict by argument's name.
        loss: (PyTorch's, Keras's): called as (output, target) and as (target, output). None: the sum of the outputs,
            each value times a fixed random weight, so that gradients are compared without a loss. False: forward only.
        weights: "auto": copied from PyTorch, paired by the values that arrive at both layers, else by name, else by
            structure. A dict {module path: layer name} pairs what cannot be found so. "keep": the Keras model's own
            weights, paired likewise, and by their own values first.
        train: train mode, with the same dropout masks on both sides; otherwise eval mode.
        optimizer: (PyTorch's: parameters -> optimizer, Keras's: an optimizer, or () -> optimizer).
        steps: optimizer steps on the same batch, at least 0.
        dtypes: "float64" proves the algebra, "float32" is judged by PyTorch's own error.
        target: what `loss` takes, in PyTorch's layout.

    Raises:
        BlitzError: PyTorch is missing, a model raises, weights cannot be paired, or an argument is wrong.
    """
    if not torch_installed():
        raise BlitzError("parity.check runs PyTorch: pip install 'keras-blitz[torch]'")
    load_frameworks(live=True)
    start = time.perf_counter()
    options = Options(loss, weights, train, optimizer, steps, tuple(dtypes), arrays_of(target))
    options.validate()
    from parity.pair.judge import judge
    from parity.pair.theirs import dry_run

    found = judge(dry_run(torch_module, arrays_of(inputs)), keras_model, options)
    return Report(
        title=f"{type(torch_module).__name__} and Keras's {getattr(keras_model, 'name', None) or 'model'}",
        comparisons=found.comparisons,
        weights=[(one.name, other.name, how) for one, other, how in found.units],
        notes=[*found.notes, *_constants(found.comparisons)],
        location=found.location,
        seconds=time.perf_counter() - start,
        versions=versions("torch"),
        undecided=found.undecided,
    )


def _constants(comparisons: Mapping[str, Comparison]) -> list[str]:
    """Say where everything that differs does so by no more than a constant rounded to float32 explains."""
    exact, coarse = comparisons.get("float64"), comparisons.get("float32")
    if not (exact and coarse and coarse.passed) or exact.passed:
        return []
    if not all(row.relative is not None and row.relative < tolerance.SAME_VALUE for row in exact.failures):
        return []
    return [
        "float32 agrees, and float64 to 1e-6: a constant goes through float32 somewhere, as in keras.activations.gelu "
        'or leaky_relu called as functions; dtypes=["float32"] leaves that out of the verdict'
    ]
