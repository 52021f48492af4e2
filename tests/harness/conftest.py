"""What a case must hold, for the files that run cases."""

import pytest
from subjects import DEEP

from parity.core.compare import compare
from parity.core.trace import kind_of, step_of
from parity.pair import options
from parity.suite import oracle
from parity.suite.run import run


@pytest.fixture(autouse=True)
def eager_mode_alone(request, monkeypatch):
    """A check that names no modes runs in eager mode alone, a third faster, but in tests marked `compiled`."""
    if not request.node.get_closest_marker("compiled"):
        monkeypatch.setattr(options, "COMPILED_BY_DEFAULT", ())


@pytest.fixture(scope="session")
def assert_passed():
    """A result is within bounds, and its evidence is not weak."""
    return _assert_passed


@pytest.fixture(scope="session")
def assert_precise():
    """A float64 result is far within its bounds."""
    return _assert_precise


@pytest.fixture(scope="session")
def assert_golden_is_live():
    """A golden trace is what PyTorch does today."""
    return _assert_golden_is_live


@pytest.fixture(scope="session")
def assert_cases_pass():
    """Cases pass live, PyTorch running once for all of a subject and for its golden trace."""

    def hold(cases):
        started = set()
        for case, result in zip(cases, run(cases, live=True, keep_traces=True), strict=True):
            _assert_passed(result)
            if case.subject in DEEP:
                _assert_precise(result)
            if case.subject not in started:
                _assert_golden_is_live(case, result.reference)
            started.add(case.subject)

    return hold


def _assert_passed(result):
    assert result.error == ""
    assert [f"{row.name}: {row.problem}" for row in result.comparison.failures] == []
    assert result.passed
    adadelta = result.case.group == "optimizers" and result.case.dtype == "float32"  # its first steps are all √eps/√0.1
    if not adadelta and result.case.group not in ("ops", "autograd"):  # where zeros and ones are the point
        weak = [row for row in result.comparison.rows if row.warnings and not _is_begun_by_a_seed(result.case, row)]
        assert [row.warnings for row in weak] == []


def _assert_precise(result):
    if result.case.dtype == "float64":
        bound = 1e-10 if result.case.group == "optimizers" else 1e-12  # after 100 steps
        bound = 1e-8 if "zero-gradient" in result.case.subject else bound  # which Adam divides by eps
        assert all(row.relative <= bound for row in result.comparison.rows if row.relative is not None)


def _is_begun_by_a_seed(case, row):
    """Nothing is loaded into two workers' networks: a BatchNorm begins with ones and zeros, and ends with others."""
    return case.subject.startswith("train-distributed-") and row.name.startswith("param:bn")


def _assert_golden_is_live(case, live):
    """The two sources of truth agree: same names, same values, same verdict on PyTorch's own error."""
    golden = oracle.from_golden(case)
    truth = live.truth.without(golden.left_out)
    assert list(golden.truth) == list(truth)
    found = compare(golden.truth, truth, case=case.id, dtype="float64")
    assert [f"{row.name}: {row.problem}" for row in found.failures] == []
    assert list(golden.own) == [name for name in live.own if name in truth]
    # Rounding differs between machines and thread counts, and a fingerprint's RMS is an estimate; not by 3 times. But
    # whether it decides a relu, and moves a deep network's gradients, is luck.
    for name, error in golden.own.items():
        lucky = case.samples > 1 and (step_of(name) or kind_of(name) in ("gradient", "loss"))
        if error.scale and truth[name].size >= 64 and not lucky:
            assert live.own[name].rms / 3 <= error.rms <= live.own[name].rms * 3, name
