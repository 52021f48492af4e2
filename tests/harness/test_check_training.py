"""The training step that `parity.check` compares is the one that `fit` does: a right port and a wrong one of each."""

import re

import keras
import numpy as np
import pytest
import tensorflow as tf
import torch
from keras import layers
from torch import nn

import keras_blitz
import parity
from keras_blitz.errors import BlitzError
from parity.core.verdict import Verdict
from parity.pair import step
from parity.pair.options import Options

pytestmark = [pytest.mark.covers("H12"), pytest.mark.torch]

RANDOM = np.random.RandomState(0)
X, Y = RANDOM.randn(6, 4), RANDOM.randn(6, 2)
LABELS = np.array([0, 1, 1, 0, 1, 0])
MSE = (nn.MSELoss(), keras.losses.MeanSquaredError())


def net(middle=None) -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(4, 5), middle or nn.ReLU(), nn.Linear(5, 2))


def port(middle=None, cls=keras.Sequential, **first):
    head = layers.Dense(2, kernel_regularizer=first.get("kernel_regularizer"))
    return cls([keras.Input((4,)), layers.Dense(5, **first), middle or layers.ReLU(), head])


def sgd(rate=0.5, **options):
    return lambda parameters: torch.optim.SGD(parameters, rate, **options)


def checked(torch_side, model, optimizer=None, **options):
    given = {"loss": MSE, "target": Y} | options
    if optimizer is not None:
        given |= {"optimizer": optimizer, "steps": given.get("steps", 2)}
    return parity.check(torch_side, model, X, **given)


def decaying(kernels, biases=0.0, rate=0.5, **options):
    """Return PyTorch's optimizer with one `weight_decay` for the kernels, and one for the biases."""

    def optimizer(parameters):
        of_kernels, of_biases = [p for p in parameters if p.ndim > 1], [p for p in parameters if p.ndim < 2]
        groups = [{"params": of_kernels, "weight_decay": kernels}, {"params": of_biases, "weight_decay": biases}]
        return torch.optim.SGD(groups, rate, **options)

    return optimizer


def decayed(torch_decay, l2, **options):
    """A pair in which PyTorch has `weight_decay` on the kernels, and Keras a regularizer."""
    model = port(kernel_regularizer=keras.regularizers.L2(l2) if l2 else None)
    pair = (decaying(torch_decay, momentum=0.9), keras.optimizers.SGD(0.5, momentum=0.9))
    return checked(net(), model, pair, **options)


def test_half_of_weight_decay_as_l2_is_equivalent():
    report = decayed(0.2, 0.1)
    assert report.passed, str(report)
    assert "regularizers add a penalty" in str(report)
    assert set(report.comparisons) == {"float64", "float32"}


@pytest.mark.parametrize(
    ("decay", "l2", "said"),
    [(0.2, 0.2, "give l2(weight_decay / 2)"), (0.0, 0.2, "its weight_decay is 0"), (0.2, 0.0, "")],
    ids=["twice", "keras-alone", "torch-alone"],
)
def test_another_penalty_is_not(decay, l2, said):
    report = decayed(decay, l2)
    assert report.verdict is Verdict.NOT_EQUIVALENT
    assert report.first_divergence == "step1:param:0.weight"
    assert said in str(report)


def test_a_penalty_that_float32_alone_does_not_show_is_not_decided():
    def trained(l2, decay, rate, **options):
        model = port(kernel_regularizer=keras.regularizers.L2(l2))
        return checked(net(), model, (decaying(decay, rate=rate), keras.optimizers.SGD(rate)), **options)

    alone = {"dtypes": ["float32"]}
    hidden = trained(1e-4, 0.0, 1e-3, **alone)
    assert hidden.verdict is Verdict.NOT_DECIDED
    assert "float32 does not show" in str(hidden)
    assert trained(1e-4, 2e-4, 1e-3, **alone).verdict is Verdict.NOT_DECIDED
    assert trained(1e-4, 2e-4, 1e-3).passed
    assert trained(1e-4, 0.0, 1e-3).verdict is Verdict.NOT_EQUIVALENT
    seen = trained(0.1, 0.2, 0.5, **alone)
    assert seen.passed, str(seen)
    assert trained(0.1, 0.0, 0.5, **alone).verdict is Verdict.NOT_EQUIVALENT


@pytest.mark.parametrize("seed", range(4))
def test_rounding_does_not_decide_whether_pytorch_has_a_penalty(seed):
    random = np.random.RandomState(seed)
    module, model = net(), port(kernel_regularizer=keras.regularizers.L2(1e-7))
    target = random.randn(6, 2)
    report = checked(module, model, dtypes=["float32"], target=target)
    assert report.verdict is Verdict.NOT_DECIDED
    pair = (sgd(), keras.optimizers.SGD(0.5))
    assert checked(module, model, pair, dtypes=["float32"], target=target).verdict is Verdict.NOT_DECIDED
    if not seed:
        assert checked(module, model, pair, target=target).verdict is Verdict.NOT_EQUIVALENT
        assert checked(module, model, (decaying(2e-7), pair[1]), target=target).passed
        assert checked(module, model, target=target).verdict is Verdict.NOT_DECIDED


