"""What the hints are told of a model: the Keras side, run again on what was recorded."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from copy import copy
from dataclasses import replace
from functools import partial
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from keras_blitz import keras_internals
from parity.core.compare import Comparison, Row
from parity.core.difference import measure
from parity.core.tolerance import SAME_VALUE
from parity.core.trace import Trace, array_of, is_floating, kind_of, step_of
from parity.pair import hints, own_loss, step
from parity.pair.guard import guarded
from parity.pair.policy import running_in
from parity.pair.port import Port

MASKS = ("mask", "query_mask", "value_mask", "key_mask")  # arguments that layers get of the layers before them


def explain(
    port: Port, row: Row, comparison: Comparison, state: Mapping[str, np.ndarray], truth: Trace
) -> tuple[str, ...]:
    """Return the likely reasons of a difference that is not in an activation.

    Args:
        port: the Keras model.
        row: the first tensor that differs.
        comparison: where it stands.
        state: PyTorch's weights.
        truth: PyTorch's trace.
    """
    said = list(hints.of_row(port.pairing, row))
    if row.relative is None:  # a shape, or what is missing
        return tuple(said)
    if row.name == "loss" and port.options.loss:
        said += _of_loss(port, row, state, truth)
    elif row.kind == "parameter" and not step_of(row.name):
        weights = {f"param:{weight.name}": weight for weight in port.pairing.weights}
        name = row.name.removeprefix("param:")
        said += hints.of_copied(weights[row.name].layout, port.start.get(name, state[name]), array_of(truth, row.name))
    elif row.kind == "gradient":
        said += _of_gradient(port, row, state, truth)
    elif step_of(row.name) and row.kind == "parameter":
        said += _of_step(port, row, comparison, state, truth)
    return tuple(said)


def of_masks(port: Port, row: Row, state: Mapping[str, np.ndarray], truth: Trace) -> tuple[str, ...]:
    """Explain a difference by the mask that Keras's layers take: the model is run again without it."""
    layers = keras_internals.inner_layers(port.model)
    makers = [each for each in layers if isinstance(each, keras.layers.Masking) or getattr(each, "mask_zero", False)]
    if not makers or row.relative is None or step_of(row.name):
        return ()
    with ExitStack() as stack:
        for each in layers:
            stack.enter_context(keras_internals.called_as(each, partial(_unmask, each.call)))
        for each in makers:
            masking = isinstance(each, keras.layers.Masking)
            stack.enter_context(_set(each, *(("mask_value", np.nan) if masking else ("mask_zero", False))))
        found = _again(port, optimizer=None, steps=0).record(state, truth)
    expected, actual = truth.get(row.name), found.get(row.name)
    if not is_floating(expected) or not is_floating(actual) or expected.shape != actual.shape:
        return ()
    if measure(expected, actual).relative > (row.allowed or 0):
        return ()
    return (
        "Keras leaves masked steps out (mask_zero=True, Masking), PyTorch does not, and without the mask it agrees",
    )


def _unmask(call: Callable, *args: Any, **kwargs: Any) -> Any:
    """Call a layer without the masks that Keras hands on by itself; a functional model has them in its graph."""
    return call(*args, **{name: None if name in MASKS else value for name, value in kwargs.items()})


@contextmanager
def _set(layer: Any, name: str, value: Any) -> Iterator[None]:
    """Let an attribute have another value for a block; nothing equals NaN, so that masks no step."""
    before = getattr(layer, name)
    keras_internals.set_untracked(layer, name, value)
    try:
        yield
    finally:
        keras_internals.set_untracked(layer, name, before)


def _again(port: Port, **options: Any) -> Port:
    """Return the same model, to be recorded with other options."""
    made = copy(port)
    made.options = replace(port.options, **options)
    return made


