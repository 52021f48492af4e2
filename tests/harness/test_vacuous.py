import numpy as np
import pytest

from parity.core.vacuous import warnings_for

pytestmark = pytest.mark.covers("H9")

SQUARE = np.random.RandomState(0).randn(2, 3, 4, 4)


@pytest.mark.parametrize(
    ("name", "array", "initial", "warning"),
    [
        ("activation:relu", np.zeros((2, 3)), None, "all zero"),
        ("grad:fc.bias", np.full(5, 0.25), None, "constant"),
        ("activation:relu", SQUARE * np.array([1, 0, 0]).reshape(1, 3, 1, 1), None, "most channels are all zero"),
        ("activation:conv", SQUARE + SQUARE.swapaxes(2, 3), None, "equal to its own transpose"),
        ("step2:param:fc.bias", np.arange(3.0), np.arange(3.0), "did not move"),
        ("buffer:bn1.running_mean", np.zeros(4), None, "untouched"),
    ],
)
def test_weak_evidence_is_flagged(name, array, initial, warning):
    assert any(warning in found for found in warnings_for(name, array, initial))


@pytest.mark.parametrize(
    ("name", "array", "initial"),
    [
        ("activation:conv", SQUARE, None),
        ("activation:relu", SQUARE * np.array([1, 1, 0]).reshape(1, 3, 1, 1), None),
        ("grad:fc.bias", np.arange(5.0), None),
        ("step2:param:fc.bias", np.arange(3.0), np.ones(3)),
        ("loss", np.float64(0.0), None),
        ("buffer:bn1.running_mean", np.arange(4.0), None),
    ],
)
def test_sound_evidence_is_not(name, array, initial):
    assert warnings_for(name, array, initial) == ()
