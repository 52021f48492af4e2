"""The Keras side of a pair in float64 and float32: the user's own object, and copies of it."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from typing import Any

import keras

from keras_blitz import keras_internals
from keras_blitz.errors import BlitzError
from parity.core.modes import DTYPES
from parity.core.trace import Trace, kind_of
from parity.pair import copies, feed
from parity.pair.options import Options
from parity.pair.policy import own_precision, plain_precision
from parity.pair.port import Port
from parity.pair.reference import Reference
from parity.pair.theirs import Theirs
from parity.record.memory import view


@dataclass
class Sides:
    """The Keras side in each precision.

    Args:
        ports: precision -> the model.
        own: the precision in which it is the user's own object; "" where a function makes it in each.
        ported_again: precision -> one more copy, with the weights that the model had at first.
        doubt: why there is no copy, or none to be believed.
    """

    ports: dict[str, Port]
    own: str = ""
    ported_again: Callable[[str], Port] | None = None
    doubt: str = ""

    @property
    def first(self) -> Port:
        """What decides how weights are paired: the user's own object."""
        return self.ports[self.own] if self.own else next(iter(self.ports.values()))

    def drop_copy(self, doubt: str) -> None:
        """Keep the user's own object alone."""
        self.ports = {self.own: self.ports[self.own]}
        self.doubt = doubt

    def unproven(self, compared: bool) -> str:
        """Say why a copy was not believed, or not made; "" where all of them were.

        Args:
            compared: the user's own object was, in its own precision.
        """
        if not self.doubt:
            return ""
        if not self.own:
            return f"not compared in float64 and float32: {self.doubt}; give keras_model as a function dtype -> model"
        other = next(dtype for dtype in DTYPES if dtype != self.own)
        how = f"only {self.own} was compared" if compared else f"not compared in {other}"
        return f"{how}: {self.doubt}; give keras_model as a function dtype -> model for {other}"


def sides_of(torch_side: Theirs, model: Any, options: Options, stack: ExitStack) -> Sides:
    """Return the Keras model in each precision that is asked for, and in its own.

    Args:
        torch_side: PyTorch's side.
        model: the user's own, or a function dtype -> model.
        options: what to record.
        stack: puts back in the end what is borrowed of the user's own objects.
    """
    asked = [dtype for dtype in DTYPES if dtype in options.dtypes]
    ported = partial(_port, torch_side, options, stack)
    if not isinstance(model, keras.Layer):
        made = {dtype: copies.made(model, dtype, feed.run_once(torch_side, dtype)) for dtype in asked}
        return Sides({dtype: ported(stack.enter_context(copies.borrowed(one)), dtype) for dtype, one in made.items()})
    own = plain_precision(model) or "float32"
    if not plain_precision(model):
        try:
            model = copies.in_float32(model, feed.run_once(torch_side, own))
        except copies.NotRebuiltError as error:
            if not own_precision(model):
                raise
            return Sides({}, doubt=f"the Keras model could not be rebuilt in float32 ({error})")
    return _with_copies(torch_side, model, own, asked, ported, stack)


def _with_copies(
    torch_side: Theirs, model: Any, own: str, asked: Sequence[str], ported: Callable[[Any, str], Port], stack: ExitStack
) -> Sides:
    """Return a model in its own precision, borrowed, and copies of it in the others."""
    if not all(layer.built for layer in keras_internals.inner_layers(model, itself=True)):
        feed.run_once(torch_side, own)(model)  # which builds it
    weights = [view(variable) for variable in model.weights]

    def copied(dtype: str) -> Port:
        return ported(copies.rebuilt(model, dtype, feed.run_once(torch_side, dtype), weights), dtype)

    sides = Sides({}, own, copied)
    stack.enter_context(copies.borrowed(model))
    order = [dtype for dtype in DTYPES if dtype in asked or dtype == own]  # float64 first: it tells weights apart best
    for dtype in order:
        if dtype == own:
            sides.ports[own] = ported(model, own)
            continue
        try:
            sides.ports[dtype] = copied(dtype)
        except BlitzError as error:
            sides.doubt = f"the Keras model could not be rebuilt in {dtype} ({error})"
    return sides


def _port(torch_side: Theirs, options: Options, stack: ExitStack, model: Any, dtype: str) -> Port:
    """Return a model read by PyTorch's names, with PyTorch's dropout masks until the stack ends."""
    if dtype == "float64":
        stack.enter_context(keras_internals.inputs_in_float64(model))
    port = Port(torch_side, options, model, dtype)
    stack.enter_context(port.masked())
    return port


def record(sides: Sides, reference: Reference) -> Iterator[tuple[str, Trace]]:
    """Yield what each model does, in the order of `DTYPES`; what a copy raises is a reason not to believe it."""
    for dtype, port in list(sides.ports.items()):
        try:
            trace = port.record(reference.state, reference.truth)
        except BlitzError as error:
            if not sides.own or dtype == sides.own:
                raise
            sides.drop_copy(f"the Keras model rebuilt in {dtype} does not run ({error})")
        else:
            yield dtype, trace
            del trace  # before the next one is made


def still_needed(sides: Sides, dtype: str, trace: Trace) -> Trace:
    """Return what is still asked of a copy's trace that agrees with PyTorch's: its outputs.

    A copy's weights and gradients in float64 are twice as large as the model. Where a function makes the models, no
    other copy has to be proven by them.
    """
    is_asked = sides.ported_again is not None or any(name.startswith("step") for name in trace)
    if (is_asked and dtype in (sides.own, sides.first.dtype)) or trace.penalty is not None:
        return trace
    return trace.with_entries((name, value) for name, value in trace.items() if kind_of(name) == "output")


def record_again(sides: Sides, reference: Reference) -> Trace:
    """Return what one more copy does, in the precision of the user's own object."""
    assert sides.ported_again is not None
    return sides.ported_again(sides.own).record(reference.state, reference.truth)
