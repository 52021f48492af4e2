"""The proof that a copy of the user's Keras model, made for another precision, does what the model itself does.

Both were recorded, the model in its own precision and the copy in the other. Where both agree with PyTorch within
bounds, they agree with each other. Where they do not, a second copy, made from the same configuration in the model's
own precision, must repeat the model's own recording.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import inf

from keras_blitz.errors import BlitzError
from parity.core.compare import Comparison, Row, compare
from parity.core.difference import Difference, measure
from parity.core.locate import first_divergence
from parity.core.tolerance import MEDIAN_RATIO
from parity.core.trace import Trace, is_floating, kind_of, tensor_of

Errors = Mapping[str, Difference]


@dataclass(frozen=True)
class Proof:
    """Whether a copy is the user's model in another precision.

    Args:
        note: how close the two are, in figures; "" where the copy is not proven.
        doubt: why the copy is not believed; "" where it is proven.
    """

    note: str = ""
    doubt: str = ""


def prove(
    truth: Trace,
    traces: Mapping[str, Trace],
    comparisons: Mapping[str, Comparison],
    own: str,
    errors: Errors,
    again: Callable[[], Trace],
    model: str = "the model itself",
) -> Proof:
    """Say whether what was recorded of a copy is what the model itself does.

    Args:
        truth: PyTorch's trace in float64.
        traces: precision -> what was recorded; in `own` of the model, in the other of the copy.
        comparisons: the same, compared with PyTorch.
        own: the model's own precision.
        errors: PyTorch's own float32 errors.
        again: records another copy, made in the model's own precision; slow, so it is called only where it is needed.
        model: what was recorded in `own`, in words.
    """
    (copied,) = set(traces) - {own}
    passed = [comparisons[dtype].passed for dtype in (own, copied)]
    if not all(passed) and (any(passed) or not _rounds_to(truth, traces, errors)):
        try:
            row = _first_difference(truth, traces[own], again(), own)
        except BlitzError as error:
            return Proof(doubt=f"no {own} copy could be made to prove the {copied} copy by ({error})")
        if row:
            return Proof(
                doubt=f"the Keras model rebuilt in {copied} computes something else from {row} on "
                "(something set after construction, or missing in its get_config)"
            )
    return Proof(note=f"the {copied} copy computes the same as {model}: {_agreement(traces)}")


def _rounds_to(truth: Trace, traces: Mapping[str, Trace], errors: Errors) -> bool:
    """Whether the float32 trace is the float64 trace but for rounding, by PyTorch's own float32 error."""
    exact, coarse = (
        traces[dtype].with_entries((n, v) for n, v in traces[dtype].items() if n in errors)
        for dtype in ("float64", "float32")
    )
    exact.terms = truth.terms
    return compare(exact, coarse, case="check", dtype="float32", own=errors).passed


def _first_difference(truth: Trace, own: Trace, again: Trace, dtype: str) -> str:
    """Return the first tensor in which two recordings of the same computation differ, "" where none does."""
    expected = own.with_entries(own.items())
    expected.terms = truth.terms
    exact = {name: Difference(0.0, 0.0, 0.0) for name, value in own.items() if is_floating(value)}
    found = compare(expected, again, case="check", dtype=dtype, own=exact if dtype == "float32" else None)
    row = first_divergence(found.rows)
    return row.name if row else ""


def _agreement(traces: Mapping[str, Trace]) -> str:
    exact, coarse = traces["float64"], traces["float32"]
    outputs = [name for name in exact if kind_of(name) == "output" and is_floating(exact[name])]
    worst = max((measure(tensor_of(exact, n), tensor_of(coarse, n)).relative for n in outputs), default=0.0)
    return f"outputs differ by at most {worst:.1e} of their scale"


def describe_coarse(comparisons: Mapping[str, Comparison], layer_of: Callable[[str], str]) -> str:
    """Say that float64 agrees and float32 is only coarser than PyTorch's; "" where that is not so.

    Args:
        comparisons: precision -> the verdict, of a copy that is proven.
        layer_of: the name of an activation -> the Keras layer that makes it, "" where it is not known.
    """
    exact, coarse = comparisons.get("float64"), comparisons.get("float32")
    if not (exact and coarse and exact.passed and not coarse.passed):
        return ""
    if any(row.relative is None for row in coarse.failures):
        return ""  # a type, a shape or a NaN is not rounding
    right = "the algebra is right: float64 agrees"
    row = _first_coarse(coarse)
    if row is None:
        return f"{right}, but in float32 {coarse.problem}"
    factor = row.ratio or ((row.relative or 0.0) / row.own if row.own else inf)
    return f"{right}, but in float32 {layer_of(row.name) or row.name} loses {factor:.2g} × PyTorch's own error"


def _first_coarse(comparison: Comparison) -> Row | None:
    """Return the first activation out of bounds, else the first beyond the bound of the median, else the first row."""
    activations = [row for row in comparison.rows if row.kind == "activation"]
    beyond = [row for row in activations if not row.passed] + [
        row for row in activations if (row.ratio or 0.0) > MEDIAN_RATIO
    ]
    return beyond[0] if beyond else first_divergence(comparison.rows)
