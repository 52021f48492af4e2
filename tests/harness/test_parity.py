"""Every subject in one precision and mode, live where PyTorch is installed and against its golden trace.

The other precisions and modes are left to `parity run` and `parity run --golden`, which `.ci/run` calls afterwards.
"""

from dataclasses import replace

import pytest
from subjects import DEEP

from parity.core.compare import compare
from parity.core.trace import KINDS
from parity.record.frameworks import torch_installed
from parity.suite import oracle
from parity.suite.run import run
from parity.suite.select import all_cases, select

CASES = select([])
# The first of each, in float64 where it has that. Two workers start processes of their own: `parity run` has them.
LEFT_OUT = ("train-distributed-", *DEEP)
SUBJECTS = {case.subject: case for case in reversed(CASES) if not case.subject.startswith(LEFT_OUT)}
ONE_OF_EACH = list(SUBJECTS.values())[::-1]


@pytest.fixture(scope="module")
def golden_results(request):
    """Return the results by id: of the traces that the live run has recorded, without PyTorch of others."""
    if not torch_installed():
        return {result.case.id: result for result in run(ONE_OF_EACH, live=False)}
    return request.getfixturevalue("live_run")[2]


@pytest.fixture(scope="module")
def live_run():
    """Return the results by id, PyTorch's side by subject, and the results of the same traces beside the goldens."""
    results, references, golden_results = {}, {}, {}
    for result in run(ONE_OF_EACH, live=True, keep_traces=True):
        case = result.case
        references[case.subject] = result.reference
        results[case.id] = replace(result, reference=None, port=None)
        golden_results[case.id] = replace(results[case.id], comparison=beside_golden(case, result.port))
    return results, references, golden_results


def beside_golden(case, port):
    golden = oracle.from_golden(case)
    return compare(golden.truth, port.without(golden.left_out), case=case.id, dtype=case.dtype, own=golden.own)


@pytest.fixture(scope="module")
def live_results(live_run):
    return live_run[0]


@pytest.mark.covers("H10")
@pytest.mark.parametrize("case", ONE_OF_EACH, ids=lambda case: case.id)
def test_golden(case, golden_results, assert_passed):
    assert_passed(golden_results[case.id])


@pytest.mark.torch
@pytest.mark.parametrize("case", ONE_OF_EACH, ids=lambda case: case.id)
def test_live(case, live_results, assert_passed, assert_precise):
    assert_passed(live_results[case.id])
    assert_precise(live_results[case.id])


@pytest.mark.covers("H1")
@pytest.mark.torch
def test_the_live_run_compares_over_a_thousand_tensors_of_every_kind(live_results):
    rows = [row for result in live_results.values() for row in result.comparison.rows]
    assert len(rows) > 1000
    assert {row.kind for row in rows} == set(KINDS.values()) - {"fed"}


def test_networks_are_covered_in_both_dtypes_and_all_modes():
    found = {(covered, case.dtype, case.mode) for case in CASES for covered in case.covers}
    expected = {(f"N{n}", dtype, mode) for n in (1, 2, 3, 4, 5) for dtype in ("float64", "float32")
                for mode in ("eager", "graph", "xla")}  # fmt: skip
    assert expected <= found


@pytest.mark.covers("H10")
@pytest.mark.torch
@pytest.mark.parametrize("subject", SUBJECTS)
def test_golden_trace_is_what_pytorch_does_today(subject, live_run, assert_golden_is_live):
    assert_golden_is_live(SUBJECTS[subject], live_run[1][subject])


def test_goldens_are_small():
    from parity.suite.golden import FOLDER

    assert sum(path.stat().st_size for path in FOLDER.glob("*.npz")) < 15_000_000
    assert {path.stem for path in FOLDER.glob("*.npz")} == {case.subject for case in all_cases()}


def test_ids_are_unique():
    ids = [case.id for case in all_cases()]
    assert len(ids) == len(set(ids))
