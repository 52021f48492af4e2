"""O3: every schedule against torch.optim.lr_scheduler, bit for bit, as Python floats and inside a compiled step."""

import math
from types import SimpleNamespace

import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

import keras_blitz
from keras_blitz.optim import schedules

pytestmark = pytest.mark.covers("O3", "O4")

torch = pytest.importorskip("torch", reason="needs PyTorch: pip install 'keras-blitz[torch]'")

STEPS = 200
RATES = [0.1, 0.037]  # of two parameter groups


def halved(epoch):
    return 0.5 ** (epoch // 7)


def warmed_up(module, of):
    first = [module.LinearLR(of, 0.1, total_iters=9), module.CosineAnnealingLR(of, 40, eta_min=0.003)]
    return module.SequentialLR(of, [*first, module.StepLR(of, 11, 0.7)], [10, 55])


def in_a_row(module, of):
    """Every schedule that can start over, each for a while."""
    parts = [
        module.ExponentialLR(of, 0.97), module.MultiplicativeLR(of, lambda epoch: 0.98), module.LambdaLR(of, halved),
        module.PolynomialLR(of, 15, 0.7), module.CosineAnnealingWarmRestarts(of, 5, 2), module.ConstantLR(of, 0.3, 4),
        module.MultiStepLR(of, [0, 3, 8], 0.3), module.LinearLR(of),
    ]  # fmt: skip
    return module.SequentialLR(of, parts, [20, 40, 60, 80, 120, 140, 160])


def at_once(module, of):
    return module.ChainedScheduler(
        [module.ConstantLR(of, 0.1, 7), module.ExponentialLR(of, 0.99), module.CosineAnnealingLR(of, 50, 1e-4)]
    )


def sequences_at_once(module, of):
    return module.ChainedScheduler([warmed_up(module, of), module.MultiplicativeLR(of, lambda epoch: 0.99)])


# id -> the schedule's name, its arguments; or a function of the module and the optimizer; all of them have a table
SCHEDULES = {
    "step": ("StepLR", {"step_size": 7, "gamma": 0.7}),
    "step-of-one": ("StepLR", {"step_size": 1, "gamma": 0.97}),
    "multistep": ("MultiStepLR", {"milestones": [3, 30, 30, 90], "gamma": 0.3}),
    "exponential": ("ExponentialLR", {"gamma": 0.97}),
    "constant": ("ConstantLR", {"factor": 0.3, "total_iters": 11}),
    "linear": ("LinearLR", {"start_factor": 0.1, "end_factor": 0.7, "total_iters": 50}),
    "linear-default": ("LinearLR", {}),
    "lambda": ("LambdaLR", {"lr_lambda": halved}),
    "lambda-a-group": ("LambdaLR", {"lr_lambda": [halved, lambda epoch: 1 / (1 + epoch)]}),
    "cosine": ("CosineAnnealingLR", {"T_max": 200}),
    "cosine-periods": ("CosineAnnealingLR", {"T_max": 13, "eta_min": 0.001}),
    "cosine-of-one": ("CosineAnnealingLR", {"T_max": 1}),
    "restarts": ("CosineAnnealingWarmRestarts", {"T_0": 7}),
    "restarts-longer": ("CosineAnnealingWarmRestarts", {"T_0": 3, "T_mult": 3, "eta_min": 0.01}),
    "polynomial": ("PolynomialLR", {"total_iters": 150, "power": 0.9}),
    "polynomial-default": ("PolynomialLR", {}),
    "multiplicative": ("MultiplicativeLR", {"lr_lambda": lambda epoch: 0.99}),
    "multiplicative-a-group": ("MultiplicativeLR", {"lr_lambda": [lambda epoch: 0.99, lambda epoch: 1 - 0.1 / epoch]}),
    "cyclic": ("CyclicLR", {"base_lr": 0.01, "max_lr": 0.1, "step_size_up": 13}),
    "cyclic-halved": (
        "CyclicLR",
        {"base_lr": [0.01, 0.02], "max_lr": [0.1, 0.3], "step_size_up": 13, "step_size_down": 5, "mode": "triangular2",
         "base_momentum": [0.7, 0.75], "max_momentum": 0.99},
    ),
    "cyclic-exponential": (
        "CyclicLR", {"base_lr": 0.01, "max_lr": 0.1, "step_size_up": 7, "mode": "exp_range", "gamma": 0.97}
    ),
    "cyclic-function": (
        "CyclicLR",
        {"base_lr": 0.01, "max_lr": 0.1, "step_size_up": 7, "scale_fn": lambda x: 1 / x, "mode": "none"},
    ),
    "sequential": (warmed_up, {}),
    "sequential-all": (in_a_row, {}),
    "chained": (at_once, {}),
    "chained-sequential": (sequences_at_once, {}),
    "onecycle": ("OneCycleLR", {"max_lr": 0.3, "total_steps": 200}),
    "onecycle-three-phases": (
        "OneCycleLR",
        {"max_lr": [0.3, 0.2], "epochs": 7, "steps_per_epoch": 29, "three_phase": True, "anneal_strategy": "linear",
         "pct_start": 0.4, "div_factor": 10.0, "final_div_factor": 100.0, "base_momentum": [0.8, 0.7]},
    ),
}  # fmt: skip
rows = pytest.mark.parametrize("row", SCHEDULES.values(), ids=SCHEDULES)
# The rates of one form of each are enough in float32 and compiled, where a table or a variable holds them.
NARROW = {
    id: row
    for id, row in SCHEDULES.items()
    if id in ("cyclic-halved", "chained-sequential")
    or not id.startswith(("restarts", "polynomial", "multiplicative", "cyclic", "sequential", "chained"))
}
narrow_rows = pytest.mark.parametrize("row", NARROW.values(), ids=NARROW)


class Groups:
    """An optimizer with parameter groups, as the schedules see it; variables of one dtype."""

    def __init__(self, rates=RATES, dtype="float64"):
        self.rates = [tf.Variable(rate, dtype=dtype) for rate in rates]
        self.momenta = [0.9] * len(rates)

    @property
    def param_lrs(self):
        return [float(rate.numpy()) for rate in self.rates]

    def set_lrs(self, rates):
        for variable, rate in zip(self.rates, rates, strict=True):
            variable.assign(rate)

    def set_momenta(self, momenta):
        self.momenta = momenta


def pytorch(rates=RATES):
    return torch.optim.SGD(
        [{"params": [torch.nn.Parameter(torch.ones(1))], "lr": rate} for rate in rates], momentum=0.9
    )


def make(row, optimizer, module=schedules):
    name, arguments = row
    return name(module, optimizer) if callable(name) else getattr(module, name)(optimizer, **arguments)


def without_momentum(row):
    name, arguments = row
    return name, {**arguments, "cycle_momentum": False} if name in ("OneCycleLR", "CyclicLR") else arguments


def reference(row):
    """Return PyTorch's rates and momenta of the first steps."""
    optimizer = pytorch()
    schedule = make(row, optimizer, torch.optim.lr_scheduler)
    rates, momenta = [], []
    for _ in range(STEPS):
        rates.append([group["lr"] for group in optimizer.param_groups])
        momenta.append([group["momentum"] for group in optimizer.param_groups])
        optimizer.step()
        schedule.step()
    return rates, momenta


@rows
def test_python_floats_are_pytorchs_to_the_last_bit(row):
    assert_steps_alike(row, "float64", RATES)


@narrow_rows
def test_rounding_of_one_step_does_not_reach_the_next(row):
    """Whatever dtype the optimizer keeps the rates in, they are computed in double precision."""
    assert_steps_alike(row, "float32", [0.25, 0.125])


def assert_steps_alike(row, dtype, rates):
    optimizer, theirs = Groups(rates, dtype), pytorch(rates)
    schedule, expected = make(row, optimizer), make(row, theirs, torch.optim.lr_scheduler)
    for _ in range(STEPS):
        assert schedule.get_last_lr() == expected.get_last_lr()
        assert optimizer.param_lrs == [float(np.dtype(dtype).type(rate)) for rate in expected.get_last_lr()]
        assert optimizer.momenta == [group["momentum"] for group in theirs.param_groups]
        theirs.step()
        schedule.step()
        expected.step()


@rows
def test_table(row):
    assert make(row, Groups()).table(STEPS) == reference(row)[0]
    assert make(without_momentum(row), RATES).table(STEPS) == reference(row)[0]


@narrow_rows
@pytest.mark.parametrize("jit", [False, True], ids=["graph", "xla"])
def test_inside_a_compiled_step(row, jit):
    """Looked up by the step number, and read from the variable that `step()` sets: both to the last bit."""
    optimizer = Groups()
    schedule = make(row, optimizer)
    looked_up = schedule.as_keras(STEPS, group=1)

    @tf.function(jit_compile=jit)
    def compiled(step):
        return looked_up(step), optimizer.rates[1] * tf.ones((), tf.float64)

    expected, _ = reference(row)
    for step in range(STEPS):
        found, read = compiled(tf.constant(step, tf.int64))
        assert found.dtype == "float64"
        assert (found.numpy(), read.numpy()) == (expected[step][1], expected[step][1])
        schedule.step()


PLATEAUS = {
    "default": {"patience": 2},
    "max": {"mode": "max", "patience": 3, "factor": 0.5},
    "absolute": {"threshold_mode": "abs", "threshold": 0.05, "patience": 1},
    "max-absolute": {"mode": "max", "threshold_mode": "abs", "threshold": 0.05, "patience": 1},
    "cooldown": {"patience": 0, "cooldown": 4, "factor": 0.9},
    "least": {"patience": 0, "min_lr": [0.01, 0.02], "factor": 0.3},
    "eps": {"patience": 0, "eps": 1e-3, "factor": 0.7},
    "patient": {"patience": 10},
}


@pytest.mark.parametrize("arguments", PLATEAUS.values(), ids=PLATEAUS)
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_plateau(arguments, seed):
    metrics = np.round(np.exp(-np.arange(STEPS) / 40) + 0.1 * np.random.RandomState(seed).randn(STEPS), 2)
    metrics[17] = np.nan
    optimizer, theirs = Groups(), pytorch()
    schedule = schedules.ReduceLROnPlateau(optimizer, **arguments)
    expected = torch.optim.lr_scheduler.ReduceLROnPlateau(theirs, **arguments)
    compiled = tf.function(lambda: optimizer.rates[0] * tf.ones((), tf.float64))
    for metric in metrics:
        schedule.step(tf.constant(metric))
        expected.step(metric)
        assert schedule.get_last_lr() == optimizer.param_lrs == [group["lr"] for group in theirs.param_groups]
        assert compiled().numpy() == theirs.param_groups[0]["lr"]
        assert (schedule.last_epoch, schedule.num_bad_epochs) == (expected.last_epoch, expected.num_bad_epochs)
    assert optimizer.param_lrs[0] < 0.1


def test_warm_restarts_at_any_epoch():
    """`step(epoch + batch / batches)`, forwards and back, as the paper restarts within an epoch."""
    for options in ({"T_0": 5}, {"T_0": 3, "T_mult": 2, "eta_min": 0.001}):
        theirs = pytorch()
        schedule = schedules.CosineAnnealingWarmRestarts(Groups(), **options)
        expected = torch.optim.lr_scheduler.CosineAnnealingWarmRestarts(theirs, **options)
        theirs.step()
        for epoch in [0, None, 0.25, 2.5, None, 3, 8.75, None, 21.0, 93.1, None, None, 2, None, 0, None]:
            schedule.step(epoch)
            expected.step(epoch)
            assert schedule.get_last_lr() == expected.get_last_lr()
            assert (schedule.last_epoch, schedule.T_cur, schedule.T_i) == (
                expected.last_epoch, expected.T_cur, expected.T_i,
            )  # fmt: skip


def test_a_cycle_after_another_schedule_starts_from_the_first_rates_of_all():
    optimizer, theirs = Groups(), pytorch()
    both = []
    for module, of in ((schedules, optimizer), (torch.optim.lr_scheduler, theirs)):
        module.StepLR(of, 3)
        both.append(module.CyclicLR(of, 0.01, 0.2, 5))
    theirs.step()
    assert both[0].get_last_lr() == both[1].get_last_lr() == RATES
    for _ in range(20):
        for schedule in both:
            schedule.step()
        assert both[0].get_last_lr() == both[1].get_last_lr()


def test_one_cycle_in_a_sequence():
    """It sets the momenta while it is active, and the first rates of all for every schedule."""
    optimizer, theirs = Groups(), pytorch()
    both = []
    for module, of in ((schedules, optimizer), (torch.optim.lr_scheduler, theirs)):
        parts = [module.LinearLR(of), module.OneCycleLR(of, 0.3, 40)]
        both.append(module.SequentialLR(of, parts, [6]))
    theirs.step()
    for _ in range(40):
        for schedule in both:
            schedule.step()
        assert both[0].get_last_lr() == both[1].get_last_lr()
        assert optimizer.momenta == [group["momentum"] for group in theirs.param_groups]


factors = st.floats(0.05, 1.0)
lengths = st.integers(1, 12)
SIMPLE = st.one_of(
    st.builds(lambda n, g: ("StepLR", {"step_size": n, "gamma": g}), lengths, factors),
    st.builds(lambda m, g: ("MultiStepLR", {"milestones": m, "gamma": g}), st.lists(st.integers(0, 20)), factors),
    st.builds(lambda g: ("ExponentialLR", {"gamma": g}), factors),
    st.builds(lambda f, n: ("ConstantLR", {"factor": f, "total_iters": n}), factors, lengths),
    st.builds(
        lambda a, b, n: ("LinearLR", {"start_factor": a, "end_factor": b, "total_iters": n}), factors, factors, lengths
    ),
    st.builds(lambda n, p: ("PolynomialLR", {"total_iters": n, "power": p}), lengths, st.floats(0.3, 3.0)),
    st.builds(lambda n, eta: ("CosineAnnealingLR", {"T_max": n, "eta_min": eta}), lengths, st.floats(0, 0.05)),
    st.builds(
        lambda n, k, eta: ("CosineAnnealingWarmRestarts", {"T_0": n, "T_mult": k, "eta_min": eta}),
        lengths, st.integers(1, 3), st.floats(0, 0.05),
    ),
    st.builds(lambda f: ("MultiplicativeLR", {"lr_lambda": lambda epoch: 1 - f / (2 + epoch)}), factors),
    st.builds(lambda f: ("LambdaLR", {"lr_lambda": lambda epoch: 1 - f / (2 + epoch)}), factors),
    st.builds(
        lambda low, high, up, down, mode, gamma: (
            "CyclicLR",
            {"base_lr": low, "max_lr": high, "step_size_up": up, "step_size_down": down, "mode": mode, "gamma": gamma},
        ),
        factors, factors, lengths, st.none() | lengths, st.sampled_from(["triangular", "triangular2", "exp_range"]),
        factors,
    ),
)  # fmt: skip


@settings(deadline=None, max_examples=60)
@given(
    parts=st.lists(SIMPLE, min_size=1, max_size=4), spans=st.lists(st.integers(0, 9), min_size=3, max_size=3),
    kind=st.sampled_from(["alone", "chained", "sequential"]),
)  # fmt: skip
def test_any_schedule_and_any_composition(parts, spans, kind):
    """Rates and momenta of PyTorch step by step; the table says the same ahead of time."""
    optimizer, theirs = Groups(), pytorch()
    both = []
    for module, of in ((schedules, optimizer), (torch.optim.lr_scheduler, theirs)):
        made = [make(part, of, module) for part in (parts[:1] if kind == "alone" else parts)]
        if kind == "chained":
            made = [module.ChainedScheduler(made)]
        elif kind == "sequential":
            milestones = np.cumsum(spans[: len(made) - 1]).tolist()
            made = [module.SequentialLR(of, made, milestones)]
        both.append(made[0])
    theirs.step()
    # A cycle that is chained after another schedule begins with the first rates of all, and the table with its own.
    began = kind != "chained" or all(name != "CyclicLR" for name, _ in parts[1:])
    table = both[0].table(30)
    for step in range(30):
        assert both[0].get_last_lr() == both[1].get_last_lr() == optimizer.param_lrs
        assert optimizer.momenta == [group["momentum"] for group in theirs.param_groups]
        assert table[step] == both[0].get_last_lr() or (step == 0 and not began)
        for schedule in both:
            schedule.step()


def test_every_schedule_of_pytorch_is_there():
    assert set(torch.optim.lr_scheduler.__all__) - {"LRScheduler"} == set(schedules.__all__) - {"RateTable", "SWALR"}


def test_schedules_of_one_optimizer_chain_as_in_pytorch():
    """A warm-up, a decay, and a rate set by hand between; the second schedule starts from the first rate of all."""
    optimizer, theirs = Groups(dtype="float32", rates=[0.25, 0.125]), pytorch([0.25, 0.125])
    both = []
    for module, of in ((schedules, optimizer), (torch.optim.lr_scheduler, theirs)):
        both.append(
            [module.LinearLR(of, total_iters=7), module.ExponentialLR(of, 0.9), module.CosineAnnealingLR(of, 9)]
        )
    theirs.step()
    for step in range(40):
        if step == 20:
            optimizer.set_lrs([0.5, 0.0625])
            theirs.param_groups[0]["lr"], theirs.param_groups[1]["lr"] = 0.5, 0.0625
        for mine, other in zip(*both, strict=True):
            mine.step()
            other.step()
            assert mine.base_lrs == other.base_lrs
            assert mine.get_last_lr() == other.get_last_lr()


@rows
@pytest.mark.parametrize("of", ["its own", "PyTorch's"])
def test_state_is_resumed(row, of):
    optimizer, theirs = Groups(), pytorch()
    schedule, expected = make(row, optimizer), make(row, theirs, torch.optim.lr_scheduler)
    theirs.step()
    for _ in range(50):
        schedule.step()
        expected.step()
    fresh = Groups()
    again = make(row, fresh)
    again.load_state_dict((schedule if of == "its own" else expected).state_dict())
    assert (fresh.param_lrs, fresh.momenta) == (optimizer.param_lrs, optimizer.momenta)
    for _ in range(50):
        again.step()
        expected.step()
        assert again.get_last_lr() == expected.get_last_lr()


@pytest.mark.parametrize("of", ["its own", "PyTorch's"])
def test_state_of_a_plateau_is_resumed(of):
    schedule = schedules.ReduceLROnPlateau(Groups(), patience=3)
    expected = torch.optim.lr_scheduler.ReduceLROnPlateau(pytorch(), patience=3)
    for metric in (1.0, 0.5, 0.6, 0.7):
        schedule.step(metric)
        expected.step(metric)
    again = schedules.ReduceLROnPlateau(Groups(), patience=3)
    again.load_state_dict((schedule if of == "its own" else expected).state_dict())
    for metric in (0.6, 0.7, 0.6):
        again.step(metric)
        expected.step(metric)
        assert again.get_last_lr() == expected.get_last_lr()
    assert again.get_last_lr() != RATES


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_a_stock_keras_optimizer(dtype):
    """Its float32 variable shows 0.10000000149; the schedule goes on from 0.1."""
    with keras_blitz.precision(dtype):
        optimizer = keras.optimizers.SGD(np.float64(0.1))
    schedule = schedules.ExponentialLR(optimizer, 0.97)
    expected = torch.optim.lr_scheduler.ExponentialLR(theirs := pytorch([0.1]), 0.97)
    theirs.step()
    for _ in range(STEPS):
        assert schedule.get_last_lr() == expected.get_last_lr()
        assert optimizer.learning_rate.numpy() == np.dtype(dtype).type(expected.get_last_lr()[0])
        schedule.step()
        expected.step()
    optimizer.learning_rate = 0.5
    schedule.step()
    assert schedule.get_last_lr() == [0.5 * 0.97]


def compiled_model(optimizer, **options):
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    model.compile(optimizer, loss="mse", **options)
    return model


class Watch(keras.callbacks.Callback):
    """The rate at the beginning of each epoch or batch."""

    def __init__(self):
        super().__init__()
        self.epochs, self.batches = [], []

    def on_epoch_begin(self, epoch, logs=None):
        self.epochs.append(float(self.model.optimizer.learning_rate.numpy()))

    def on_train_batch_begin(self, batch, logs=None):
        self.batches.append(float(self.model.optimizer.learning_rate.numpy()))


DATA = {"x": np.ones((10, 2)), "y": np.ones((10, 1)), "verbose": 0}


@pytest.mark.parametrize("per", ["epoch", "batch"])
def test_in_fit(per):
    with keras_blitz.precision("float64"):
        optimizer, watch = keras.optimizers.SGD(np.float64(0.1)), Watch()
        model = compiled_model(optimizer)
        schedule = schedules.StepLR(optimizer, 2, 0.3)
        model.fit(**DATA, batch_size=4, epochs=4, callbacks=[watch, schedule.callback(per)])
    expected = [rate for (rate,) in schedules.StepLR(0.1, 2, 0.3).table(12)]
    assert (watch.epochs if per == "epoch" else watch.batches) == expected[: 4 if per == "epoch" else 12]


def test_a_plateau_in_fit():
    optimizer = keras.optimizers.SGD(0.0)
    optimizer.learning_rate = 0.0625
    model = compiled_model(optimizer)
    schedule = schedules.ReduceLROnPlateau(optimizer, mode="max", patience=1, factor=0.5, min_lr=0.01)
    model.fit(**DATA, validation_data=(DATA["x"], DATA["y"]), epochs=6, callbacks=[schedule.callback()])
    assert schedule.get_last_lr() == [0.0625 * 0.5**2]
    with pytest.raises(ValueError, match="no 'val_accuracy' in this epoch's logs, which have loss"):
        model.fit(**DATA, callbacks=[schedule.callback("val_accuracy")])


@pytest.mark.parametrize("jit", [False, True], ids=["graph", "xla"])
def test_a_table_in_fit(jit, tmp_path):
    """The weights are those of the rates set step by step, and the saved model goes on with the table."""
    kernels = []
    table = schedules.CosineAnnealingLR(np.float64(0.1), 6).as_keras(6)
    for compiled in (True, False):
        with keras_blitz.precision("float64"):
            optimizer = keras.optimizers.SGD(table if compiled else np.float64(0.1))
            model = compiled_model(optimizer, jit_compile=jit)
            model.set_weights([np.array([[1.0], [-2.0]]), np.zeros(1)])
            callbacks = [] if compiled else [schedules.CosineAnnealingLR(optimizer, 6).callback("batch")]
            model.fit(**DATA, batch_size=4, epochs=2, callbacks=callbacks, shuffle=False)
        kernels.append(model.get_weights()[0])
        if compiled:
            model.save(tmp_path / "model.keras")
    np.testing.assert_allclose(kernels[0], kernels[1], rtol=1e-15)
    again = keras.saving.load_model(tmp_path / "model.keras").optimizer
    assert again.iterations.numpy() == 6
    assert again.learning_rate.numpy() == table.values[6]


def test_beyond_its_table_a_rate_is_nan():
    table = schedules.StepLR(0.1, 2).as_keras(3)
    assert [math.isnan(table(step)) for step in range(6)] == [False] * 4 + [True] * 2


def refused(name, *arguments, **options):
    return lambda: getattr(schedules, name)(*arguments, **options)


REFUSED = {
    "step-size": (refused("StepLR", 0.1, 0), "step_size must be a whole number ≥ 1, not 0"),
    "t-max": (refused("CosineAnnealingLR", 0.1, 2.5), "T_max must be a whole number ≥ 1, not 2.5"),
    "constant": (refused("ConstantLR", 0.1, 0), "factor must be above 0 and at most 1, not 0"),
    "linear-start": (refused("LinearLR", 0.1, 1.5), "start_factor must be above 0 and at most 1, not 1.5"),
    "linear-end": (refused("LinearLR", 0.1, end_factor=2), "end_factor must be in 0–1, not 2"),
    "lambdas": (refused("LambdaLR", RATES, [halved]), "lr_lambda has 1 values for 2 parameter groups"),
    "no-steps": (refused("OneCycleLR", Groups(), 0.1), "pass total_steps, or epochs and steps_per_epoch"),
    "part-steps": (refused("OneCycleLR", Groups(), 0.1, 1.5), "total_steps must be a whole number ≥ 1, not 1.5"),
    "start": (refused("OneCycleLR", Groups(), 0.1, 9, pct_start=3), "pct_start must be in 0–1, not 3"),
    "strategy": (refused("OneCycleLR", Groups(), 0.1, 9, anneal_strategy="x"), 'must be "cos" or "linear", not \'x\''),
    "empty-phase": (
        refused("OneCycleLR", Groups(), 0.1, 10, pct_start=0.1),
        "must leave each phase a step, and 0.1 of 10 steps does not",
    ),
    "max-rates": (refused("OneCycleLR", Groups(), [0.1], 9), "max_lr has 1 values for 2 parameter groups"),
    "momentum": (
        refused("OneCycleLR", keras.optimizers.SGD(0.1, momentum=0.9), 0.1, 9),
        "SGD has no momentum or beta1 that can be set: pass cycle_momentum=False",
    ),
    "past-the-end": (lambda: schedules.OneCycleLR(Groups(), 0.1, 5).table(7), "step 6 is beyond the 5 steps"),
    "restarts": (refused("CosineAnnealingWarmRestarts", 0.1, 0), "T_0 must be a whole number ≥ 1, not 0"),
    "restarts-times": (
        refused("CosineAnnealingWarmRestarts", 0.1, 2, 1.5),
        "T_mult must be a whole number",
    ),
    "epoch": (lambda: schedules.CosineAnnealingWarmRestarts(0.1, 2).step(-1), "epoch must be at least 0, not -1"),
    "polynomial": (refused("PolynomialLR", 0.1, 0), "total_iters must be a whole number ≥ 1, not 0"),
    "factors": (refused("MultiplicativeLR", RATES, [halved]), "lr_lambda has 1 values for 2 parameter groups"),
    "cycle-mode": (refused("CyclicLR", Groups(), 0.1, 0.2, mode="x"), '"triangular2" or "exp_range", not \'x\''),
    "cycle-size": (refused("CyclicLR", Groups(), 0.1, 0.2, 0), "step_size_up must be a whole number ≥ 1, not 0"),
    "cycle-momentum": (refused("CyclicLR", 0.1, 0.1, 0.2), "pass cycle_momentum=False"),
    "no-schedules": (refused("ChainedScheduler", []), "ChainedScheduler needs at least one schedule"),
    "milestones": (
        refused("SequentialLR", 0.1, [schedules.StepLR(0.1, 2)], [3]),
        "one milestone fewer than schedules, not 1 for 1",
    ),
    "falling": (
        refused("SequentialLR", 0.1, [schedules.StepLR(0.1, 2)] * 3, [3, 2]),
        "must be in increasing order, not [3, 2]",
    ),
    "nested": (
        refused("SequentialLR", 0.1, [schedules.ChainedScheduler([schedules.StepLR(0.1, 2)])], []),
        "SequentialLR cannot hold a SequentialLR or a ChainedScheduler",
    ),
    "metric-in-a-chain": (
        refused("ChainedScheduler", [schedules.StepLR(0.1, 2), schedules.ReduceLROnPlateau(0.1)]),
        "cannot hold ReduceLROnPlateau, whose step needs a metric (index 1)",
    ),
    "two-optimizers": (
        refused("ChainedScheduler", [schedules.StepLR(Groups(), 2), schedules.StepLR(Groups(), 2)]),
        "schedule 1 has another optimizer",
    ),
    "two-rates": (
        refused("SequentialLR", 0.1, [schedules.StepLR(0.1, 2), schedules.StepLR(0.2, 2)], [3]),
        "schedule 1 starts from [0.2], not from [0.1]",
    ),
    "states": (
        lambda: at_once(schedules, 0.1).load_state_dict(schedules.StepLR(0.1, 2).state_dict()),
        "the state has 0 schedules, but this schedule has 3",
    ),
    "mode": (refused("ReduceLROnPlateau", 0.1, "best"), "not 'best', 'rel'"),
    "factor": (refused("ReduceLROnPlateau", 0.1, factor=1.0), "factor must be below 1, not 1.0"),
    "least-rates": (refused("ReduceLROnPlateau", RATES, min_lr=[0]), "min_lr has 1 values for 2 parameter groups"),
    "no-metric": (lambda: schedules.ReduceLROnPlateau(0.1).step(), "step needs the metric"),
    "no-table": (lambda: schedules.ReduceLROnPlateau(0.1).as_keras(3), "depends on a metric and has no table"),
    "per": (lambda: schedules.StepLR(0.1, 3).callback("step"), 'per must be "epoch" or "batch", not \'step\''),
    "groups": (
        lambda: schedules.StepLR(0.1, 3).load_state_dict(schedules.StepLR(RATES, 3).state_dict()),
        "the state has 2 learning rates, the optimizer 1",
    ),
    "scheduled": (
        refused("StepLR", keras.optimizers.SGD(schedules.StepLR(0.1, 3).as_keras(9)), 3),
        "SGD has no learning rate to set",
    ),
    "no-optimizer": (refused("StepLR", SimpleNamespace(), 3), "SimpleNamespace has no learning rate to set"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_bad_input_is_one_line(case):
    call, message = REFUSED[case]
    with pytest.raises(ValueError) as raised:  # noqa: PT011
        call()
    assert message in str(raised.value)
    assert "\n" not in str(raised.value)


def test_a_schedule_that_cannot_do_what_it_says_is_refused_in_fit():
    optimizer = keras.optimizers.SGD(0.1)
    model = compiled_model(optimizer, steps_per_execution=2)
    with pytest.raises(ValueError, match="cannot step inside steps_per_execution"):
        model.fit(**DATA, callbacks=[schedules.StepLR(optimizer, 2).callback("batch")])
    with pytest.raises(ValueError, match="not the one the model was compiled with"):
        model.fit(**DATA, callbacks=[schedules.StepLR(keras.optimizers.SGD(0.1), 2).callback()])
