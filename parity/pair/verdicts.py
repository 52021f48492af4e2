"""The verdict on one recording of a Keras model."""

from collections.abc import Iterator, Sequence
from functools import partial

from parity.core.compare import Comparison, compare
from parity.core.trace import Trace
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
        return against(own=reference.errors)
    found = against()
    measured = any(row.relative is not None for row in found.failures)
    return against(own=reference.rounding) if measured else found


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