@pytest.mark.parametrize("steps", [1, 2])
@pytest.mark.parametrize(
    ("decay", "l2", "right"),
    [(0.2, 0.1, True), (0.0, 0.1, False), (0.2, 0.0, False), (0.1, 0.1, False)],
    ids=["half", "keras-alone", "torch-alone", "whole"],
)
def test_a_penalty_on_a_bias_that_is_zero_is_seen(decay, l2, right, steps):
    module = net()
    nn.init.zeros_(module[0].bias)
    nn.init.zeros_(module[2].bias)
    regularizer = keras.regularizers.L2(l2) if l2 else None
    head = layers.Dense(2, bias_regularizer=regularizer)
    model = keras.Sequential([keras.Input((4,)), layers.Dense(5, bias_regularizer=regularizer), layers.ReLU(), head])
    report = checked(module, model, (decaying(0.0, decay), keras.optimizers.SGD(0.5)), steps=steps)
    assert report.verdict is (Verdict.EQUIVALENT if right else Verdict.NOT_EQUIVALENT), str(report)
    assert ("2 steps were made, not 1" in str(report)) is (steps == 1)


def test_weights_that_are_zero_cost_no_step_where_nothing_decays():
    module = net()
    nn.init.zeros_(module[0].bias)
    report = checked(module, port(), (sgd(), keras.optimizers.SGD(0.5)), steps=1)
    assert report.passed
    assert not any(row.name.startswith("step2") for row in report.comparisons["float64"].rows)


def test_a_penalty_on_a_bias_that_is_zero_is_not_decided_without_steps():
    class Penalized(nn.Module):
        def __init__(self):
            super().__init__()
            self.net = net()
            nn.init.zeros_(self.net[0].bias)

        def forward(self, x):
            return self.net(x), 0.1 * (self.net[0].weight ** 2).sum()

    i = keras.Input((4,))
    first = layers.Dense(5, kernel_regularizer=keras.regularizers.L2(0.1), bias_regularizer="l2", name="net_0")
    output = layers.Dense(2, name="net_2")(layers.ReLU()(first(i)))
    model = keras.Model(i, [output, layers.Lambda(lambda x: tf.zeros((), x.dtype))(output)])
    loss = (lambda both, y: nn.functional.mse_loss(both[0], y) + both[1],
            lambda y, both: tf.reduce_mean((y - both[0]) ** 2))  # fmt: skip
    report = checked(Penalized(), model, loss=loss)
    rows = {row.name: row for row in report.comparisons["float64"].rows}
    assert rows["loss"].passed
    assert any("net.0.bias, which is zero because the weights are" in reason for reason in report.undecided)


@pytest.mark.parametrize("share", [1.0, 0.5])
def test_a_penalty_in_pytorchs_loss_is_compared_with_the_loss(share):
    module = net()

    class Penalized(nn.Module):
        def __init__(self):
            super().__init__()
            self.net = module

        def forward(self, x):
            kernels = (self.net[0].weight, self.net[2].weight)
            return self.net(x), share * 0.1 * sum((kernel**2).sum() for kernel in kernels)

    regularizer = keras.regularizers.L2(0.1)
    i = keras.Input((4,))
    hidden = layers.ReLU()(layers.Dense(5, kernel_regularizer=regularizer, name="net_0")(i))
    output = layers.Dense(2, kernel_regularizer=regularizer, name="net_2")(hidden)
    model = keras.Model(i, [output, layers.Lambda(lambda x: tf.zeros((), x.dtype))(output)])
    report = parity.check(
        Penalized(), model, X, target=Y,
        loss=(lambda both, y: nn.functional.mse_loss(both[0], y) + both[1],
              lambda y, both: tf.reduce_mean((y - both[0]) ** 2)),
    )  # fmt: skip
    rows = {row.name: row for row in report.comparisons["float64"].rows}
    assert rows["loss"].passed is (share == 1.0)
    assert rows["grad:net.0.weight"].passed is (share == 1.0)


def test_a_penalty_without_steps_is_not_decided():
    report = checked(net(), port(kernel_regularizer="l2"))
    assert report.verdict is Verdict.NOT_DECIDED
    assert "PyTorch's weight_decay is its counterpart" in str(report)


def test_a_loss_that_returns_nothing_is_a_difference_whatever_the_penalty():
    report = checked(net(), port(kernel_regularizer="l2"), loss=(nn.MSELoss(), lambda target, output: None))
    assert report.verdict is Verdict.NOT_EQUIVALENT


def test_without_a_loss_a_penalty_is_a_note():
    report = parity.check(net(), port(kernel_regularizer="l2"), X)
    assert report.passed
    assert "compared only where loss= is given" in str(report)


