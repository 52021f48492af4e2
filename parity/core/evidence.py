"""Agreement that proves nothing: a wrong port would agree as well."""

from collections.abc import Iterable, Iterator, Mapping, Sequence

import numpy as np

from parity.core.compare import Comparison, Row
from parity.core.trace import step_of
from parity.core.vacuous import NOT_FINITE, Content
from parity.core.verdict import Verdict

NAMED = 3  # tensors that a reason names, at most
NOTHING = (Content.EMPTY, Content.NOT_FINITE)  # proves nothing, whatever else was compared


def verdict_of(comparison: Comparison, undecided: Sequence[str]) -> Verdict:
    """Return the verdict on one precision of a pair whose agreement proves nothing for these reasons, or for none.

    A difference is one whatever else is in doubt.
    """
    if not comparison.rows:
        return Verdict.NOT_DECIDED
    if not comparison.passed:
        return Verdict.NOT_EQUIVALENT
    return Verdict.NOT_DECIDED if undecided else Verdict.EQUIVALENT


def without_numbers(inputs: Mapping[str, np.ndarray]) -> str:
    """Say that no input holds a number, only NaN and infinities: then nothing can be compared. "" where one does."""
    if not inputs or any(
        array.dtype.kind != "f" or not array.size or np.isfinite(array).any() for array in inputs.values()
    ):
        return ""
    return f"{', '.join(inputs)}: every value is NaN or infinite, so nothing can be compared: check the data"


def undecided(comparisons: Iterable[Comparison], *, loss_given: bool = False) -> tuple[str, ...]:
    """Return why the agreement of a pair proves nothing, a line each; empty where something failed, or is proven.

    One precision that proves something is enough: float32 may be zero where float64 is not.

    Args:
        comparisons: of one pair, in each precision.
        loss_given: the user handed over a loss, so gradients are expected.
    """
    comparisons = list(comparisons)
    if not all(comparison.passed for comparison in comparisons):
        return ()
    reasons = [tuple(proves_nothing(comparison.rows, loss_given=loss_given)) for comparison in comparisons]
    return reasons[0] if reasons and all(reasons) else ()


def proves_nothing(rows: Sequence[Row], *, loss_given: bool = False) -> Iterator[str]:
    """Yield what is wrong with the evidence of tensors that agree.

    Outputs that are zero, or the same for every example, still prove something where a weight has a gradient: a head
    whose weights are zero at first passes its features on in the gradient. A bias's gradient does not depend on them.
    """
    inputs = [row for row in rows if row.kind == "input"]
    of_inputs = {f"grad:{row.name}" for row in inputs}
    gradients = [row for row in rows if row.kind == "gradient" and row.name not in of_inputs]
    gradients = [row for row in gradients if row.content is not Content.ABSENT]
    tested = any(row.content is Content.VARIED and not _is_bias(row) for row in gradients)
    silent = NOTHING if tested else (*NOTHING, Content.ZERO)
    outputs = _telling([row for row in rows if row.kind == "output"])
    remedy = _remedy(inputs)
    if _all(outputs, silent):
        yield f"every output is {_contents(outputs)} ({_names(outputs)}), so agreement proves nothing: {remedy}"
    elif _all(inputs, silent):
        yield f"nothing was compared that depends on the input: {remedy}"
    elif not tested and _all(outputs, (*silent, Content.REPEATED)) and _all(inputs, (Content.VARIED,)):
        yield (
            f"the outputs are the same for every example ({_names(outputs)}) though the inputs differ, so agreement "
            f"proves nothing: {remedy}"
        )
    elif _all(gradients, (*NOTHING, Content.ZERO)):
        yield (
            f"the gradient of every parameter is {_contents(gradients)} ({_names(gradients)}), so the gradients prove "
            f"nothing: {remedy}, or the loss"
        )
    elif lost := [row for row in rows if not row.decided and any(each.kind == "loss" for each in rows)]:
        yield f"the loss is NaN or infinite on both sides, so {_names(lost)} could not be compared: {remedy}"
    if loss_given and not any(row.kind == "loss" for row in rows):
        yield "the losses returned None, so no gradient was compared: let both return a number, or give loss=False"
    moving = {row.name.removeprefix("grad:") for row in gradients}
    steps = [
        row for row in rows if step_of(row.name) and row.kind == "parameter" and row.name.split(":", 2)[2] in moving
    ]
    if _all(steps, (Content.UNMOVED,)):
        yield "no step moved a parameter, so the optimizer was not tested: give a learning rate above 0, or more steps"


def _is_bias(row: Row) -> bool:
    """Whether a gradient is of a bias, such as `fc.bias`, `lstm.bias_hh_l0` or `attention.in_proj_bias`."""
    return "bias" in row.name.rpartition(".")[2]


def _telling(outputs: list[Row]) -> list[Row]:
    """Return the outputs to judge by: the floating-point ones that have values, if there are any."""
    return [row for row in outputs if row.content not in (Content.OTHER, Content.EMPTY)] or outputs


def _all(rows: Sequence[Row], contents: Iterable[Content]) -> bool:
    """Whether there are rows, and each has one of these contents."""
    return bool(rows) and all(row.content in contents for row in rows)


def _remedy(inputs: Sequence[Row]) -> str:
    """Name what is wrong with the inputs, and say what to do."""
    empty = [row for row in inputs if row.content is Content.EMPTY]
    if empty:
        return f"{_names(empty)} has no values; give a batch with examples"
    broken = [row for row in inputs if NOT_FINITE in row.warnings or row.content is Content.NOT_FINITE]
    if broken:
        return f"{_names(broken)} has NaN or infinite values; check the data"
    zero = _all(inputs, (Content.ZERO,))
    return f"{_names(inputs)} is zero; give random inputs" if zero else "give other inputs, or check the weights"


def _contents(rows: Iterable[Row]) -> str:
    return " or ".join(dict.fromkeys(row.content for row in rows))


def _names(rows: Sequence[Row]) -> str:
    rest = f" and {len(rows) - NAMED} more" if len(rows) > NAMED else ""
    return ", ".join(row.name for row in rows[:NAMED]) + rest
