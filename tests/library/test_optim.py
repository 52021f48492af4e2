"""O1, O2: every optimizer against torch.optim in float64, slots included; groups, frozen parameters, saving."""

import json
import math
import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf

import keras_blitz
from keras_blitz import models, optim
from keras_blitz.optim import schedules
from keras_blitz.optim.groups import assigned, parameter_name
from keras_blitz.weights import named_parameters
from parity.cases import optimizers

pytestmark = pytest.mark.covers("O1", "O2", "O5")

torch = pytest.importorskip("torch", reason="needs PyTorch: pip install 'keras-blitz[torch]'")

# What no row of the cases reaches.
BEYOND = {
    # At this rate each function falls fast enough for the greatest average to be an old one.
    "adam-amsgrad-fast": ("Adam", {"lr": 0.03, "betas": (0.7, 0.99), "amsgrad": True, "weight_decay": 0.1}),
    # The product of the momenta ends below the least normal float32.
    "nadam-low-beta1": ("NAdam", {"betas": (0.8, 0.9), "weight_decay": 0.1, "decoupled_weight_decay": True}),
    # The momentum rises from 0.45 to 0.6 within 100 steps, in place of 0.47.
    "nadam-fast-decay": ("NAdam", {"lr": 0.03, "weight_decay": 0.1, "momentum_decay": 0.1}),
    # A decay of more than the least curvature.
    "adamax-strong-decay": (
        "Adamax", {"lr": 0.1, "betas": (0.4, 0.9), "weight_decay": 0.1, "maximize": True}
    ),
    # The average begins at the first step; after the 30th it is of many.
    "asgd-constant": ("ASGD", {"lr": 1e-4, "t0": 30.0}),
    "asgd-decays": ("ASGD", {"lr": 1e-4, "lambd": 0.1, "alpha": 0.6, "t0": 30.0, "weight_decay": 0.1}),
    "asgd-uphill": ("ASGD", {"lr": 1e-6, "maximize": True}),
    "rprop-defaults": ("Rprop", {}),
    "rprop-bounds": ("Rprop", {"lr": 1e-3, "etas": (0.3, 1.5), "step_sizes": (1e-4, 2e-3)}),
    "rprop-uphill": ("Rprop", {"lr": 1e-3, "step_sizes": (1e-6, 1e-3), "maximize": True}),
    "adafactor-defaults": ("Adafactor", {}),
    # At ten times this rate what 100 steps make of the rounding is 4e-12 under XLA.
    "adafactor-options": (
        "Adafactor", {"lr": 0.003, "beta2_decay": -0.5, "eps": (1e-3, 1e-2), "d": 1.5, "weight_decay": 0.1}
    ),
    "adafactor-uphill": ("Adafactor", {"lr": 1e-3, "maximize": True}),
}  # fmt: skip

# id -> the optimizer's name, its options
OPTIMIZERS = {id_: (name, options) for id_, name, options in optimizers.OPTIMIZERS} | BEYOND
PLAIN = {id_: row for id_, row in OPTIMIZERS.items() if "-" not in id_ or id_ == "sgd-momentum"}


def often(table, ids):
    """Return the rows as parameters, all but these marked slow."""
    return [pytest.param(row, id=id_, marks=[] if id_ in ids else pytest.mark.slow) for id_, row in table.items()]


rows = pytest.mark.parametrize("row", OPTIMIZERS.values(), ids=OPTIMIZERS)
plain_rows = pytest.mark.parametrize("row", PLAIN.values(), ids=PLAIN)

# The classic functions by their gradients, in NumPy, so that both sides follow the same ones: where they start, ∇f.
CURVATURES = 10.0 ** np.arange(-4, 2).reshape(2, 3)


def rosenbrock(x):
    return np.array([-400 * x[0] * (x[1] - x[0] ** 2) - 2 * (1 - x[0]), 200 * (x[1] - x[0] ** 2)])


def beale(x):
    powers = np.arange(1, 4)
    rests = np.array([1.5, 2.25, 2.625]) - x[0] * (1 - x[1] ** powers)
    slopes = x[1] ** powers - 1, x[0] * powers * x[1] ** (powers - 1)
    return np.array([2 * (rests * slope).sum() for slope in slopes])


def quadratic(x):
    return CURVATURES * x


