"""`parity.transfer`: the weights of one model copied into the other, by the pairing that `parity.check` finds."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import keras
import numpy as np

from keras_blitz.errors import BlitzError
from keras_blitz.weights.mapped import Mapped, plain
from keras_blitz.weights.mapping import rounds
from parity.pair import copies, feed, feeding
from parity.pair.arguments import require_models
from parity.pair.byhand import Kept
from parity.pair.equivalence import Report, check
from parity.pair.filled import Filled, filled_lines, filled_rows
from parity.pair.options import Options, inputs_of
from parity.pair.pairing import Pairing, summed
from parity.pair.policy import own_precision, plain_precision
from parity.pair.port import Port
from parity.pair.theirs import dry_run
from parity.record import torch_flow, torch_state
from parity.report.text import check_lines

LISTED = 8  # names that a line lists
COUNT = "num_batches_tracked"

Filling = tuple[list[str], list[str], Callable[[], None]]  # names that are left, and rounded; what keeps the values


@dataclass(frozen=True)
class Transfer:
    """What `transfer` did; true where both models have been proven equivalent with these weights.

    Args:
        report: of `parity.check` with the weights as they were filled in.
        filled: whether the model has them now: not where the report is not equivalent, unless `unproven=True`.
        weights: (PyTorch's module, Keras's layer, how they were paired).
        rows: for each Keras weight which tensors it has, and in which layout, see `filled.py`.
        tensors: how many of PyTorch's tensors were copied.
        left: what was left as it is: names of tensors or variables without a counterpart.
        rounded: PyTorch's names of what was rounded, because the other model has another type.
        target: which model was filled: "Keras" or "PyTorch".
    """

    report: Report
    filled: bool
    weights: Sequence[tuple[str, str, str]]
    rows: Sequence[Filled]
    tensors: int
    left: Sequence[str]
    rounded: Sequence[str]
    target: str

    @property
    def passed(self) -> bool:
        """Whether both models are equivalent now."""
        return self.filled and self.report.passed

    def __bool__(self) -> bool:
        """Whether both models are equivalent now."""
        return self.passed

    def __str__(self) -> str:
        return "\n".join([*self._lines(), *check_lines(self.report, weights=not self.filled)])

    def __repr__(self) -> str:
        return f"<Transfer: {self._lines()[0]}; {self.report.verdict.headline}>"

    def _lines(self) -> list[str]:
        if self.filled:
            lines = [f"{self.tensors} tensors of {len(self.weights)} layers were copied into the {self.target} model"]
            lines += filled_lines(self.rows, self.target == "PyTorch")
        else:
            lines = [
                f"nothing was copied into the {self.target} model, because with these weights it is "
                f"{self.report.verdict.headline}; unproven=True copies them all the same"
            ]
        if self.left:
            lines.append(f"left as they are, without a counterpart: {_shorten(self.left)}")
        if self.filled and self.rounded:
            lines.append(f"rounded to the {self.target} model's type: {_shorten(self.rounded)}")
        return lines


def transfer(
    torch_module,
    keras_model,
    inputs,
    weights: str | Mapping[str, str] = "auto",
    *,
    reverse: bool = False,
    unproven: bool = False,
) -> Transfer:
    """Copy a PyTorch module's weights and buffers into a Keras model, and prove that both then compute the same.

    Weights are paired as `parity.check` pairs them, and take Keras's layouts: kernels, the order in which a Flatten has
    its values, the gates of recurrent layers, packed projections of an attention, two biases into one. Where no
    arithmetic is needed every bit is kept. The proof is `parity.check` of the filled model, with its own weights,
    of all activations and outputs; gradients are left out, because layers may be frozen in one model alone.

    Args:
        torch_module: a `torch.nn.Module`.
        keras_model: a Keras model of any kind: functional, Sequential, subclassed, nested.
        inputs: as in `parity.check`: they show which layers are each other's, and are what the proof runs on.
        weights: "auto", or a dict of what cannot be found, as in `parity.check`.
        reverse: copy the Keras model's weights into the PyTorch module. Where Keras has one bias for PyTorch's two,
            `bias_ih` is all of it and `bias_hh` is zero.
        unproven: keep the weights even where the report is not equivalent, such as where the Keras model has another
            epsilon.

    Returns:
        What was done, with the report; `str()` of it says so.

    Raises:
        BlitzError: weights cannot be paired, or a model raises; nothing is changed then.
    """
    require_models(torch_module, keras_model)
    if not isinstance(keras_model, keras.Layer):
        raise BlitzError(f"keras_model must be a Keras model, not a {type(keras_model).__name__}")
    if weights == "keep":
        raise BlitzError('weights="keep" copies nothing: use parity.check, or weights="auto"')
    source, folded = torch_flow.folded(torch_module)
    if reverse and folded:
        raise BlitzError(
            f"{folded[0]} is computed in PyTorch, as by weight_norm, and cannot be filled: "
            "remove the parametrization first"
        )
    pairing = _paired(torch_state.shaken(source) if reverse else source, keras_model, inputs_of(inputs), weights)
    filling = _fill_torch(torch_module, pairing) if reverse else _fill_keras(source, keras_model, pairing)
    with filling as (left, rounded, keep):
        kept = Kept(weights) if isinstance(weights, Mapping) else "keep"
        report = check(torch_module, keras_model, inputs, loss=False, weights=kept)
        proven = report.passed or unproven
        if proven:
            keep()
    units = [(one.name, other.name, how) for one, other, how in pairing.units]
    table, target = filled_rows(pairing), "PyTorch" if reverse else "Keras"
    return Transfer(report, proven, units, table, len(pairing.weights), left, rounded, target)


def _paired(torch_module: Any, model: Any, inputs: Any, weights: str | Mapping[str, str]) -> Pairing:
    """Return which weights are whose, counts of batches too; both models are as they were.

    Raises:
        BlitzError: weights cannot be paired, or a model raises.
    """
    theirs = dry_run(torch_module, inputs)
    precision = plain_precision(model) or own_precision(model) or "float32"
    options = Options(False, weights, False, None, 0, (precision,), None)
    options.validate()
    theirs = feeding.fed(theirs, model, options)
    feed.run_once(theirs, precision)(model)  # builds it, if it was not
    with copies.borrowed(model):
        pairing = Port(theirs, options, model, precision).pairing
    return replace(pairing, weights=[*pairing.weights, *_counts(pairing)])


def _counts(pairing: Pairing) -> Iterator[Mapped]:
    """Yield the counts of batches of the layers that have one in both frameworks, which `check` does not compare."""
    for one, other, _ in pairing.units:
        count = getattr(other.owner, COUNT, None)
        if count is not None and getattr(one.owner, COUNT, None) is not None:
            yield plain(COUNT, count).below(one.path)


@contextmanager
def _fill_keras(module: Any, model: Any, pairing: Pairing) -> Iterator[Filling]:
    """Give the Keras model PyTorch's weights within this block; after it, too, where `keep` was called."""
    state = summed(torch_state.state_of(module), pairing.twins)
    weights = pairing.weights
    held = {id(variable) for weight in weights for variable in weight.variables}
    left = [variable.path for variable in model.weights if id(variable) not in held]
    left += _unused(module, state, weights)
    rounded = [weight.name for weight in weights if rounds(state[weight.name], weight.dtype)]
    with _put_back([(v, v.numpy()) for v in model.weights], lambda each: each[0].assign(each[1])) as keep:
        for weight in weights:
            weight.assign(state[weight.name])
        yield left, rounded, keep


