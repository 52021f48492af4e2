"""Half and mixed precision: judged by PyTorch's own error in the same, and never taken for the proof of the algebra."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

import parity
from keras_blitz import optim
from keras_blitz.errors import BlitzError
from parity.core.compare import compare
from parity.core.inputs import moved
from parity.core.modes import PRECISIONS, ulp
from parity.core.own_error import own_error
from parity.core.trace import Trace
from parity.core.verdict import Verdict

torch = pytest.importorskip("torch", reason="needs PyTorch: pip install 'keras-blitz[torch]'")
nn = torch.nn

pytestmark = pytest.mark.covers("H12")

REDUCED = [name for name, precision in PRECISIONS.items() if precision.is_reduced]
X = np.random.RandomState(0).randn(5, 6).astype("float32")


def module(middle: type = nn.ReLU):
    torch.manual_seed(1)
    return nn.Sequential(nn.Linear(6, 9), middle(), nn.Linear(9, 4))


def model(policy: str | None, activation: str = "relu", head: str | None = None) -> keras.Model:
    return keras.Sequential(
        [
            keras.Input((6,)),
            layers.Dense(9, activation=activation, dtype=policy),
            layers.Dense(4, dtype=head or policy),
        ]
    )


@pytest.mark.parametrize("policy", REDUCED)
def test_a_model_is_judged_in_the_precision_it_runs_in_too(policy):
    right = parity.check(module(), model(policy), X)
    assert right.verdict is Verdict.EQUIVALENT, right
    assert list(right.comparisons) == ["float64", "float32", policy]
    lines = str(right).splitlines()
    assert f"runs in {policy}: judged in float64 and float32 by copies, and in {policy} as it is" in lines[1]
    (line,) = [line for line in lines if line.startswith(f"  {policy}:")]
    assert f"× PyTorch's {'autocast' if 'mixed' in policy else policy}" in line
    assert "small mistakes do not show here" in line
    wrong = parity.check(module(), model(policy, "elu"), X)
    assert wrong.verdict is Verdict.NOT_EQUIVALENT
    assert not any(comparison.passed for comparison in wrong.comparisons.values())


def test_a_float32_model_is_judged_in_a_reduced_precision_where_that_is_asked_for():
    dtypes = ("float64", "float32", *REDUCED)
    report = parity.check(module(), model(None), X, dtypes=dtypes)
    assert report.passed, report
    assert tuple(report.comparisons) == dtypes
    assert "runs in" not in str(report)
    assert not parity.check(module(), model(None, "elu"), X, dtypes=dtypes).passed
    assert list(parity.check(module(), model(None), X).comparisons) == ["float64", "float32"]


class Watched(layers.Dense):
    """A layer that remembers, as no copy of it does, in which types it was called."""

    def call(self, inputs):
        if hasattr(self, "watch"):
            self.watch.add(inputs.dtype)
        return super().call(inputs)


def test_it_is_the_users_own_object_that_runs_in_its_precision_and_it_is_put_back():
    port = keras.Sequential([keras.Input((6,)), Watched(4, dtype="mixed_float16", name="only")])
    port.layers[0].watch = set()
    before = port.get_weights()
    assert parity.check(nn.Sequential(nn.Linear(6, 4)), port, X).passed
    assert {dtype.name for dtype in port.layers[0].watch} == {"float16"}
    for was, now in zip(before, port.get_weights(), strict=True):
        np.testing.assert_array_equal(was, now)
    assert keras.config.dtype_policy().name == "float32"


@pytest.mark.parametrize("policy", ["mixed_float16", "bfloat16"])
def test_leaving_out_the_precision_that_a_model_runs_in_is_no_verdict(policy):
    report = parity.check(module(), model(policy), X, dtypes=("float64", "float32"))
    assert all(comparison.passed for comparison in report.comparisons.values())
    assert report.verdict is Verdict.NOT_DECIDED
    assert f"runs in {policy}, which was left out" in str(report).splitlines()[1]
    assert parity.check(module(), model(policy, "elu"), X, dtypes=("float64",)).verdict is Verdict.NOT_EQUIVALENT


def test_a_reduced_precision_alone_is_no_verdict():
    for port in (model("mixed_bfloat16"), model(None)):
        report = parity.check(module(), port, X, dtypes=("mixed_bfloat16",))
        assert report.comparisons["mixed_bfloat16"].passed
        assert report.verdict is Verdict.NOT_DECIDED
        assert "float64, which proves the algebra, was not compared" in str(report)
    wrong = parity.check(module(), model(None, "elu"), X, dtypes=("mixed_bfloat16",))
    assert wrong.verdict is Verdict.NOT_EQUIVALENT


def test_a_small_mistake_shows_in_float64_alone():
    """GELU's tanh form is 5e-4 off, a tenth of what bfloat16 rounds."""
    port = model("mixed_bfloat16", "linear")
    port = keras.Sequential(
        [port.layers[0], layers.Activation(approximate_gelu, dtype="mixed_bfloat16"), port.layers[1]]
    )
    report = parity.check(module(nn.GELU), port, X)
    assert report.comparisons["mixed_bfloat16"].passed
    assert not report.comparisons["float64"].passed
    assert report.verdict is Verdict.NOT_EQUIVALENT


