"""Half and mixed precision: which of them a pair runs in, and what their agreement says.

A reduced precision only answers whether Keras is as good in it as PyTorch is: small mistakes do not show. So it counts
beside float64 or float32, which show what is computed.
"""

from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from keras_blitz.errors import BlitzError
from parity.core.compare import Comparison, compare
from parity.core.difference import Difference
from parity.core.modes import PRECISIONS, key_of
from parity.core.own_error import larger
from parity.core.trace import Trace
from parity.pair import copies, feed, step
from parity.pair.options import Options
from parity.pair.policy import own_precision, policies
from parity.pair.port import Port
from parity.pair.theirs import Theirs
from parity.record import torch_recorder

SAMPLES = 3  # runs of PyTorch in a precision, from weights moved by its rounding, that its own error is the largest of
MORE_RUNS = (8, 16, 32)  # of a reduced precision, where fewer runs call a port wrong


@dataclass
class Halves:
    """The Keras model in each reduced precision that is asked for.

    Args:
        ports: precision -> itself in its own, else a copy.
        refused: precision -> why it cannot be compared.
    """

    ports: dict[str, Port] = field(default_factory=dict)
    refused: dict[str, str] = field(default_factory=dict)


def ports(torch_side: Theirs, model: Any, options: Options, stack: ExitStack) -> Halves:
    """Return the Keras model in each reduced precision that is asked for.

    Args:
        torch_side: PyTorch's side.
        model: the user's own, or a function dtype -> model.
        options: what to record.
        stack: puts back in the end what is borrowed of the user's own model.
    """
    found, own = Halves(), own_precision(model)
    for dtype in (name for name, each in PRECISIONS.items() if each.is_reduced and name in options.dtypes):
        run = feed.run_once(torch_side, dtype)
        try:
            if dtype == own:
                run(model)  # which builds it, if it was not
                one = stack.enter_context(copies.borrowed(model))
            elif callable(model) and not hasattr(model, "get_config"):
                one = stack.enter_context(copies.borrowed(copies.made(model, dtype, run)))
            else:
                one = copies.rebuilt(model, dtype, run)
            found.ports[dtype] = Port(torch_side, options, one, dtype)
            stack.enter_context(found.ports[dtype].masked())
        except copies.NotRebuiltError as error:
            found.refused[dtype] = f"the Keras model could not be rebuilt in it ({error})"
    return found


def compared(
    halves: Halves,
    measure: Callable[[str, range, set[str]], dict[str, Difference]],
    state: Mapping[str, Any],
    truth: Trace,
    finer: Mapping[str, Comparison],
    options: Options,
    notes: list[str],
) -> dict[str, Comparison]:
    """Return the verdict in each reduced precision and mode.

    Args:
        halves: the Keras side; gets why PyTorch's cannot be had, which has not every operation in half precision.
        measure: (precision, numbers of runs, a set) -> PyTorch's own errors.
        state: PyTorch's weights.
        truth: PyTorch's trace in float64.
        finer: the verdicts in float64 and float32.
        options: what was recorded.
        notes: gets what is worth saying, a line each.
    """
    found: dict[str, Comparison] = {}
    exact = all(comparison.passed for comparison in finer.values())
    for dtype, port in halves.ports.items():
        try:
            own = measure(dtype, range(SAMPLES), set())
        except BlitzError as error:
            halves.refused[dtype] = str(error)
            continue
        unjudged = unjudged_steps(dtype, options, notes)
        eager = ("eager",) if options.is_eager else ()
        for mode in (*eager, *options.compiled_modes(own=not finer)):
            trace = port.record(state, truth, mode)
            again = partial(compare, truth.without(unjudged), trace.without(unjudged), case="check", dtype=dtype)
            found[key_of(dtype, mode)] = compare_patiently(again, own, partial(measure, dtype), exact, notes)
    return found


def describe(model: Any, dtypes: Collection[str]) -> str:
    """Say which precision was the Keras model's own, "" where it is not a reduced one.

    Args:
        model: the user's own.
        dtypes: what was compared.
    """
    own = own_precision(model)
    if own not in dtypes:
        return ""
    copied = [dtype for dtype in PRECISIONS if dtype in dtypes and dtype != own]
    judged = f"judged in {own} as it is"
    if copied:
        judged = f"judged in {' and '.join(copied)} by copies, and in {own} as it is"
    return f"the Keras model runs in {own}: {judged}"