@keras.saving.register_keras_serializable("test_check_training")
class Added(layers.Layer):
    def call(self, x):
        self.add_loss(0.5 * tf.reduce_sum(x**2))
        return tf.nn.relu(x)


class WithLoss(nn.Module):
    """PyTorch's way of an activity regularizer: the module returns what is added to the loss."""

    def __init__(self):
        super().__init__()
        self.net = net()

    def forward(self, x):
        hidden = self.net[0](x)
        return self.net[2](torch.relu(hidden)), 0.5 * (hidden**2).sum()


def test_what_layers_add_to_the_loss_is_part_of_it():
    i = keras.Input((4,))
    output = layers.Dense(2, name="net_2")(Added()(layers.Dense(5, name="net_0")(i)))
    right = keras.Model(i, output)

    class First(WithLoss):
        def forward(self, x):
            output, self.added = super().forward(x)
            return output

    module = First()
    added = []
    module.register_forward_hook(lambda of, _, output: added.append(of.added))
    loss = (lambda output, y: nn.functional.mse_loss(output, y) + added[-1], MSE[1])
    assert checked(module, right, (sgd(), keras.optimizers.SGD(0.5)), loss=loss).passed
    wrong = checked(net(), port(Added()), (sgd(), keras.optimizers.SGD(0.5)))
    assert wrong.first_divergence == "loss"


def test_an_activity_regularizer_is_part_of_the_loss():
    wrong = checked(net(), port(activity_regularizer=keras.regularizers.L1(0.5)))
    assert wrong.verdict is Verdict.NOT_EQUIVALENT
    assert wrong.first_divergence == "loss"


@pytest.mark.parametrize(
    ("options", "model"),
    [
        ({"gradient_accumulation_steps": 2}, {}),
        ({"clipvalue": 0.01}, {}),
        ({"clipnorm": 0.01}, {}),
        ({"weight_decay": 0.3}, {}),
        ({}, {"kernel_constraint": keras.constraints.MaxNorm(0.3)}),
        ({}, {"trainable": False}),
    ],
    ids=["accumulation", "clipvalue", "clipnorm", "decay", "constraint", "frozen"],
)
def test_what_keras_alone_does_in_a_step_is_seen(options, model):
    pair = (sgd(), keras.optimizers.SGD(0.5, **options))
    assert checked(net(), port(**model), pair).verdict is Verdict.NOT_EQUIVALENT


@pytest.mark.parametrize(
    "optimizer",
    [
        keras.optimizers.LossScaleOptimizer(keras.optimizers.SGD(0.1)),
        lambda: keras.optimizers.LossScaleOptimizer(keras_blitz.optim.SGD(0.1)),
        keras.optimizers.SGD(0.1, loss_scale_factor=8.0),
        lambda: keras.optimizers.SGD(0.1),
    ],
    ids=["scaled", "scaled-ours", "factor", "function"],
)
def test_a_scaled_loss_makes_the_same_step(optimizer):
    report = checked(net(), port(), (sgd(0.1), optimizer))
    assert report.passed, str(report)
    assert not report.unproven


def test_a_wrong_rate_under_a_scaled_loss_is_seen():
    optimizer = keras.optimizers.LossScaleOptimizer(keras.optimizers.SGD(0.11))
    assert checked(net(), port(), (sgd(0.1), optimizer)).first_divergence == "step1:param:0.weight"


def test_averages_that_fit_leaves_are_not_decided():
    report = checked(net(), port(), (sgd(), keras.optimizers.SGD(0.5, use_ema=True)))
    assert report.verdict is Verdict.NOT_DECIDED
    assert "use_ema=True" in str(report)


def test_what_was_set_on_an_optimizer_is_kept():
    def grouped(parameters):
        kernels, biases = [p for p in parameters if p.ndim > 1], [p for p in parameters if p.ndim < 2]
        return torch.optim.SGD([{"params": kernels, "weight_decay": 0.0}, {"params": biases, "weight_decay": 0.0}], 0.5)

    def decoupled(exclude):
        made = keras.optimizers.SGD(0.5, weight_decay=0.3)
        made.exclude_from_weight_decay(var_names=exclude)
        return made

    assert checked(net(), port(), (grouped, decoupled(["kernel", "bias"]))).passed
    wrong = checked(net(), port(), (grouped, decoupled(["bias"])))
    assert wrong.first_divergence == "step1:param:0.weight"


def test_a_rate_that_was_assigned_is_kept_and_the_users_optimizer_is_not_built():
    optimizer = keras.optimizers.SGD(0.5)
    optimizer.learning_rate = 0.25
    assert checked(net(), port(), (sgd(0.25), optimizer)).passed
    assert not checked(net(), port(), (sgd(0.5), optimizer)).passed
    assert not optimizer.built
    assert int(optimizer.iterations.numpy()) == 0


