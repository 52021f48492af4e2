"""Fewer digits than there should be: float32 and float16 in a float64 port."""

import keras
import numpy as np
import tensorflow as tf

from parity.faults.calls import behind, weighted
from parity.faults.fault import eager, fault, survivor
from parity.faults.plant import Plant, in_layer
from parity.suite import networks


def _through(dtype: str):
    """A tensor rounded to another type."""
    return lambda tensor: tf.cast(tf.cast(tensor, dtype), tensor.dtype)


def _in_float32(layer, call, inputs, **options):
    """A mask whose 1/(1 − p) is a Python float that met tf.cast."""
    kept = call(tf.ones_like(inputs), **options) != 0
    scale = tf.cast(1 / (1 - layer.rate), inputs.dtype)
    return tf.where(kept, inputs * scale, tf.zeros_like(inputs))


def _loss_in_float32(name: str):
    return lambda plant: plant.arguments(getattr(keras.losses, name), dtype="float32")


def _python_momentum(plant: Plant) -> None:
    """Keras's SGD casts a Python float through float32."""
    plant.attribute(networks, "_keras_optimizer", lambda row: keras.optimizers.SGD(row.rate, momentum=row.momentum))


def _rate_off(plant: Plant) -> None:
    def build(row):
        return keras.optimizers.SGD(row.rate * (1 + 1e-9), momentum=np.float64(row.momentum))

    plant.attribute(networks, "_keras_optimizer", build)


def _whole(dtype: str):
    """The network runs in another type altogether."""
    return lambda plant: plant.around(networks, "_recorder", lambda made, row, _, mode: made(row, dtype, mode))


FAULTS = (
    fault(
        "layer-in-float32", "one layer of a float64 network computes in float32", "gap autocast-input-f32",
        eager("lenet", "activation:conv2", in_layer("conv2", call=behind(_through("float32")))),
        eager("small", "activation:fc2", in_layer("fc2", call=behind(_through("float32")))),
    ),
    fault(
        "weights-in-float16", "mixed precision: one layer's weights in float16", "gap autocast-input-f32",
        eager("cifar", "activation:fc1", in_layer("fc1", call=weighted(kernel=_through("float16")))),
        eager("mnist", "activation:conv2", in_layer("conv2", call=weighted(kernel=_through("float16")))),
    ),
    fault(
        "inputs-in-half", "a layer's inputs with half a mantissa, as TF32 and bfloat16 have", "gap prec-tf32",
        eager("lenet", "activation:conv1", in_layer("conv1", call=weighted(inputs=_through("bfloat16")))),
        eager("mlp", "activation:linear_relu_stack.0",
              in_layer("linear_relu_stack.0", call=weighted(inputs=_through("bfloat16")))),
    ),
    fault(
        "model-in-float32", "the model left in float32", "gap prec-floatx",
        eager("lenet", "param:conv1.weight", _whole("float32"), "type float32"),
        eager("mlp", "param:linear_relu_stack.0.weight", _whole("float32"), "type float32"),
    ),
    fault(
        "loss-in-float32", "a Keras loss casts to floatx", "gap loss-object-floatx",
        eager("lenet", "loss", _loss_in_float32("MeanSquaredError"), "type float32"),
        eager("cifar", "loss", _loss_in_float32("SparseCategoricalCrossentropy"), "type float32"),
    ),
    fault(
        "scale-in-float32", "dropout's 1/(1 − p) a Python float that met tf.cast", "gap prec-floatx-not-tf",
        eager("small-train", "activation:drop1", in_layer("drop1", call=_in_float32)),
        eager("small-train", "activation:drop2", in_layer("drop2", call=_in_float32)),
    ),
    fault(
        "momentum-in-float32", "a Python float as the momentum of Keras's SGD", "gap opt-sgd-momentum",
        eager("small-train", "step2:param:*", _python_momentum),
        eager("small-frozen", "step2:param:*", _python_momentum),
    ),
    fault(
        "rate-off-by-1e-9", "a learning rate wrong in the tenth digit", "gap sched-float32",
        eager("lenet", "step1:param:*", _rate_off),
        eager("small-train", "step1:param:*", _rate_off),
    ),
    survivor(
        "weights-through-float32", "weights loaded through float32 into a float64 network",
        "the weights of every case are float32 values, so that float64 and float32 runs have the same; none is rounded",
        eager("lenet", "", lambda plant: plant.state(
            lambda state: {k: v.astype(np.float32).astype(v.dtype) for k, v in state.items() if v.dtype.kind == "f"})),
        eager("small", "", lambda plant: plant.state(
            lambda state: {k: v.astype(np.float32).astype(v.dtype) for k, v in state.items() if v.dtype.kind == "f"})),
    ),
    survivor(
        "eps-in-float32", "BatchNorm's eps through float32",
        "1e-5 as float32 is 2.5e-13 less, and beside a variance of 0.5 or more that is rounding: a fourth of the bound",
        eager("small", "", in_layer("bn1", eps=float(np.float32(1e-5)))),
        eager("small-train", "", in_layer("bn3", eps=float(np.float32(1e-5)))),
    ),
)  # fmt: skip
