"""Looks at what Keras layers are given, just before they run."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import Any

from keras_blitz.keras_internals import delete_untracked, set_untracked
from parity.record.keras_recorder import first


@contextmanager
def watched(layers: Iterable[Any], before: Callable[[Any, Any], None]) -> Iterator[None]:
    """Call `before(layer, first tensor given)` whenever one of the layers is called in the block.

    Args:
        layers: Keras layers; a model may be one of them.
        before: may assign the layer's weights: the call uses them.
    """
    wrapped: list[tuple[Any, Any]] = []

    def wrap(layer: Any) -> None:
        call = layer.call

        @wraps(call)  # who asks for the signature is shown that of `call`
        def watching(*args, **kwargs):
            given = args or tuple(kwargs.values())
            before(layer, first(given) if given else None)
            return call(*args, **kwargs)

        wrapped.append((layer, vars(layer).get("call")))
        set_untracked(layer, "call", watching)

    for layer in layers:
        wrap(layer)
    try:
        yield
    finally:
        for layer, own in wrapped:
            if own is None:
                delete_untracked(layer, "call")
            else:
                set_untracked(layer, "call", own)
