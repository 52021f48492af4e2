"""Both models of a pair recorded in each precision, and compared."""

from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from typing import Any

from keras_blitz.errors import BlitzError
from parity.core import inputs as streams
from parity.core.compare import Comparison, compare
from parity.core.difference import Difference
from parity.core.locate import first_divergence
from parity.core.modes import DTYPES, PRECISIONS
from parity.core.own_error import own_error
from parity.core.trace import Trace, array_of
from parity.pair import copies, feed, reduced, theirs
from parity.pair.locating import Location, locate
from parity.pair.options import Options
from parity.pair.pairing import Match, Pairing
from parity.pair.policy import own_precision, policies
from parity.pair.port import Port
from parity.pair.theirs import Theirs


@dataclass(frozen=True)
class Judgement:
    """What came of two models.

    Args:
        comparisons: dtype -> the verdict.
        location: where the difference begins; None where nothing differs.
        units: the pairs of units whose weights correspond.
        notes: what was inferred, and what could not be done, a line each.
        undecided: why agreement proves nothing here, a line each.
        precision: in which reduced precision the Keras model runs, and how it was judged; "" where in none.
    """

    comparisons: Mapping[str, Comparison]
    location: Location | None
    units: list[Match]
    notes: list[str]
    undecided: tuple[str, ...] = ()
    precision: str = ""


def judge(torch_side: Theirs, model: Any, options: Options) -> Judgement:
    """Record both models and compare them.

    Args:
        torch_side: PyTorch's side, after its dry run.
        model: a Keras model, or a function dtype -> model.
        options: what to record.

    Raises:
        BlitzError: a model raises, or weights cannot be paired.
    """
    comparisons: dict[str, Comparison] = {}
    location = None
    with ExitStack() as stack:
        refused: dict[str, str] = {}
        ports, notes = _ports(torch_side, model, options, stack)
        ports |= _reduced_ports(torch_side, model, options, stack, refused)
        if not ports:
            raise BlitzError("; ".join([*notes, *(f"{dtype}: {reason}" for dtype, reason in refused.items())]))
        first = next(iter(ports.values()))
        notes += first.notes()
        state = theirs.state_of(torch_side, first.pairing.twins)
        record = partial(
            theirs.record, torch_side, options, left_out=first.left_out, last_only=first.last_only,
            slots=copies.lists_slots(options.optimizer),
        )  # fmt: skip
        truth = record("float64", state, fed=True)
        fed = {name: array_of(truth, name) for name in truth if name.startswith("fed:")}
        truth = truth.with_entries((name, value) for name, value in truth.items() if name not in fed)
        measure, types = partial(_own_errors, record, state, truth), set[str]()
        own: dict[str, dict[str, Difference]] = {}
        for dtype in (dtype for dtype in ports if dtype != "float64"):
            try:
                own[dtype] = measure(dtype, range(reduced.SAMPLES), types if dtype == "float32" else set())
            except BlitzError as error:
                if not PRECISIONS[dtype].is_reduced:
                    raise
                refused[dtype] = str(error)  # PyTorch has not every operation in half precision on a CPU
        ports = {dtype: port for dtype, port in ports.items() if dtype not in refused}
        case = "check-float32-constants" if first.float32_constants() else "check"
        for dtype, port in ports.items():
            trace = port.record(state, truth)
            if unjudged := reduced.unjudged_steps(dtype, options, notes):
                truth, trace = truth.without(unjudged), trace.without(unjudged)
            judged = partial(compare, case=case, dtype=dtype, own=own.get(dtype))
            if PRECISIONS[dtype].is_reduced:
                exact = all(comparison.passed for comparison in comparisons.values())
                again = partial(compare, truth, trace, case=case, dtype=dtype)
                comparisons[dtype] = reduced.compare_patiently(again, own[dtype], partial(measure, dtype), exact, notes)
                strangers = []
            else:
                comparisons[dtype] = judged(truth, trace)
                strangers = other_steps(comparisons[dtype], port.pairing)
            if strangers:
                truth = truth.without(strangers)
                comparisons[dtype] = judged(truth, trace.without(strangers))
                notes.append(f"other steps in Keras than in PyTorch, not compared: {', '.join(strangers)}")
            row = first_divergence(comparisons[dtype].rows)
            if row and location is None:
                # Rounding in a reduced precision is too large for what a layer was given to tell.
                exact = not PRECISIONS[dtype].is_reduced
                location = locate(port, row, comparisons[dtype], state, fed, truth) if exact else Location(row)
        notes += reduced.notes(torch_side.module, comparisons, types)
        undecided = tuple(reduced.doubts(model, comparisons, refused))
        precision = reduced.describe(model, ports)
    return Judgement(comparisons, location, first.pairing.units, notes, undecided, precision)


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


def _ports(torch_side: Theirs, model: Any, options: Options, stack: ExitStack) -> tuple[dict[str, Port], list[str]]:
    """Return the Keras model in each precision, and a note on one that could not be had.

    Args:
        torch_side: PyTorch's side.
        model: the user's own.
        options: what to record.
        stack: gives the user's own model its weights back in the end, where it is run itself.
    """
    ports, refused, notes = {}, "", []
    for dtype in (dtype for dtype in DTYPES if dtype in options.dtypes):
        try:
            copy = copies.rebuilt(model, dtype, feed.run_once(torch_side, dtype))
            ports[dtype] = Port(torch_side, options, copy, dtype)
        except copies.NotRebuiltError as error:
            refused = str(error)
    if refused:
        notes.append(
            f"no copy of the Keras model made from its configuration runs in float64 ({refused}): compared as it "
            "is, in float32 alone; give keras_model as a function dtype -> model for float64"
        )
        ports.pop("float64", None)
    if not ports and set(options.dtypes) & set(DTYPES) and not policies(model):
        if "float32" not in options.dtypes:
            raise BlitzError(notes[-1])
        feed.run_once(torch_side, "float32")(model)  # which builds it, if it was not
        ports["float32"] = Port(torch_side, options, stack.enter_context(copies.borrowed(model)), "float32")
    return ports, notes


def _reduced_ports(
    torch_side: Theirs, model: Any, options: Options, stack: ExitStack, refused: dict[str, str]
) -> dict[str, Port]:
    """Return the Keras model in each reduced precision that is asked for: itself in its own, else a copy.

    Args:
        torch_side: PyTorch's side.
        model: the user's own, or a function dtype -> model.
        options: what to record.
        stack: puts back in the end what is borrowed of the user's own model.
        refused: gets, by precision, why there is no copy.
    """
    ports, own = {}, own_precision(model)
    for dtype in (name for name, each in PRECISIONS.items() if each.is_reduced and name in options.dtypes):
        run = feed.run_once(torch_side, dtype)
        try:
            if dtype == own:
                run(model)  # which builds it, if it was not
                one = stack.enter_context(copies.borrowed(model))
            else:
                one = copies.rebuilt(model, dtype, run)
            ports[dtype] = Port(torch_side, options, one, dtype)
        except copies.NotRebuiltError as error:
            refused[dtype] = f"a copy could not be made from the Keras model's configuration ({error})"
    return ports


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