def test_a_used_optimizer_is_judged_by_its_settings():
    optimizer, variable = keras.optimizers.SGD(0.5, momentum=0.9), keras.Variable([1.0])
    optimizer.apply([tf.ones(1)], [variable])
    assert checked(net(), port(), (sgd(momentum=0.9), optimizer)).passed
    assert int(optimizer.iterations.numpy()) == 1


class Times(keras.optimizers.SGD):
    """An optimizer without a get_config, whose attributes people change after it was constructed."""

    def __init__(self, learning_rate=0.5, **options):
        super().__init__(learning_rate, **options)
        self.change = None
        self.factor = tf.constant(1.0)
        self.table = np.ones(1)
        self.still = ["vector"]
        self.limit = 0.0
        self.kept = Holder(1.0)
        self.own = lambda gradient: gradient * float(self.kept.factor)

    def update_step(self, gradient, variable, learning_rate):
        gradient = self.own(gradient if self.change is None else self.change(gradient))
        gradient *= tf.cast(self.factor, gradient.dtype) * tf.cast(self.table[0], gradient.dtype)
        if "vector" in self.still and len(variable.shape) < 2:
            gradient *= 0.0
        gradient *= 0.5 if self.limit is None else 1.0
        super().update_step(gradient, variable, learning_rate)


class Holder:
    def __init__(self, factor):
        self.factor = factor


def half_frozen(rate=0.5, rate_of_biases=0.0):
    def optimizer(parameters):
        kernels, biases = [p for p in parameters if p.ndim > 1], [p for p in parameters if p.ndim < 2]
        return torch.optim.SGD([{"params": kernels}, {"params": biases, "lr": rate_of_biases}], rate)

    return optimizer


@pytest.mark.parametrize(
    ("name", "value", "right"),
    [
        ("change", lambda gradient: 0.5 * gradient, half_frozen(0.25)),
        ("factor", tf.constant(0.5), half_frozen(0.25)),
        ("table", np.full(1, 0.5), half_frozen(0.25)),
        ("still", [], half_frozen(rate_of_biases=0.5)),
        ("limit", None, half_frozen(0.25)),
    ],
    ids=["function", "tensor", "array", "emptied", "none"],
)
def test_what_was_set_after_construction_is_part_of_the_step(name, value, right):
    optimizer = Times()
    assert checked(net(), port(), (half_frozen(), optimizer)).passed
    setattr(optimizer, name, value)
    report = checked(net(), port(), (right, optimizer))
    assert report.passed, str(report)
    assert checked(net(), port(), (half_frozen(), optimizer)).verdict is Verdict.NOT_EQUIVALENT


@pytest.mark.parametrize(
    ("name", "value"), [("kept", Holder(2.0)), ("added", Holder(1.0)), ("counter", keras.Variable(2.0))]
)
def test_what_a_copy_of_an_optimizer_cannot_have_is_not_decided(name, value):
    optimizer = Times()
    setattr(optimizer, name, value)
    report = checked(net(), port(), (half_frozen(), optimizer))
    assert report.verdict is Verdict.NOT_DECIDED
    assert f"what was set as its {name}" in str(report)


class Named:
    """Something that a copy of an optimizer is not given, because a step may change it."""


def test_what_a_function_returns_is_copied_in_float64_and_must_keep_its_settings():
    def made(setting=None):
        optimizer = keras.optimizers.SGD(0.5)
        if setting is not None:
            optimizer.kept = setting
        return optimizer

    assert checked(net(), port(), (sgd(), made)).passed
    assert checked(net(), port(), (sgd(), lambda: made(2.0))).passed
    report = checked(net(), port(), (sgd(), lambda: made(Named())))
    assert report.verdict is Verdict.NOT_DECIDED
    assert "what was set as its kept" in str(report)
    assert checked(net(), port(), (sgd(), lambda: made(Named())), dtypes=["float32"]).passed


@pytest.mark.parametrize("kind", ["SGD", "Adam", "AdamW", "Nadam", "Ftrl", "Lion", "Adafactor", "RMSprop", "Muon"])
def test_the_state_of_kerass_own_optimizers_is_no_setting(kind):
    optimizer = getattr(keras.optimizers, kind)(use_ema=True, ema_overwrite_frequency=2, gradient_accumulation_steps=2)
    outer, variable = keras.optimizers.LossScaleOptimizer(optimizer), keras.Variable(tf.ones((2, 2)))
    for _ in range(3):
        outer.apply([tf.ones((2, 2))], [variable])
    assert step.doubt(Options(None, "auto", False, (sgd(), outer), 1, ("float32",), None)) == ""


class WithSlots(keras.optimizers.SGD):
    """An optimizer with state of its own, as people write them."""

    def __init__(self, learning_rate=0.5, **options):
        super().__init__(learning_rate, **options)
        self.seen, self.last = [], None

    def build(self, variables):
        super().build(variables)
        self.seen = [self.add_variable_from_reference(variable, name="seen") for variable in variables]
        self.last = self.add_variable_from_reference(variables[0], name="last")