FUNCTIONS = {
    "rosenbrock": (np.array([-1.2, 1.0]), rosenbrock),
    "beale": (np.array([1.0, 0.8]), beale),
    "quadratic": (np.array([[1.0, -2.0, 3.0], [-4.0, 5.0, -6.0]]), quadratic),
}


class Pair:
    """The same parameters under PyTorch's optimizer and ours, each following the gradients at its own parameters.

    Args:
        row: of `OPTIMIZERS`.
        mode: of our update: "eager", "graph" or "xla".
        present: (parameter's name, step from 0) -> whether it has a gradient at that step.
    """

    def __init__(self, row, mode="eager", dtype="float64", present=lambda name, step: True):
        name, options = row
        self.present, self.dtype = present, dtype
        starts = {name: start.astype(dtype) for name, (start, _) in FUNCTIONS.items()}
        self.theirs = {name: torch.tensor(start, requires_grad=True) for name, start in starts.items()}
        self.ours = {name: keras.Variable(start, dtype=dtype, name=name) for name, start in starts.items()}
        self.reference = getattr(torch.optim, name)(list(self.theirs.values()), foreach=False, **options)
        self.optimizer = getattr(optim, name)(**options)
        self.optimizer.build(list(self.ours.values()))
        self._apply = self._update if mode == "eager" else tf.function(self._update, jit_compile=mode == "xla")

    def _update(self, gradients):
        self.optimizer.apply(list(gradients.values()), [self.ours[name] for name in gradients])

    def step(self, number):
        names = [name for name in FUNCTIONS if self.present(name, number)]
        for name, parameter in self.theirs.items():
            gradient = FUNCTIONS[name][1](parameter.detach().numpy()).astype(self.dtype)
            parameter.grad = torch.tensor(gradient) if name in names else None
        self.reference.step()
        gradients = {name: FUNCTIONS[name][1](self.ours[name].numpy()) for name in names}
        self._apply({name: tf.constant(gradient, self.dtype) for name, gradient in gradients.items()})

    def change_rate(self, factor):
        for group in self.reference.param_groups:
            group["lr"] *= factor
        self.optimizer.learning_rate = self.reference.param_groups[0]["lr"]

    def state(self):
        """Return {name: (ours, PyTorch's)} of all parameters and slots."""
        found = {name: (self.ours[name].numpy(), theirs.detach().numpy()) for name, theirs in self.theirs.items()}
        slots = {(slot.key, slot.parameter.name): slot.variable.numpy() for slot in self.optimizer.slots()}
        expected = {(key, name): value.numpy()
                    for name, theirs in self.theirs.items()
                    for key, value in self.reference.state[theirs].items() if value is not None}  # fmt: skip
        assert slots.keys() == expected.keys()
        return found | {key: (slots[key], expected[key]) for key in slots}

    def assert_same(self, bound=1e-12):
        for name, (ours, theirs) in self.state().items():
            assert ours.dtype == theirs.dtype or name[0] == "step", name
            assert np.isfinite(theirs).all(), name
            # NAdam's product in float32 ends among the denormal numbers, which TensorFlow takes for 0.
            atol = max(bound * np.abs(theirs).max(), np.finfo(theirs.dtype).tiny)
            np.testing.assert_allclose(ours, theirs, rtol=0, atol=atol, err_msg=str(name))


def follow(row, mode, changed=True, every=1):
    """Make 100 steps, compare after each `every` of them; after 50 the rate falls to a tenth."""
    pair = Pair(row, mode)
    for number in range(100):
        if changed and number == 50:
            pair.change_rate(0.1)
        pair.step(number)
        if (number + 1) % every == 0:
            pair.assert_same()


@rows
def test_as_pytorch_in_a_compiled_step_with_the_rate_changed_midway(row):
    follow(row, "graph", every=10)


@pytest.mark.parametrize("row", often(OPTIMIZERS, PLAIN))
def test_as_pytorch_at_every_eager_step_with_the_rate_changed_midway(row):
    follow(row, "eager")


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["eager", "graph", "xla"])
@rows
def test_as_pytorch_with_one_rate(row, mode):
    follow(row, mode, changed=False)


@pytest.mark.parametrize("row", often(PLAIN, ("sgd-momentum", "adam", "nadam", "radam")))
def test_as_pytorch_under_xla_with_the_rate_changed_midway(row):
    follow(row, "xla", every=25)


