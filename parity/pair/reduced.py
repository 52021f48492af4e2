"""Half and mixed precision: which of them a pair runs in, and what their agreement says.

A reduced precision only answers whether Keras is as good in it as PyTorch is: small mistakes do not show. So it counts
beside float64 or float32, which show what is computed.
"""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Any

from keras_blitz.errors import BlitzError
from parity.core.compare import Comparison
from parity.core.modes import PRECISIONS
from parity.core.trace import Trace
from parity.pair import copies
from parity.pair.options import Options
from parity.pair.policy import own_precision, policies
from parity.record import torch_recorder


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


def notes(module: Any, dtypes: Collection[str], float32: Sequence[Trace]) -> Iterator[str]:
    """Say where PyTorch's module itself computes in half precision.

    Args:
        module: the user's own.
        dtypes: what is compared.
        float32: its traces in float32.
    """
    if held := torch_recorder.reduced_types(module):
        names = " and ".join(sorted(held))
        asked = "" if held & set(dtypes) else f'; "{min(held)}" among the dtypes judges that precision, too'
        yield f"PyTorch's module holds {names}: copies of it run in each precision, with its weights as they are{asked}"
    seen = sorted({name for trace in float32 for name in trace.meta.get("reduced", ())})
    if seen:
        names = " and ".join(seen)
        yield (
            f"PyTorch's module computes in {names} inside, as under torch.autocast: its float32 error, which float32 "
            "is judged by, is of that type; float64 runs without it"
        )


def guarded_runs(run: Callable[[], list[Trace]], dtype: str, refused: dict[str, str]) -> list[Trace]:
    """Return PyTorch's runs in a precision; that a reduced one is not possible there is a reason, no error.

    Args:
        run: records them.
        dtype: a name in `PRECISIONS`.
        refused: gets the reason.
    """
    try:
        return run()
    except BlitzError as error:
        if not PRECISIONS[dtype].is_reduced:
            raise
        refused[dtype] = str(error)
        return []