def test_the_state_of_a_users_own_optimizer_is_no_setting():
    optimizer, variable = WithSlots(), keras.Variable([1.0])
    optimizer.apply([tf.ones(1)], [variable])
    report = checked(net(), port(), (sgd(), optimizer))
    assert report.passed, str(report)
    assert checked(net(), port(), (sgd(0.4), optimizer)).first_divergence == "step1:param:0.weight"


class Scaled(keras.losses.Loss):
    """A loss without a get_config, as people write them."""

    def __init__(self, factor=1.0):
        super().__init__()
        self.factor = factor

    def call(self, y_true, y_pred):
        return self.factor * tf.reduce_mean((y_true - y_pred) ** 2, -1)


def test_a_loss_keeps_what_it_was_given():
    def tripled(output, target):
        return 3 * nn.functional.mse_loss(output, target)

    assert checked(net(), port(), loss=(tripled, Scaled(3.0))).passed
    assert checked(net(), port(), loss=(nn.MSELoss(), Scaled(3.0))).first_divergence == "loss"


def test_losses_with_weights_of_classes_are_cast():
    pair = (
        nn.CrossEntropyLoss(weight=torch.tensor([0.2, 1.5])),
        keras_blitz.losses.CrossEntropyLoss(weight=[0.2, 1.5]),
    )
    report = checked(net(), port(), loss=pair, target=LABELS)
    assert report.passed, str(report)
    other = (pair[0], keras_blitz.losses.CrossEntropyLoss())
    assert checked(net(), port(), loss=other, target=LABELS).first_divergence == "loss"


def test_class_and_sample_weights_are_fits():
    keras_loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    weights, each = torch.tensor([0.5, 2.0]), np.array([1.0, 2.0, 3.0, 0.5, 0.25, 4.0])

    def summed(factor):
        def loss(output, target):
            values = nn.functional.cross_entropy(output, target, reduction="none")
            return (values * factor(output, target)).sum() / len(target)

        return loss

    of_class = summed(lambda output, target: weights.to(output.dtype)[target])
    of_sample = summed(lambda output, target: torch.tensor(each, dtype=output.dtype))
    assert checked(net(), port(), loss=(of_class, keras_loss), target=LABELS, class_weight={0: 0.5, 1: 2.0}).passed
    assert checked(net(), port(), loss=(of_sample, keras_loss), target=LABELS, sample_weight=each).passed
    assert not checked(net(), port(), loss=(of_sample, keras_loss), target=LABELS).passed


@pytest.mark.parametrize("loss", ["mse", "mean_squared_error", lambda y, output: tf.reduce_mean((y - output) ** 2, -1)])
def test_names_and_values_that_are_not_reduced(loss):
    report = checked(net(), port(), (sgd(0.01), "sgd"), loss=(nn.MSELoss(), loss))
    assert report.passed, str(report)


def compiled(loss="mse", rate=0.5, cls=keras.Sequential):
    model = port(cls=cls)
    model.compile(keras.optimizers.SGD(rate), loss)
    return model


class OwnStep(keras.Sequential):
    """A train_step of its own, which does more than the one that is compared."""

    def train_step(self, data):
        x, y = data
        with tf.GradientTape() as tape:
            loss = 2 * tf.reduce_mean((self(x, training=True) - y) ** 2)
        gradients = tape.gradient(loss, self.trainable_variables)
        self.optimizer.apply(gradients, self.trainable_variables)
        return {"loss": loss}


COMPILED = {"loss": (nn.MSELoss(), "compiled"), "optimizer": (sgd(), "compiled")}


def test_a_compiled_model_is_judged_by_what_it_was_compiled_with():
    model = compiled()
    before = [variable.numpy() for variable in model.variables]
    report = checked(net(), model, **COMPILED, steps=2)
    assert report.passed, str(report)
    for value, variable in zip(before, model.variables, strict=True):
        np.testing.assert_array_equal(value, variable.numpy())
    assert not checked(net(), compiled("mae"), **COMPILED, steps=2).passed
    assert not checked(net(), compiled(rate=0.4), **COMPILED, steps=2).passed


def test_an_own_train_step_that_does_something_else_is_not_decided():
    report = checked(net(), compiled(cls=OwnStep), **COMPILED, steps=1)
    assert report.verdict is Verdict.NOT_DECIDED
    assert "own train_step makes another step" in str(report)
    report = checked(net(), port(cls=OwnStep), (sgd(), keras.optimizers.SGD(0.5)))
    assert report.verdict is Verdict.NOT_DECIDED
    assert "own train_step" in str(report)


@keras.saving.register_keras_serializable("test_check_training")
class OwnLoss(keras.Sequential):
    """A loss of its own: what it was compiled with twice, and half of its inputs' squares."""

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        return 2 * super().compute_loss(x, y, y_pred, sample_weight) + 0.5 * tf.reduce_sum(x**2)


def twice(output, target):
    return 2 * nn.functional.mse_loss(output, target)