@plain_rows
def test_float32_is_as_near_to_the_truth_as_pytorchs_own(row):
    pair, truth = Pair(row, "graph", "float32"), Pair(row, "graph")
    for number in range(100):
        pair.step(number)
        truth.step(number)
    ours, theirs = [], []
    for name, (found, expected) in pair.state().items():
        true = truth.state()[name][1]
        if name in FUNCTIONS:
            largest = np.abs(true).max()
            ours.append(((found - true) / largest).ravel())
            theirs.append(((expected - true) / largest).ravel())
    rms = [np.sqrt(np.mean(np.concatenate(errors) ** 2)) for errors in (ours, theirs)]
    assert rms[0] <= max(4 * rms[1], 4 * np.finfo("float32").eps)


def test_the_first_float32_step_of_adam_is_the_rate():
    """1 − β₂ in float32 would be 1.3e-5 off (gap opt-adam-f32-step1)."""
    variable = keras.Variable(np.zeros(3, "float32"), name="x")
    optim.Adam(1e-3, eps=0.0).apply([tf.constant([1.0, -2.0, 1e-3])], [variable])
    np.testing.assert_allclose(variable.numpy(), [-1e-3, 1e-3, -1e-3], rtol=2e-7)


@plain_rows
@pytest.mark.parametrize("mode", ["eager", pytest.param("graph", marks=pytest.mark.slow)])
def test_a_parameter_without_a_gradient_is_left_alone(row, mode):
    """One has none at all, one has one at every third step: no decay, no momentum and no step in between."""
    name, options = row
    present = {"rosenbrock": lambda number: True, "beale": lambda number: False, "quadratic": lambda n: n % 3 == 1}
    pair = Pair((name, {**options, "weight_decay": 0.1}), mode, present=lambda name, number: present[name](number))
    for number in range(20):
        pair.step(number)
    pair.assert_same()
    assert np.array_equal(pair.ours["beale"].numpy(), FUNCTIONS["beale"][0])


def test_no_gradient_at_all_changes_nothing_and_warns_of_nothing():
    variable = keras.Variable([1.0, 2.0], name="x")
    optimizer = optim.SGD(0.1, momentum=0.9, weight_decay=0.1)
    optimizer.apply([None], [variable])
    assert variable.numpy().tolist() == [1.0, 2.0]
    assert list(optimizer.slots()) == []


@pytest.mark.parametrize("compiled", [False, pytest.param(True, marks=pytest.mark.slow)], ids=["eager", "graph"])
@plain_rows
def test_repeated_indices_of_an_embedding_sum_before_they_are_squared(row, compiled):
    name, options = row
    table, indices = np.random.RandomState(0).randn(5, 3), [1, 3, 1, 1]
    theirs = torch.tensor(table, requires_grad=True)
    ours = keras.Variable(table, dtype="float64", name="table")
    reference = getattr(torch.optim, name)([theirs], foreach=False, **options)
    optimizer = getattr(optim, name)(**options)
    optimizer.build([ours])

    def update():
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum(tf.gather(ours.value, indices) ** 2)
        gradient = tape.gradient(loss, ours.value)
        assert isinstance(gradient, tf.IndexedSlices)
        optimizer.apply([gradient], [ours])

    update = tf.function(update) if compiled else update
    for _ in range(5):
        reference.zero_grad()
        (torch.nn.functional.embedding(torch.tensor(indices), theirs) ** 2).sum().backward()
        reference.step()
        update()
    np.testing.assert_allclose(ours.numpy(), theirs.detach().numpy(), rtol=1e-13)


# Parameter groups


def mlp(optimizer=None, **compile_options):
    """Two dense layers, fc1 and fc2; the same weights every time."""
    keras.utils.set_random_seed(1)
    model = keras.Sequential(
        [keras.Input((4,)), keras.layers.Dense(5, "tanh", name="fc1"), keras.layers.Dense(2, name="fc2")]
    )
    if optimizer is not None:
        model.compile(optimizer, loss="mse", **compile_options)
    return model


GROUPS = [("fc2.*", {"lr": 0.02, "weight_decay": 0.3}), ("*.bias", {"weight_decay": 0.0})]
TORCH_GROUPS = [["fc1/kernel"], ["fc2/kernel", "fc2/bias"], ["fc1/bias"]]


