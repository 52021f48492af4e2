"""Mistakes in the weights: a user's own converter, and `weights=`."""

import numpy as np

from parity.faults.door.handed import argument, configured, inner, keras_model
from parity.faults.door.mistake import at, refused
from parity.faults.fault import fault


def converted(name: str, function):
    """Return what sets a layer's weights to function(weights)."""

    def change(model):
        layer = inner(model, name)
        layer.set_weights(function([np.array(value) for value in layer.get_weights()]))
        return model

    return keras_model(change)


def exchanged(one: str, other: str, which: slice = slice(None)):
    """Return what exchanges weights of two layers."""

    def change(model):
        first, second = inner(model, one), inner(model, other)
        a, b = first.get_weights(), second.get_weights()
        a[which], b[which] = b[which], a[which]
        first.set_weights(a)
        second.set_weights(b)
        return model

    return keras_model(change)


def regated(order):
    """Return what reorders the gates of a recurrent layer's weights."""

    def change(weights):
        return [np.concatenate([np.split(value, 4, -1)[k] for k in order], -1) for value in weights]

    return change


def in_pytorchs_order(weights):
    """Return a dense layer's weights with the rows in PyTorch's C, H, W order, as before a permutation."""
    kernel, bias = weights
    return [kernel.reshape(5, 4, 3, -1).transpose(2, 0, 1, 3).reshape(kernel.shape), bias]


MISTAKES = (
    fault(
        "door-kernel-transposed", "a square kernel not transposed", "mistaken layout",
        at("square-kept", "param:0.weight", converted("fc1", lambda w: [w[0].T, w[1]])),
        at("square-kept", "param:2.weight", converted("fc2", lambda w: [w[0].T, w[1]])),
        at("conv-kept", "param:0.weight", converted("conv", lambda w: [w[0].transpose(1, 0, 2, 3), w[1]])),
    ),
    fault(
        "door-layers-exchanged", "two layers' weights exchanged", "mistaken names",
        at("square-kept", "param:0.*", exchanged("fc1", "fc2")),
        at("square-kept", "param:0.bias", exchanged("fc1", "fc2", slice(1, 2))),
    ),
    fault(
        "door-bias-lost", "a bias left as it was", "mistaken names",
        at("square-kept", "param:0.bias", converted("fc1", lambda w: [w[0], w[1] * 0])),
        at("conv-kept", "param:0.bias", converted("conv", lambda w: [w[0], w[1] * 0])),
        refused("mlp", "bias", configured("fc1", use_bias=False)),
    ),
    fault(
        "door-flatten-order", "a dense layer after a flatten not permuted", "gap flatten-order",
        at("conv-kept", "param:4.weight", converted("fc", in_pytorchs_order)),
        at("conv-kept", "param:4.weight", converted("fc", lambda w: [w[0][::-1], w[1]])),
    ),
    fault(
        "door-statistics-lost", "running statistics left as they were", "public reports",
        at("conv-kept", "activation:1", converted("bn", lambda w: [*w[:3], w[3] * 0 + 1])),
        at("conv-kept", "activation:1", converted("bn", lambda w: [*w[:2], w[2] * 0, w[3]])),
    ),
    fault(
        "door-scale-for-shift", "a normalization's scale and shift exchanged", "mistaken names",
        at("conv-kept", "param:1.weight", converted("bn", lambda w: [w[1], w[0], *w[2:]])),
        at("conv-kept", "activation:1", converted("bn", lambda w: [*w[:2], w[3], w[3]])),
    ),
    fault(
        "door-gates-order", "an LSTM's gates in another framework's order", "gap lstm-map",
        at("lstm-kept", "param:rnn.weight_ih_l0", converted("lstm", regated([0, 1, 3, 2]))),
        at("lstm-kept", "param:rnn.weight_ih_l0", converted("lstm", regated([0, 2, 1, 3]))),
    ),
    fault(
        "door-kernel-for-recurrent", "one of an LSTM's two biases left out", "gap lstm-map",
        at("lstm-kept", "param:rnn.bias_ih_l0", converted("lstm", lambda w: [*w[:2], w[2] / 2])),
        at("lstm-kept", "param:rnn.weight_hh_l0", converted("lstm", lambda w: [w[0], w[1] * 0.5, w[2]])),
    ),
    fault(
        "door-wrong-map", "a wrong `weights=`", "mistaken argument",
        at("mapped", "output", argument(weights={"first": "two", "second": "one"})),
        refused("mapped", "'third' names none of PyTorch's layers", argument(weights={"third": "one"})),
        refused("mapped", "weights", argument(weights={"first": "three"})),
    ),
    fault(
        "door-not-loaded", "`weights=\"keep\"` before the weights were loaded", "mistaken argument",
        at("mlp-forward", "param:0.*", argument(weights="keep")),
        at("conv-bn", "param:0.*", argument(weights="keep")),
        at("gru", "param:rnn.*", argument(weights="keep")),
    ),
)  # fmt: skip
