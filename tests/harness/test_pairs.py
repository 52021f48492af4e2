"""Networks that people port: each port passes, and with one mistake in it fails, at the place of the mistake."""

import pytest

import parity
from parity.core.verdict import Verdict

pytestmark = pytest.mark.covers("H12")

pytest.importorskip("torch", reason="needs PyTorch: pip install 'keras-blitz[torch]'")
from pairs import PAIRS, Pair  # noqa: E402


def rows(reason: str) -> list:
    """Return the pairs as pytest's parameters.

    Args:
        reason: the field that says why a test of the pair still fails.
    """
    return [pytest.param(pair, id=pair.name, marks=marks(pair.slow, getattr(pair, reason))) for pair in PAIRS]


def marks(slow: bool, why: str) -> list:
    return [pytest.mark.slow] * slow + ([pytest.mark.xfail(strict=True, reason=why)] if why else [])


@pytest.mark.parametrize("pair", rows("open"))
def test_a_right_port_passes(pair: Pair):
    report = parity.check(*pair.right(), modes=("eager", "graph"), **pair.options)
    assert report.passed, str(report)
    assert list(report.comparisons) == ["float64", "float32", "float64-graph", "float32-graph"]


@pytest.mark.parametrize("pair", rows("hidden"))
def test_a_mistake_is_caught_where_it_is(pair: Pair):
    report = parity.check(*pair.wrong(), dtypes=("float64",), **pair.options)
    assert report.verdict is Verdict.NOT_EQUIVALENT, str(report)
    assert report.first_divergence == pair.begins, str(report)


def test_the_pairs_have_names_of_their_own():
    names = [pair.name for pair in PAIRS]
    assert len(names) == len(set(names))
    assert len(names) >= 30
