"""Both models of a pair recorded in each precision, and compared."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import keras

from keras_blitz.errors import BlitzError
from parity.core.compare import Comparison
from parity.core.evidence import undecided
from parity.core.locate import first_divergence
from parity.core.modes import mode_of
from parity.core.tolerance import SAME_VALUE
from parity.core.trace import Trace
from parity.pair import casts, feed, feeding, masks, own_step, penalty, random_keras, reduced, rounding, step, surplus
from parity.pair.addresses import lasting
from parity.pair.compiled import in_other_modes
from parity.pair.constants import float32_operations
from parity.pair.locating import Location, is_cropped, is_mispaired, locate
from parity.pair.notes import notes_of
from parity.pair.options import Options
from parity.pair.pairing import Match
from parity.pair.port import Port
from parity.pair.proof import describe_coarse, prove
from parity.pair.reduced import Halves
from parity.pair.reference import Reference, reference_of
from parity.pair.sides import Sides, record, record_again, sides_of, still_needed
from parity.pair.theirs import Theirs, run_loss
from parity.pair.verdicts import compared, judged, other_steps_note
from parity.record.exact_floats import exact_floats
from parity.record.memory import release


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
        rounded: that float64 was judged with Keras's constants moved within their rounding to float32, or without
            PyTorch's own casts to it; "" where neither.
    """

    comparisons: Mapping[str, Comparison]
    location: Location | None
    units: list[Match]
    notes: list[str]
    undecided: tuple[str, ...] = ()
    unproven: str = ""
    coarse: str = ""
    precision: str = ""
    rounded: str = ""


@dataclass(frozen=True)
class _Pair:
    """Both sides, paired; the arguments of `judge`, and what was made of them."""

    torch_side: Theirs
    model: Any
    options: Options
    sides: Sides
    halves: Halves
    say: Callable[[str], None]

    @property
    def first(self) -> Port:
        """What decides how weights are paired: the user's own object, or one in a reduced precision."""
        return self.sides.first if self.sides.ports else next(iter(self.halves.ports.values()))


@dataclass
class _Finer:
    """What came of float64 and float32: traces and verdicts by precision, names that are left out, notes, what was
    moved of Keras's constants or widened of PyTorch's casts, and PyTorch's side with those."""

    traces: Mapping[str, Trace]
    comparisons: dict[str, Comparison]
    left_out: list[str]
    notes: list[str]
    rounded: str
    reference: Reference


def judge(torch_side: Theirs, model: Any, options: Options, say: Callable[[str], None]) -> Judgement:
    """Record both models and compare them.

    In the Keras model's own precision it is the user's own object that is recorded; a copy in another precision is
    judged only where it is proven to do the same.

    Args:
        torch_side: PyTorch's side, after its dry run.
        model: a Keras model, or a function dtype -> model.
        options: what to record.
        say: takes what is being done, in words.

    Raises:
        BlitzError: a model raises, or weights cannot be paired.
    """
    if torch_side.random:
        return _undecided(torch_side.random)
    options = replace(options, weights=lasting(model, options.weights))
    with exact_floats(), ExitStack() as stack:
        torch_side = feeding.fed(torch_side, model, options)
        try:
            say("pairing the weights")
            sides = sides_of(torch_side, model, options, stack)
        except masks.UnsharedError as error:
            return _undecided(str(error))
        except BlitzError:
            run_loss(torch_side, options)
            raise
        halves = reduced.ports(torch_side, model, options, stack)
        torch_side.forget()
        release()
        if not sides.ports and not halves.ports:
            raise BlitzError("; ".join([sides.doubt, *(f"{name}: {why}" for name, why in halves.refused.items())]))
        pair = _Pair(torch_side, model, options, sides, halves, say)
        found = None if random_keras.is_likely(pair.first) else _judged_pair(pair, stack)
        verdicts = list(found.comparisons.values()) if found else []
        agrees = bool(verdicts) and all(each.passed for each in verdicts)
        if not agrees and (reason := random_keras.describe(pair.first)):
            return replace(_undecided(reason), units=pair.first.pairing.units, notes=notes_of(pair.first))
        return found or _judged_pair(pair, stack)


