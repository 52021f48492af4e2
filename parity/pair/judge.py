"""Both models of a pair recorded in each precision, and compared."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial
from itertools import product
from typing import Any

import keras

from keras_blitz.errors import BlitzError
from parity.core.compare import Comparison, compare
from parity.core.evidence import undecided
from parity.core.locate import first_divergence
from parity.core.modes import DTYPES, key_of, mode_of
from parity.core.tolerance import SAME_VALUE
from parity.core.trace import Trace
from parity.pair import copies, feed, masks, own_step, penalty, random_keras, reduced, step
from parity.pair.constants import float32_constants, float32_operations
from parity.pair.locating import Location, locate
from parity.pair.options import Options
from parity.pair.pairing import Match, Pairing
from parity.pair.policy import own_precision, plain_precision
from parity.pair.port import Port
from parity.pair.proof import describe_coarse, prove
from parity.pair.reference import Reference, reference_of
from parity.pair.theirs import Theirs


@dataclass(frozen=True)
class Judgement:
    """What came of two models.

    Args:
        comparisons: dtype, with the mode if it is not eager -> the verdict.
        location: where the difference begins; None where nothing differs.
        units: the pairs of units whose weights correspond.
        notes: what was inferred, and what could not be done, a line each.
        undecided: why agreement proves nothing here, a line each.
        unproven: why a copy in another precision was not believed, "" where it was, or none was made.
        coarse: by how much float32 alone is coarser than PyTorch's, "" where it is not.
        precision: in which reduced precision the Keras model runs, and how it was judged; "" where in none.
    """

    comparisons: Mapping[str, Comparison]
    location: Location | None
    units: list[Match]
    notes: list[str]
    undecided: tuple[str, ...] = ()
    unproven: str = ""
    coarse: str = ""
    precision: str = ""


@dataclass
class _Sides:
    """The Keras side in each precision.

    Args:
        ports: precision -> the model.
        own: the precision in which it is the user's own object; "" where a function makes it in each.
        ported_again: precision -> one more copy, with the weights that the model had at first.
        doubt: why there is no copy, or none to be believed.
    """

    ports: dict[str, Port]
    own: str = ""
    ported_again: Callable[[str], Port] | None = None
    doubt: str = ""

    @property
    def first(self) -> Port:
        """What decides how weights are paired: the user's own object."""
        return self.ports[self.own] if self.own else next(iter(self.ports.values()))

    def drop_copy(self, doubt: str) -> None:
        self.ports = {self.own: self.ports[self.own]}
        self.doubt = doubt


def judge(torch_side: Theirs, model: Any, options: Options) -> Judgement:
    """Record both models and compare them.

    In the Keras model's own precision it is the user's own object that is recorded; a copy in another precision is
    judged only where it is proven to do the same.

    Args:
        torch_side: PyTorch's side, after its dry run.
        model: a Keras model, or a function dtype -> model.
        options: what to record.

    Raises:
        BlitzError: a model raises, or weights cannot be paired.
    """
    if torch_side.random:
        return Judgement({}, None, [], [], (torch_side.random,))
    with ExitStack() as stack:
        notes: list[str] = []
        try:
            sides = _sides(torch_side, model, options, stack)
        except masks.UnsharedError as error:
            return Judgement({}, None, [], notes, (str(error),))
        halves = reduced.ports(torch_side, model, options, stack)
        if not sides.ports and not halves.ports:
            raise BlitzError("; ".join([sides.doubt, *(f"{name}: {why}" for name, why in halves.refused.items())]))
        first = sides.first if sides.ports else next(iter(halves.ports.values()))
        notes += first.notes()
        if reason := random_keras.describe(first):
            return Judgement({}, None, first.pairing.units, notes, (reason,))
        reference = reference_of(torch_side, options, first, "float32" in sides.ports)
        traces = _record(sides, reference)
        comparisons, left_out = _compare(reference, traces, first)
        if sides.ported_again and len(traces) > 1:
            again = partial(_record_again, sides.ported_again, sides.own, reference)
            itself = "the model itself" if sides.ports[sides.own].model is model else "the float32 copy"
            proof = prove(reference.truth, traces, comparisons, sides.own, reference.errors, again, itself)
            notes += filter(None, [proof.note])
            if proof.doubt:
                sides.drop_copy(proof.doubt)
                comparisons, left_out = _compare(reference, {sides.own: traces[sides.own]}, first)
        comparisons = {dtype: found for dtype, found in comparisons.items() if dtype in options.dtypes}
        notes += _notes(first, comparisons, left_out)
        location = _located(sides.ports, comparisons, reference, left_out)
        notes += _float32_inside(sides.ports.get("float64"), comparisons, location)
        location = _with_reason(location, traces, reference)
        compiled = _in_other_modes(sides.ports, reference, tuple(comparisons), options.modes, left_out)
        doubts = [step.doubt(options)]
        if sides.ports:
            trace = traces[first.dtype]
            notes += filter(None, [penalty.described(trace.penalty, options.steps)])
            finest = traces["float64"] if "float64" in comparisons else trace
            doubts.append(penalty.doubt(finest, options.steps, comparisons))
            if first.model is model or not isinstance(model, keras.Layer):
                doubts.append(own_step.doubt(first, trace, reference.truth))
        doubts.append(penalty.unasked(first.adds_losses(), options.steps, options.loss))
        doubts += [own_step.unlike(half) for half in halves.ports.values() if half.model is model]
        comparisons |= reduced.compared(
            halves, reference.measure, reference.state, reference.truth.without(left_out), comparisons, options, notes
        )
        comparisons = {key: found for key, found in comparisons.items() if mode_of(key) in options.modes} | compiled
        row = next(filter(None, (first_divergence(comparison.rows) for comparison in comparisons.values())), None)
        if location is None and row:  # in a reduced precision, or compiled, alone: what a layer was given is not known
            location = Location(row)
        location = location if row else None
        notes += reduced.notes(torch_side.module, comparisons, reference.types)
        doubts += reduced.doubts(model, comparisons, halves.refused)
        precision = reduced.describe(model, {comparison.dtype for comparison in comparisons.values()})
        coarse = describe_coarse(comparisons, partial(_layer_of, first))
    unproven = _unproven(sides, comparisons)
    doubts += undecided(comparisons.values(), loss_given=bool(options.loss))
    if unproven and not comparisons:
        doubts, unproven = [unproven], ""
    known = tuple(filter(None, doubts))
    return Judgement(comparisons, location, first.pairing.units, notes, known, unproven, coarse, precision)


