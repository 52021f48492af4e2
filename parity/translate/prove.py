"""The proof of a port: `parity.check`, in eval mode and, where it matters, in train mode."""

import copy
import gc
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import torch
from torch import nn

from keras_blitz.errors import BlitzError, one_line
from parity.pair.equivalence import Report, check
from parity.pair.guard import guarded
from parity.record.memory import release
from parity.record.torch_modules import sharing
from parity.translate.layout import Layout

DTYPES = ("float64", "float32")


@dataclass(frozen=True)
class Proof:
    """What was compared.

    Args:
        reports: mode ("eval mode", "train mode") -> the report.
        error: why nothing could be compared; "" otherwise.
        dtypes: the precisions that were asked for.
        eval_alone: train mode was left out, because the module returns other outputs there.
        other_size: the outputs were compared for inputs of another size, too.
        decided: at how many lines a value of the example inputs decided.
    """

    reports: Mapping[str, Report]
    error: str = ""
    dtypes: Sequence[str] = DTYPES
    eval_alone: bool = False
    other_size: bool = False
    decided: int = 0

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
        where = "" if tuple(self.dtypes) == DTYPES else f" in {' and '.join(self.dtypes)}"
        alone = "; train mode has other outputs (auxiliary heads) and was not translated" if self.eval_alone else ""
        also = ", outputs for another size" if self.other_size else ""
        lines = "a line" if self.decided == 1 else f"{self.decided} lines"
        only = f"; only for inputs that decide as the example's at {lines}" if self.decided else ""
        return f"proven by parity.check{where}, {' and '.join(self.reports)}, {count} tensors{also}{alone}{only}"


@dataclass(frozen=True)
class Filled:
    """The model that is written, with its weights, in float64.

    Args:
        build: makes it.
        inputs: Keras's axis i of each input is PyTorch's axis inputs[n][i].
        outputs: likewise.
    """

    build: Callable[[], Any]
    inputs: Sequence[Layout]
    outputs: Sequence[Layout]

    def differs(self, module: nn.Module, *batches: tuple[np.ndarray, ...]) -> str:
        """Say where its outputs for the first batch that gives others are not the module's in eval mode; else ""."""
        wide, model = copy.deepcopy(module).double().eval(), self.build()
        for number, inputs in enumerate(batches):
            if said := self._differs(wide, model, inputs):
                return f"{said} for another batch size" if number else said
        return ""

    def _differs(self, module: nn.Module, model: Any, inputs: tuple[np.ndarray, ...]) -> str:
        wide = [each.astype("float64") if each.dtype.kind == "f" else each for each in inputs]
        with torch.no_grad():
            expected = [each.numpy() for each in _tensors(module(*map(torch.from_numpy, wide)))]
        given = [each.transpose(order) for each, order in zip(wide, self.inputs, strict=True)]
        actual = keras.tree.flatten(model(given if len(given) > 1 else given[0], training=False))
        for number, (one, other, order) in enumerate(zip(expected, map(np.asarray, actual), self.outputs, strict=True)):
            one = one.transpose(order)
            if one.shape != other.shape or np.abs(one - other).max(initial=0) > 1e-9 * np.abs(one).max(initial=0):
                return f"with the weights that are written, output {number} is not PyTorch's"
        return ""


def _tensors(output: Any) -> list[torch.Tensor]:
    """Return the tensors of an output, dicts in the order of their keys, as Keras flattens them."""
    if isinstance(output, torch.Tensor):
        return [output]
    if hasattr(output, "items"):
        return [tensor for _, each in sorted(output.items()) for tensor in _tensors(each)]
    return [tensor for each in output for tensor in _tensors(each)] if isinstance(output, (tuple, list)) else []


def prove(
    module: nn.Module, build: Callable[[str], Any], inputs: tuple[np.ndarray, ...],
    weights: Mapping[str, str | None],
    train: bool | None, filled: Filled, dtypes: Sequence[str] = DTYPES, batch: bool = True,
) -> Proof:  # fmt: skip
    """Compare a module with the model that was written from it.

    Args:
        module: a copy, in eval mode or not.
        build: precision -> a new model.
        inputs: in PyTorch's layout.
        weights: PyTorch's name -> Keras's, where the two differ.
        train: compare train mode, too; None: where there is something that differs in it.
        filled: the model with the weights that are written, which `check` replaces by the module's.
        dtypes: the precisions to compare in.
        batch: try one example more, too.
    """
    larger = tuple(np.concatenate([each, each[-1:]]) if each.ndim else each for each in inputs)
    try:
        differs = filled.differs(module, *([inputs, larger] if batch else [inputs]))
        gc.collect()  # a Keras model holds itself: without this, its weights stay during the comparisons
        release()
    except Exception as error:  # Keras may raise anything where shapes do not fit
        return Proof({}, f"the model cannot be built: {one_line(error)}")
    train = has_train_mode(module) if train is None else train
    eval_alone = train and has_other_outputs(module, inputs)
    train = train and not eval_alone
    reports: dict[str, Report] = {}
    given = inputs if len(inputs) > 1 else inputs[0]
    for mode in ("eval mode", "train mode") if train and not differs else ("eval mode",):
        training = mode == "train mode"
        module.train(training)
        try:
            reports[mode] = check(
                module, build, given, weights=dict(weights) if weights else "auto", train=training,
                dtypes=tuple(dtypes),
            )  # fmt: skip
        except BlitzError as error:
            return Proof(reports, f"{mode}: {str(error).splitlines()[0]}")
        gc.collect()
        release()
    # What `check` says tells where it begins; with other weights than those written it may also pass.
    return Proof(reports, differs if all(report.passed for report in reports.values()) else "", dtypes, eval_alone)


def has_other_outputs(module: nn.Module, inputs: tuple[np.ndarray, ...]) -> bool:
    """Return whether a module returns another number of tensors in train mode, such as those of auxiliary heads.

    Raises:
        BlitzError: it does not run in one of the modes.
    """
    counts = []
    with torch.no_grad(), torch.random.fork_rng(devices=[]):
        for training in (False, True):
            ran, side = sharing(module).train(training), f"the PyTorch module in {'train' if training else 'eval'} mode"
            counts.append(len(_tensors(guarded(side, ran, *map(torch.from_numpy, inputs)))))
    return counts[0] != counts[1]


def has_train_mode(module: nn.Module) -> bool:
    """Return whether a module does something else in train mode."""
    kinds = (nn.modules.batchnorm._BatchNorm, nn.modules.dropout._DropoutNd)
    return any(
        (isinstance(inner, kinds) and getattr(inner, "p", 1))
        or (type(inner).__name__ == "StochasticDepth" and getattr(inner, "p", 1))
        or (type(inner).__name__.endswith("DropPath") and getattr(inner, "drop_prob", 1))
        for inner in module.modules()
    )
