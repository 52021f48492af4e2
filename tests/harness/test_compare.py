"""Should-pass and should-fail in pairs: a comparison that cannot fail proves nothing."""

import numpy as np
import pytest

from parity.core import tolerance
from parity.core.compare import compare
from parity.core.difference import Difference
from parity.core.fingerprint import fingerprint
from parity.core.locate import first_divergence
from parity.core.own_error import own_error
from parity.core.trace import ABSENT, Trace
from parity.report.text import check_worst

RNG = np.random.RandomState(0)
LARGE = RNG.randn(30, 40)
SMALL = RNG.randn(5)


def trace(**changes) -> Trace:
    entries = {
        "input": RNG.randn(2, 3) * 0 + np.arange(6).reshape(2, 3),
        "param:fc.weight": LARGE.copy(),
        "activation:fc": LARGE * 2,
        "output": SMALL.copy(),
        "loss": np.float64(0.5),
        "grad:fc.weight": LARGE * 3,
        "grad:fc.bias": SMALL * 2,
        "grad:unused.weight": ABSENT,
        "fact:requires_grad:a": np.array(True),
    }
    names = {name.replace(":", "_").replace(".", "_"): name for name in entries}
    for key, value in changes.items():
        if value is None:
            del entries[names[key]]
        else:
            entries[names[key]] = value
    return Trace(entries.items())


def judged(port, truth=None, **options):
    return compare(trace() if truth is None else truth, port, case="test", dtype="float64", **options)


def failed(comparison) -> list[str]:
    return [row.name for row in comparison.failures]


def test_equal_traces_pass():
    comparison = judged(trace())
    assert comparison.passed
    assert len(comparison.rows) == 9
    assert first_divergence(comparison.rows) is None


@pytest.mark.covers("H6")
@pytest.mark.parametrize(("error", "passes"), [(5e-13, True), (2e-12, False)])
def test_float64_bound_is_relative_to_the_largest_magnitude(error, passes):
    moved = LARGE * 2
    moved[3, 4] += error * np.abs(moved).max()
    comparison = judged(trace(activation_fc=moved))
    assert comparison.passed is passes
    assert failed(comparison) == ([] if passes else ["activation:fc"])
    if not passes:
        (row,) = comparison.failures
        assert row.worst[0].index == (3, 4)
        assert row.relative == pytest.approx(error, rel=1e-2)
        assert row.allowed == 1e-12


@pytest.mark.parametrize(
    ("changes", "name", "problem"),
    [
        ({"grad_fc_bias": None}, "grad:fc.bias", "missing in the port"),
        ({"grad_fc_weight": LARGE.T * 3}, "grad:fc.weight", "shape (40, 30), expected (30, 40)"),
        ({"output": SMALL.astype("float32")}, "output", "type float32, expected float64"),
        ({"output": np.arange(5)}, "output", "type int64, expected float64"),
        ({"fact_requires_grad_a": np.array(1)}, "fact:requires_grad:a", "type int64, expected bool"),
        ({"output": np.where(np.arange(5) == 2, np.nan, SMALL)}, "output",
         "NaN or infinite on one side only, 1 of 5 values, first at (2,)"),
        ({"output": np.where(np.arange(5) == 1, np.inf, SMALL)}, "output", "NaN or infinite on one side only"),
        ({"grad_fc_bias": ABSENT}, "grad:fc.bias", "expected a tensor (5,), the port has an absent gradient (None)"),
        ({"grad_unused_weight": np.zeros(3)}, "grad:unused.weight", "expected an absent gradient (None)"),
        ({"grad_fc_bias": np.zeros(5)}, "grad:fc.bias", "differs by 1.0e+00 of its scale"),
        ({"fact_requires_grad_a": np.array(False)}, "fact:requires_grad:a", "False, expected True"),
    ],
)  # fmt: skip
def test_what_a_comparison_fails_on(changes, name, problem):
    comparison = judged(trace(**changes))
    assert failed(comparison) == [name]
    assert problem in comparison.failures[0].problem
    assert not comparison.passed