@pytest.mark.parametrize("options", [{}, {"optimizer": (sgd(), "compiled"), "steps": 2}], ids=["loss", "steps"])
def test_an_own_compute_loss_is_the_loss(options):
    given = []
    module = net()
    module.register_forward_pre_hook(lambda _, inputs: given.append(inputs[0]))

    def right(output, target):
        return twice(output, target) + 0.5 * (given[-1] ** 2).sum()

    report = checked(module, compiled(cls=OwnLoss), loss=(right, "compiled"), **options)
    assert report.passed, str(report)
    assert set(report.comparisons) == {"float64", "float32"}
    assert "grad:input" in {row.name for row in report.comparisons["float64"].rows}
    for wrong in (nn.MSELoss(), twice):
        report = checked(net(), compiled(cls=OwnLoss), loss=(wrong, "compiled"), **options)
        assert report.first_divergence == "loss"


def test_what_layers_add_is_not_added_twice_to_an_own_loss():
    def added(output, target):
        return 2 * (nn.functional.mse_loss(output, target) + 0.5 * sum((kernel**2).sum() for kernel in kernels[-1]))

    @keras.saving.register_keras_serializable("test_check_training")
    class Doubled(keras.Sequential):
        def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None):
            return 2 * super().compute_loss(x, y, y_pred, sample_weight)

    kernels = []
    module = net()
    module.register_forward_hook(lambda of, *_: kernels.append((of[0].weight, of[2].weight)))
    model = port(cls=Doubled, kernel_regularizer=keras.regularizers.L2(0.5))
    model.compile(keras.optimizers.SGD(0.1), "mse")
    options = {"optimizer": (sgd(0.1), "compiled"), "steps": 1}
    right = checked(module, model, loss=(added, "compiled"), **options)
    assert right.passed, str(right)
    assert checked(net(), model, loss=(twice, "compiled"), **options).first_divergence == "step1:param:0.weight"


class Plus(keras.Sequential):
    """A loss of its own that has the regularizers' penalties, which PyTorch may have in its weight_decay."""

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None):
        return super().compute_loss(x, y, y_pred, sample_weight) + tf.reduce_mean(y_pred**2)


class Without(keras.Sequential):
    """A loss of its own that leaves the regularizers' penalties out."""

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None):
        return tf.reduce_mean((y - y_pred) ** 2)


def plus(output, target):
    return nn.functional.mse_loss(output, target) + (output**2).mean()


@pytest.mark.parametrize(
    ("cls", "loss", "decay", "right"),
    [
        (Plus, plus, 0.2, True),
        (Plus, plus, 0.1, False),
        (Plus, plus, 0.0, False),
        (Plus, MSE[0], 0.2, False),
        (Without, MSE[0], 0.0, True),
        (Without, MSE[0], 0.2, False),
    ],
)
def test_regularizers_beside_an_own_compute_loss_are_weight_decay(cls, loss, decay, right):
    model = port(cls=cls, kernel_regularizer=keras.regularizers.L2(0.1))
    model.compile(keras.optimizers.SGD(0.5, momentum=0.9), "mse")
    regularizers = [variable.regularizer for variable in model.trainable_variables]
    report = checked(
        net(), model, (decaying(decay, momentum=0.9), "compiled"), loss=(loss, "compiled"), modes=("eager", "graph")
    )
    assert report.verdict is (Verdict.EQUIVALENT if right else Verdict.NOT_EQUIVALENT), str(report)
    assert [variable.regularizer for variable in model.trainable_variables] == regularizers


def test_an_own_compute_loss_leaves_the_model_as_it_was():
    model = compiled(cls=OwnLoss)
    model.fit(X, Y, verbose=0)
    loss, metrics = model._compile_loss, [v.numpy() for metric in model.metrics for v in metric.variables]
    checked(net(), model, loss=(twice, "compiled"))
    assert model._compile_loss is loss
    for before, variable in zip(metrics, [v for m in model.metrics for v in m.variables], strict=True):
        np.testing.assert_array_equal(before, variable.numpy())


class Trunk(nn.Module):
    def __init__(self):
        super().__init__()
        self.norm, self.head = nn.BatchNorm1d(4, eps=1e-3, momentum=0.01), nn.Linear(4, 2)

    def forward(self, x):
        return self.head(self.norm(x))


def with_norm(frozen: bool):
    norm = layers.BatchNormalization(name="norm", trainable=not frozen)  # frozen, Keras's runs as in eval mode
    return keras.Sequential([keras.Input((4,)), norm, layers.Dense(2, name="head")])


class Plain(keras.Sequential):
    def train_step(self, data):
        return super().train_step(data)


class Reset(keras.Sequential):
    """A train_step that changes nothing but BatchNorm's statistics."""

    def train_step(self, data):
        found = super().train_step(data)
        self.layers[0].moving_mean.assign(tf.zeros(4))
        return found