def doubts(model: Any, comparisons: Mapping[str, Comparison], refused: Mapping[str, str]) -> Iterator[str]:
    """Say why agreement in these precisions proves nothing, a line each.

    Args:
        model: the user's own Keras model.
        comparisons: precision -> the verdict.
        refused: reduced precision -> why it could not be compared.
    """
    own = own_precision(model)
    if own and own not in {comparison.dtype for comparison in comparisons.values()} and own not in refused:
        yield f"the Keras model runs in {own}, which was left out of dtypes: only copies of it were compared"
    if not own and (names := policies(model)):
        yield f"the Keras model runs in {', '.join(names)}, which cannot be compared: only copies of it were"
    yield from (f"{dtype} could not be compared: {reason}" for dtype, reason in refused.items())
    reduced = [dtype for dtype, comparison in comparisons.items() if PRECISIONS[comparison.dtype].is_reduced]
    if reduced and len(reduced) == len(comparisons):
        yield (
            f"{' and '.join(reduced)} alone shows large mistakes only: float64, which proves the algebra, "
            "was not compared"
        )
    for dtype, comparison in comparisons.items():
        names = [row.name for row in comparison.undecided] if PRECISIONS[comparison.dtype].is_reduced else []
        if names:
            more = f" and {len(names) - 1} more" if len(names) > 1 else ""
            yield f"PyTorch's own {dtype} is not finite at {names[0]}{more}: there is no measure"


def unjudged_steps(dtype: str, options: Options, notes: list[str]) -> list[str]:
    """Return patterns of the names that a precision says nothing of: what an adaptive optimizer makes of rounding.

    It divides a gradient by its own size: one that is nearly zero moves its parameter by a whole step, in a direction
    that rounding decides. In bfloat16 that is common, and seldom the same in PyTorch's runs.

    Args:
        dtype: a name in `PRECISIONS`.
        options: which optimizer, if any.
        notes: gets a line where there are such names.
    """
    if not (PRECISIONS[dtype].is_reduced and options.steps):
        return []
    optimizer = step.optimizer_of(options.optimizer[1])
    optimizer = getattr(optimizer, "inner_optimizer", optimizer)
    name = type(optimizer).__name__
    if name == "SGD":
        return []
    notes.append(
        f"{dtype}: what {name} makes of the gradients was not compared, because it turns the rounding of a small "
        "gradient into a whole step; float64 and float32 compare it"
    )
    return ["step*"]


def notes(module: Any, dtypes: Collection[str], types: Collection[str]) -> Iterator[str]:
    """Say where PyTorch's module itself computes in half precision.

    Args:
        module: the user's own.
        dtypes: what is compared.
        types: the half-precision types that its modules return in float32.
    """
    if held := torch_recorder.reduced_types(module):
        names = " and ".join(sorted(held))
        asked = "" if held & set(dtypes) else f'; "{min(held)}" among the dtypes judges that precision, too'
        yield f"PyTorch's module holds {names}: copies of it run in each precision, with its weights as they are{asked}"
    if types:
        names = " and ".join(sorted(types))
        yield (
            f"PyTorch's module computes in {names} inside, as under torch.autocast: its float32 error, which float32 "
            "is judged by, is of that type; float64 runs without it"
        )


def compare_patiently(
    compared_by: Callable[..., Comparison],
    own: dict[str, Difference],
    measure: Callable[[range, set[str]], dict[str, Difference]],
    exact: bool,
    notes: list[str],
) -> Comparison:
    """Compare in a reduced precision, and take more runs of PyTorch before a difference is one.

    Rounding decides the sign of a ReLU's unit near zero, and the larger of two equal values under a maximum: in half
    precision there is often one such that Keras and none of PyTorch's three runs decides otherwise. Of LeNet at 26
    seeds 3 runs called 6 of 52 right ports wrong, by up to 425 ×. A mistake stays one, however many runs there are.

    Args:
        compared_by: own=PyTorch's own error -> the verdict.
        own: that of the runs there are.
        measure: (numbers of further runs, a set) -> their own error.
        exact: nothing differs in the finer precisions; else more runs would say nothing new.
        notes: gets a line where more runs were taken.
    """
    found, taken = compared_by(own=own), 0
    for count in MORE_RUNS if exact else ():
        if found.passed or any(row.relative is None for row in found.failures):
            break
        own = larger(own, measure(range(taken or SAMPLES, count), set()))
        found, taken = compared_by(own=own), count
    if taken and found.passed:
        notes.append(
            f"{found.dtype}: PyTorch's own error is the largest of {taken} runs, not of {SAMPLES}: rounding decides "
            "the sign of a ReLU's unit, or a maximum"
        )
    return found