def grouped_pair(name, options, groups=GROUPS):
    """Return our optimizer and its variables by path, PyTorch's and its tensors, in the groups of `TORCH_GROUPS`."""
    with keras_blitz.precision("float64"):
        variables = {variable.path.split("/", 1)[-1]: variable for variable in mlp().trainable_variables}
    if "fc1/kernel" not in variables:  # an input makes Keras leave the model's name out
        variables = {variable.path: variable for variable in variables.values()}
    tensors = {path: torch.tensor(variable.numpy(), requires_grad=True) for path, variable in variables.items()}
    rows = [{"params": [tensors[path] for path in paths], **own}
            for paths, own in zip(TORCH_GROUPS, [{}, *(own for _, own in groups)], strict=True)]  # fmt: skip
    optimizer = getattr(optim, name)(**options, groups=groups)
    optimizer.build(list(variables.values()))
    return optimizer, variables, getattr(torch.optim, name)(rows, foreach=False, **options), tensors


def step_both(optimizer, variables, reference, tensors, number):
    gradients = {path: np.random.RandomState(number).randn(*tensor.shape) for path, tensor in tensors.items()}
    for path, tensor in tensors.items():
        tensor.grad = torch.tensor(gradients[path])
    reference.step()
    optimizer.apply([tf.constant(gradients[path]) for path in variables], list(variables.values()))


def assert_equal(variables, tensors):
    for path, variable in variables.items():
        np.testing.assert_allclose(variable.numpy(), tensors[path].detach().numpy(), rtol=1e-12, err_msg=path)


def test_a_group_may_have_several_patterns_and_is_saved_with_them():
    groups = [(["fc1.bias", "fc2.*"], {"lr": 0.5})]
    optimizer = optim.Adam(lr=0.1, groups=groups)
    again = optim.Adam.from_config(json.loads(json.dumps(optimizer.get_config())))
    for each in (optimizer, again):
        each.build(mlp().trainable_variables)
        assert each._group_of == [0, 1, 1, 1]


def test_slots_that_are_set_are_those_of_the_optimizer():
    optimizer = optim.Adam()
    optimizer.build(variables := mlp().trainable_variables)
    average = np.ones(variables[0].shape)
    optimizer.set_slots(variables[0], {"exp_avg": average, "exp_avg_sq": 2 * average, "step": 3})
    assert {slot.key: np.unique(slot.variable) for slot in optimizer.slots()} == {
        "exp_avg": 1, "exp_avg_sq": 2, "step": 3,
    }  # fmt: skip
    with pytest.raises(keras_blitz.errors.BlitzError, match=r"exp_avg, exp_avg_sq, step of fc1.+, not momentum_buffer"):
        optimizer.set_slots(variables[0], {"momentum_buffer": average})


@plain_rows
def test_groups_have_their_own_rate_and_decay(row):
    name, options = row
    optimizer, variables, reference, tensors = grouped_pair(name, {**options, "weight_decay": 0.1})
    for number in range(20):
        step_both(optimizer, variables, reference, tensors, number)
    assert_equal(variables, tensors)
    assert optimizer.param_lrs == [group["lr"] for group in reference.param_groups]


@pytest.mark.parametrize(
    ("name", "options", "groups"),
    [
        ("SGD", {"momentum": 0.9}, [("fc2.*", {"momentum": 0.5, "nesterov": True}), ("*.bias", {"maximize": True})]),
        ("SGD", {}, [("fc2.*", {"momentum": 0.5, "dampening": 0.1}), ("*.bias", {})]),
        ("Adam", {}, [("fc2.*", {"betas": (0.5, 0.9), "amsgrad": True}), ("*.bias", {"eps": 1e-3})]),
        ("RMSprop", {}, [("fc2.*", {"centered": True, "momentum": 0.2}), ("*.bias", {"alpha": 0.5})]),
        ("Adagrad", {}, [("fc2.*", {"lr_decay": 0.5}), ("*.bias", {"eps": 0.5})]),
    ],
    ids=["momentum", "momentum-of-one", "betas", "centered", "decay-of-the-rate"],
)
def test_groups_may_set_every_option(name, options, groups):
    optimizer, variables, reference, tensors = grouped_pair(name, {"lr": 0.01, **options}, groups)
    for number in range(10):
        step_both(optimizer, variables, reference, tensors, number)
    assert_equal(variables, tensors)
    again = type(optimizer).from_config(optimizer.get_config())
    assert again.get_config() == optimizer.get_config()


@pytest.mark.parametrize("network", ["lenet", "mlp", "mnist1", "resnet18"])
def test_patterns_see_the_names_of_the_state_dict(network):
    named = list(named_parameters(models.build(network)))
    assert [parameter_name(variable) for _, variable in named] == [name for name, _ in named]
    assert named


