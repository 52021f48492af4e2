"""Cases in a process of their own."""

import os

import pytest

from parity.core import tolerance
from parity.suite import apart
from parity.suite.run import run
from parity.suite.select import select


def pid(case):
    return case, os.getpid()


def die_at_two(case):
    if case == 2:
        os._exit(3)
    return case


def test_all_run_in_one_other_process():
    results = list(apart.each(pid, ["a", "b"]))
    assert [case for case, _ in results] == ["a", "b"]
    assert len({number for _, number in results}) == 1
    assert results[0][1] != os.getpid()


def test_what_a_crash_leaves_is_none_and_what_was_done_is_kept():
    assert list(apart.each(die_at_two, [1, 2, 3])) == [1, None, None]


def test_a_run_that_is_given_up_leaves_no_process():
    running = apart.each(pid, ["a", "b"])
    _, number = next(running)
    running.close()
    with pytest.raises(ProcessLookupError):
        os.kill(number, 0)


def test_a_heavy_case_has_the_same_verdict_apart():
    from dataclasses import replace

    (case,) = select(["lenet-float64-eager"])
    (here,), (there,) = (list(run([one], live=False)) for one in (case, replace(case, heavy=True)))
    assert there.passed
    assert [(row.name, row.size) for row in there.comparison.rows] == [(r.name, r.size) for r in here.comparison.rows]
    assert all((row.relative or 0) <= tolerance.FLOAT64[0].relative for row in there.comparison.rows)