@pytest.mark.parametrize("weights", ["auto", "keep"])
@pytest.mark.parametrize(("cls", "verdict"), [(Plain, Verdict.EQUIVALENT), (Reset, Verdict.NOT_DECIDED)])
def test_an_own_train_step_must_leave_the_same_statistics(cls, verdict, weights):
    module = Trunk().train()
    norm = keras_blitz.layers.BatchNorm(eps=1e-3, momentum=0.01, name="norm")
    model = cls([keras.Input((4,)), norm, layers.Dense(2, name="head")])
    model.get_layer("head").set_weights([module.head.weight.detach().numpy().T, module.head.bias.detach().numpy()])
    model.compile(keras.optimizers.SGD(0.1), "mse")
    report = checked(
        module, model, loss=(nn.MSELoss(), "compiled"), optimizer=(sgd(0.1), "compiled"), train=True, weights=weights
    )
    assert report.verdict is verdict, str(report)
    assert ("norm.running_mean is" in str(report)) is (cls is Reset)


def test_a_submodule_in_eval_mode_stays_in_it():
    """As where BatchNorm's statistics are frozen while the rest trains."""
    module = Trunk().train()
    module.norm.eval()
    for parameter in module.norm.parameters():
        parameter.requires_grad_(False)
    right = checked(module, with_norm(frozen=True), (sgd(0.1), keras.optimizers.SGD(0.1)), train=True)
    assert right.passed, str(right)
    wrong = checked(module, with_norm(frozen=False), (sgd(0.1), keras.optimizers.SGD(0.1)), train=True)
    assert wrong.first_divergence == "activation:norm"
    assert not module.norm.training
    assert module.training


def test_a_function_around_a_loss_with_tensors_must_cast_them():
    weights = torch.tensor([0.2, 1.5])
    of_keras = keras_blitz.losses.CrossEntropyLoss(weight=[0.2, 1.5])

    def cast(output, target):
        return nn.functional.cross_entropy(output, target, weight=weights.to(output.dtype))

    def uncast(output, target):
        return nn.functional.cross_entropy(output, target, weight=weights)

    assert checked(net(), port(), loss=(cast, of_keras), target=LABELS).passed
    with pytest.raises(BlitzError, match=r"PyTorch's loss raises .*cast the tensor to output\.dtype"):
        checked(net(), port(), loss=(uncast, of_keras), target=LABELS)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"loss": (nn.MSELoss(), "none-such")}, "Keras has no loss 'none-such'"),
        ({"loss": ("mse", "mse")}, "PyTorch's must be a function"),
        ({"loss": (nn.MSELoss, keras.losses.MeanSquaredError())}, "PyTorch's must be a function"),
        ({"loss": (nn.MSELoss(), keras.losses.MeanSquaredError)}, "is a class"),
        ({"loss": (nn.MSELoss(reduction="none"), MSE[1])}, "PyTorch's loss returned (6, 2) values"),
        ({"loss": (nn.MSELoss(), lambda y, output: "much")}, "Keras's loss returned a str"),
        ({"loss": (nn.MSELoss(), keras.losses.MeanSquaredError(reduction=None))}, "give it a reduction"),
        ({"loss": (nn.MSELoss(), "compiled")}, "not compiled"),
        ({"optimizer": (sgd(), "compiled"), "steps": 1}, "not compiled"),
        ({"optimizer": (sgd(), "none-such"), "steps": 1}, "Keras has no optimizer 'none-such'"),
        ({"optimizer": (sgd(), lambda: None), "steps": 1}, "returned a NoneType"),
        ({"loss": None, "sample_weight": np.ones(6)}, "give loss="),
        ({"sample_weight": np.ones(5)}, "sample_weight has 5 values, the target 6 examples"),
        ({"sample_weight": (np.ones(6),)}, "sample_weight must be an array, (N,), not a tuple"),
        ({"sample_weight": np.ones((6, 1)), "class_weight": {0: 2.0}, "target": LABELS}, "must be (N,) where"),
        ({"class_weight": {0: 2.0}, "target": np.zeros((6, 2, 2))}, "class_weight needs a target of one label"),
        ({"class_weight": {0: 2.0}, "target": (LABELS, LABELS)}, "one-hot, (N, classes), not a tuple"),
        ({"class_weight": {0: 2.0}, "target": {"a": LABELS}}, "one-hot, (N, classes), not a dict"),
        ({"class_weight": [0.5, 2.0], "target": LABELS}, "class_weight must be {class: weight}"),
    ],
)
def test_what_makes_no_sense_is_one_line(options, said):
    with pytest.raises(BlitzError, match=re.escape(said)) as raised:
        checked(net(), port(), **options)
    assert "\n" not in str(raised.value)


def test_an_own_train_step_of_a_model_that_a_function_makes_is_not_decided():
    def make(dtype):
        layer = {"dtype": dtype}
        first, last = layers.Dense(5, activation="relu", **layer), layers.Dense(2, **layer)
        return OwnStep([keras.Input((4,), dtype=dtype), first, last])

    report = checked(net(), make, (sgd(), keras.optimizers.SGD(0.5)), train=True)
    assert report.verdict is Verdict.NOT_DECIDED
    assert "own train_step" in str(report)


