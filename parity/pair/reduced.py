"""Half and mixed precision: which of them a pair runs in, and what their agreement says.

A reduced precision only answers whether Keras is as good in it as PyTorch is: small mistakes do not show. So it counts
beside float64 or float32, which show what is computed.
"""

from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Any

from parity.core.compare import Comparison
from parity.core.difference import Difference
from parity.core.modes import PRECISIONS
from parity.core.own_error import larger
from parity.pair import copies
from parity.pair.options import Options
from parity.pair.policy import own_precision, policies
from parity.record import torch_recorder

SAMPLES = 3  # runs of PyTorch in a precision, from weights moved by its rounding, that its own error is the largest of
MORE_RUNS = (8, 16, 32)  # of a reduced precision, where fewer runs call a port wrong


def describe(model: Any, ports: Mapping[str, Any]) -> str:
    """Say which precision was the Keras model's own, "" where it is no reduced one.

    Args:
        model: the user's own.
        ports: precision -> what was compared in it.
    """
    own = own_precision(model)
    if own not in ports:
        return ""
    copied = [dtype for dtype in ports if dtype != own]
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
    if own and own not in comparisons and own not in refused:
        yield f"the Keras model runs in {own}, which was left out of dtypes: only copies of it were compared"
    if not own and (names := policies(model)):
        yield f"the Keras model runs in {', '.join(names)}, which cannot be compared: only copies of it were"
    yield from (f"{dtype} could not be compared: {reason}" for dtype, reason in refused.items())
    reduced = [dtype for dtype in comparisons if PRECISIONS[dtype].is_reduced]
    if reduced and len(reduced) == len(comparisons):
        yield (
            f"{' and '.join(reduced)} alone shows large mistakes only: float64, which proves the algebra, "
            "was not compared"
        )
    for dtype, comparison in comparisons.items():
        if names := [row.name for row in comparison.undecided]:
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
    optimizer = copies.fresh_optimizer(options.optimizer[1])
    optimizer = getattr(optimizer, "inner_optimizer", optimizer)
    name = type(optimizer).__name__
    if name == "SGD":
        return []
    notes.append(
        f"{dtype}: what {name} makes of the gradients was not compared, for it turns the rounding of a small gradient "
        "into a whole step; float64 and float32 compare it"
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
    compare: Callable[..., Comparison],
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
        compare: own=PyTorch's own error -> the verdict.
        own: that of the runs there are.
        measure: (numbers of further runs, a set) -> their own error.
        exact: nothing differs in the finer precisions; else more runs would say nothing new.
        notes: gets a line where more runs were taken.
    """
    found, taken = compare(own=own), 0
    for count in MORE_RUNS if exact else ():
        if found.passed or any(row.relative is None for row in found.failures):
            break
        own = larger(own, measure(range(taken or SAMPLES, count), set()))
        found, taken = compare(own=own), count
    if taken and found.passed:
        notes.append(
            f"{found.dtype}: PyTorch's own error is the largest of {taken} runs, not of {SAMPLES}: rounding decides "
            "the sign of a ReLU's unit, or a maximum"
        )
    return found