def _sides(torch_side: Theirs, model: Any, options: Options, stack: ExitStack) -> _Sides:
    """Return the Keras model in each precision that is asked for, and in its own.

    Args:
        torch_side: PyTorch's side.
        model: the user's own, or a function dtype -> model.
        options: what to record.
        stack: puts back in the end what is borrowed of the user's own objects.
    """

    def ported(one: Any, dtype: str) -> Port:
        port = Port(torch_side, options, one, dtype)
        stack.enter_context(port.masked())
        return port

    asked = [dtype for dtype in DTYPES if dtype in options.dtypes]
    if not isinstance(model, keras.Layer):
        made = {dtype: copies.made(model, dtype, feed.run_once(torch_side, dtype)) for dtype in asked}
        return _Sides({dtype: ported(stack.enter_context(copies.borrowed(one)), dtype) for dtype, one in made.items()})
    own = plain_precision(model)
    if not own:
        own = "float32"
        try:
            model = copies.in_float32(model, feed.run_once(torch_side, own))
        except copies.NotRebuiltError as error:
            if not own_precision(model):
                raise
            return _Sides({}, doubt=f"a float32 copy could not be made from the model's configuration ({error})")
    feed.run_once(torch_side, own)(model)  # builds it, if it was not
    weights = model.get_weights()

    def copied(dtype: str) -> Port:
        return ported(copies.rebuilt(model, dtype, feed.run_once(torch_side, dtype), weights), dtype)

    sides = _Sides({own: ported(stack.enter_context(copies.borrowed(model)), own)}, own, copied)
    for dtype in asked:
        if dtype != own:
            try:
                sides.ports[dtype] = copied(dtype)
            except BlitzError as error:
                sides.doubt = f"a {dtype} copy could not be made from the model's configuration ({error})"
    return sides


def _record(sides: _Sides, reference: Reference) -> dict[str, Trace]:
    """Return what each model does, in the order of `DTYPES`; what a copy raises is a reason not to believe it."""
    traces = {}
    for dtype, port in list(sides.ports.items()):
        try:
            traces[dtype] = port.record(reference.state, reference.truth)
        except BlitzError as error:
            if not sides.own or dtype == sides.own:
                raise
            sides.drop_copy(f"a {dtype} copy made from the model's configuration does not run ({error})")
    return {dtype: traces[dtype] for dtype in DTYPES if dtype in traces}


def _record_again(ported: Callable[[str], Port], dtype: str, reference: Reference) -> Trace:
    return ported(dtype).record(reference.state, reference.truth)


def _compare(reference: Reference, traces: Mapping[str, Trace], port: Port) -> tuple[dict[str, Comparison], list[str]]:
    """Return dtype -> the verdict, and the names that are left out because Keras takes other steps there."""
    comparisons: dict[str, Comparison] = {}
    left_out: list[str] = []
    for dtype, trace in traces.items():
        comparisons[dtype] = _judged(reference, port, trace, dtype, left_out)
        strangers = other_steps(comparisons[dtype], port.pairing)
        if strangers:
            left_out += strangers
            comparisons[dtype] = _judged(reference, port, trace, dtype, left_out)
    return comparisons, left_out