class Doubling(keras.optimizers.SGD):
    def apply_gradients(self, gradients, **options):
        return super().apply_gradients([(2 * gradient, variable) for gradient, variable in gradients], **options)


@pytest.mark.parametrize(("rate", "right"), [(0.25, True), (0.5, False)])
def test_an_optimizers_own_apply_gradients_is_part_of_the_step(rate, right):
    assert checked(net(), port(), (sgd(), Doubling(rate))).passed is right


def test_steps_without_a_loss_are_not_decided_where_the_model_adds_to_its_loss():
    pair = (sgd(), keras.optimizers.SGD(0.5))
    assert checked(net(), port(), pair, loss=None, target=None).passed
    report = checked(net(), port(kernel_regularizer="l2"), pair, loss=None, target=None)
    assert report.verdict is Verdict.NOT_DECIDED
    assert "give loss=" in str(report)


def test_a_train_step_set_on_the_model_is_seen():
    model = port()
    model.train_step = lambda data: {}
    report = checked(net(), model, (sgd(), keras.optimizers.SGD(0.5)))
    assert report.verdict is Verdict.NOT_DECIDED
    assert "own train_step" in str(report)


class Halved(layers.Dropout):
    def call(self, inputs, training=False):
        return super().call(inputs, training=training) * (0.5 if training else 1.0)


@pytest.mark.parametrize(
    ("dropout", "expected"),
    [
        (layers.Dropout(0.5), Verdict.EQUIVALENT),
        (layers.Dropout(0.5, noise_shape=(None, 1)), Verdict.NOT_EQUIVALENT),
        (Halved(0.5), Verdict.NOT_EQUIVALENT),
    ],
    ids=["right", "noise-shape", "own-call"],
)
def test_a_shared_mask_does_not_hide_what_a_dropout_does(dropout, expected):
    assert parity.check(net(nn.Dropout(0.5)), port(dropout), X, train=True).verdict is expected


@pytest.mark.parametrize("share", [0.3, 0.4])
def test_an_activity_regularizer_is_as_exact_as_the_rest(share):
    class Penalized(nn.Module):
        def __init__(self):
            super().__init__()
            self.net = net()

        def forward(self, x):
            self.hidden = torch.relu(self.net[0](x))
            return self.net[2](self.hidden)

    module, seen = Penalized(), []
    module.register_forward_hook(lambda of, _, output: seen.append(of.hidden))
    regularizer = keras.regularizers.L2(0.3)
    i = keras.Input((4,))
    hidden = layers.Dense(5, activation="relu", activity_regularizer=regularizer, name="net_0")(i)
    model = keras.Model(i, layers.Dense(2, name="net_2")(hidden))
    loss = (lambda output, y: nn.functional.mse_loss(output, y) + share * (seen[-1] ** 2).sum() / len(y), MSE[1])
    report = checked(module, model, loss=loss)
    assert report.passed is (share == 0.3), str(report)


def test_kept_weights_are_read_before_the_first_step():
    module, model = net(), port()
    for layer, inner in ((model.layers[0], module[0]), (model.layers[2], module[2])):
        layer.set_weights([inner.weight.detach().numpy().T, inner.bias.detach().numpy()])
    pair = (sgd(), keras.optimizers.SGD(0.5))
    report = checked(module, model, pair, weights="keep", modes=("eager", "graph"))
    assert report.passed, str(report)


def test_what_pytorchs_loss_raises_comes_before_weights_that_cannot_be_paired():
    """A module that returns a second head in train mode, whose Keras model lacks it: the loss gets a tuple."""

    class WithAuxiliary(nn.Module):
        def __init__(self):
            super().__init__()
            self.main, self.aux = nn.Linear(4, 3), nn.Linear(4, 3)

        def forward(self, x):
            return (self.main(x), self.aux(x)) if self.training else self.main(x)

    model = keras.Sequential([keras.Input((4,)), layers.Dense(3, name="main")])
    options = {"train": True, "target": np.zeros((len(X), 3))}
    with pytest.raises(BlitzError, match=r"PyTorch's loss raises .*tuple"):
        parity.check(WithAuxiliary(), model, X, loss=(nn.MSELoss(), "mse"), **options)
    with pytest.raises(BlitzError, match="PyTorch has aux"):
        first = (lambda output, target: nn.functional.mse_loss(output[0], target), "mse")
        parity.check(WithAuxiliary(), model, X, loss=first, **options)


def test_another_number_of_outputs_is_a_verdict():
    i = keras.Input((4,))
    output = layers.Dense(2, name="2")(layers.Dense(5, activation="relu", name="0")(i))
    report = parity.check(net(), keras.Model(i, [output, 2 * output]), X)
    assert report.verdict is Verdict.NOT_EQUIVALENT
    assert not report.comparisons["float64"].passed
