"""The penalty that regularizers put on Keras's weights, which PyTorch has in its loss or in its weight_decay."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from parity.core.compare import Comparison
from parity.core.trace import Penalty, Trace, Value, array_of, is_floating, kind_of, step_of

ALIKE = 1e-4  # of a fit's largest value: what is left over of an explanation that holds


def settled(trace: Trace, truth: Mapping[str, Value]) -> Trace:
    """Return a trace whose losses and gradients have the penalty where PyTorch's have it.

    PyTorch's loss says so: it is nearer to Keras's with the penalty, or without.

    Args:
        trace: of a Keras model, without the penalty.
        truth: PyTorch's.
    """
    penalty = trace.penalty
    if penalty is None or not _in_loss(trace, penalty, truth):
        return trace
    both = ((name, _added(value, penalty.values.get(name))) for name, value in trace.items())
    found = trace.with_entries(both)
    found.penalty = replace(penalty, counted=True)
    return found


def _in_loss(trace: Trace, penalty: Penalty, truth: Mapping[str, Value]) -> bool:
    if not is_floating(truth.get("loss")) or "loss" not in penalty.values:
        return False
    expected, without = float(array_of(truth, "loss")), float(array_of(trace, "loss"))
    return abs(expected - without - float(penalty.values["loss"])) < abs(expected - without)


def _added(value: Value, penalty: np.ndarray | None) -> Value:
    if penalty is None:
        return value
    return np.asarray(value + penalty, penalty.dtype) if is_floating(value) else penalty


def described(penalty: Penalty | None, steps: int) -> str:
    """Say what became of the penalty; "" where there is none."""
    if penalty is None or not np.any(penalty.values["loss"]):
        return ""
    adds = f"the Keras model's regularizers add a penalty of {float(penalty.values['loss']):.3g} to its loss"
    if penalty.counted:
        return f"{adds}, and PyTorch's loss has it too"
    where = "it is part of each step, so the parameters after it are compared with PyTorch's weight_decay"
    return f"{adds}, which PyTorch's does not have: " + (where if steps else "losses are compared without it")


def unasked(adds: bool, steps: int, loss: Any) -> str:
    """Say that steps were made without what a model adds to its loss, because no loss was given; "" where not.

    Args:
        adds: the Keras model adds to its loss.
        steps: how many were made.
        loss: the losses that were given.
    """
    if not (adds and steps and loss is None):
        return ""
    return (
        "the Keras model adds to its loss (regularizers, add_loss), which is part of each step that fit makes "
        "and not of these, without a loss: give loss="
    )


def doubt(trace: Trace, steps: int, comparisons: Mapping[str, Comparison]) -> str:
    """Say why agreement without the penalty proves nothing; "" where it does.

    Args:
        trace: of the Keras model.
        steps: that were made.
        comparisons: dtype -> the verdict.
    """
    penalty = trace.penalty
    if penalty is None or penalty.counted or not np.any(penalty.values["loss"]):
        return ""
    if not steps:
        return (
            "the Keras model's regularizers add a penalty to its loss that PyTorch's loss does not have. Give "
            "optimizer= and steps=1: PyTorch's weight_decay is its counterpart, and the parameters after a step show "
            "if they agree"
        )
    if "float64" in comparisons or "float32" not in comparisons:
        return ""
    bounds = {row.name: row.allowed for row in comparisons["float32"].rows if row.allowed is not None}
    added = [name.removeprefix("grad:") for name, value in penalty.values.items() if np.any(value)]
    hidden = [name for name in added if _hides(name, trace, penalty, bounds, steps)]
    if not hidden:
        return ""
    return (
        f"float32 does not show if PyTorch's side has the penalty of the Keras model's regularizers on {hidden[0]}: "
        "its part of the steps is smaller than what rounding is allowed. Compare in float64, too, or give more steps "
        "or a higher learning rate"
    )


def _hides(name: str, trace: Trace, penalty: Penalty, bounds: Mapping[str, float], steps: int) -> bool:
    """Whether a parameter may move without the penalty as far, within bounds, in every step."""
    after = [f"step{k}:param:{name}" for k in range(1, steps + 1)]
    if f"grad:{name}" not in penalty.values or any(each not in bounds for each in after):
        return False
    added = penalty.values[f"grad:{name}"]
    whole = np.abs(array_of(trace, f"grad:{name}") + added).max(initial=0.0)
    moved = np.abs(array_of(trace, after[0]) - array_of(trace, f"param:{name}")).max(initial=0.0)
    part = moved * np.abs(added).max() / whole if whole else 0.0
    return all(
        k * part <= bounds[each] * np.abs(array_of(trace, each)).max(initial=0.0) for k, each in enumerate(after, 1)
    )


def reason(name: str, trace: Trace, truth: Mapping[str, Value]) -> str:
    """Say where a parameter after a first, plain step of gradient descent differs by a share of the penalty.

    Args:
        name: of the tensor that differs, "step1:param:fc.weight".
        trace: of the Keras model.
        truth: PyTorch's.
    """
    weight = name.partition("param:")[2]
    added = trace.penalty.values.get(f"grad:{weight}") if trace.penalty else None
    if added is None or kind_of(name) != "parameter" or step_of(name) != 1 or not is_floating(truth.get(name)):
        return ""
    start, now, expected = (array_of(*of) for of in ((trace, f"param:{weight}"), (trace, name), (truth, name)))
    gradient = array_of(trace, f"grad:{weight}") + (0 if trace.penalty and trace.penalty.counted else added)
    rate = _share(start - now, gradient)
    share = _share(expected - now, rate * added) if rate else None
    if share is None or abs(share) < ALIKE:
        return ""
    if abs(share - 0.5) < ALIKE:
        return (
            "looks like the factor of a regularizer: the gradient of Keras's l2(x) is 2·x·w, that of PyTorch's "
            "weight_decay=x is x·w; give l2(weight_decay / 2). Tried: half of the penalty explains the difference"
        )
    if abs(share - 1) < ALIKE:
        return "PyTorch has no such penalty: its weight_decay is 0. Tried: without the penalty the step is PyTorch's"
    return f"the penalty is {1 / (1 - share):.3g} × PyTorch's weight_decay. Tried: this explains the difference"


def _share(part: np.ndarray, whole: np.ndarray) -> float | None:
    """Return x where part = x · whole, None where there is no such number."""
    size = float(np.vdot(whole, whole))
    found = float(np.vdot(part, whole)) / size if size else 0.0
    rest = np.abs(part - found * whole).max(initial=0.0)
    return found if size and rest <= ALIKE * np.abs(part).max(initial=0.0) else None