def _undecided(reason: str) -> Judgement:
    return Judgement({}, None, [], [], (reason,))


def _judged_pair(pair: _Pair, stack: ExitStack) -> Judgement:
    options, first, ports = pair.options, pair.first, pair.sides.ports
    pair.say("running the PyTorch module")
    reference = reference_of(pair.torch_side, options, first, "float32" in ports)
    pair.say("running the Keras model")
    finer = _finer(pair, reference, stack)
    reference = finer.reference
    pair.say("looking for what explains a difference")
    location = _locate(ports, finer, reference)
    notes = [*notes_of(first), *finer.notes, *_float32_inside(ports.get("float64"), finer.comparisons, location)]
    location = _with_reason(location, finer.traces, reference)
    doubts: list[str] = []
    pair.say("running the Keras model in other modes and precisions")
    eager, said = finer.comparisons, (notes, doubts)
    compiled = in_other_modes(pair.model, pair.sides, options, eager, reference, finer.left_out, said)
    doubts += [*_step_doubts(pair, finer, reference, notes), surplus.doubt(first)]
    notes += filter(None, [surplus.note(first)])
    halves = _halves(pair, finer, reference, notes)
    verdicts = {
        k: each for k, each in (finer.comparisons | halves).items() if options.is_eager or mode_of(k) != "eager"
    }
    verdicts |= compiled
    notes += reduced.notes(pair.torch_side.module, verdicts, reference.types)
    doubts += reduced.doubts(pair.model, verdicts, pair.halves.refused)
    unproven = pair.sides.unproven(bool(verdicts))
    doubts += undecided(verdicts.values(), loss_given=bool(options.loss))
    if unproven and not verdicts:
        doubts, unproven = [unproven], ""
    precision = reduced.describe(pair.model, {comparison.dtype for comparison in verdicts.values()})
    coarse = describe_coarse(verdicts, partial(_layer_of, first))
    known = tuple(filter(None, doubts))
    location, units = _first_location(location, verdicts), first.pairing.units
    return Judgement(verdicts, location, units, notes, known, unproven, coarse, precision, finer.rounded)


def _finer(pair: _Pair, reference: Reference, stack: ExitStack) -> _Finer:
    """Record float64 and float32, and compare them; a copy that is not proven is dropped."""
    sides, first, notes = pair.sides, pair.first, list[str]()
    traces, comparisons, left_out = _recorded(sides, reference, first)
    if sides.ported_again and len(traces) > 1:
        again = partial(record_again, sides, reference)
        itself = "the model itself" if sides.ports[sides.own].model is pair.model else "the float32 copy"
        proof = prove(reference.truth, traces, comparisons, sides.own, reference.errors, again, itself)
        notes += filter(None, [proof.note])
        if proof.doubt:
            sides.drop_copy(proof.doubt)
            left_out = []
            comparisons = {sides.own: compared(reference, first, traces[sides.own], sides.own, left_out)}
    rounded = _within_rounding(sides.ports.get("float64"), reference, comparisons, left_out, stack)
    found = None if rounded else _without_casts(reference, sides, traces, comparisons, left_out, stack)
    if found:
        comparisons["float64"], rounded = found.comparison, found.said
        reference = replace(reference, truth=found.truth)
    comparisons = {dtype: each for dtype, each in comparisons.items() if dtype in pair.options.dtypes}
    return _Finer(traces, comparisons, left_out, [*notes, *other_steps_note(left_out)], rounded, reference)


def _halves(pair: _Pair, finer: _Finer, reference: Reference, notes: list[str]) -> dict[str, Comparison]:
    """Return the verdicts in the reduced precisions; `notes` gets what is worth saying."""
    truth = reference.truth.without(finer.left_out)
    return reduced.compared(
        pair.halves, reference.measure, reference.state, truth, finer.comparisons, pair.options, notes
    )


