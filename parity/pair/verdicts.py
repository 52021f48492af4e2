"""The verdict on one recording of a Keras model."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial

from parity.core.compare import Comparison, compare
from parity.core.tolerance import SAME_VALUE
from parity.core.trace import Trace, kind_of, step_of
from parity.pair.pairing import Pairing
from parity.pair.port import Port
from parity.pair.reference import Reference


def judged(reference: Reference, trace: Trace, dtype: str, left_out: Sequence[str]) -> Comparison:
    """Return the verdict: in float64 by the bound, and where that is exceeded by PyTorch's own rounding.

    Args:
        reference: PyTorch's side.
        trace: Keras's.
        dtype: "float64" or "float32".
        left_out: names of what is not compared.
    """
    against = partial(compare, reference.truth.without(left_out), trace.without(left_out), case="check", dtype=dtype)
    if dtype == "float32":
        found = against(own=reference.errors)
        return found if found.passed else _judged_at_ties(found, reference, trace.without(left_out))
    found = against()
    if any(row.relative is not None for row in found.failures):
        found = against(own=reference.rounding)
    if found.failures and all(row.relative is not None and row.relative < SAME_VALUE for row in found.failures):
        found = against(own=reference.finest)
    return found


def _judged_at_ties(found: Comparison, reference: Reference, trace: Trace) -> Comparison:
    """Judge gradients that alone are too far off by PyTorch's at what Keras's layers returned.

    Rounding decides the sign of a ReLU's unit near zero, and the larger of two values under a maximum. Where Keras's
    float32 decides otherwise than PyTorch's runs, right gradients differ by much more than rounding. PyTorch in
    float64, whose modules return what Keras's layers did in place of what they computed, decides as Keras: its
    gradients are those of the same algebra there, and are within rounding of a right port's.

    Args:
        found: the verdict at PyTorch's own values.
        reference: PyTorch's side.
        trace: Keras's in float32, of what is compared.
    """
    failures = found.failures
    if found.problem or not all(_is_moved(row.name) and row.relative is not None for row in failures):
        return found
    activations = {name: value for name, value in trace.items() if kind_of(name) == "activation"}
    there = reference.record("float64", reference.state, at=activations)
    expected = {row.name: reference.truth[row.name] for row in found.rows}
    truth = there.with_entries((name, there[name] if _is_moved(name) else value) for name, value in expected.items())
    truth.terms = {**(reference.truth.terms or {}), **(there.terms or {})}
    again = compare(truth, trace, case="check", dtype="float32", own=reference.errors)
    left = {row.name for row in again.failures}
    settled = tuple(row.name for row in failures if row.name not in left)
    return replace(again, at_ties=settled) if len(left) < len(failures) else found


def _is_moved(name: str) -> bool:
    """Whether a tensor jumps where a decision falls otherwise: a gradient, and what a step makes of it."""
    return kind_of(name) == "gradient" or bool(step_of(name))


def compared(reference: Reference, port: Port, trace: Trace, dtype: str, left_out: list[str]) -> Comparison:
    """Return the verdict; `left_out` gets the names that are left out because Keras takes other steps there."""
    found = judged(reference, trace, dtype, left_out)
    if strangers := other_steps(found, port.pairing):
        left_out += strangers
        found = judged(reference, trace, dtype, left_out)
    return found


def other_steps(comparison: Comparison, pairing: Pairing) -> list[str]:
    """Return the activations that differ though everything else agrees, outputs and gradients among it.

    They were paired by kind and order alone, or Keras takes a step more there, such as a crop, or a hook of the user's
    changes what PyTorch's module returns.

    Args:
        comparison: of everything that was recorded.
        pairing: which modules have weights.
    """
    failed = [row for row in comparison.rows if not row.passed]
    weighted = {one.name for one, _, _ in pairing.units if not getattr(one.owner, "_forward_hooks", None)}
    judged = any(row.passed and row.kind == "output" for row in comparison.rows)
    for row in failed:
        path = row.name.removeprefix("activation:").partition("#")[0]
        if row.kind != "activation" or (path in weighted and not row.problem.startswith("shape")):
            return []
    return [row.name for row in failed] if judged and not comparison.problem else []


def other_steps_note(left_out: Sequence[str]) -> Iterator[str]:
    """Say what is left out because Keras takes other steps there."""
    if left_out:
        yield f"other steps in Keras than in PyTorch, not compared: {', '.join(left_out)}"