def test_nan_in_the_reference_alone_fails_too():
    broken = np.where(np.arange(5) == 2, np.nan, SMALL)
    assert failed(judged(trace(), trace(output=broken))) == ["output"]
    assert judged(trace(output=broken), trace(output=broken)).passed


def test_opposite_infinities_fail():
    truth, port = SMALL.copy(), SMALL.copy()
    truth[0], port[0] = np.inf, -np.inf
    assert failed(judged(trace(output=port), trace(output=truth))) == ["output"]


def test_what_only_the_port_has_fails_unless_it_is_an_activation():
    port = trace()
    port.add("activation:relu", np.zeros(3))
    comparison = judged(port)
    assert comparison.passed
    assert comparison.port_only == ("activation:relu",)
    port.add("grad:extra.weight", np.zeros(3))
    assert failed(judged(port)) == ["grad:extra.weight"]


def test_nothing_compared_fails():
    comparison = judged(Trace(), Trace())
    assert not comparison.passed
    assert comparison.problem == "nothing was compared"


def test_expected_zero_must_be_zero():
    zero = trace(output=np.zeros(5))
    assert judged(zero, zero).passed
    assert failed(judged(trace(output=np.full(5, 1e-300)), zero)) == ["output"]


def test_a_permutation_of_the_same_values_fails():
    assert failed(judged(trace(grad_fc_weight=LARGE[:, ::-1] * 3))) == ["grad:fc.weight"]


def test_a_fingerprint_where_whole_numbers_are_expected_is_another_type():
    truth = Trace([("output", np.arange(2000))])
    (row,) = judged(Trace([("output", fingerprint(np.linspace(-1, 1, 2000)))]), truth).rows
    assert row.problem == "type float64, expected int64"


def test_fingerprints_fail_on_the_same_mistakes():
    truth = trace(grad_fc_weight=fingerprint(LARGE * 3))
    assert judged(trace(), truth).passed
    wrong = LARGE * 3
    wrong[7, 8] *= 1 + 1e-6
    assert failed(judged(trace(grad_fc_weight=wrong), truth)) == ["grad:fc.weight"]
    assert failed(judged(trace(grad_fc_weight=LARGE[:, ::-1] * 3), truth)) == ["grad:fc.weight"]
    broken = LARGE * 3
    broken[0, 0] = np.nan
    assert "NaN" in judged(trace(grad_fc_weight=broken), truth).failures[0].problem


# float32: the port's error is judged by PyTorch's own.


def float32(truth: Trace, error: float, seed: int) -> Trace:
    """Return the trace in float32 with noise of `error` relative to each tensor's scale."""
    rng = np.random.RandomState(seed)

    def noisy(value):
        if value is ABSENT or value.dtype.kind != "f":
            return value
        return np.float32(value + error * np.abs(value).max() * rng.uniform(-1, 1, value.shape))

    return Trace((name, noisy(value)) for name, value in truth.items())


def judged32(port: Trace, own: Trace) -> list[str]:
    truth = trace()
    return compare(truth, port, case="test", dtype="float32", own=own_error(truth, [own]))


@pytest.mark.covers("H6")
@pytest.mark.parametrize(("times", "passes"), [(1.0, True), (1.8, True), (3.0, False), (6.0, False)])
def test_float32_is_judged_by_pytorchs_own_error(times, passes):
    comparison = judged32(float32(trace(), times * 1e-5, 1), float32(trace(), 1e-5, 2))
    assert comparison.passed is passes
    assert comparison.median_ratio == pytest.approx(times, rel=0.3)


def test_float32_median_fails_the_case_where_no_tensor_does():
    comparison = judged32(float32(trace(), 2.6e-5, 1), float32(trace(), 1e-5, 2))
    assert failed(comparison) == []
    assert "the median error is" in comparison.problem