def _step_doubts(pair: _Pair, finer: _Finer, reference: Reference, notes: list[str]) -> Iterator[str]:
    """Say why agreement of the steps proves nothing; `notes` gets what the penalty of regularizers is."""
    options, first = pair.options, pair.first
    yield step.doubt(options)
    if pair.sides.ports:
        trace = finer.traces[first.dtype]
        notes += filter(None, [penalty.described(trace.penalty, options.steps)])
        finest = finer.traces["float64"] if "float64" in finer.comparisons else trace
        yield penalty.doubt(finest, options.steps, finer.comparisons)
        if first.model is pair.model or not isinstance(pair.model, keras.Layer):
            yield own_step.doubt(first, trace, reference.truth)
    yield penalty.unasked(first.adds_losses(), options.steps, options.loss)
    yield from (own_step.unlike(half) for half in pair.halves.ports.values() if half.model is pair.model)


def _first_location(location: Location | None, comparisons: Mapping[str, Comparison]) -> Location | None:
    """Return where the difference begins, None where nothing differs.

    In a reduced precision, or compiled, alone it is not known what the layer was given.
    """
    row = next(filter(None, (first_divergence(comparison.rows) for comparison in comparisons.values())), None)
    return (location or Location(row)) if row else None


def _recorded(
    sides: Sides, reference: Reference, port: Port
) -> tuple[dict[str, Trace], dict[str, Comparison], list[str]]:
    """Record the Keras side in each precision, and compare it at once.

    Returns:
        Precision -> the trace, of a copy that agrees only what is still asked of it; precision -> the verdict; the
        names that are left out.
    """
    traces: dict[str, Trace] = {}
    comparisons: dict[str, Comparison] = {}
    left_out: list[str] = []
    for dtype, trace in record(sides, reference):
        comparisons[dtype] = compared(reference, port, trace, dtype, left_out)
        traces[dtype] = still_needed(sides, dtype, trace) if comparisons[dtype].passed else trace
        del trace
    return traces, comparisons, left_out


def _within_rounding(
    port: Port | None, reference: Reference, comparisons: dict[str, Comparison], left_out: list[str], stack: ExitStack
) -> str:
    """Judge float64 with the constants that agree, where these are Keras's own but for their rounding to float32.

    Args:
        port: the Keras model in float64, if there is one.
        reference: PyTorch's side.
        comparisons: precision -> the verdict; float64's is replaced.
        left_out: what is not compared.
        stack: puts Keras's own constants back in the end: the compiled model is compared with the others, too.

    Returns:
        What was moved, in words; "" where nothing was.
    """
    exact = comparisons.get("float64")
    if port is None or exact is None or exact.passed or not rounding.may_explain(port, exact):
        return ""
    with ExitStack() as trial:
        moved = trial.enter_context(rounding.fitted(port, reference.state, reference.truth, exact))
        trace = port.record(reference.state, reference.truth)
        found = judged(reference, trace, "float64", left_out)
        if not (moved and found.passed):
            return ""
        comparisons["float64"] = found
        stack.enter_context(trial.pop_all())
    return moved


def _without_casts(
    reference: Reference,
    sides: Sides,
    traces: Mapping[str, Trace],
    comparisons: Mapping[str, Comparison],
    left_out: list[str],
    stack: ExitStack,
) -> casts.WithoutCasts | None:
    def judge_by(truth: Trace, trace: Trace) -> Comparison:
        return judged(replace(reference, truth=truth), trace, "float64", left_out)

    exact, port = comparisons.get("float64"), sides.ports.get("float64")
    return casts.without_casts(exact, reference, port, traces.get("float64"), judge_by, stack)


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
            "float32 agrees, and float64 to 1e-6: the float64 Keras model computes in float32 at "
            f'{operations[0]}; dtypes=["float32"] leaves that out of the verdict'
        )


def _locate(ports: Mapping[str, Port], finer: _Finer, reference: Reference) -> Location | None:
    for dtype, comparison in finer.comparisons.items():
        truth = reference.truth.without(finer.left_out)
        rows = [
            row
            for row in comparison.rows
            if row.passed or not is_cropped(ports[dtype], row, truth, finer.traces[dtype])
        ]
        row = first_divergence(rows) or first_divergence(comparison.rows)
        told = (comparison, reference.state, reference.fed, truth)
        while row and is_mispaired(ports[dtype], row, *told) and first_divergence(rows[rows.index(row) + 1 :]):
            rows.remove(row)
            row = first_divergence(rows)
        if row:
            return locate(ports[dtype], row, *told)
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
