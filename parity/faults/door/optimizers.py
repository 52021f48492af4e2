"""Mistakes in the optimizer: another setting, set after construction, or something that Keras's side does alone."""

from functools import partial

import keras

from keras_blitz import optim
from parity.faults.door.handed import Handed, argument, keras_optimizer, optimizer_set
from parity.faults.door.mistake import at
from parity.faults.fault import fault

SGD, ADAM = keras.optimizers.SGD, keras.optimizers.Adam
AVERAGED = {"use_ema": True, "ema_momentum": 0.5, "ema_overwrite_frequency": 1}


class Unscaled(keras.optimizers.SGD):
    """Scales the loss up and not the gradients down."""

    def scale_loss(self, loss):
        """Return eight times the loss."""
        return loss * 8


def excluding(names: list[str]):
    """Return SGD with decay of all weights but these."""

    def make():
        made = SGD(0.1, weight_decay=0.2)
        made.exclude_from_weight_decay(var_names=names)
        return made

    return make


def grouped(make, decay: float):
    """Return what makes an optimizer of keras_blitz without decay of biases and norms, as `mlp_adamw_groups` has it."""
    groups = [("*.bias", {"weight_decay": 0.0}), ("1.*", {"weight_decay": 0.0})]
    return lambda: make(lr=0.01, weight_decay=decay, groups=groups)


def torch_sgd(**options):
    """Return what gives PyTorch's SGD other settings."""

    def change(handed: Handed) -> Handed:
        make, ours = handed.options["optimizer"]
        return argument(optimizer=(partial(make, **options), ours))(handed)

    return change


def keras_sgd(*rate: float, **options):
    """Return what makes Keras's side another SGD."""
    return keras_optimizer(lambda: SGD(*(rate or (0.1,)), **options))


def decaying():
    """Return SGD with a rate that halves at every step."""
    return SGD(keras.optimizers.schedules.ExponentialDecay(0.1, 1, 0.5))


