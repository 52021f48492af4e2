"""Every case, live where PyTorch is installed and against its golden trace: what `parity run` runs."""

from dataclasses import replace

import numpy as np
import pytest

from parity import oracle
from parity.cases import all_cases, select
from parity.cases.training import missing
from parity.difference import measure
from parity.run import run
from parity.trace import ABSENT, KINDS, kind_of, step_of

CASES = select([])
# The goldens are the same in every mode, and so they need but one; the optimizers' are live in the plain run already.
ONE_MODE = list({(c.subject, c.dtype): c for c in reversed(CASES) if c.group != "optimizers"}.values())[::-1]
SLOW = [case for case in all_cases() if case.slow]
SLOW_BY_SUBJECT = {s: [case for case in SLOW if case.subject == s] for s in dict.fromkeys(c.subject for c in SLOW)}
SUBJECTS = {case.subject: case for case in CASES}


@pytest.fixture(scope="module")
def golden_results():
    return {result.case.id: result for result in run(ONE_MODE, live=False)}


@pytest.fixture(scope="module")
def live_run():
    """Return the results by id, and PyTorch's side by subject."""
    results, references = {}, {}
    for result in run(CASES, live=True, keep_traces=True):
        references.setdefault(result.case.subject, result.reference)
        results[result.case.id] = replace(result, reference=None, port=None)
    return results, references


@pytest.fixture(scope="module")
def live_results(live_run):
    return live_run[0]


def assert_passed(result):
    assert result.error == ""
    assert [f"{row.name}: {row.problem}" for row in result.comparison.failures] == []
    assert result.passed
    adadelta = result.case.group == "optimizers" and result.case.dtype == "float32"  # its first steps are all √eps/√0.1
    if not adadelta and result.case.group not in ("ops", "autograd"):  # where zeros and ones are what is to be shown
        assert [row.warnings for row in result.comparison.rows if row.warnings] == []


@pytest.mark.parametrize("case", ONE_MODE, ids=lambda case: case.id)
def test_golden(case, golden_results):
    assert_passed(golden_results[case.id])


@pytest.mark.torch
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_live(case, live_results):
    result = live_results[case.id]
    assert_passed(result)
    if case.dtype == "float64":
        bound = 1e-10 if case.group == "optimizers" else 1e-12  # after 100 steps
        bound = 1e-8 if "zero-gradient" in case.subject else bound  # which Adam divides by eps
        assert all(row.relative <= bound for row in result.comparison.rows if row.relative is not None)


@pytest.mark.torch
def test_the_live_run_compares_over_a_thousand_tensors_of_every_kind(live_results):
    rows = [row for result in live_results.values() for row in result.comparison.rows]
    assert len(rows) > 1000
    assert {row.kind for row in rows} == set(KINDS.values()) - {"fed"}


@pytest.mark.slow
@pytest.mark.torch
@pytest.mark.parametrize("subject", SLOW_BY_SUBJECT)
def test_slow(subject):
    """By subject, so that PyTorch runs once for all dtypes and modes, and for the golden trace."""
    cases = SLOW_BY_SUBJECT[subject]
    if reason := missing(cases[0]):
        pytest.skip(reason)
    for case, result in zip(cases, run(cases, live=True, keep_traces=True), strict=True):
        assert_passed(result)
        if case is cases[0]:
            assert_golden_is_live(case, result.reference)


def test_networks_are_covered_in_both_dtypes_and_all_modes():
    found = {(covered, case.dtype, case.mode) for case in CASES for covered in case.covers}
    expected = {(f"N{n}", dtype, mode) for n in (1, 2, 3, 4, 5) for dtype in ("float64", "float32")
                for mode in ("eager", "graph", "xla")}  # fmt: skip
    assert expected <= found


@pytest.mark.torch
@pytest.mark.parametrize("subject", SUBJECTS)
def test_golden_trace_is_what_pytorch_does_today(subject, live_run):
    assert_golden_is_live(SUBJECTS[subject], live_run[1][subject])


def assert_golden_is_live(case, live):
    """The two sources of truth agree: same names, same values, same verdict on PyTorch's own error."""
    golden = oracle.from_golden(case)
    truth = live.truth.without(golden.left_out)
    assert list(golden.truth) == list(truth)
    for name, value in golden.truth.items():
        if value is ABSENT or np.dtype(value.dtype).kind not in "fiu":
            assert np.array_equal(value, truth[name]), name
        else:
            assert measure(value, truth[name]).relative <= 1e-12, name
    assert list(golden.own) == [name for name in live.own if name in truth]
    # Rounding differs between machines and thread counts, and a fingerprint's RMS is an estimate; not by 3 times. But
    # whether it decides a relu, and moves a deep network's gradients, is luck.
    for name, error in golden.own.items():
        lucky = case.samples > 1 and (step_of(name) or kind_of(name) in ("gradient", "loss"))
        if error.scale and truth[name].size >= 64 and not lucky:
            assert live.own[name].rms / 3 <= error.rms <= live.own[name].rms * 3, name


def test_goldens_are_small():
    from parity.golden import FOLDER

    assert sum(path.stat().st_size for path in FOLDER.glob("*.npz")) < 15_000_000
    assert {path.stem for path in FOLDER.glob("*.npz")} == {case.subject for case in all_cases()}


def test_ids_are_unique():
    ids = [case.id for case in all_cases()]
    assert len(ids) == len(set(ids))
