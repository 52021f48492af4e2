"""PyTorch's side of a pair, recorded: the truth, and its own error in each other precision."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import Any

import numpy as np

from parity.core import inputs as streams
from parity.core.difference import Difference, largest
from parity.core.modes import PRECISIONS
from parity.core.own_error import larger, own_error
from parity.core.trace import Trace, Value, array_of
from parity.pair import pairing, reduced, step, theirs
from parity.pair.options import Options
from parity.pair.port import Port
from parity.pair.theirs import Theirs
from parity.record.memory import release

LOST = 1e-2  # a float32 error that is larger, relative to a tensor's scale, does not say how large float64's is
# How far float64's error may be above float32's, in its units, and still be rounding: it is 70 × in the running
# variances of EfficientNet, and about 2²⁹ × where a module casts to float32.
CAST = 1e4


@dataclass(frozen=True)
class Reference:
    """PyTorch's side.

    Args:
        state: its weights.
        truth: its trace in float64.
        fed: what its modules were given.
        errors: its own float32 errors.
        measure: (precision, numbers of runs, a set) -> its own errors in that precision; the set gets the
            half-precision types that its modules return.
        types: those that they return in float32.
        record: (precision, weights) -> its trace.
        samples: how many runs `errors` is the largest of.
    """

    state: Mapping[str, np.ndarray]
    truth: Trace
    fed: Mapping[str, np.ndarray]
    errors: Mapping[str, Difference]
    measure: Callable[[str, range, set[str]], dict[str, Difference]]
    types: set[str]
    record: Callable[..., Trace]
    samples: int

    @cached_property
    def rounding(self) -> Mapping[str, Difference]:
        """How far float32 rounding moves each tensor; nothing where PyTorch's module computes in half precision inside.

        It takes runs of PyTorch where float32 is not judged, so it is only for a difference in float64 to ask for.
        """
        if self.samples < reduced.SAMPLES and not self.types:
            more = self.measure("float32", range(self.samples, reduced.SAMPLES), self.types)
            own = larger(self.errors, more) if self.errors else more
        else:
            own = dict(self.errors)
        return {} if self.types else own

    @cached_property
    def finest(self) -> Mapping[str, Difference]:
        """How far rounding moves each tensor, in units of float32: the larger of what float32 and float64 tell.

        Where float32 loses all digits but two, as after a BatchNorm over two values that are nearly equal, float64's
        own error is larger than float32's by 2⁻²⁹: it is measured, by runs from weights moved by four of its units in
        the last place. Of a tensor that keeps its digits it counts up to `CAST` × float32's alone: a cast to float32
        inside a module leaves float32's error in float64.
        """
        if not any(each.relative > LOST for each in self.rounding.values()):
            return self.rounding
        wide = {
            name: value.astype("float64") if value.dtype.kind == "f" else value for name, value in self.state.items()
        }
        moved = (streams.moved(wide, sample, 4 * 2.0**-52) for sample in (1, 2))
        own = own_error(self.truth, (self.record("float64", weights) for weights in moved))
        found = dict(self.rounding)
        for name, coarse in self.rounding.items():
            fine = replace(own[name], max_abs=own[name].max_abs * 2.0**29, rms=own[name].rms * 2.0**29)
            if coarse.relative > LOST or fine.max_abs < CAST * coarse.max_abs:
                found[name] = largest([coarse, fine])
        return found


def reference_of(torch_side: Theirs, options: Options, port: Port, coarse: bool) -> Reference:
    """Record PyTorch's side.

    Args:
        torch_side: PyTorch's side.
        options: what to record.
        port: the Keras model, which says what has a counterpart.
        coarse: float32 is judged, or proves a copy.
    """
    state = theirs.state_of(torch_side, port.pairing.twins)
    if options.keeps:  # what Keras has in another form, 1 + w, has lost bits of w
        held = [weight for weight in port.pairing.weights if pairing.is_rounded(weight, state[weight.name])]
        state |= {weight.name: weight.value() for weight in held}
    record = partial(
        theirs.record, torch_side, options, left_out=port.left_out, last_only=port.last_only,
        squeezed=port.squeezed,
        slots=step.lists_slots(options.optimizer),
    )  # fmt: skip
    whole = record("float64", state, fed=True)
    fed = {name: array_of(whole, name) for name in whole if name.startswith("fed:")}
    truth = whole.with_entries(
        (name, _in_state(name, value, state)) for name, value in whole.items() if name not in fed
    )
    del whole  # with its copy of the weights in float64
    measure, types = partial(_own_errors, record, state, truth), set[str]()
    samples = (reduced.SAMPLES if "float32" in options.dtypes else 1) if coarse else 0
    errors = measure("float32", range(samples), types) if samples else {}
    release()
    return Reference(state, truth, fed, errors, measure, types, record, samples)


def _in_state(name: str, value: Value, state: Mapping[str, np.ndarray]) -> Value:
    """Return a parameter's value as the state has it, which both sides were given: it needs no memory of its own."""
    own = state.get(name.removeprefix("param:"))
    return own if own is not None and isinstance(value, np.ndarray) and np.array_equal(own, value) else value


def _own_errors(
    record: Callable[..., Trace], state: Mapping[str, Any], truth: Trace, dtype: str, samples: range, types: set[str]
) -> dict[str, Difference]:
    """Return PyTorch's own error in a precision: the largest of runs from weights moved by its rounding.

    Args:
        record: (precision, weights) -> the trace.
        state: the weights.
        truth: PyTorch's trace in float64.
        dtype: the precision.
        samples: the numbers of the runs.
        types: gets the half-precision types that PyTorch's modules return.
    """

    def run(sample: int) -> Trace:
        trace = record(dtype, streams.moved(state, sample, PRECISIONS[dtype].moves))
        types.update(trace.meta.get("reduced", ()))
        return trace

    return own_error(truth, map(run, samples))