def _of_loss(port: Port, row: Row, state: Mapping[str, np.ndarray], truth: Trace) -> list[str]:
    theirs, given = port.options.loss
    if isinstance(given, step.CompiledLoss):
        given = given.losses
    if isinstance(given, list | tuple | dict) or own_loss.is_own(port.model, port.options):
        return []
    ours, seen = step.typed_loss(given, port.dtype), []

    def noted(target: Any, output: Any) -> Any:
        # The plain values: Keras's cross entropy looks for the logits that a softmax has attached to its result.
        seen.append((tf.identity(target), tf.identity(output)))
        return ours(target, output)

    again = _again(port, loss=(theirs, noted), optimizer=None, steps=0).record(state, truth)
    actual = float(array_of(again, "loss"))
    with running_in(port.dtype):
        expected, bound = float(array_of(truth, "loss")), row.allowed or SAME_VALUE
        target, output = seen[0]
        said = hints.of_loss(hints.LossClue(theirs, ours, target, output, actual, expected, bound))
    return said or _of_loss_factor(again, truth, bound)


def _of_loss_factor(trace: Trace, truth: Trace, bound: float) -> list[str]:
    """Say by which factor a loss differs, where all gradients differ by the same."""
    names = [name for name in truth if name == "loss" or (kind_of(name) == "gradient" and not step_of(name))]
    if not all(is_floating(truth[name]) == is_floating(trace.get(name)) for name in names):
        return []
    ours, theirs = (
        [np.ravel(array_of(side, name)) for name in names if is_floating(truth[name])] for side in (trace, truth)
    )
    if [each.shape for each in ours] != [each.shape for each in theirs]:
        return []
    said = hints.of_factor(np.concatenate(ours), np.concatenate(theirs), bound)
    return [f"the loss and all gradients differ by one factor: {said}"] if said else []


def _of_gradient(port: Port, row: Row, state: Mapping[str, np.ndarray], truth: Trace) -> list[str]:
    """Explain an embedding's gradient: PyTorch's has none in the row of `padding_idx`."""
    path, _, leaf = row.name.removeprefix("grad:").rpartition(".")
    modules = dict(port.theirs.module.named_modules())
    index = getattr(modules.get(path), "padding_idx", None)
    if index is None or leaf != "weight":
        return []
    found = np.array(array_of(_again(port, optimizer=None, steps=0).record(state, truth), row.name))
    found[index] = 0
    return hints.of_padding(index) if measure(array_of(truth, row.name), found).relative <= (row.allowed or 0) else []


def _of_step(port: Port, row: Row, comparison: Comparison, state: Mapping[str, np.ndarray], truth: Trace) -> list[str]:
    named = {name: one for name, one in port.theirs.module.named_parameters() if one.requires_grad}
    theirs, ours = port.options.optimizer
    made = guarded("PyTorch's optimizer", theirs, list(named.values()))
    settings = [{name: value for name, value in group.items() if name != "params"} for group in made.param_groups]
    class_name = next((cls.__name__ for cls in type(made).__mro__ if cls.__module__.startswith("torch.optim.")), "")
    last = step_of(row.name)
    allowed = {
        other.name: other.allowed
        for other in comparison.rows
        if other.allowed and other.kind == "parameter" and 0 < step_of(other.name) <= last
    }
    bound = row.allowed or SAME_VALUE

    def error(make: Callable) -> float:
        return _excess(_again(port, optimizer=(theirs, make), steps=last).record(state, truth), truth, allowed) * bound

    before = max(other.excess for other in comparison.rows if other.name in allowed) * bound
    with running_in(port.dtype):
        copied = partial(step.optimizer_of, ours)
        members = [_variables(port, named, group["params"]) for group in made.param_groups]
        return hints.of_step(hints.StepClue(class_name, settings, members, copied, error, before, bound))


def _excess(trace: Trace, truth: Trace, allowed: Mapping[str, float]) -> float:
    """Return the largest error of the parameters, by what is allowed of each."""
    errors = (
        measure(array_of(truth, name), array_of(trace, name)).relative / bound
        for name, bound in allowed.items()
        if is_floating(trace.get(name)) and kind_of(name) == "parameter"
    )
    return max(errors, default=np.inf)


def _variables(port: Port, named: Mapping[str, Any], parameters: list[Any]) -> list[Any]:
    """Return the Keras variables of PyTorch's parameters."""
    known = set(map(id, parameters))
    names = {name for name, one in named.items() if id(one) in known}
    return [variable for weight in port.pairing.weights if weight.name in names for variable in weight.variables]
