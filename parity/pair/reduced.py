"""Half and mixed precision: which of them a pair runs in, and what their agreement says.

A reduced precision only answers whether Keras is as good in it as PyTorch is: small mistakes do not show. So it counts
beside float64 or float32, which show what is computed.
"""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import keras

from keras_blitz import keras_internals
from keras_blitz.errors import BlitzError
from keras_blitz.floatx import precision
from parity.core.compare import Comparison
from parity.core.modes import DTYPES, PRECISIONS, ulp
from parity.core.trace import Trace
from parity.record import torch_recorder

_PLAIN = frozenset(DTYPES)


def running_in(dtype: str) -> AbstractContextManager[None]:
    """Return a block in which Keras makes layers of this precision; losses stay as they are in a reduced one.

    Args:
        dtype: a name in `PRECISIONS`.
    """
    return precision(dtype) if dtype in _PLAIN else _policy(dtype)


@contextmanager
def _policy(name: str) -> Iterator[None]:
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(name)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)


def policies(model: Any) -> list[str]:
    """Return the names of the reduced policies that a Keras model's layers have; of a function that makes one none."""
    if not isinstance(model, keras.Layer):
        return []
    layers = keras_internals.inner_layers(model, itself=True)
    names = {layer.dtype_policy.name for layer in layers if not isinstance(layer, keras.layers.InputLayer)}
    return sorted(names - _PLAIN)


def own_precision(model: Any) -> str:
    """Return the reduced precision that a Keras model runs in, layers in float32 aside; "" where there is none.

    Also "" where its layers have several such policies, or one that PyTorch has no counterpart of, as int8.
    """
    found = policies(model)
    return found[0] if len(found) == 1 and found[0] in PRECISIONS else ""


def copy_rounding(model: Any) -> float:
    """Return how far a float32 copy may be from a Keras model, of its values: by what the model itself rounds."""
    own = own_precision(model)
    return max(1e-2, 32 * ulp(1.0, PRECISIONS[own].compute)) if own else 1e-2


def default_dtypes(model: Any) -> tuple[str, ...]:
    """Return what a Keras model is compared in where nothing is asked for: its own reduced precision is added."""
    return (*DTYPES, *filter(None, [own_precision(model)]))


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
    reduced = [dtype for dtype in comparisons if dtype not in _PLAIN]
    if reduced and len(reduced) == len(comparisons):
        yield (
            f"{' and '.join(reduced)} alone shows large mistakes only: float64, which proves the algebra, "
            "was not compared"
        )
    for dtype, comparison in comparisons.items():
        if names := [row.name for row in comparison.undecided]:
            more = f" and {len(names) - 1} more" if len(names) > 1 else ""
            yield f"PyTorch's own {dtype} is not finite at {names[0]}{more}: there is no measure"


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