def test_float32_single_tensor_beyond_four_times_fails():
    port = float32(trace(), 1e-5, 1)
    port["grad:fc.weight"] = float32(trace(), 6e-5, 1)["grad:fc.weight"]
    comparison = judged32(port, float32(trace(), 1e-5, 2))
    assert failed(comparison) == ["grad:fc.weight"]
    assert "PyTorch's own is" in comparison.failures[0].problem


def test_float32_single_value_beyond_ten_times_fails():
    port = float32(trace(), 1e-5, 1)
    port["activation:fc"][3, 4] += np.float32(15e-5 * np.abs(port["activation:fc"]).max())
    comparison = judged32(port, float32(trace(), 1e-5, 2))
    assert failed(comparison) == ["activation:fc"]
    assert comparison.failures[0].worst[0].index == (3, 4)


def test_failures_come_worst_first_and_equal_ones_in_the_traces_order():
    port = trace(
        activation_fc=LARGE * 2 * (1 + 1e-3),
        output=SMALL * (1 + 1e-3 + 1e-9),  # rounding: no worse than the activation
        grad_fc_weight=LARGE * 3 * (1 + 2e-3),
    )
    assert failed(judged(port)) == ["grad:fc.weight", "activation:fc", "output"]


def test_float32_small_tensors_are_pooled():
    """PyTorch's lucky hit on one scalar does not condemn the port; a real difference still does."""
    own, port = float32(trace(), 1e-5, 2), float32(trace(), 1e-5, 1)
    own["grad:fc.bias"] = (SMALL * 2).astype("float32")
    assert "grad:fc.bias" in failed(judged32(port, own))
    truth = trace()
    truth.add("grad:other.bias", SMALL * 5)
    own.add("grad:other.bias", np.float32(SMALL * 5 + 1e-5 * RNG.randn(5) * 10))
    port.add("grad:other.bias", np.float32(SMALL * 5 + 1e-5 * RNG.randn(5) * 10))
    assert failed(compare(truth, port, case="t", dtype="float32", own=own_error(truth, [own]))) == []


def test_own_error_is_the_largest_of_the_runs():
    truth = trace()
    runs = [float32(truth, error, seed) for seed, error in enumerate((1e-6, 1e-4, 1e-5))]
    of_all, of_second = own_error(truth, runs), own_error(truth, [runs[1]])
    assert of_all == of_second
    assert own_error(truth, reversed(runs)) == of_all


def test_float32_floor_is_four_ulp():
    truth = Trace([("output", LARGE)])
    scale = np.abs(LARGE).max()
    own = {"output": Difference(1e-12, 1e-12, scale)}
    floor = tolerance.floor(scale, "float32")
    assert floor == 4 * float(np.spacing(np.float32(scale)))
    for factor, passes in ((0.5, True), (3.0, False)):
        port = Trace([("output", (LARGE + factor * floor * np.sign(RNG.randn(30, 40))).astype("float32"))])
        rows = compare(truth, port, case="t", dtype="float32", own=own).rows
        assert rows[0].passed is passes


def test_float32_without_pytorchs_own_error_is_only_screened():
    comparison = compare(trace(), float32(trace(), 1e-6, 1), case="t", dtype="float32")
    assert comparison.passed
    assert comparison.screened
    assert not compare(trace(), float32(trace(), 1e-3, 1), case="t", dtype="float32").passed


def test_a_float32_port_of_a_float64_case_fails():
    port = Trace((n, v if v is ABSENT or v.dtype.kind != "f" else v.astype("float32")) for n, v in trace().items())
    assert "output" in failed(judged(port))


