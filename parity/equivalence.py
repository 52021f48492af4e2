"""The public door: a user's own PyTorch module beside their own Keras model."""

import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from keras_blitz.errors import BlitzError
from keras_blitz.versions import versions
from parity.cases.case import DTYPES
from parity.compare import Comparison, Row
from parity.oracle import torch_installed


@dataclass(frozen=True)
class Location:
    """What is known of the place where two models part.

    Args:
        row: the first tensor that differs.
        layer: the Keras layer's name and class; "" where it has none.
        fed: how far the layer's input is from PyTorch's there, relative; None where it is not known.
        explained: the likely reasons, those that were tested and hold.
        before: the last activation before it, which agrees.
    """

    row: Row
    layer: str = ""
    fed: float | None = None
    explained: tuple[str, ...] = ()
    before: str = ""

    def lines(self) -> list[str]:
        """Return it in words."""
        found = [f"first divergence at {self.row.name}: {self.row.problem}"]
        if self.layer and self.fed is not None:
            equal = self.fed < 1e-6
            how = "is equal on both sides" if equal else "differs already"
            where = "the difference is made in it" if equal else f"look between {self.before or 'the input'} and it"
            found.append(f"  the input of Keras's {self.layer} {how} ({self.fed:.1e}): {where}")
        elif self.before:
            found.append(f"  {self.before}, before it, agrees")
        return found + [f"  {reason}" for reason in self.explained]


@dataclass(frozen=True)
class Report:
    """What `check` found; print it for all of it.

    Args:
        title: which models.
        comparisons: dtype -> the verdict.
        weights: (PyTorch's module, Keras's layer, "name", "structure" or "given").
        notes: what was inferred, and what could not be done.
        location: where it begins; None where nothing differs.
        seconds: wall time.
    """

    title: str
    comparisons: Mapping[str, Comparison]
    weights: Sequence[tuple[str, str, str]]
    notes: Sequence[str]
    location: Location | None
    seconds: float
    versions: Mapping[str, str] = field(default_factory=dict)

    @property
    def passed(self) -> bool:
        """Everything compared is within bounds, and something was."""
        return bool(self.comparisons) and all(comparison.passed for comparison in self.comparisons.values())

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
        weights: "auto": copied from PyTorch, paired by name, else by structure. A dict {module path: layer name} pairs
            what cannot be found so. "keep": the Keras model's own weights, paired likewise.
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
    from parity.run import load_frameworks

    load_frameworks(live=True)
    start = time.perf_counter()
    options = Options(loss, weights, train, optimizer, steps, tuple(dtypes), _arrays(target))
    options.validate()
    from parity.pair import Pair

    pair = Pair(torch_module, keras_model, _arrays(inputs), options)
    comparisons, location = pair.compared()
    return Report(
        title=f"{type(torch_module).__name__} and Keras's {getattr(keras_model, 'name', None) or 'model'}",
        comparisons=comparisons,
        weights=[(one.name, other.name, how) for one, other, how in pair.units],
        notes=[*pair.notes, *_constants(comparisons)],
        location=Location(*location) if location else None,
        seconds=time.perf_counter() - start,
        versions=versions("torch"),
    )


def _constants(comparisons: Mapping[str, Comparison]) -> list[str]:
    """Say where everything that differs does so by no more than a constant rounded to float32 explains."""
    exact, coarse = comparisons.get("float64"), comparisons.get("float32")
    if not (exact and coarse and coarse.passed) or exact.passed:
        return []
    if not all(row.relative is not None and row.relative < 1e-6 for row in exact.failures):
        return []
    return [
        "float32 agrees, and float64 to 1e-6: a constant goes through float32 somewhere, as in keras.activations.gelu "
        'or leaky_relu called as functions; dtypes=["float32"] leaves that out of the verdict'
    ]


@dataclass(frozen=True)
class Options:
    """What is to be recorded; the arguments of `check`."""

    loss: Any
    weights: Any
    train: bool
    optimizer: Any
    steps: int
    dtypes: tuple[str, ...]
    target: Any

    def validate(self) -> None:
        """Raise a BlitzError for what makes no sense."""
        unknown = [dtype for dtype in self.dtypes if dtype not in DTYPES]
        if unknown or not self.dtypes:
            raise BlitzError(f"dtypes must be some of {', '.join(DTYPES)}, not {list(self.dtypes)}")
        if not (self.weights in ("auto", "keep") or isinstance(self.weights, Mapping)):
            raise BlitzError(f'weights must be "auto", "keep" or {{module path: layer name}}, not {self.weights!r}')
        if self.loss not in (None, False) and not (isinstance(self.loss, tuple | list) and len(self.loss) == 2):
            raise BlitzError("loss must be a pair: (PyTorch's loss, Keras's loss)")
        if self.optimizer is not None and not (isinstance(self.optimizer, tuple | list) and len(self.optimizer) == 2):
            raise BlitzError("optimizer must be a pair: (PyTorch's: parameters -> optimizer, Keras's optimizer)")
        if self.steps < 0 or bool(self.steps) != (self.optimizer is not None):
            raise BlitzError(f"steps={self.steps}: an optimizer takes at least 1 step, and steps need an optimizer")
        if self.steps and self.loss is False:
            raise BlitzError("loss=False records forward only; steps need a loss, or None")


def _arrays(tree):
    """Return a structure of tensors as one of NumPy arrays."""
    if tree is None:
        return None
    if isinstance(tree, Mapping):
        return {str(key): _arrays(value) for key, value in tree.items()}
    if isinstance(tree, tuple) or (isinstance(tree, list) and any(hasattr(entry, "shape") for entry in tree)):
        return tuple(map(_arrays, tree))
    array = np.array(tree.detach().cpu().numpy() if hasattr(tree, "detach") else tree)
    if array.dtype.kind not in "fiub":
        raise BlitzError(f"inputs must be numbers, not {array.dtype}")
    return array
