"""Casts to float32 that models make themselves, whatever precision they are in: float64 judged without them.

Modules made for half precision have `softmax(x, dtype=torch.float32)` or `x.float()` in them, as those of transformers
do, and Keras layers `ops.cast(x, "float32")`. In float32 that changes nothing; in float64 it leaves float32's rounding.
"""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass

from keras_blitz.errors import BlitzError
from parity.core.compare import Comparison
from parity.core.trace import Trace
from parity.pair.port import Port
from parity.pair.reference import Reference
from parity.record.exact_floats import widened_casts
from parity.record.torch_exact import Widened

NEAR = 1e-4  # a difference in float64 that is larger, relative to a tensor's scale, is not rounding to float32


@dataclass(frozen=True)
class WithoutCasts:
    """A verdict in float64 that agrees.

    Args:
        comparison: the verdict.
        truth: PyTorch's trace that it was judged by.
        said: which side casts.
    """

    comparison: Comparison
    truth: Trace
    said: str


def without_casts(
    exact: Comparison | None,
    reference: Reference,
    port: Port | None,
    trace: Trace | None,
    judged: Callable[[Trace, Trace], Comparison],
    stack: ExitStack,
) -> WithoutCasts | None:
    """Return the first verdict that agrees when PyTorch's casts stay float64, or Keras's, or both; None without one.

    Nothing is tried where float64 agrees, or differs by more than casts explain.

    Args:
        exact: the verdict in float64, if there is one.
        reference: PyTorch's side.
        port: the Keras model in float64, if there is one.
        trace: what it does.
        judged: (PyTorch's trace, Keras's) -> the verdict.
        stack: keeps Keras's casts in float64 until it ends, where that was needed.
    """
    if exact is None or port is None or trace is None or exact.passed:
        return None
    if not all(row.relative is not None and row.relative < NEAR for row in exact.failures):
        return None
    truths = list(_widen(reference))
    if found := _first([(truth, trace, [f"PyTorch's module ({names})"]) for truth, names in truths], judged):
        return found
    with ExitStack() as trial:
        narrowed = trial.enter_context(widened_casts())
        try:
            ours = port.record(reference.state, reference.truth)
        except BlitzError:  # an operation of float32 and float64
            return None
        if not narrowed:
            return None
        both = [(truth, ours, [f"PyTorch's module ({names})", "the Keras model"]) for truth, names in truths]
        if found := _first([(reference.truth, ours, ["the Keras model"]), *both], judged):
            stack.enter_context(trial.pop_all())
        return found


def _first(
    candidates: list[tuple[Trace, Trace, list[str]]], judged: Callable[[Trace, Trace], Comparison]
) -> WithoutCasts | None:
    for truth, trace, sides in candidates:
        comparison = judged(truth, trace)
        if comparison.passed:
            said = f"there are casts to float32, whatever the models are in, in {' and in '.join(sides)}"
            return WithoutCasts(comparison, truth, f"{said}: with float64 in their place float64 agrees")
    return None


def _widen(reference: Reference) -> Iterator[tuple[Trace, str]]:
    """Yield the trace in float64 with what the module casts to float32 left in float64, and what that is.

    Without the constants that it makes in float32, then with them; a module that does not run so has none.
    """
    for constants in (False, True):
        within = Widened(constants)
        try:
            trace = reference.record("float64", reference.state, within=within)
        except BlitzError:  # an operation of float32 and float64
            continue
        if within.names:
            yield trace, ", ".join(sorted(within.names))