def test_the_first_pattern_that_matches_wins():
    assert assigned(["*", "fc1.*", "*.bias"], ["fc1.weight", "fc1.bias", "fc2.weight", "fc2.bias"]) == [
        1, 1, 0, 2]  # fmt: skip


@pytest.mark.parametrize(
    ("make", "options"),
    [
        (lambda module, optimizer: module.StepLR(optimizer, 3, 0.5), {"momentum": 0.9}),
        (lambda module, optimizer: module.OneCycleLR(optimizer, [0.1, 0.2, 0.3], 30), {"momentum": 0.9}),
        (lambda module, optimizer: module.OneCycleLR(optimizer, 0.1, 30), {"betas": (0.9, 0.99)}),
    ],
    ids=["step", "onecycle-momentum", "onecycle-beta1"],
)
def test_a_schedule_sets_every_group_in_a_compiled_step_too(make, options):
    name = "SGD" if "momentum" in options else "Adam"
    optimizer, variables, reference, tensors = grouped_pair(name, {"lr": 0.05, **options})
    theirs, ours = make(torch.optim.lr_scheduler, reference), make(schedules, optimizer)
    apply = tf.function(lambda *gradients: optimizer.apply(list(gradients), list(variables.values())))
    for number in range(25):
        gradients = {path: np.random.RandomState(number).randn(*tensor.shape) for path, tensor in tensors.items()}
        for path, tensor in tensors.items():
            tensor.grad = torch.tensor(gradients[path])
        reference.step()
        apply(*(tf.constant(gradients[path]) for path in variables))
        theirs.step()
        ours.step()
        assert optimizer.param_lrs == [group["lr"] for group in reference.param_groups]
        assert optimizer.momenta == [group["betas"][0] if name == "Adam" else group["momentum"]
                                     for group in reference.param_groups]  # fmt: skip
    assert_equal(variables, tensors)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_rate_is_exact_whatever_the_dtype(dtype):
    """Keras's own rate is a float32 variable unless floatx is float64."""
    optimizer = optim.SGD(0.1, groups=[("y", {"lr": 0.3})])
    optimizer.build([keras.Variable([1.0], dtype=dtype, name=name) for name in "xy"])
    assert optimizer.param_lrs == [0.1, 0.3]
    optimizer.learning_rate = 0.7
    assert optimizer.param_lrs == [0.7, 0.3]
    optimizer.learning_rate.assign(0.2)
    optimizer.set_lrs([optimizer.param_lrs[0], 0.9])
    assert optimizer.param_lrs == [0.2, 0.9]


def test_keras_schedules_are_looked_up_at_every_update():
    rates = schedules.StepLR(0.1, 2, 0.5)
    variable = keras.Variable(np.zeros(1), dtype="float64", name="x")
    optimizer = optim.SGD(rates.as_keras(6))
    moved = []
    for _ in range(5):
        before = variable.numpy()[0]
        optimizer.apply([tf.ones(1, "float64")], [variable])
        moved.append(before - variable.numpy()[0])
    np.testing.assert_allclose(moved, [0.1, 0.1, 0.05, 0.05, 0.025], rtol=1e-15)
    again = optim.SGD.from_config(optimizer.get_config())
    assert again.get_config() == optimizer.get_config()
    assert again.param_lrs == [0.1]


def test_a_callback_of_keras_sets_the_rate_of_the_default_group():
    model = mlp(optim.SGD(0.1, groups=[("fc2.*", {"lr": 0.3})]))
    model.fit(**FIT, epochs=2, callbacks=[keras.callbacks.LearningRateScheduler(lambda epoch, rate: rate * 0.5)])
    assert model.optimizer.param_lrs == [0.025, 0.3]


# fit, freezing, saving

