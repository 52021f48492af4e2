"""Which input of a Keras model takes which argument of PyTorch's `forward`, where their names differ."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from itertools import islice, permutations
from typing import Any

import keras

from keras_blitz.errors import BlitzError
from parity.core.trace import named_inputs
from parity.pair import copies, feed
from parity.pair.options import Options
from parity.pair.policy import own_precision, plain_precision
from parity.pair.port import Port
from parity.pair.theirs import Theirs

MOST = 24  # orders that are tried: all of four inputs


def fed(theirs: Theirs, model: Any, options: Options) -> Theirs:
    """Return PyTorch's side with its inputs in the order in which the Keras model takes them.

    Inputs by name go to a model that calls them otherwise by position. But the order of a dict may mean nothing: where
    the models do not agree in the one written, the others are tried.

    Args:
        theirs: PyTorch's side.
        model: a Keras model, or a function dtype -> model.
        options: how weights are paired.
    """
    if not isinstance(theirs.inputs, Mapping) or len(theirs.inputs) < 2:
        return theirs
    if isinstance(model, keras.Layer):
        one, precision = model, plain_precision(model) or own_precision(model) or "float32"
    else:
        precision = options.dtypes[0]
        one = copies.made(model, precision, lambda built: None)
    if not feed.is_functional(one) or feed.same_names(theirs, one):
        return theirs
    orders = list(islice(_orders(theirs, one), MOST))
    if len(orders) < 2:
        return next(iter(orders), theirs)
    with copies.borrowed(one):
        return next((each for each in orders if _agrees(each, one, precision, options)), theirs)


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


def _agrees(theirs: Theirs, model: Any, precision: str, options: Options) -> bool:
    """Return whether the models agree in some assignment of their weights."""
    try:
        Port(theirs, replace(options, train=False), model, precision)
    except BlitzError:  # the model cannot take them in this order
        return False
    return bool(theirs.followed) and theirs.followed[-1].agrees
