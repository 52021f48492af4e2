"""`parity.transfer`: the weights of one model copied into the other, by the pairing that `parity.check` finds."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from keras_blitz.errors import BlitzError
from keras_blitz.weights.mapped import Mapped
from parity.pair import copies, feed
from parity.pair.byhand import Kept
from parity.pair.equivalence import Report, check
from parity.pair.options import Options, arrays_of
from parity.pair.pairing import summed
from parity.pair.policy import own_precision, plain_precision
from parity.pair.port import Port
from parity.pair.theirs import COUNTS, dry_run
from parity.record import torch_recorder

LISTED = 8  # names that a line lists


@dataclass(frozen=True)
class Transfer:
    """What `transfer` did; true where both models have been proven equivalent with these weights.

    Args:
        report: of `parity.check` with the weights as they were filled in.
        filled: whether the model has them now: not where the report is not equivalent, unless `unproven=True`.
        weights: (PyTorch's module, Keras's layer, how they were paired).
        tensors: how many of PyTorch's tensors were copied.
        left: what was left as it is: names of tensors or variables without a counterpart.
        target: which model was filled: "Keras" or "PyTorch".
    """

    report: Report
    filled: bool
    weights: Sequence[tuple[str, str, str]]
    tensors: int
    left: Sequence[str]
    target: str

    @property
    def passed(self) -> bool:
        """Whether both models are equivalent now."""
        return self.filled and self.report.passed

    def __bool__(self) -> bool:
        """Whether both models are equivalent now."""
        return self.passed

    def __str__(self) -> str:
        return "\n".join([*self._lines(), str(self.report)])

    def __repr__(self) -> str:
        return f"<Transfer: {self._lines()[0]}; {self.report.verdict.headline}>"

    def _lines(self) -> list[str]:
        if self.filled:
            lines = [f"{self.tensors} tensors of {len(self.weights)} layers were copied into the {self.target} model"]
        else:
            lines = [
                f"nothing was copied into the {self.target} model, because with these weights it is "
                f"{self.report.verdict.headline}; unproven=True copies them all the same"
            ]
        if self.left:
            lines.append(f"left as they are, without a counterpart: {_shortened(self.left)}")
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
    if not isinstance(keras_model, keras.Layer):
        raise BlitzError(f"keras_model must be a Keras model, not a {type(keras_model).__name__}")
    if weights == "keep":
        raise BlitzError('weights="keep" copies nothing: use parity.check, or weights="auto"')
    port = _paired(torch_module, keras_model, arrays_of(inputs), weights)
    fill = _fill_torch if reverse else _fill_keras
    with fill(torch_module, keras_model, port) as (tensors, left, keep):
        kept = Kept(weights) if isinstance(weights, Mapping) else "keep"
        report = check(torch_module, keras_model, inputs, loss=False, weights=kept)
        filled = report.passed or unproven
        if filled:
            keep()
    units = [(one.name, other.name, how) for one, other, how in port.pairing.units]
    return Transfer(report, filled, units, tensors, left, "PyTorch" if reverse else "Keras")


def _paired(torch_module: Any, model: Any, inputs: Any, weights: str | Mapping[str, str]) -> Port:
    """Return the Keras model read by PyTorch's names; both models are as they were."""
    theirs = dry_run(torch_module, inputs)
    precision = plain_precision(model) or own_precision(model) or "float32"
    options = Options(False, weights, False, None, 0, (precision,), None)
    options.validate()
    feed.run_once(theirs, precision)(model)  # builds it, if it was not
    with copies.borrowed(model):
        return Port(theirs, options, model, precision)


@contextmanager
def _fill_keras(module: Any, model: Any, port: Port) -> Iterator[tuple[int, list[str], Callable[[], None]]]:
    """Give the Keras model PyTorch's weights within this block; after it, too, where `keep` was called."""
    state = summed(torch_recorder.state_of(port.theirs.module), port.pairing.twins)
    weights = port.pairing.weights
    held = {id(variable) for weight in weights for variable in weight.variables}
    left = [variable.path for variable in model.weights if id(variable) not in held]
    left += _unused(state, weights)
    with _put_back([(v, v.numpy()) for v in model.weights], lambda each: each[0].assign(each[1])) as keep:
        for weight in weights:
            weight.assign(state[weight.name])
        yield len(weights), left, keep


@contextmanager
def _fill_torch(module: Any, model: Any, port: Port) -> Iterator[tuple[int, list[str], Callable[[], None]]]:
    """Give the PyTorch module Keras's weights within this block; after it, too, where `keep` was called."""
    if port.theirs.folded:
        raise BlitzError(
            f"{port.theirs.folded[0]} is computed in PyTorch, as by weight_norm, and cannot be filled: "
            "remove the parametrization first"
        )
    values = {weight.name: weight.value() for weight in port.pairing.weights}
    before = torch_recorder.state_of(module)
    with _put_back([before], lambda state: torch_recorder.fill(module, state)) as keep:
        torch_recorder.fill(module, values)
        yield len(values), _unused(before, port.pairing.weights), keep


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


def _unused(state: Mapping[str, np.ndarray], weights: Sequence[Mapped]) -> list[str]:
    """Return PyTorch's tensors that are not paired; counts of batches, which Keras does not have, aside."""
    paired = {weight.name for weight in weights}
    counts = tuple(pattern.rpartition("*")[2] for pattern in COUNTS)
    return [name for name in state if name not in paired and not name.endswith(counts)]


def _shortened(names: Sequence[str]) -> str:
    more = f" and {len(names) - LISTED} more" if len(names) > LISTED else ""
    return ", ".join(names[:LISTED]) + more