DATA = {"x": np.random.RandomState(0).randn(16, 4), "y": np.random.RandomState(1).randn(16, 2)}
FIT = {**DATA, "batch_size": 8, "shuffle": False, "verbose": 0}
SAVED = {
    "sgd": lambda: optim.SGD(0.05, momentum=0.9, dampening=0.1, weight_decay=0.01),
    "sgd-groups": lambda: optim.SGD(0.05, momentum=0.9, groups=GROUPS),
    "adagrad": lambda: optim.Adagrad(0.1, initial_accumulator_value=0.1),
    "rmsprop": lambda: optim.RMSprop(momentum=0.5, centered=True, eps=1e-3),
    "adam-groups": lambda: optim.Adam(amsgrad=True, groups=[("fc2.*", {"betas": (0.8, 0.9)})]),
    "adamw-schedule": lambda: optim.AdamW(schedules.StepLR(0.05, 3).as_keras(20), groups=GROUPS),
    "adadelta": lambda: optim.Adadelta(),
    "nadam": lambda: optim.NAdam(),
    "adamax": lambda: optim.Adamax(),
    "radam": lambda: optim.RAdam(),
    "asgd": lambda: optim.ASGD(t0=1.0),
    "rprop": lambda: optim.Rprop(),
    "adafactor": lambda: optim.Adafactor(weight_decay=0.1),
    "clipped": lambda: optim.SGD(0.05, clip_grad_norm=0.5),
}


def through_keras(model, path):
    model.save(path / "model.keras")
    return keras.models.load_model(path / "model.keras")


def through_weights(model, path):
    """A new process makes the model again and loads the weights, the optimizer's with them."""
    model.save_weights(path / "model.weights.h5")
    again = mlp(type(model.optimizer).from_config(model.optimizer.get_config()))
    again.optimizer.build(again.trainable_variables)
    again.load_weights(path / "model.weights.h5")
    return again


def through_checkpoint(model, path):
    saved = tf.train.Checkpoint(model=model, optimizer=model.optimizer).save(path / "model")
    again = mlp(type(model.optimizer).from_config(model.optimizer.get_config()))
    again.optimizer.build(again.trainable_variables)
    tf.train.Checkpoint(model=again, optimizer=again.optimizer).restore(saved).assert_consumed()
    return again


def state(model):
    return [variable.numpy() for variable in (*model.variables, *model.optimizer.variables)]


def assert_goes_on(make, save, path):
    """Two epochs, saved and loaded, and two more give what four give, to the bit."""
    with keras_blitz.precision("float64"):
        whole, half = mlp(make()), mlp(make())
        whole.fit(**FIT, epochs=4)
        half.fit(**FIT, epochs=2)
        again = save(half, path)
        again.fit(**FIT, epochs=2)
    assert all(np.array_equal(ours, theirs) for ours, theirs in zip(state(again), state(whole), strict=True))
    assert {variable.dtype for variable in whole.trainable_variables} == {"float64"}


@pytest.mark.parametrize("make", often(SAVED, ("sgd", "adam-groups", "adamw-schedule", "asgd")))
def test_fit_saved_and_loaded_goes_on_to_the_bit(make, tmp_path):
    assert_goes_on(make, through_keras, tmp_path)


@pytest.mark.parametrize("save", [through_weights, through_checkpoint], ids=["weights", "checkpoint"])
def test_weights_and_checkpoints_hold_the_optimizer_too(save, tmp_path):
    assert_goes_on(SAVED["adam-groups"], save, tmp_path)


def test_rates_and_momenta_set_since_are_saved(tmp_path):
    model = mlp(SAVED["sgd-groups"]())
    model.optimizer.build(model.trainable_variables)
    model.optimizer.set_lrs([0.1, 0.2, 0.3])
    model.optimizer.set_momenta([0.7, 0.8, 0.9])
    for optimizer in (through_keras(model, tmp_path).optimizer, optim.SGD.from_config(model.optimizer.get_config())):
        assert optimizer.param_lrs == [0.1, 0.2, 0.3]
        assert optimizer.momenta == [0.7, 0.8, 0.9]


def test_a_new_optimizer_has_no_momentum():
    """Compiled again, as when a training script makes its optimizer again, the first step is a plain one."""
    with keras_blitz.precision("float64"):
        model = mlp(optim.SGD(0.05, momentum=0.9))
        model.fit(**FIT, epochs=3)
        before = model.get_weights()
        model.compile(optim.SGD(0.05, momentum=0.9), loss="mse")
        model.fit(**FIT, epochs=1, steps_per_epoch=1)
        moved = [new - old for new, old in zip(model.get_weights(), before, strict=True)]
    buffers = [slot.variable.numpy() for slot in model.optimizer.slots()]
    for step, buffer in zip(moved, buffers, strict=True):
        np.testing.assert_allclose(step, -0.05 * buffer, rtol=1e-10, atol=1e-16)
    assert model.optimizer.iterations.numpy() == 1


