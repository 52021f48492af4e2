"""Mistakes in what a model's configuration does not say: set after construction, forgotten by `get_config`, adapted."""

import keras
from keras import layers, ops

from parity.faults.door.handed import appended, attribute, inner, keras_model, replaced
from parity.faults.door.mistake import at
from parity.faults.door.plain import Times, numbers
from parity.faults.fault import fault


@keras.saving.register_keras_serializable("parity_door")
class Forgetful(layers.Layer):
    """A layer whose configuration lacks its factor."""

    def __init__(self, factor: float = 1.0, **options):
        super().__init__(**options)
        self.factor = factor

    def call(self, x):
        """Return x times the factor."""
        return x * self.factor


class TanhKeras(keras.Model):
    """A user's own model with settings that its configuration lacks."""

    def __init__(self, factor: float = 1.0, power: int = 1):
        super().__init__()
        self.fc1, self.fc2 = layers.Dense(8, name="fc1"), layers.Dense(3, name="fc2")
        self.settings = {"factor": factor, "power": power}

    def call(self, x):
        """Return the logits."""
        hidden = ops.tanh(self.fc1(x)) ** self.settings["power"]
        return self.fc2(hidden) * self.settings["factor"]


def tanh_and_forgetful(layer):
    """Return tanh, doubled."""
    return keras.Sequential([layers.Activation("tanh"), Forgetful(2.0)])


def times(factor: float):
    """Return what makes a layer whose factor is set after construction."""

    def make():
        layer = Times(name="times")
        layer.factor = factor
        return layer

    return make


def lenet_with(function):
    """Return what replaces the activation of the subclassed LeNet."""

    def change(model):
        model.activation = function
        return model

    return keras_model(change)


def adapted_to(given):
    """Return what adapts the Normalization to other data."""

    def change(model):
        inner(model, "norm").adapt(given)
        return model

    return keras_model(change)


def called_otherwise(name: str, function):
    """Return what puts a function around a layer's `call`, on the object alone."""

    def change(model):
        layer = inner(model, name)
        call = layer.call
        layer.call = lambda x, **options: function(call(x, **options))
        return model

    return keras_model(change)


MISTAKES = (
    fault(
        "door-epsilon-set", "an epsilon set after construction", "public reports of state outside the configuration",
        at("conv-bn", "activation:1", attribute("bn", epsilon=1e-3)),
        at("bag", "activation:norm", attribute("norm", epsilon=1e-3)),
        at("epsilon-set-afterwards", "activation:1", attribute("norm", epsilon=1e-3)),
    ),
    fault(
        "door-factor-set", "a factor set after construction", "public reports of state outside the configuration",
        at("own-layer", "activation:b", attribute("times", factor=3.0)),
        at("own-layer", "activation:b", attribute("times", factor=1.0)),
        at("mlp-forward", "output", appended(times(2.0))),
    ),
    fault(
        "door-activation-set", "an activation replaced after construction", "state outside the configuration",
        at("lenet", "activation:fc3", attribute("fc2", activation=keras.activations.elu)),
        at("lenet-subclassed", "activation:conv2", lenet_with(ops.elu)),
        at("mlp-momentum", "activation:1", attribute("tanh", activation=keras.activations.sigmoid)),
    ),
    fault(
        "door-slope-set", "a slope or a scale set after construction", "state outside the configuration",
        at("averaged", "activation:1", attribute("leaky", negative_slope=0.3)),
        at("scaled-inputs", "activation:conv", attribute("scale", scale=1 / 255)),
    ),
    fault(
        "door-forgetful-layer", "an argument that `get_config` forgets", "public reports of copies that differ",
        at("mlp-forward", "output", appended(lambda: Forgetful(2.0, name="forgetful"))),
        at("mlp-momentum", "activation:2", replaced("tanh", tanh_and_forgetful)),
        at("lenet", "output", appended(lambda: Forgetful(0.5, name="forgetful"))),
    ),
    fault(
        "door-forgetful-model", "an argument of a subclassed model", "public reports of copies that differ",
        at("mlp-momentum", "output", keras_model(lambda _: TanhKeras(factor=2.0))),
        at("mlp-momentum", "activation:2", keras_model(lambda _: TanhKeras(power=3))),
    ),
    fault(
        "door-adapted-otherwise", "a Normalization adapted to other data", "public reports of preprocessing",
        at("adapted", "activation:fc", adapted_to(numbers(7, 5) + 1)),
        at("adapted", "activation:fc", adapted_to(numbers(7, 5)[:4])),
    ),
    fault(
        "door-call-replaced", "a layer's `call` replaced on the object", "state outside the configuration",
        at("mlp-forward", "activation:2", called_otherwise("fc2", lambda x: x * 1.5)),
        at("conv-bn", "activation:3", called_otherwise("pool", lambda x: x - 0.5)),
    ),
)  # fmt: skip
