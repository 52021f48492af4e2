"""Which calls of the two models are one, by the value that they are given, where their order may say the wrong thing.

A functional Keras model runs level by level, and a copy of it may do so in another order again: a layer that is called
twice, or two branches beside each other, are called in one order here and in another in PyTorch.
"""

from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np

from parity.core import tolerance
from parity.core.modes import PRECISIONS
from parity.pair.alike import Value, distance
from parity.pair.theirs import Theirs
from parity.pair.wiring import Key, Names, Token

Values = Mapping[Key, np.ndarray]


def is_needed(theirs: Sequence[Token], ours: Sequence[Token]) -> bool:
    """Return whether order alone may pair the wrong calls; both sides' tokens are those of `wiring.tokens`."""
    weighted = [[token for token in side if isinstance(token, tuple)] for side in (theirs, ours)]
    return weighted[0] != weighted[1] or _repeats(theirs) or _repeats(ours)


def _repeats(tokens: Sequence[Token]) -> bool:
    """Return whether a layer with weights is called twice, or one without does what another did since the last with."""
    counts: Counter[Token] = Counter(token for token in tokens if isinstance(token, tuple))
    since: list[Token] = []
    for token in tokens:
        if counts[token] > 1 or token in since:
            return True
        since = [] if isinstance(token, tuple) else [*since, token]
    return False


def met(
    theirs: Theirs, tokens: tuple[Sequence[Token], Sequence[Token]], given: Values, results: Values, dtype: str
) -> Names:
    """Return Keras's calls that are given the value that one of PyTorch's is, with its name.

    Among several, one that returns the same comes first, then the first.

    Args:
        theirs: PyTorch's side.
        tokens: what each call of PyTorch and of Keras does; only those of one token are paired.
        given: what each call of Keras is given on PyTorch's weights, in order.
        results: what it returns.
        dtype: a name in `PRECISIONS`, Keras's.
    """
    bound = tolerance.GIVEN[PRECISIONS[dtype].compute]
    values = theirs.exact
    tokens_of = zip((call.name for call in theirs.calls), tokens[0], strict=True)
    free = {name: token for name, token in tokens_of if ("fed", name) in values}
    found: Names = {}
    for key, token in zip(given, tokens[1], strict=True):
        result = Value(results[key])
        same = [
            n for n, t in free.items()
            if t == token and distance(*_without_beyond(values["fed", n], given[key]), bound) < np.inf
        ]  # fmt: skip
        if same:
            found[key] = min(same, key=lambda name: distance(values["activation", name], result, bound))
            del free[found[key]]
    return found


def _without_beyond(theirs: Value, ours: np.ndarray) -> tuple[Value, Value]:
    """Return two values without what is beyond the end of each example of a packed sequence: NaN in PyTorch's."""
    beyond = np.isnan(theirs.flat).reshape(theirs.array.shape) if np.isnan(theirs.scale) else np.array(False)
    if ours.ndim == 3 and beyond.shape != ours.shape:  # the steps come first in PyTorch
        beyond = beyond.swapaxes(0, 1) if beyond.ndim == 3 else beyond
    if beyond.shape != ours.shape:
        return theirs, Value(ours)
    return Value(np.nan_to_num(theirs.array)), Value(np.where(beyond, 0, ours))
