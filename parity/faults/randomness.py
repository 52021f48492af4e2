"""Another random stream, another order of a data set, other initial values."""

from collections.abc import Callable

import numpy as np

from keras_blitz import initializers
from parity.faults.fault import eager, fault
from parity.faults.plant import Plant
from parity.twins.keras import randomness

Planting = Callable[[Plant], None]


def _drawn(function: Callable) -> Planting:
    """Other initial values: function(original, generator, weight and bias, what the network wishes)."""
    return lambda plant: plant.around(initializers, "_draw_default", function)


def _glorot(original, generator, pair, normal):
    original(generator, pair, normal)
    weight = pair["weight"]
    outs, ins, *kernel = weight.shape
    bound = np.sqrt(6 / (ins + outs) / np.prod(kernel))
    initializers._assign(weight, weight.value() * np.float32(bound * np.sqrt(ins * np.prod(kernel))))


def _zero_bias(original, generator, pair, normal):
    original(generator, pair, normal)
    initializers._assign(pair["bias"], np.zeros(pair["bias"].shape, np.float32))


def _bias_first(original, generator, pair, normal):
    bias, weight = pair["bias"], pair["weight"]
    bound = 1 / np.sqrt(np.prod(weight.shape[1:]))
    initializers._assign(bias, generator.uniform(-bound, bound, bias.shape))
    initializers._assign(weight, generator.uniform(-bound, bound, weight.shape))


def _seeded(change: Callable[[int], int]) -> Planting:
    return lambda plant: plant.around(randomness.random, "manual_seed", lambda seed, number: seed(change(number)))


def _ordered(function: Callable) -> Planting:
    """Another order of the batches: function(original, count, **options)."""
    return lambda plant: plant.around(randomness, "batches", function)


def _dropping(original, count, **options):
    return original(count, **options, drop_last=True)


def _unshuffled(original, count, **options):
    return original(count, **{**options, "shuffle": False})


def _same_each_epoch(original, count, **options):
    with randomness.random.fork_rng():
        return iter(list(original(count, **options)))


FAULTS = (
    fault(
        "initial-glorot", "Keras's Glorot bounds", "gap init-conv-linear-default",
        eager("initial-lenet", "param:conv1.weight", _drawn(_glorot)),
        eager("initial-mlp", "param:linear_relu_stack.0.weight", _drawn(_glorot)),
    ),
    fault(
        "initial-bias-zero", "Keras's biases of 0", "gap init-conv-linear-default",
        eager("initial-lenet", "param:conv1.bias", _drawn(_zero_bias)),
        eager("initial-cifar", "param:conv1.bias", _drawn(_zero_bias)),
    ),
    fault(
        "initial-bias-first", "a layer's bias drawn before its weight", "gap rng-linear-init",
        eager("initial-mnist", "param:conv1.weight", _drawn(_bias_first)),
        eager("initial-cifar", "param:conv1.weight", _drawn(_bias_first)),
    ),
    fault(
        "seed-other", "another seed", "gap init-rng",
        eager("random-numbers-42", "output:rand.float32", _seeded(lambda number: number + 1)),
        eager("random-masks-0", "output:dropout.0.3", _seeded(lambda number: number + 1)),
    ),
    fault(
        "last-batch-dropped", "drop_last=True, or drop_remainder", "gap data-loader-last-batch",
        eager("random-order-0", "output:epoch0", _ordered(_dropping), "shape"),
        eager("random-order-42", "output:epoch0", _ordered(_dropping), "shape"),
    ),
    fault(
        "not-shuffled", "shuffle=True not carried over", "gap data-loader-shuffle",
        eager("random-order-0", "output:epoch0", _ordered(_unshuffled)),
        eager("random-order-1", "output:epoch0", _ordered(_unshuffled)),
    ),
    fault(
        "not-reshuffled", "the same order in every epoch", "gap data-loader-shuffle",
        eager("random-order-0", "output:epoch1", _ordered(_same_each_epoch)),
        eager("random-order-42", "output:epoch1", _ordered(_same_each_epoch)),
    ),
)  # fmt: skip