def approximate_gelu(x):
    return keras.activations.gelu(x, approximate=True)


def test_layers_in_float32_belong_to_a_mixed_model():
    """Keras's guide to mixed precision has the last layer in float32."""
    report = parity.check(module(), model("mixed_float16", head="float32"), X)
    assert list(report.comparisons)[-1] == "mixed_float16"
    assert report.passed


def test_two_reduced_policies_in_one_model_have_no_counterpart():
    report = parity.check(module(), model("mixed_float16", head="mixed_bfloat16"), X)
    assert report.verdict is Verdict.NOT_DECIDED
    assert "runs in mixed_bfloat16, mixed_float16, which cannot be compared" in str(report)


class Flattening(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(24, 4)

    def forward(self, x):
        return self.fc(torch.relu(x).flatten(1))


def test_a_flattened_input_is_known_again_when_it_is_rounded():
    inputs = keras.Input((4, 3, 2))
    flat = keras.ops.reshape(keras.ops.relu(inputs), (-1, 24))
    port = keras.Model(inputs, layers.Dense(4, dtype="mixed_float16")(flat))
    report = parity.check(Flattening(), port, np.abs(np.random.RandomState(0).randn(3, 2, 4, 3)))
    assert report.passed, report


class Autocast(nn.Module):
    def __init__(self):
        super().__init__()
        self.inner = module()

    def forward(self, x):
        with torch.autocast("cpu", dtype=torch.bfloat16):
            return self.inner(x)


def test_a_module_that_casts_itself_is_judged_by_its_float64():
    right = parity.check(Autocast(), model("mixed_bfloat16"), X)
    assert right.passed, right
    assert "PyTorch's module computes in bfloat16 inside" in str(right)
    assert not parity.check(Autocast(), model("mixed_bfloat16", "elu"), X).passed
    assert "computes in" not in str(parity.check(module(), model(None), X))


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_a_module_in_half_precision_gives_its_weights_as_they_are(dtype):
    half = module().to(getattr(torch, dtype))
    report = parity.check(half, model(dtype), X)
    assert report.passed, report
    assert f"PyTorch's module holds {dtype}: copies of it run in each precision" in str(report)
    assert "among the dtypes" not in str(report)
    assert f'"{dtype}" among the dtypes judges that' in str(parity.check(half, model(None), X))
    assert half[0].weight.dtype == getattr(torch, dtype)


def test_an_overflow_in_pytorch_too_is_no_measure():
    theirs = nn.Sequential(nn.Linear(6, 9), nn.Linear(9, 4))
    with torch.no_grad():
        theirs[0].weight *= 1e6
    port = keras.Sequential([keras.Input((6,)), *(layers.Dense(n, dtype="mixed_float16") for n in (9, 4))])
    report = parity.check(theirs, port, X)
    assert report.verdict is Verdict.NOT_DECIDED
    assert "PyTorch's own mixed_float16 is not finite at activation:0" in str(report)
    assert report.to_dict()["cases"][-1]["verdict"] == "not decided"


class NotInHalf(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(6, 4)

    def forward(self, x):
        if self.fc.weight.dtype == torch.float16:
            raise RuntimeError("\"fancy_cpu\" not implemented for 'Half'")
        return self.fc(x)


def test_what_pytorch_cannot_run_is_one_line_and_no_verdict():
    port = keras.Sequential([keras.Input((6,)), layers.Dense(4, dtype="float16")])
    report = parity.check(NotInHalf(), port, X)
    assert report.verdict is Verdict.NOT_DECIDED
    assert list(report.comparisons) == ["float64", "float32"]
    (reason,) = report.undecided
    assert reason.startswith("float16 could not be compared: the PyTorch module raises")


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16"])
def test_steps_in_mixed_precision(policy):
    target = np.random.RandomState(2).randn(5, 4).astype("float32")

    def check(loss, rate=0.1):
        return parity.check(
            module(), model(policy), X, loss=(nn.MSELoss(), loss), steps=2, target=target, train=True,
            optimizer=(lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.9), keras.optimizers.SGD(rate, momentum=0.9)),
        )  # fmt: skip

    report = check(keras.losses.MeanSquaredError())
    assert report.passed, report
    assert "step2:param:0.weight" in {row.name for row in report.comparisons[policy].rows}
    assert not check(keras.losses.MeanSquaredError(reduction="sum"), rate=0.2).comparisons[policy].passed


def test_what_an_adaptive_optimizer_makes_of_rounding_is_left_to_float64():
    report = parity.check(
        module(), model("mixed_bfloat16"), X, steps=2, dtypes=("float64", "mixed_bfloat16"),
        optimizer=(lambda p: torch.optim.Adam(p, lr=0.1), optim.Adam(lr=0.1)),
    )  # fmt: skip
    names = {dtype: {row.name for row in found.rows} for dtype, found in report.comparisons.items()}
    assert "step2:param:0.weight" in names["float64"] - names["mixed_bfloat16"]
    assert "grad:0.weight" in names["mixed_bfloat16"]
    assert any(note.startswith("mixed_bfloat16: what Adam makes of the gradients was not") for note in report.notes)
    assert report.passed, report


def test_what_keras_cannot_run_is_no_verdict():
    """On a CPU it has no GRU in bfloat16."""
    theirs = nn.Sequential(nn.Linear(6, 4))
    port = keras.Sequential([keras.Input((6,)), layers.Dense(4), Solving()])
    report = parity.check(theirs, port, X, dtypes=("float64", "bfloat16"))
    assert report.verdict is Verdict.NOT_DECIDED
    assert "bfloat16 could not be compared: the Keras model could not be rebuilt" in report.undecided[0]


@keras.saving.register_keras_serializable("tests")
class Solving(layers.Layer):
    def call(self, inputs):
        if self.compute_dtype == "bfloat16":
            raise ValueError("no kernel for bfloat16")
        return inputs


class Subclassed(keras.Model):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.first, self.last = layers.Dense(9, activation="relu"), layers.Dense(4)

    def call(self, inputs):
        return self.last(self.first(inputs))


def test_a_subclassed_model_and_a_function_are_had_in_a_reduced_precision():
    dtypes = ("float64", "mixed_bfloat16")
    for port in (Subclassed(), lambda dtype: Subclassed()):
        report = parity.check(module(), port, X, dtypes=dtypes)
        assert report.passed, report
        assert tuple(report.comparisons) == dtypes


def test_an_unknown_precision_is_refused_with_the_known_ones():
    with pytest.raises(BlitzError, match="mixed_bfloat16, mixed_float16, bfloat16, float16, not"):
        parity.check(module(), model(None), X, dtypes=("half",))


# What the comparison does, without a framework.

TRUTH = Trace([("output", np.random.RandomState(3).randn(20, 30)), ("param:w", np.random.RandomState(4).randn(70, 2))])


def half(noise: float, seed: int, **changed) -> Trace:
    draw = np.random.RandomState(seed).randn
    rounded = ((n, (v * (1 + noise * draw(*v.shape))).astype("float16")) for n, v in TRUTH.items())
    return Trace((n, changed.get(n, v)) for n, v in rounded)


def judged(port: Trace, *runs: Trace, dtype: str = "float16"):
    return compare(TRUTH, port, case="t", dtype=dtype, own=own_error(TRUTH, runs or [half(1e-2, 1)]))


def test_a_reduced_precision_is_judged_by_pytorchs_error_in_it():
    assert judged(half(1e-2, 2)).passed
    assert not judged(half(1e-1, 2)).passed
    assert not judged(half(1e-2, 2), half(1e-3, 1)).passed
    with pytest.raises(ValueError, match="float16 is judged by PyTorch's own error"):
        compare(TRUTH, half(0, 0), case="t", dtype="float16")


@pytest.mark.parametrize(("dtype", "passes"), [("float16", True), ("float32", True), ("float64", False)])
def test_a_tensor_may_have_any_type_of_the_precision(dtype, passes):
    port = Trace((name, value.astype(dtype)) for name, value in half(1e-2, 2).items())
    assert judged(port).passed is passes
    assert judged(port, dtype="mixed_float16").passed is passes


def test_a_value_that_overflows_is_not_decided_only_where_pytorchs_does():
    broken = {"output": np.full((20, 30), np.inf, "float16")}
    for port in (half(1e-2, 2), half(1e-2, 2, **broken)):
        for worst in (np.inf, np.nan):
            runs = [half(1e-2, 1), half(1e-2, 1, output=np.full((20, 30), worst, "float16")), half(1e-2, 3)]
            found = judged(port, *runs)
            assert [row.name for row in found.undecided] == ["output"]
            assert found.passed
            assert found.failures == []
    assert not judged(half(1e-2, 2, **broken)).passed
    missing = Trace((name, value) for name, value in half(1e-2, 2).items() if name != "output")
    assert not judged(missing, half(1e-2, 1, **broken)).passed


def test_the_floor_of_what_is_held_in_float32_is_that_of_float32():
    """In a mixed precision four units in the last place of bfloat16 would pass any weight that is 1 % off."""
    exact = Trace((name, value.astype("float32")) for name, value in TRUTH.items())
    off = Trace((name, (value * 1.005).astype("float32")) for name, value in TRUTH.items())
    found = judged(off, exact, dtype="mixed_bfloat16")
    assert {row.name: row.passed for row in found.rows} == {"output": True, "param:w": False}


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_a_unit_in_the_last_place_is_numpys(dtype):
    kind = np.dtype(dtype).type
    for scale in (1e-7, 0.3, 1.0, 1.999, 2.0, 1000.0, 65000.0):
        value = kind(scale)
        assert ulp(float(value), dtype) == float(np.spacing(value))
    assert ulp(1.0, "bfloat16") == 2**-7
    assert ulp(3e-45, "bfloat16") == 2.0**-133


def test_weights_move_by_half_a_unit_of_the_type():
    state = {"w": np.full(1000, 1.25, "float32"), "count": np.arange(3)}
    for name, reach in (("float32", 4 * 2**-23), ("mixed_float16", 2**-11), ("bfloat16", 2**-8)):
        assert PRECISIONS[name].moves == reach
        shares = moved(state, 1, reach)["w"] / np.float32(1.25) - 1
        assert np.abs(shares).max() == pytest.approx(reach, rel=0.1)
    assert moved(state, 1, 2**-8)["count"] is state["count"]


def test_a_bfloat16_array_is_recorded_in_float32():
    import ml_dtypes

    values = np.array([1.0, 0.1], ml_dtypes.bfloat16)
    (kept,) = Trace([("output", values)]).values()
    assert kept.dtype == np.float32
    assert kept[1] == np.float32(values[1])


class Compiled(layers.Layer):
    """Does something else in half precision once it is compiled."""

    def __init__(self, factor=1.0, **options):
        super().__init__(**options)
        self.factor = factor

    def call(self, x):
        half = x.dtype in ("bfloat16", tf.bfloat16)
        return x * self.factor if half and not tf.executing_eagerly() else x

    def get_config(self):
        return {**super().get_config(), "factor": self.factor}


@pytest.mark.parametrize("factor", [1.0, 3.0])
def test_a_model_is_compiled_in_its_own_precision_too(factor):
    policy = "mixed_bfloat16"
    dense = [layers.Dense(9, activation="relu", dtype=policy), layers.Dense(4, dtype=policy)]
    port = keras.Sequential([keras.Input((6,)), dense[0], Compiled(factor, dtype=policy), dense[1]])
    report = parity.check(module(), port, X, modes=("eager", "graph"))
    assert list(report.comparisons)[:4] == ["float64", "float32", policy, f"{policy}-graph"]
    assert report.passed is (factor == 1.0), str(report)
    assert report.precision.endswith(f"judged in float64 and float32 by copies, and in {policy} as it is")


class OwnStep(keras.Sequential):
    def train_step(self, data):
        return {}


@pytest.mark.parametrize("cls", [keras.Sequential, OwnStep])
def test_an_own_train_step_in_half_precision_is_not_decided(cls):
    policy = "mixed_bfloat16"
    port = cls([keras.Input((6,)), layers.Dense(9, activation="relu", dtype=policy), layers.Dense(4, dtype=policy)])
    report = parity.check(
        module(), port, X, loss=(nn.MSELoss(), keras.losses.MeanSquaredError()), target=np.ones((5, 4)), steps=1,
        optimizer=(lambda parameters: torch.optim.SGD(parameters, 0.1), keras.optimizers.SGD(0.1)),
    )  # fmt: skip
    assert report.verdict is (Verdict.EQUIVALENT if cls is keras.Sequential else Verdict.NOT_DECIDED), str(report)


class WithoutConfig(keras.Model):
    def __init__(self, units):
        super().__init__(dtype="mixed_bfloat16")
        self.a = layers.Dense(9, activation="relu", dtype="mixed_bfloat16")
        self.b = layers.Dense(units, dtype="mixed_bfloat16")

    def call(self, x):
        return self.b(self.a(x))

    def get_config(self):
        raise NotImplementedError("no config")


def test_a_model_that_cannot_be_copied_is_judged_in_its_own_precision_and_not_decided():
    report = parity.check(module(), WithoutConfig(4), X)
    assert list(report.comparisons) == ["mixed_bfloat16"]
    assert report.verdict is Verdict.NOT_DECIDED
    assert "not compared in float64 and float32: the Keras model could not be rebuilt in float32" in str(report)