@pytest.mark.covers("H7")
def test_first_divergence_walks_forward_then_gradients_backwards_then_steps():
    gradients = ["grad:input", "grad:a.weight", "grad:b.weight"]
    steps = [f"step1:{name}" for name in ("loss", "param:a.weight", "buffer:bn.running_mean", "slot:exp_avg:a.weight")]
    names = ["activation:a", "activation:b", "loss", *gradients, *steps]
    truth = Trace((name, LARGE) for name in names)

    def first(*wrong):
        port = Trace((name, LARGE + (name in wrong)) for name in names)
        return first_divergence(judged(port, truth).rows).name

    assert first("activation:b", "loss", "grad:a.weight") == "activation:b"
    assert first("grad:input", "grad:a.weight", "grad:b.weight", "step1:param:a.weight") == "grad:b.weight"
    assert first("grad:input", "grad:a.weight") == "grad:a.weight"
    assert first("grad:a.weight", "step1:param:a.weight") == "grad:a.weight"
    assert first("step1:param:a.weight") == "step1:param:a.weight"
    assert first("step1:param:a.weight", "step1:slot:exp_avg:a.weight") == "step1:slot:exp_avg:a.weight"
    assert first("step1:slot:exp_avg:a.weight", "step1:buffer:bn.running_mean") == "step1:buffer:bn.running_mean"
    assert first(*steps) == "step1:loss"


def test_tolerance_table_has_reasons_and_later_rows_win(monkeypatch):
    assert all(row.reason for row in tolerance.FLOAT64)
    special = tolerance.Tolerance("lenet-*", "step10:*", 1e-10, "measured")
    monkeypatch.setattr(tolerance, "FLOAT64", (*tolerance.FLOAT64, special))
    assert tolerance.float64_bound("lenet-float64-eager", "step10:param:a") is special
    assert tolerance.float64_bound("lenet-float64-eager", "loss").relative == 1e-12


def test_float32_noise_in_one_small_tensor_excuses_no_other():
    """A bias before BatchNorm has a gradient of nothing but rounding; the other biases are judged without it."""
    truth = Trace((f"grad:{name}.bias", SMALL * (1 + number)) for number, name in enumerate("abcde"))
    own = Trace((name, (value * (1 + 1e-7 * RNG.randn(5))).astype("float32")) for name, value in truth.items())
    port = Trace((name, (value * (1 + 1e-7 * RNG.randn(5))).astype("float32")) for name, value in truth.items())
    for trace_, sign in ((own, 1), (port, -1)):
        trace_.add("grad:noise.bias", np.float32(sign * 0.5 * SMALL))
    truth.add("grad:noise.bias", SMALL)

    def failures():
        return failed(compare(truth, port, case="t", dtype="float32", own=own_error(truth, [own])))

    assert failures() == []
    port["grad:c.bias"] = np.float32(port["grad:c.bias"] * 1.3)
    assert failures() == ["grad:c.bias"]


@pytest.mark.parametrize("overflow", [np.inf, np.nan])
def test_float32_that_pytorch_itself_cannot_hold_is_no_measure(overflow):
    truth = Trace([("loss", np.float64(1e39)), ("step1:loss", np.float64(1.0))])
    own = Trace([("loss", np.float32(overflow)), ("step1:loss", np.float32(1.0))])
    port = Trace([("loss", np.float32(1.0)), ("step1:loss", np.float32(99.0))])
    comparison = compare(truth, port, case="t", dtype="float32", own=own_error(truth, [own]))
    assert sorted(failed(comparison)) == ["loss", "step1:loss"]


def test_what_is_not_finite_on_both_sides_is_flagged():
    broken = np.where(np.arange(5) == 2, np.nan, SMALL)
    comparison = judged(trace(output=broken), trace(output=broken))
    (row,) = [row for row in comparison.rows if row.name == "output"]
    assert "NaN or infinite on both sides" in row.warnings[0]


@pytest.mark.parametrize(("key", "error", "passes"), [
    ("exp_avg", 1e-15, True), ("exp_avg", 1e-9, False), ("exp_avg_sq", 1e-28, True), ("exp_avg_sq", 1e-9, False),
    ("max_exp_avg_sq", 1e-28, True), ("max_exp_avg_sq", 1e-9, False), ("mu_product", 1e-28, False),
])  # fmt: skip
def test_adams_averages_of_a_gradient_that_cancels_are_judged_by_its_terms(key, error, passes):
    """The gradient is rounding of terms that sum to zero, and so is what Adam averages."""
    entries = {"grad:conv.bias": np.full(3, 1e-17), f"step1:slot:{key}:conv.bias": np.full(3, 1e-30)}
    truth = Trace(entries.items(), terms={"grad:conv.bias": 2.0})
    port = Trace((name, value + (error if ":slot:" in name else 0)) for name, value in entries.items())
    assert judged(port, truth).passed is passes