@contextmanager
def _fill_torch(module: Any, pairing: Pairing) -> Iterator[Filling]:
    """Give the PyTorch module Keras's weights within this block; after it, too, where `keep` was called."""
    values = {weight.name: weight.value() for weight in pairing.weights}
    before = torch_state.state_of(module)
    left = _unused(module, before, pairing.weights)
    rounded = [name for name, value in values.items() if rounds(value, before[name].dtype)]
    with _put_back([before], lambda state: torch_state.fill(module, state)) as keep:
        torch_state.fill(module, values)
        yield left, rounded, keep


@contextmanager
def _put_back(before: Sequence[Any], restore: Callable[[Any], Any]) -> Iterator[Callable[[], None]]:
    """Restore what was before in the end, unless the function that is yielded is called."""
    kept: list[bool] = []
    try:
        yield lambda: kept.append(True)
    finally:
        if not kept:
            for each in before:
                restore(each)


def _unused(module: Any, state: Mapping[str, np.ndarray], weights: Sequence[Mapped]) -> list[str]:
    """Return PyTorch's tensors that are not paired; other names of a tensor that is, and counts of batches, aside."""
    paired = {weight.name for weight in weights}
    tied = torch_state.tied_names(module, paired)
    return [name for name in state if name not in paired | tied and not name.endswith(f".{COUNT}")]


def _shorten(names: Sequence[str]) -> str:
    more = f" and {len(names) - LISTED} more" if len(names) > LISTED else ""
    return ", ".join(names[:LISTED]) + more
