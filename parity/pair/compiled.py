"""The Keras model compiled, as `fit` and `predict` run it."""

from collections.abc import Mapping, Sequence
from typing import Any

from keras_blitz.errors import BlitzError
from parity.core.compare import Comparison
from parity.core.modes import key_of
from parity.core.trace import kind_of
from parity.pair.options import Options
from parity.pair.reference import Reference
from parity.pair.sides import Sides
from parity.pair.verdicts import judged


def in_other_modes(
    model: Any,
    sides: Sides,
    options: Options,
    eager: Mapping[str, Comparison],
    reference: Reference,
    left_out: Sequence[str],
    said: tuple[list[str], list[str]],
) -> dict[str, Comparison]:
    """Return "float32-graph" -> the verdict on the model compiled, in each precision and mode but eager.

    Where nobody asked for a mode, it is compiled only if it agrees in eager mode: else there is a difference already.

    Args:
        model: the user's own.
        sides: the model in each precision.
        options: which modes.
        eager: precision -> the verdict in eager mode.
        reference: PyTorch's side.
        left_out: what is not compared.
        said: (notes, doubts); gets that it need not run compiled, and why it does not.
    """
    notes, doubts = said
    found: dict[str, Comparison] = {}
    if options.modes is None and not all(comparison.passed for comparison in eager.values()):
        return {}
    if options.modes is None and getattr(model, "run_eagerly", False):
        notes.append("the Keras model was compiled with run_eagerly=True: only eager mode was compared")
        return {}
    own = sides.own if sides.own in eager else next(reversed(list(eager)), "")
    for dtype in eager:
        for mode in options.compiled_modes(own=dtype == own):
            try:
                trace = sides.ports[dtype].record(reference.state, reference.truth, mode)
            except BlitzError as error:
                found[key_of(dtype, mode)] = Comparison((), problem="does not run", dtype=dtype)
                doubts.append(
                    f"in {mode} mode {error}: fit and predict run the model so, unless it is compiled with "
                    'run_eagerly=True; modes=["eager"] leaves this out'
                )
                continue
            inside = [n for n in reference.truth if kind_of(n) == "activation" and n not in trace]  # as in a while_loop
            found[key_of(dtype, mode)] = judged(reference, trace, dtype, [*left_out, *inside])
    return found
