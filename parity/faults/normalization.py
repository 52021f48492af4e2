"""BatchNorm's many ways to be nearly right."""

import tensorflow as tf

from parity.faults.calls import at_training
from parity.faults.fault import eager, fault
from parity.faults.plant import Plant, in_layer


def _biased(layer, track, inputs, mean, variance):
    count = tf.cast(tf.size(inputs) // tf.shape(inputs)[-1], inputs.dtype)
    track(inputs, mean, variance * (count - 1) / count)


def _uncounted(layer, track, inputs, mean, variance):
    before = layer.num_batches_tracked.numpy()
    track(inputs, mean, variance)
    layer.num_batches_tracked.assign(before)


def _tracked_twice(layer, track, *statistics):
    track(*statistics)
    track(*statistics)


def _standing(layer, track, *statistics):
    """Nothing is tracked."""


def _unbiased(layer, statistics, inputs):
    mean, variance = statistics(inputs)
    count = inputs.shape.num_elements() // inputs.shape[-1]
    return mean, variance * count / (count - 1)


def _by_image(layer, _, inputs):
    """Instance normalization: the statistics of each image on its own."""
    axes = list(range(1, len(inputs.shape) - 1))
    mean = tf.reduce_mean(inputs, axes, keepdims=True)
    return mean, tf.reduce_mean(tf.math.squared_difference(inputs, mean), axes, keepdims=True)


def _detached(layer, statistics, inputs):
    return statistics(tf.stop_gradient(inputs))


def _eps_outside(layer, _, inputs, training=False):
    """(x − mean) / (√var + eps)."""
    mean, variance = layer._statistics(inputs) if training else (layer.moving_mean.value, layer.moving_variance.value)
    if training:
        layer._track(inputs, mean, variance)
    return (inputs - mean) / (tf.sqrt(variance) + layer.eps) * layer.gamma + layer.beta


def _in_mode(training: bool):
    """The whole network called in another mode."""

    def plant(plant: Plant) -> None:
        plant.layer("", call=lambda _, call, inputs, **__: call(inputs, training=training))

    return plant


def _instance_norm(layer, _, inputs, **__):
    mean, variance = _by_image(layer, None, inputs)
    return (inputs - mean) * tf.math.rsqrt(variance + layer.eps) * layer.gamma + layer.beta


FAULTS = (
    fault(
        "bn-eps", "Keras's epsilon of 1e-3 for PyTorch's 1e-5", "gap bn-eps-default",
        eager("small", "activation:bn1", in_layer("bn1", eps=1e-3)),
        eager("small-train", "activation:bn3", in_layer("bn3", eps=1e-3)),
        eager("resnet18", "activation:layer2.1.bn2", in_layer("layer2.1.bn2", eps=1e-3)),
    ),
    fault(
        "bn-eps-outside", "eps added after the root", "gap bn-eps-default",
        eager("small", "activation:bn1", in_layer("bn1", call=_eps_outside)),
        eager("small-train", "activation:bn2", in_layer("bn2", call=_eps_outside)),
    ),
    fault(
        "bn-momentum-copied", "momentum=0.1 copied, which in Keras is the weight of the old statistic",
        "gap bn-momentum",
        eager("small-train", "step1:buffer:bn1.running_mean", in_layer("bn1", momentum=0.9)),
        eager("small-train", "step1:buffer:bn2.running_mean", in_layer("bn2", momentum=0.9)),
    ),
    fault(
        "bn-momentum-default", "Keras's momentum of 0.99 for PyTorch's 0.1", "gap bn-momentum",
        eager("small-train", "step1:buffer:bn1.running_mean", in_layer("bn1", momentum=0.01)),
        eager("small-frozen", "step1:buffer:bn3.running_mean", in_layer("bn3", momentum=0.01)),
    ),
    fault(
        "bn-biased-variance", "the running variance without n/(n − 1)", "gap bn-unbiased-running-var; pytorch#1410",
        eager("small-train", "step1:buffer:bn1.running_var", in_layer("bn1", _track=_biased)),
        eager("small-train", "step1:buffer:bn3.running_var", in_layer("bn3", _track=_biased)),
    ),
    fault(
        "bn-unbiased-output", "the output normalized by the unbiased variance", "gap bn-unbiased-running-var",
        eager("small-train", "activation:bn1", in_layer("bn1", _statistics=_unbiased)),
        eager("small-train", "activation:bn3", in_layer("bn3", _statistics=_unbiased)),
    ),
    fault(
        "bn-frozen", "trainable=False, which in Keras takes BatchNorm out of train mode", "gap bn-frozen",
        eager("small-frozen", "activation:bn1", in_layer("bn1", call=at_training(False))),
        eager("small-frozen", "activation:bn3", in_layer("bn3", call=at_training(False))),
    ),
    fault(
        "bn-frozen-statistics", "a frozen BatchNorm whose running statistics stand still", "gap bn-frozen",
        eager("small-frozen", "step1:buffer:bn1.running_mean", in_layer("bn1", _track=_standing)),
        eager("small-frozen", "step1:buffer:bn3.running_mean", in_layer("bn3", _track=_standing)),
    ),
    fault(
        "bn-eval-while-training", "training=True not passed: the running statistics normalize the batch",
        "gap default-train-mode",
        eager("small-train", "activation:bn1", _in_mode(False)),
        eager("small-frozen", "activation:bn1", _in_mode(False)),
    ),
    fault(
        "bn-train-while-evaluating", "eval() forgotten: the batch's statistics normalize it", "gap bn-track-false",
        eager("small", "activation:bn1", _in_mode(True)),
        eager("small", "activation:bn2", in_layer("bn2", call=at_training(True))),
    ),
    fault(
        "bn-tracked-twice", "two forward passes a step, one of them for a metric", "gap bn-momentum",
        eager("small-train", "step1:buffer:bn1.running_mean", in_layer("bn1", _track=_tracked_twice)),
        eager("small-train", "step1:buffer:bn2.running_mean", in_layer("bn2", _track=_tracked_twice)),
    ),
    fault(
        "bn-batches-not-counted", "num_batches_tracked left as it was", "gap bn-momentum-none",
        eager("small-train", "step1:buffer:bn1.num_batches_tracked", in_layer("bn1", _track=_uncounted)),
        eager("small-train", "step1:buffer:bn3.num_batches_tracked", in_layer("bn3", _track=_uncounted)),
    ),
    fault(
        "instance-norm", "each image normalized by itself", "gap bn1d-ncl",
        eager("small-train", "activation:bn1", in_layer("bn1", call=_instance_norm)),
        eager("small-train", "activation:bn3", in_layer("bn3", call=_instance_norm)),
    ),
    fault(
        "bn-statistics-detached", "no gradient through the batch's mean and variance", "gap bn-train-grad",
        eager("small-train", "grad:conv2.bias", in_layer("bn2", _statistics=_detached)),
        eager("small-train", "grad:conv3.weight", in_layer("bn3", _statistics=_detached)),
    ),
)  # fmt: skip