def test_a_frozen_layer_stays_as_it_is():
    model = mlp()
    model.get_layer("fc1").trainable = False
    model.compile(optim.AdamW(0.1, weight_decay=0.5), loss="mse")
    before = model.get_layer("fc1").get_weights(), model.get_layer("fc2").get_weights()
    model.fit(**FIT, epochs=2)
    after = model.get_layer("fc1").get_weights(), model.get_layer("fc2").get_weights()
    assert all(map(np.array_equal, before[0], after[0]))
    assert not any(map(np.array_equal, before[1], after[1]))


@pytest.mark.parametrize("jit", [False, pytest.param(True, marks=pytest.mark.slow)], ids=["graph", "xla"])
@pytest.mark.parametrize("row", [OPTIMIZERS[id_] for id_ in ("sgd-momentum", "adamw")], ids=["sgd", "adamw"])
def test_fit_is_the_tape_loop(row, jit):
    name, options = row
    with keras_blitz.precision("float64"):
        fitted, looped = mlp(getattr(optim, name)(**options), jit_compile=jit), mlp()
        optimizer, loss = getattr(optim, name)(**options), keras.losses.MeanSquaredError()
        fitted.fit(**FIT, epochs=2)
        for batch in (slice(0, 8), slice(8, 16)) * 2:
            with tf.GradientTape() as tape:
                value = loss(DATA["y"][batch], looped(DATA["x"][batch]))
            gradients = tape.gradient(value, looped.trainable_variables)
            optimizer.apply_gradients(zip(gradients, looped.trainable_variables, strict=True))
    for ours, theirs in zip(fitted.get_weights(), looped.get_weights(), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-11, atol=1e-14)


ON_TWO_DEVICES = """
import numpy as np
import tensorflow as tf
cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
from contextlib import nullcontext
import keras, keras_blitz
from keras_blitz import optim

x = np.random.RandomState(0).randn(16, 4)

def fitted(scope):
    keras.utils.set_random_seed(1)
    with scope:
        layers = [keras.layers.Dense(3, name="fc1"), keras.layers.Dense(2, name="fc2")]
        model = keras.Sequential([keras.Input((4,)), *layers])
        groups = [("fc2.*", {"lr": 0.01, "weight_decay": 0.1})]
        model.compile(optim.NAME(groups=groups), loss="mse")
    model.fit(x, x[:, :2] ** 2, batch_size=8, epochs=3, shuffle=False, verbose=0)
    slots = [np.asarray(slot.variable.numpy(), "float64") for slot in model.optimizer.slots()]
    return model.get_weights() + slots

with keras_blitz.precision("float64"):
    one = fitted(nullcontext())
    two = fitted(tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"]).scope())
assert len(one) == len(two) > 4
print(max(np.abs(a - b).max() / np.abs(a).max() for a, b in zip(one, two)))
"""


@pytest.mark.slow
@pytest.mark.parametrize("name", ["SGD", "NAdam", "RAdam"])
def test_two_devices_give_what_one_gives(name):
    """A strategy adds up the gradients of its replicas; in another process, because devices are made only once."""
    code = ON_TWO_DEVICES.replace("NAME(", "SGD(momentum=0.9, " if name == "SGD" else f"{name}(")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert float(done.stdout) < 1e-13


@pytest.mark.parametrize("jit", [False, True], ids=["graph", "xla"])
def test_slots_made_inside_a_compiled_step_begin_as_they_should(jit):
    optimizer = optim.Adagrad(0.5, initial_accumulator_value=0.1)
    variable = keras.Variable([1.0, 2.0], dtype="float64", name="x")
    tf.function(lambda: optimizer.apply([tf.constant([3.0, 0.0], "float64")], [variable]), jit_compile=jit)()
    np.testing.assert_allclose(variable.numpy(), [1 - 0.5 * 3 / np.sqrt(9.1), 2.0], rtol=1e-9)
    assert next(optimizer.slots()).variable.numpy().tolist() == [9.1, 0.1]


def test_slots_are_laid_out_as_their_parameters():
    optimizer = optim.Adam(amsgrad=True)
    variables = mlp().trainable_variables
    optimizer.build(variables)
    assert list(optimizer.slots()) == []
    optimizer.apply([tf.ones(variable.shape) for variable in variables], variables)
    slots = list(optimizer.slots())
    assert [slot.key for slot in slots] == ["exp_avg", "exp_avg_sq", "max_exp_avg_sq", "step"] * 4
    assert all(slot.variable.shape == (() if slot.key == "step" else slot.parameter.shape) for slot in slots)


