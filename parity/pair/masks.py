"""The same dropout masks on both sides, in train mode."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Any

import numpy as np

from keras_blitz.errors import BlitzError
from keras_blitz.weights import kinds, layout
from parity.core import inputs as streams
from parity.pair import layouts, wiring
from parity.pair.theirs import Theirs
from parity.record.keras_recorder import multiplying_instead

RATES = ("rate", "dropout", "recurrent_dropout", "_dropout")  # attributes of Keras's layers


class UnsharedError(BlitzError):
    """A dropout of Keras that PyTorch has no module to share a mask with."""


@contextmanager
def injected(
    theirs: Theirs,
    layers: Mapping[str, Any],
    names: Mapping[tuple[str, int], str],
    flattened: Mapping[tuple[str, int], tuple[int, ...]],
    channels_first: Callable[[str], bool],
) -> Iterator[None]:
    """Let each Keras dropout layer multiply by the mask of PyTorch's for the block.

    Args:
        theirs: PyTorch's side.
        layers: Keras's layers by name.
        names: (call's name, number) -> PyTorch's name of the call.
        flattened: what calls were flattened from, see `layouts.flattened`.
        channels_first: PyTorch's name of a call -> whether its axis 1 holds the channels that Keras has last.

    Raises:
        UnsharedError: a layer of Keras drops values and PyTorch has no module to share a mask with.
    """
    calls = {call.name: call for call in theirs.calls}
    paired = {name for name, _ in names}
    for name, layer in layers.items():
        rates = [getattr(layer, rate, 0) for rate in RATES]
        if any(isinstance(rate, float) and rate > 0 for rate in rates) and (
            name not in paired or wiring.keras_family(layer) != "dropout"
        ):
            raise UnsharedError(
                f"{name}: its dropout has no counterpart in PyTorch's modules to share a mask with; "
                "use train=False, or a rate of 0"
            )
        own_call = wiring.keras_family(layer) == "dropout" and not kinds.is_of_framework(_defines_call(layer))
        if own_call or getattr(layer, "noise_shape", None) is not None:
            what = "a call of its own" if own_call else "a noise_shape"
            raise UnsharedError(
                f"{name}: a dropout with {what} may drop other values than PyTorch's module, and a shared mask would "
                "hide it; use train=False to compare the rest"
            )
    with ExitStack() as stack:
        for (name, _), path in names.items():
            layer = layers.get(name)
            if layer is not None and wiring.keras_family(layer) == "dropout":
                sizes, first = flattened.get((name, -1)), channels_first(path)
                mask = partial(_mask, layer, calls[path], sizes, first)
                stack.enter_context(multiplying_instead(layer, mask))
        yield


def _defines_call(layer: Any) -> type:
    """Return the class that a layer's `call` is of."""
    return next(cls for cls in type(layer).__mro__ if "call" in vars(cls))


def _mask(layer: Any, call: Any, sizes: tuple[int, ...] | None, first: bool, shape: tuple[int, ...]) -> np.ndarray:
    """Return what a Keras layer multiplies a tensor of this shape by: PyTorch's mask in Keras's layout."""
    own = layout.flattened(sizes) if sizes else layouts.fit(shape, call.shape, first)
    theirs = own.torch_shape(shape)
    if type(layer).__name__.startswith("Spatial"):
        theirs = (*theirs[:2], *(1 for _ in theirs[2:]))
    return own.to_keras(streams.mask(theirs, float(layer.rate), "check", call.path))