@pytest.mark.parametrize(("error", "passed"), [(1e-13, True), (1e-9, False)])
def test_a_loss_that_cancels_is_judged_by_the_size_of_its_terms(error, passed):
    truth = Trace([("loss", np.array(1e-4))], terms={"loss": 100.0})
    port = Trace([("loss", np.array(1e-4 + error))])
    assert compare(truth, port, case="check", dtype="float64").passed is passed


@pytest.mark.parametrize(
    ("dtype", "error", "passed"),
    [("float64", 1e-16, True), ("float64", 1e-13, False), ("float32", 4e-8, True), ("float32", 1e-5, False)],
)
def test_what_only_rounding_leaves_is_judged_by_how_far_rounding_moves_pytorch(dtype, error, passed):
    """PyTorch's own float32 error, 2e-8, is far above the value, 1e-16: of 80 such values more than chance."""
    truth = Trace([("grad:norm.weight", np.full(80, 1e-16))])
    own = Trace([("grad:norm.weight", np.full(80, 2e-8, "float32"))])
    port = Trace([("grad:norm.weight", np.full(80, 1e-16 + error, dtype))])
    assert compare(truth, port, case="check", dtype=dtype, own=own_error(truth, [own])).passed is passed


@pytest.mark.parametrize("name", ["buffer:bn.running_mean", "step3:buffer:bn.running_mean"])
@pytest.mark.parametrize(("error", "passed"), [(1e-16, True), (1e-14, False)])
def test_a_running_mean_that_cancels_is_judged_by_the_size_of_what_it_is_the_mean_of(name, error, passed):
    """The mean after a BatchNorm whose bias is zero: 1e-17 of values around 0.5."""
    truth = Trace([(name, np.full(64, 1e-17))], terms={"buffer:bn.running_mean": 0.5})
    port = Trace([(name, np.full(64, 1e-17 + error))])
    assert compare(truth, port, case="check", dtype="float64").passed is passed


def test_what_passes_by_pytorchs_rounding_alone_is_listed():
    truth = Trace([("grad:norm.weight", np.full(80, 1e-16)), ("output", np.ones(80))])
    own = Trace([("grad:norm.weight", np.full(80, 2e-8, "float32")), ("output", np.ones(80, "float32"))])
    port = Trace([("grad:norm.weight", np.full(80, 2e-16)), ("output", np.full(80, 1 + 1e-15))])
    found = compare(truth, port, case="check", dtype="float64", own=own_error(truth, [own]))
    assert found.by_rounding == ("grad:norm.weight",)
    assert "1 of them by PyTorch's own rounding, whose terms cancel (first: grad:norm.weight)" in check_worst(found)


def test_rounding_is_no_excuse_for_a_tensor_that_it_moves_little():
    truth = Trace([("output", np.ones(80))])
    own = Trace([("output", np.full(80, 1 + 2.0**-23, "float32"))])
    port = Trace([("output", np.full(80, 1 + 2e-12))])
    assert not compare(truth, port, case="check", dtype="float64", own=own_error(truth, [own])).passed


@pytest.mark.parametrize(("error", "passes"), [(2.0**-126, True), (2.0**-120, False)])
def test_a_float32_that_tensorflow_takes_for_zero_is_no_difference(error, passes):
    """Below 2^-126 TensorFlow has no float32, PyTorch has; float64 shows what is computed there."""
    values = np.linspace(-1, 1, 5000).astype(np.float32).astype(np.float64) * 1e-35
    truth = Trace([("output", values)])
    port = Trace([("output", (values + error * (np.arange(5000) % 7 == 0)).astype(np.float32))])
    own = own_error(truth, [Trace([("output", values.astype(np.float32))])])
    assert compare(truth, port, case="t", dtype="float32", own=own).passed is passes
