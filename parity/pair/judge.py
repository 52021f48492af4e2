"""Both models of a pair recorded in each precision, and compared."""

from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from keras_blitz.errors import BlitzError
from parity.core import inputs as streams
from parity.core.compare import Comparison, compare
from parity.core.locate import first_divergence
from parity.core.modes import DTYPES
from parity.core.own_error import own_error
from parity.core.trace import array_of
from parity.pair import copies, feed, theirs
from parity.pair.addresses import lasting
from parity.pair.locating import Location, locate
from parity.pair.options import Options
from parity.pair.pairing import Match, Pairing
from parity.pair.port import Port
from parity.pair.theirs import Theirs

SAMPLES = 3  # float32 runs of PyTorch, from weights moved by rounding, that its own error is the largest of


@dataclass(frozen=True)
class Judgement:
    """What came of two models.

    Args:
        comparisons: dtype -> the verdict.
        location: where the difference begins; None where nothing differs.
        units: the pairs of units whose weights correspond.
        notes: what was inferred, and what could not be done, a line each.
        undecided: why agreement proves nothing here, a line each.
    """

    comparisons: Mapping[str, Comparison]
    location: Location | None
    units: list[Match]
    notes: list[str]
    undecided: tuple[str, ...] = ()


def judge(torch_side: Theirs, model: Any, options: Options) -> Judgement:
    """Record both models and compare them.

    Args:
        torch_side: PyTorch's side, after its dry run.
        model: a Keras model, or a function dtype -> model.
        options: what to record.

    Raises:
        BlitzError: a model raises, or weights cannot be paired.
    """
    options = replace(options, weights=lasting(model, options.weights))
    comparisons: dict[str, Comparison] = {}
    location = None
    with ExitStack() as stack:
        ports, notes = _ports(torch_side, model, options, stack)
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
        samples = range(SAMPLES if "float32" in ports else 0)
        own = own_error(truth, [record("float32", streams.moved(state, k)) for k in samples])
        case = "check-float32-constants" if first.float32_constants() else "check"
        for dtype, port in ports.items():
            trace = port.record(state, truth)
            judged = partial(compare, case=case, dtype=dtype, own=own if dtype == "float32" else None)
            comparisons[dtype] = judged(truth, trace)
            strangers = other_steps(comparisons[dtype], port.pairing)
            if strangers:
                truth = truth.without(strangers)
                comparisons[dtype] = judged(truth, trace.without(strangers))
                notes.append(f"other steps in Keras than in PyTorch, not compared: {', '.join(strangers)}")
            row = first_divergence(comparisons[dtype].rows)
            if row and location is None:
                location = locate(port, row, comparisons[dtype], state, fed, truth)
    return Judgement(comparisons, location, first.pairing.units, notes)


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
    if not ports:
        if "float32" not in options.dtypes:
            raise BlitzError(notes[-1])
        feed.run_once(torch_side, "float32")(model)  # which builds it, if it was not
        ports["float32"] = Port(torch_side, options, stack.enter_context(copies.borrowed(model)), "float32")
    return ports, notes


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
