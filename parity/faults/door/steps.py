"""Mistakes in a training step: what Keras adds to the loss, constraints, frozen layers, modes, dropout, BatchNorm."""

import keras
from keras import layers, ops

from keras_blitz.layers import BatchNorm
from parity.faults.door.handed import attribute, configured, dropped, inner, keras_model, replaced, torch_module
from parity.faults.door.mistake import at
from parity.faults.fault import fault

L1, L2 = keras.regularizers.L1, keras.regularizers.L2


@keras.saving.register_keras_serializable("parity_door")
class Penalized(layers.Layer):
    """tanh, with a penalty on its results."""

    def call(self, x):
        """Return tanh of x."""
        x = ops.tanh(x)
        self.add_loss(0.5 * ops.sum(x**2))
        return x


@keras.saving.register_keras_serializable("parity_door")
class AlwaysEval(layers.BatchNormalization):
    """A BatchNorm that is never told that it trains."""

    def call(self, inputs, training=None, mask=None):
        """Normalize by the running statistics."""
        return super().call(inputs, training=False, mask=mask)


def set_trainable(*names: str):
    """Return what lets frozen layers train."""

    def change(model):
        for name in names:
            inner(model, name).trainable = True
        return model

    return keras_model(change)


def frozen(module) -> None:
    """Freeze the first layer of a PyTorch module."""
    module[0].requires_grad_(False)


def head_frozen(module) -> None:
    """Freeze the last layer of a PyTorch module."""
    module[-1].requires_grad_(False)


def stock(**options):
    """Return what puts Keras's own BatchNormalization in place of a layer."""
    return lambda _: layers.BatchNormalization(**({"epsilon": 1e-5, "momentum": 0.9, "name": "bn"} | options))


MISTAKES = (
    fault(
        "door-l2-factor", "`l2(decay)` for PyTorch's decay, which is twice as much", "public reports of weight decay",
        at("l2-half", "step1:param:0.weight", configured("fc1", kernel_regularizer=L2(0.2))),
        at("l2-half", "step1:param:0.weight", configured("fc1", kernel_regularizer=L2(0.05))),
    ),
    fault(
        "door-l2-alone", "a regularizer in Keras, no decay in PyTorch", "public reports of weight decay",
        at("mlp", "step1:param:*", configured("fc1", kernel_regularizer=L2(0.1))),
        at("mlp-momentum", "step1:param:*", configured("fc2", bias_regularizer=L2(0.5))),
        at("lenet", "step1:param:*", configured("conv1", kernel_regularizer=L1(0.01))),
    ),
    fault(
        "door-l2-lost", "PyTorch's decay, no regularizer", "public reports of weight decay",
        at("l2-half", "step1:param:0.weight", configured("fc1", kernel_regularizer=None)),
        at("l2-half", "step1:param:0.weight", configured("fc1", kernel_regularizer=None, bias_regularizer=L2(0.1))),
    ),
    fault(
        "door-activity-regularizer", "a penalty on what a layer returns, in Keras alone", "public reports",
        at("mlp", "loss", configured("fc1", activity_regularizer=L1(0.5))),
        at("mlp-momentum", "loss", configured("fc1", activity_regularizer=L2(0.5))),
    ),
    fault(
        "door-add-loss", "a penalty by `add_loss`, in Keras alone", "public reports",
        at("mlp-momentum", "loss", replaced("tanh", lambda _: Penalized(name="penalized"))),
        at("dropout-train", "loss", configured("fc1", activity_regularizer=L2(0.1))),
    ),
    fault(
        "door-constraint", "a constraint in Keras alone", "public reports",
        at("mlp", "step1:param:0.weight", configured("fc1", kernel_constraint=keras.constraints.MaxNorm(0.3))),
        at("mlp-momentum", "step1:param:2.weight", configured("fc2", kernel_constraint=keras.constraints.UnitNorm())),
    ),
    fault(
        "door-frozen-in-keras", "a layer frozen in Keras alone", "public reports of fine-tuning",
        at("mlp", "grad:0.*", attribute("fc1", trainable=False)),
        at("lenet", "grad:conv1.*", attribute("conv1", trainable=False)),
        at("dropout-train", "grad:6.*", attribute("fc2", trainable=False)),
    ),
    fault(
        "door-frozen-in-pytorch", "a layer frozen in PyTorch alone", "public reports of fine-tuning",
        at("mlp", "grad:0.*", torch_module(frozen)),
        at("mlp-momentum", "grad:2.*", torch_module(head_frozen)),
        at("frozen", "grad:0.*", attribute("fc1", trainable=True)),
    ),
    fault(
        "door-trunk-mode", "a BatchNorm that trains on one side", "public reports of fine-tuning",
        at("trunk-in-eval", "activation:trunk.1", torch_module(lambda module: module.trunk.train())),
        at("trunk-in-eval", "activation:trunk.1", set_trainable("trunk", "bn")),
        at("conv-bn-train", "activation:1", replaced("bn", lambda _: AlwaysEval(epsilon=1e-5, name="bn"))),
        at("conv-bn-train", "activation:1", torch_module(lambda module: module[1].eval())),
    ),
    fault(
        "door-bn-momentum", "PyTorch's momentum taken for Keras's", "gap bn-momentum",
        at("conv-bn-train", "step1:buffer:1.running_mean", replaced("bn", stock(momentum=0.1))),
        at("conv-bn-train", "step1:buffer:1.running_mean", replaced("bn", lambda _: BatchNorm(momentum=0.9))),
    ),
    fault(
        "door-bn-biased", "a biased running variance", "gap bn-unbiased-running-var",
        at("conv-bn-train", "step1:buffer:1.running_var", replaced("bn", stock())),
        at("conv-bn-train", "step1:buffer:1.running_*", replaced("bn", stock(momentum=0.99))),
    ),
    fault(
        "door-dropout-rate", "another rate of dropout", "mistaken argument",
        at("dropout-train", "activation:5", configured("drop2", rate=0.31)),
        at("dropout-train", "activation:5", attribute("drop2", rate=0.5)),
        at("dropout-train", "activation:2", torch_module(lambda module: setattr(module[2], "p", 0.5))),
    ),
    fault(
        "door-dropout-lost", "a dropout left out", "mistaken argument",
        at("dropout-train", "activation:6", dropped("drop2")),
        at("dropout-train", "activation:3", dropped("drop1")),
    ),
    fault(
        "door-dropout-kind", "dropout of values for dropout of channels", "gap dropout2d",
        at("dropout-train", "activation:2", replaced("drop1", lambda _: layers.Dropout(0.4, name="drop1"))),
        at("dropout-train", "activation:2", replaced("drop1", lambda _: layers.SpatialDropout1D(0.3, name="drop1"))),
    ),
)  # fmt: skip
