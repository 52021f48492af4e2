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

    PyTorch says so: its loss or gradient is nearer to Keras's with the penalty, or without. The one decides on which
    the penalty is the largest part, which rounding says least of; where that is too little, `doubt` says so.

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
    name = max(penalty.values, key=lambda name: _share_of(name, penalty, truth))
    if not _share_of(name, penalty, truth):
        return False
    expected, added = array_of(truth, name), penalty.values[name]
    rest = expected - (array_of(trace, name) if is_floating(trace.get(name)) else 0.0)
    return float(np.vdot(rest - added, rest - added)) < float(np.vdot(rest, rest))


def _share_of(name: str, penalty: Penalty, truth: Mapping[str, Value]) -> float:
    """Return how large the penalty is beside a loss or gradient of PyTorch's; 0 where PyTorch has none."""
    added = np.abs(penalty.values[name]).max(initial=0.0)
    expected = array_of(truth, name) if is_floating(truth.get(name)) else np.zeros(())
    if not added or expected.shape != np.shape(penalty.values[name]):
        return 0.0
    return float(added / max(np.abs(expected).max(initial=0.0), added))


def _added(value: Value, penalty: np.ndarray | None) -> Value:
    if penalty is None:
        return value
    return np.asarray(value + penalty, penalty.dtype) if is_floating(value) else penalty


def described(penalty: Penalty | None, steps: int) -> str:
    """Say what became of the penalty; "" where there is none."""
    if penalty is None or not _find_penalized(penalty):
        return ""
    adds = f"the Keras model's regularizers add a penalty of {float(penalty.values['loss']):.3g} to its loss"
    if penalty.counted:
        return f"{adds}, and PyTorch's loss has it too"
    where = "it is part of each step, so the parameters after it are compared with PyTorch's weight_decay"
    return f"{adds}, which PyTorch's does not have: " + (where if steps else "losses are compared without it")


def _find_penalized(penalty: Penalty) -> list[str]:
    """Return the parameters that a penalty is put on, also those where it is zero as long as the weights are."""
    return [name for name, moved in penalty.moved.items() if moved or any(penalty.steps[name])]


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
    """Say why agreement proves nothing of the penalty; "" where it does.

    Args:
        trace: of the Keras model, in float64 if that was compared.
        steps: that were made.
        comparisons: dtype -> the verdict.
    """
    penalty = trace.penalty
    names = [] if penalty is None else _find_penalized(penalty)
    if penalty is None or not names:
        return ""
    if not (steps or penalty.counted):
        return (
            "the Keras model's regularizers add a penalty to its loss that PyTorch's loss does not have. Give "
            "optimizer= and steps=1: PyTorch's weight_decay is its counterpart, and the parameters after a step show "
            "if they agree"
        )
    dtype = next((each for each in ("float64", "float32") if each in comparisons), "")
    bounds = {row.name: row.allowed for row in comparisons[dtype].rows if row.allowed is not None} if dtype else {}
    hidden = [name for name in names if _hides(name, trace, penalty, bounds, steps)]
    if not hidden:
        return ""
    if not any(penalty.steps[hidden[0]]):
        return (
            f"the Keras model's regularizers put a penalty on {hidden[0]}, which is zero because the weights are: "
            "nothing shows if PyTorch's side has it. Give optimizer= and steps=2, or other weights"
        )
    finer = "Compare in float64, too, or give" if dtype == "float32" else "Give"
    return (
        f"{dtype} does not show if PyTorch's side has the penalty of the Keras model's regularizers on {hidden[0]}: "
        f"its part of what was compared is smaller than what rounding is allowed. {finer} more steps or a higher "
        "learning rate"
    )


def _hides(name: str, trace: Trace, penalty: Penalty, bounds: Mapping[str, float], steps: int) -> bool:
    """Whether what was compared of a parameter is within bounds with the penalty and without."""
    if f"grad:{name}" not in bounds:
        return False
    gradient, added = array_of(trace, f"grad:{name}"), penalty.values[f"grad:{name}"]
    scale = np.abs(gradient).max(initial=0.0)
    if penalty.counted and np.abs(added).max(initial=0.0) > bounds[f"grad:{name}"] * scale:
        return False
    after = [f"step{k}:param:{name}" for k in range(1, steps + 1)]
    if any(each not in bounds for each in after):
        return False
    whole = np.abs(gradient + (0.0 if penalty.counted else added)).max(initial=0.0)
    moved = np.abs(array_of(trace, after[0]) - array_of(trace, f"param:{name}")).max(initial=0.0) if after else 0.0
    rate = moved / whole if whole else 0.0
    parts = np.cumsum([rate * largest for largest in penalty.steps[name]])
    return all(
        part <= bounds[each] * np.abs(array_of(trace, each)).max(initial=0.0)
        for part, each in zip(parts, after, strict=False)
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
