"""Which input of a Keras model takes which argument of PyTorch's `forward`, and in which layout, by values."""

from collections.abc import Iterator, Mapping
from dataclasses import fields, replace
from itertools import islice, permutations, product
from typing import Any

import keras

from keras_blitz import keras_internals
from keras_blitz.errors import BlitzError
from keras_blitz.weights.layout import SAME
from parity.core.trace import named_inputs
from parity.pair import copies, feed
from parity.pair.options import Options
from parity.pair.policy import own_precision, plain_precision
from parity.pair.port import Port
from parity.pair.theirs import Theirs

MOST = 24  # ways that are tried: all orders of four inputs


def fed(theirs: Theirs, model: Any, options: Options) -> Theirs:
    """Return PyTorch's side with its inputs in the order and the layouts in which the Keras model takes them.

    Inputs by name go to a model that calls them otherwise by position. But the order of a dict may mean nothing, and
    where all axes are equal, as of (N, 6, 6), no shape tells whether Keras takes what PyTorch's convolution is given as
    it is, or with channels last. Where the models do not agree in the likeliest way, the others are tried.

    Args:
        theirs: PyTorch's side.
        model: a Keras model, or a function dtype -> model.
        options: how weights are paired.
    """
    named = isinstance(theirs.inputs, Mapping) and len(theirs.inputs) > 1
    is_model = isinstance(model, keras.Layer)
    if not named and not any(is_model or _is_cube(array.shape) for array in theirs.named.values()):
        return theirs
    if is_model:
        one, precision = model, plain_precision(model) or own_precision(model) or "float32"
    else:
        precision = options.dtypes[0]
        one = copies.made(model, precision, lambda built: None)
    by_position = named and feed.is_functional(one) and not feed.same_names(theirs, one)
    orders = list(islice(_orders(theirs, one), MOST)) if by_position else [theirs]
    ways = list(islice((way for each in orders for way in _in_each_layout(each, one)), MOST))
    if len(ways) < 2:
        return next(iter(ways), theirs)
    with copies.borrowed(one):
        return next((each for each in ways if _agrees(each, one, precision, options)), theirs)


def _is_cube(shape: tuple[int, ...]) -> bool:
    """Return whether an input of this shape fits in both orders whatever is declared."""
    return len(shape) > 2 and len(set(shape[1:])) == 1


def _orders(theirs: Theirs, model: Any) -> Iterator[Theirs]:
    """Yield PyTorch's side with the inputs in each order that fits the shapes; the user's own comes first."""
    for order in permutations(theirs.inputs.items()):
        inputs = dict(order)
        each = replace(theirs, inputs=inputs, named=dict(named_inputs(inputs)), followed=[])
        try:
            feed.input_layouts(each, model)
        except BlitzError:
            continue
        yield each


def _in_each_layout(theirs: Theirs, model: Any) -> Iterator[Theirs]:
    """Yield PyTorch's side with its inputs in the likeliest layouts, then as they are where these, too, fit.

    A model that takes what PyTorch's takes is right where the outputs agree. The other way round a transpose too many
    would not be seen. One that is not built would be built with weights of other shapes.
    """
    yield theirs
    if isinstance(model, keras.Layer) and not all(
        layer.built for layer in keras_internals.inner_layers(model, itself=True)
    ):
        return
    fitting = feed.fitting_layouts(theirs, model)
    opened = [name for name, each in fitting.items() if SAME in each[1:] and _is_open(theirs.named[name].shape)]
    known = {each.name: getattr(theirs, each.name) for each in fields(theirs)}
    for chosen in islice(product((False, True), repeat=len(opened)), 1, None):
        layouts = {name: SAME for name, as_it_is in zip(opened, chosen, strict=True) if as_it_is}
        yield feed.Fed(**known | {"followed": [], "layouts": layouts})


def _is_open(shape: tuple[int, ...]) -> bool:
    """Return whether an input of this shape may be no image: its axes are equal, or it may be a sequence."""
    return len(shape) == 3 or _is_cube(shape)


def _agrees(theirs: Theirs, model: Any, precision: str, options: Options) -> bool:
    """Return whether the models agree in some assignment of their weights."""
    try:
        Port(theirs, replace(options, train=False), model, precision)
    except BlitzError:  # the model cannot take them in this order
        return False
    return bool(theirs.followed) and theirs.followed[-1].agrees