MISTAKES = (
    fault(
        "door-rate", "another learning rate", "mistaken argument",
        at("mlp", "step1:param:*", keras_sgd(0.11)),
        at("mlp-adam", "step1:param:*", keras_optimizer(lambda: optim.Adam(lr=0.011))),
        at("lenet", "step1:param:*", keras_sgd(0.01)),
    ),
    fault(
        "door-rate-assigned", "a learning rate assigned after construction", "state outside the configuration",
        at("mlp", "step1:param:*", optimizer_set(learning_rate=0.2)),
        at("mlp-momentum", "step1:param:*", optimizer_set(learning_rate=0.01)),
        at("compiled", "step1:param:*", optimizer_set(learning_rate=0.1)),
    ),
    fault(
        "door-rate-scheduled", "a schedule in Keras alone", "mistaken argument",
        at("mlp", "step2:param:*", keras_optimizer(decaying)),
        at("mlp-momentum", "step?:param:*", keras_optimizer(
            lambda: SGD(keras.optimizers.schedules.PiecewiseConstantDecay([0], [0.1, 0.05]), momentum=0.9))),
    ),
    fault(
        "door-momentum", "another momentum", "mistaken argument",
        at("mlp-momentum", "step2:param:*", keras_sgd(momentum=0.8)),
        at("mlp-momentum", "step2:param:*", optimizer_set(momentum=0.5)),
        at("lenet-blitz", "step2:slot:momentum_buffer:*", keras_optimizer(lambda: optim.SGD(lr=0.1, momentum=0.8))),
    ),
    fault(
        "door-nesterov", "Nesterov's momentum on one side", "mistaken argument",
        at("mlp-nesterov", "step1:param:*", keras_sgd(momentum=0.8)),
        at("mlp-momentum", "step1:param:*", keras_sgd(momentum=0.9, nesterov=True)),
    ),
    fault(
        "door-dampening", "dampening in PyTorch alone", "mistaken argument",
        at("mlp-momentum", "step2:param:*", torch_sgd(dampening=0.1)),
        at("lenet-blitz", "step2:slot:*", torch_sgd(dampening=0.1)),
    ),
    fault(
        "door-decay", "weight decay on one side", "public reports",
        at("mlp", "step1:param:*", keras_sgd(weight_decay=0.1)),
        at("mlp", "step1:param:*", torch_sgd(weight_decay=0.1)),
        at("mlp-adamw-groups", "step1:param:*", keras_optimizer(grouped(optim.AdamW, 0.1))),
    ),
    fault(
        "door-decay-of-biases", "biases and norms decayed too", "public reports of exclude_from_weight_decay",
        at("excluded", "step1:param:*.bias", keras_sgd(weight_decay=0.2)),
        at("excluded", "step1:param:*.weight", keras_optimizer(excluding(["kernel", "bias"]))),
        at("mlp-adamw-groups", "step1:param:*", keras_optimizer(lambda: optim.AdamW(lr=0.01, weight_decay=0.5))),
    ),
    fault(
        "door-decay-coupled", "Adam with decay for AdamW", "gap opt-adamw",
        at("mlp-adamw-groups", "step1:*", keras_optimizer(grouped(optim.Adam, 0.5))),
        at("mlp-adamw-groups", "step1:*", keras_optimizer(lambda: optim.Adam(lr=0.01))),
    ),
    fault(
        "door-adam-eps", "Keras's own epsilon in Adam", "gap opt-adam-eps-default",
        at("mlp-adam", "step1:param:*", keras_optimizer(lambda: optim.Adam(lr=0.01, eps=1e-7))),
        at("mlp-keras-adam", "step1:param:*", keras_optimizer(lambda: ADAM(0.01))),
    ),
    fault(
        "door-adam-betas", "other betas", "mistaken argument",
        at("mlp-adam", "step1:slot:exp_avg:*", keras_optimizer(lambda: optim.Adam(lr=0.01, betas=(0.8, 0.999)))),
        at("mlp-adam", "step1:slot:exp_avg_sq:*", keras_optimizer(lambda: optim.Adam(lr=0.01, betas=(0.9, 0.99)))),
        at("mlp-keras-adam", "step2:param:*", keras_optimizer(lambda: ADAM(0.01, beta_1=0.8, epsilon=1e-20))),
    ),
    fault(
        "door-another-optimizer", "another optimizer", "mistaken argument",
        at("mlp", "step1:param:*", keras_optimizer(lambda: ADAM(0.1))),
        at("mlp-keras-adam", "step1:param:*", keras_optimizer(lambda: keras.optimizers.RMSprop(0.01))),
        at("mlp-keras-adam", "step1:param:*", keras_optimizer(lambda: keras.optimizers.Nadam(0.01))),
    ),
    fault(
        "door-accumulation", "gradients accumulated in Keras alone", "public reports",
        at("mlp", "step1:param:*", keras_sgd(gradient_accumulation_steps=2)),
        at("mlp-nesterov", "step1:param:*", keras_sgd(momentum=0.8, nesterov=True, gradient_accumulation_steps=2)),
    ),
    fault(
        "door-average", "weights overwritten by their running average in Keras alone", "public reports",
        at("mlp", "step*:param:*", keras_sgd(**AVERAGED)),
        at("mlp-momentum", "step*:param:*", keras_sgd(momentum=0.9, **AVERAGED)),
    ),
    fault(
        "door-clipped", "gradients clipped in Keras alone", "public reports",
        at("mlp", "step1:param:*", keras_sgd(clipvalue=0.01)),
        at("mlp-momentum", "step1:param:*", keras_sgd(momentum=0.9, clipnorm=0.01)),
        at("lenet", "step1:param:*", keras_sgd(global_clipnorm=0.01)),
    ),
    fault(
        "door-loss-scale", "a loss scaled up, its gradients not down again", "public reports of mixed precision",
        at("mlp", "step1:param:*", keras_optimizer(lambda: Unscaled(0.1))),
        at("loss-scaled", "step1:param:*", keras_optimizer(lambda: Unscaled(0.1))),
    ),
)  # fmt: skip