REFUSED = {
    "lr": (lambda: optim.SGD(-1), "lr must be a number ≥ 0 or a Keras schedule, not -1"),
    "lr-nan": (lambda: optim.Adam(math.nan), "lr must be a number ≥ 0 or a Keras schedule, not nan"),
    "lr-text": (lambda: optim.Adam("0.1"), "not '0.1'"),
    "momentum": (lambda: optim.SGD(0.1, -0.5), "momentum must be a number ≥ 0, not -0.5"),
    "weight-decay": (lambda: optim.Adagrad(weight_decay=-1), "weight_decay must be a number ≥ 0, not -1"),
    "betas": (lambda: optim.NAdam(betas=(0.9, 1.0)), "betas must be two numbers in [0, 1), not (0.9, 1.0)"),
    "beta": (lambda: optim.RAdam(betas=0.9), "betas must be two numbers in [0, 1), not 0.9"),
    "rho": (lambda: optim.Adadelta(rho=1.5), "rho must be a number in [0, 1], not 1.5"),
    "eps": (lambda: optim.RMSprop(eps=-1e-8), "eps must be a number ≥ 0, not -1e-08"),
    "flag": (lambda: optim.Adam(amsgrad=0.9), "amsgrad must be True or False, not 0.9"),
    "nesterov": (
        lambda: optim.SGD(0.1, nesterov=True),
        "nesterov needs a momentum above 0 and a dampening of 0, not 0.0 and 0.0",
    ),
    "group-row": (lambda: optim.SGD(groups=["fc.*"]), "groups must be (pattern, {option: value}) pairs, not 'fc.*'"),
    "group-option": (
        lambda: optim.Adamax(groups=[("fc.*", {"learning_rate": 0.1})]),
        "groups: 'fc.*' sets learning_rate; the options are lr, betas, eps, weight_decay, maximize",
    ),
    "group-value": (lambda: optim.SGD(groups=[("fc.*", {"lr": -1})]), "groups: 'fc.*': lr must be a number ≥ 0"),
    "group-nothing": (
        lambda: optim.SGD(groups=[("fc3.*", {})]).build(mlp().trainable_variables),
        "groups: 'fc3.*' matches no parameter; there are fc1.weight, fc1.bias, fc2.weight, fc2.bias",
    ),
    "group-shadowed": (
        lambda: optim.SGD(groups=[("*", {}), ("fc1.*", {})]).build(mlp().trainable_variables),
        "groups: 'fc1.*' matches no parameter",
    ),
    "rates": (lambda: optim.SGD().set_lrs([0.1, 0.2]), "rates: 1 must be given, one for each parameter group, not 2"),
    "momenta": (lambda: optim.Adam().set_momenta([]), "momenta: 1 must be given, one for each parameter group, not 0"),
    "no-buffer": (
        lambda: optim.SGD().set_momenta([0.9]),
        "a momentum of 0 has no buffer: make the optimizer with one above 0",
    ),
    "to-no-buffer": (lambda: optim.SGD(momentum=0.9).set_momenta([0.0]), "a momentum of 0 has no buffer"),
    "scheduled": (
        lambda: schedules.StepLR(optim.SGD(schedules.StepLR(0.1, 3).as_keras(9)), 3),
        "SGD has no learning rate to set: a Keras schedule sets it",
    ),
    "cycled": (lambda: schedules.OneCycleLR(optim.Adagrad(), 0.1, 9), "Adagrad has no momentum or beta1"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_bad_input_is_one_line(case):
    call, message = REFUSED[case]
    with pytest.raises(keras_blitz.errors.BlitzError) as raised:
        call()
    assert message in str(raised.value)
    assert "\n" not in str(raised.value)


@rows
def test_the_configuration_makes_the_same_optimizer(row):
    name, options = row
    optimizer = getattr(optim, name)(**options, name="mine")
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(optimizer))
    assert type(again) is type(optimizer)
    assert again.get_config() == optimizer.get_config()
    defaults = getattr(torch.optim, name)([torch.zeros(1)]).defaults
    ours = getattr(optim, name)().get_config()
    assert {key: defaults[key] for key in ours if key in defaults} | {"betas": None} == {
        **{key: value for key, value in ours.items() if key not in ("name", "groups")}, "betas": None}  # fmt: skip
