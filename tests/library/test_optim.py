"""O1, O2: every optimizer against torch.optim in float64, slots included; groups, frozen parameters, saving."""

import re

import keras
import numpy as np
import pytest
import tensorflow as tf

import keras_blitz
from keras_blitz import optim
from keras_blitz.optim import schedules

torch = pytest.importorskip("torch", reason="needs PyTorch: pip install 'keras-blitz[torch]'")

# id -> the optimizer's name, its options
OPTIMIZERS = {
    "sgd": ("SGD", {"lr": 1e-3}),
    "sgd-momentum": ("SGD", {"lr": 1e-4, "momentum": 0.9}),
    "sgd-dampening-decay": ("SGD", {"lr": 1e-3, "momentum": 0.8, "dampening": 0.3, "weight_decay": 0.1}),
    "sgd-nesterov": ("SGD", {"lr": 1e-4, "momentum": 0.9, "nesterov": True, "weight_decay": 0.1}),
    "sgd-maximize": ("SGD", {"lr": 1e-6, "momentum": 0.5, "maximize": True}),
    "adagrad": ("Adagrad", {}),
    "adagrad-decays": ("Adagrad", {"lr": 0.1, "lr_decay": 0.03, "weight_decay": 0.1}),
    "adagrad-start-maximize": ("Adagrad", {"initial_accumulator_value": 0.1, "eps": 1e-3, "maximize": True}),
    "rmsprop": ("RMSprop", {}),
    "rmsprop-momentum": ("RMSprop", {"lr": 1e-3, "alpha": 0.9, "momentum": 0.7, "weight_decay": 0.1}),
    "rmsprop-centered": ("RMSprop", {"centered": True, "eps": 1e-4}),
    "rmsprop-centered-momentum": ("RMSprop", {"centered": True, "momentum": 0.7, "maximize": True, "eps": 1e-4}),
    "adadelta": ("Adadelta", {}),
    "adadelta-decay": ("Adadelta", {"lr": 0.5, "rho": 0.7, "eps": 1e-4, "weight_decay": 0.1, "maximize": True}),
    "adam": ("Adam", {}),
    "adam-amsgrad-decay": ("Adam", {"lr": 0.03, "betas": (0.7, 0.99), "amsgrad": True, "weight_decay": 0.1}),
    "adam-decoupled-maximize": ("Adam", {"weight_decay": 0.1, "decoupled_weight_decay": True, "maximize": True}),
    "adam-no-beta1": ("Adam", {"betas": (0.0, 0.999), "eps": 1e-3}),
    "adamw": ("AdamW", {"lr": 0.03}),
    "adamw-amsgrad": ("AdamW", {"weight_decay": 0.3, "amsgrad": True, "maximize": True}),
    "nadam": ("NAdam", {}),
    "nadam-decay": ("NAdam", {"lr": 0.03, "weight_decay": 0.1, "momentum_decay": 0.1}),
    "nadam-decoupled": ("NAdam", {"betas": (0.8, 0.9), "weight_decay": 0.1, "decoupled_weight_decay": True}),
    "adamax": ("Adamax", {}),
    "adamax-decay": ("Adamax", {"lr": 0.1, "betas": (0.4, 0.9), "weight_decay": 0.1, "maximize": True}),
    "radam": ("RAdam", {}),
    "radam-decay": ("RAdam", {"lr": 0.003, "betas": (0.8, 0.99), "weight_decay": 0.1}),
    "radam-decoupled": ("RAdam", {"weight_decay": 0.1, "decoupled_weight_decay": True, "maximize": True}),
}  # fmt: skip
PLAIN = {id_: row for id_, row in OPTIMIZERS.items() if "-" not in id_} | {"momentum": OPTIMIZERS["sgd-momentum"]}
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


@rows
def test_as_pytorch_at_every_step_with_the_rate_changed_midway(row):
    pair = Pair(row)
    for number in range(100):
        if number == 50:
            pair.change_rate(0.1)
        pair.step(number)
        pair.assert_same()


@rows
def test_as_pytorch_in_a_compiled_step(row):
    pair = Pair(row, mode="graph")
    for number in range(100):
        pair.step(number)
    pair.assert_same()


@plain_rows
def test_as_pytorch_under_xla_with_the_rate_changed_midway(row):
    pair = Pair(row, mode="xla")
    for number in range(100):
        if number == 50:
            pair.change_rate(0.1)
        pair.step(number)
    pair.assert_same()
