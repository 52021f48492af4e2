import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from parity.core.difference import count_beyond, measure, worst_entries
from parity.core.fingerprint import fingerprint, sketch, strided_sample


def test_measures_by_hand():
    found = measure(np.array([1.0, -4.0, 2.0]), np.array([1.0, -4.5, 2.0]))
    assert (found.max_abs, found.scale, found.relative, found.estimated) == (0.5, 4.0, 0.125, False)
    assert found.rms == pytest.approx(0.5 / np.sqrt(3))


def test_error_against_zero_is_absolute():
    assert measure(np.zeros(3), np.array([0, 0, 1e-9])).relative == 1e-9


def test_empty_tensors_do_not_differ():
    assert measure(np.zeros((0, 3)), np.zeros((0, 3))).max_abs == 0


def test_equal_infinities_do_not_count_as_error():
    assert measure(np.array([np.inf, 1.0]), np.array([np.inf, 1.5])).max_abs == 0.5


def test_worst_entries_are_the_worst_in_order():
    expected = np.zeros((2, 3))
    actual = np.array([[0.1, 0, -0.4], [0.2, 0, 0.3]])
    assert [(e.index, e.actual) for e in worst_entries(expected, actual)] == [
        ((0, 2), -0.4), ((1, 2), 0.3), ((1, 0), 0.2)
    ]  # fmt: skip


@settings(deadline=None, max_examples=30)
@given(seed=st.integers(0, 1000), size=st.integers(513, 60_000), scale=st.sampled_from([1e-12, 1e-6, 1.0]))
def test_sketch_estimates_the_rms_of_the_difference(seed, size, scale):
    rng = np.random.RandomState(seed)
    expected = rng.randn(size)
    actual = expected + scale * rng.randn(size)
    true = measure(expected, actual)
    estimated = measure(fingerprint(expected), actual)
    assert estimated.estimated
    assert estimated.rms == pytest.approx(true.rms, rel=0.4)  # 4 standard deviations of √(2/256)
    assert true.max_abs >= estimated.max_abs * 0.7
    assert estimated.scale == true.scale


def test_sketch_sees_one_wrong_value_among_many():
    expected = np.random.RandomState(0).randn(400, 1000)
    actual = expected.copy()
    actual[123, 456] += 1e-6
    assert measure(fingerprint(expected), actual).rms == pytest.approx(1e-6 / np.sqrt(expected.size), rel=1e-3)


def test_sketch_sees_a_changed_order():
    expected = np.random.RandomState(0).randn(40, 40)
    assert measure(fingerprint(expected), expected.T.copy()).rms > 1


@pytest.mark.parametrize("kind", ["noise", "offset", "one channel", "the same in every block"])
def test_sketch_estimates_the_size_of_an_error_over_many_blocks(kind):
    """To within 30 % (three standard deviations), whatever it looks like; 20 errors, each of 3 blocks of 65,536."""
    for seed in range(20):
        rng = np.random.RandomState(seed)
        block = rng.randn(65536)
        error = {
            "noise": rng.randn(3 * 65536),
            "offset": np.full(3 * 65536, 1.0 + seed),
            "one channel": np.tile(np.arange(256) == rng.randint(256), 3 * 256).astype(float),
            "the same in every block": np.tile(block, 3),
        }[kind]
        estimate = np.sqrt((sketch(error) ** 2).sum())
        assert estimate == pytest.approx(np.sqrt((error**2).sum()), rel=0.3)


def test_fingerprint_is_frozen():
    """A changed hash would make every golden file wrong."""
    flat = np.arange(200_000, dtype=np.float64)
    expected = [-4850997.0, -34469.0, -1450221.0, 6358317.0, -2637171.0, -1118815.0]
    np.testing.assert_array_equal(sketch(flat)[:6], expected)
    flat = flat[:1000]
    assert list(strided_sample(flat)[[0, 1, -1]]) == [0, 15, 999]


def test_worst_entries_of_a_fingerprint_are_real_places():
    expected = np.random.RandomState(0).randn(30, 40)
    actual = expected.copy()
    actual[0, 0] += 1.0
    (worst, *_) = worst_entries(fingerprint(expected), actual)
    assert (worst.index, worst.expected, worst.actual) == ((0, 0), expected[0, 0], actual[0, 0])


def test_values_beyond_the_bound_are_counted_nan_among_them():
    expected, actual = np.zeros((3, 4)), np.zeros((3, 4))
    actual[0, :3] = 1e-3, -1e-3, 1e-9
    assert count_beyond(expected, actual, 1e-6) == 2
    assert count_beyond(expected, actual, 0.0) == 3
    assert count_beyond(expected, actual * np.nan, 1.0) == 12
    assert count_beyond(fingerprint(expected), actual, 1.0) is None