def _in_other_modes(
    ports: Mapping[str, Port], reference: Reference, dtypes: Sequence[str], modes: Sequence[str], left_out: list[str]
) -> dict[str, Comparison]:
    """Return "float64-graph" -> the verdict on the model compiled, in each precision and mode but eager."""
    found: dict[str, Comparison] = {}
    for dtype, mode in product(dtypes, (mode for mode in modes if mode != "eager")):
        trace = ports[dtype].record(reference.state, reference.truth, mode)
        found[key_of(dtype, mode)] = _judged(reference, ports[dtype], trace, dtype, left_out)
    return found


def _judged(reference: Reference, port: Port, trace: Trace, dtype: str, left_out: list[str]) -> Comparison:
    case = "check-float32-constants" if float32_constants(port.layers) else "check"
    errors = reference.errors if dtype == "float32" else None
    return compare(reference.truth.without(left_out), trace.without(left_out), case=case, dtype=dtype, own=errors)


def _notes(port: Port, comparisons: Mapping[str, Comparison], left_out: list[str]) -> list[str]:
    notes, constants = [], float32_constants(port.layers)
    if constants and "float64" in comparisons:
        notes.append(
            "float64 is held to 1e-6, not 1e-12: the Keras model has layers with constants in float32 "
            f"({', '.join(constants)})"
        )
    if left_out:
        notes.append(f"other steps in Keras than in PyTorch, not compared: {', '.join(left_out)}")
    return notes


def _float32_inside(
    port: Port | None, comparisons: Mapping[str, Comparison], location: Location | None
) -> Iterator[str]:
    """Say where all that differs, in float64 alone, is what an operation in float32 explains, and there is one.

    Not where a reason is known: a wrong constant may differ by as little.
    """
    exact, coarse = comparisons.get("float64"), comparisons.get("float32")
    if port is None or not (exact and coarse and coarse.passed) or exact.passed or (location and location.explained):
        return
    if not all(row.relative is not None and row.relative < SAME_VALUE for row in exact.failures):
        return
    operations = float32_operations(partial(feed.run, port.theirs, port.model, port.dtype, port.options.train))
    if operations:
        yield (
            "float32 agrees, and float64 to 1e-6: a constant goes through float32 in the Keras model, at "
            f"{operations[0]}, as in keras.activations.gelu or leaky_relu called as functions; "
            'dtypes=["float32"] leaves that out of the verdict'
        )


def _located(
    ports: Mapping[str, Port], comparisons: Mapping[str, Comparison], reference: Reference, left_out: list[str]
) -> Location | None:
    for dtype, comparison in comparisons.items():
        row = first_divergence(comparison.rows)
        if row:
            truth = reference.truth.without(left_out)
            return locate(ports[dtype], row, comparison, reference.state, reference.fed, truth)
    return None


def _with_reason(location: Location | None, traces: Mapping[str, Trace], reference: Reference) -> Location | None:
    """Add what the penalties of regularizers explain of a parameter after a step."""
    if location is None:
        return None
    said = (penalty.reason(location.row.name, trace, reference.truth) for trace in traces.values())
    found = next(filter(None, said), "")
    return replace(location, explained=(*location.explained, found)) if found else location


def _layer_of(port: Port, name: str) -> str:
    call = port.by_path.get(name.removeprefix("activation:"))
    return f"Keras's {type(call.layer).__name__} ({call.name})" if call else ""


def _unproven(sides: _Sides, comparisons: Mapping[str, Comparison]) -> str:
    if not sides.doubt:
        return ""
    if not sides.own:
        return f"not compared in float64 and float32: {sides.doubt}; give keras_model as a function dtype -> model"
    other = next(dtype for dtype in DTYPES if dtype != sides.own)
    how = f"compared in {sides.own} alone" if comparisons else f"not compared in {other}"
    return f"{how}: {sides.doubt}; give keras_model as a function dtype -> model for {other}"


def other_steps(comparison: Comparison, pairing: Pairing) -> list[str]:
    """Return the activations that differ though everything else agrees, outputs and gradients among it.

    They were paired by kind and order alone, or Keras takes a step more there, such as a crop.

    Args:
        comparison: of everything that was recorded.
        pairing: which modules have weights.
    """
    failed = [row for row in comparison.rows if not row.passed]
    weighted = {one.name for one, _, _ in pairing.units}
    judged = any(row.passed and row.kind == "output" for row in comparison.rows)
    for row in failed:
        path = row.name.removeprefix("activation:").partition("#")[0]
        if row.kind != "activation" or (path in weighted and not row.problem.startswith("shape")):
            return []
    return [row.name for row in failed] if judged and not comparison.problem else []
