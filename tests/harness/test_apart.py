"""Cases in processes of their own, one after the other and side by side."""

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from keras_blitz.errors import BlitzError
from parity.cli import app
from parity.core import tolerance
from parity.suite import apart
from parity.suite import run as running
from parity.suite.run import processes, rows, run
from parity.suite.select import select


def pid(case):
    return case, os.getpid()


def die_at_two(case):
    if case == 2:
        os._exit(3)
    return case


def die(*_):
    os._exit(3)


def refuse(case):
    raise BlitzError(f"{case} is refused")


def meet(case, folder):
    """Return once the other case has begun, too."""
    (Path(folder) / case).touch()
    ends = time.monotonic() + 60
    while len(list(Path(folder).iterdir())) < 2:
        assert time.monotonic() < ends
        time.sleep(0.01)
    return os.getpid()


def test_a_group_runs_in_one_other_process():
    results = list(apart.each(pid, [["a", "b"]]))
    assert [case for case, _ in results] == ["a", "b"]
    assert [case for _, (case, _) in results] == ["a", "b"]
    assert len({number for _, (_, number) in results}) == 1
    assert results[0][1][1] != os.getpid()


def test_groups_run_side_by_side(tmp_path):
    results = dict(apart.each(meet, [["a"], ["b"]], str(tmp_path), jobs=2))
    assert set(results) == {"a", "b"}
    assert len({*results.values(), os.getpid()}) == 3


def test_a_process_takes_one_group_after_the_other_in_their_order():
    begun = []
    results = list(apart.each(pid, [["a", "b"], [], ["c"]], started=begun.append))
    assert begun == [case for case, _ in results] == ["a", "b", "c"]
    assert len({number for _, (_, number) in results}) == 1


@pytest.mark.parametrize("jobs", [1, 2])
def test_a_crash_takes_no_other_case_along(jobs):
    results = list(apart.each(die_at_two, [[1, 2, 3], [4]], jobs=jobs))
    assert sorted(results) == [(1, 1), (2, None), (3, 3), (4, 4)]


def test_a_user_error_ends_all_with_its_own_words():
    with pytest.raises(BlitzError, match=r"^a is refused$"):
        list(apart.each(refuse, [["a"], ["b"]]))


def test_a_run_that_is_given_up_leaves_no_process():
    given_up = apart.each(pid, [["a", "b"], ["c", "d"]], jobs=2)
    numbers = {next(given_up)[1][1], next(given_up)[1][1]}
    given_up.close()
    for number in numbers:
        with pytest.raises(ProcessLookupError):
            os.kill(number, 0)


def fresh(program):
    """Run a program in a new Python, where no process has been started before."""
    start = "import os, signal, time\nfrom parity.suite import apart\n"
    return subprocess.run([sys.executable, "-c", start + program], capture_output=True, text=True, timeout=60)


def test_no_process_sees_an_interrupt_not_even_the_first():
    groups = "[[signal.SIG_BLOCK], [signal.SIG_BLOCK]]"
    done = fresh(f"print([r for _, r in apart.each(signal.pthread_sigmask, {groups}, [], jobs=2)])")
    assert done.stdout.count("SIGINT") == 2, done


def test_a_run_that_is_killed_leaves_processes_that_end_in_silence():
    done = fresh("list(apart.each(time.sleep, [[0.3]], started=lambda case: os.kill(os.getpid(), signal.SIGKILL)))")
    assert (done.returncode, done.stderr) == (-signal.SIGKILL, "")


def test_a_file_in_the_working_directory_is_not_taken_for_pythons(monkeypatch, tmp_path):
    (tmp_path / "select.py").write_text("raise SystemExit('not this one')")
    monkeypatch.chdir(tmp_path)
    (result,) = apart.each(pid, [["a"]])
    assert result[1] is not None
    assert "PYTHONSAFEPATH" not in os.environ


def test_cases_that_share_a_compiled_step_or_a_golden_stay_together():
    cases = select([], slow=True)
    light = [case for case in cases if not case.heavy]
    assert sorted(case.id for group in rows(cases) for case in group) == sorted(case.id for case in light)
    for key in (lambda case: case.subject, lambda case: case.row_or_subject):
        homes = {}
        for number, group in enumerate(rows(cases)):
            for case in group:
                homes.setdefault(key(case), set()).add(number)
        assert {len(numbers) for numbers in homes.values()} == {1}
    (lenet,) = [group for group in rows(cases) if group[0].subject == "lenet"]
    assert {case.subject for case in lenet} == {"lenet", "lenet-sample"}


def test_few_cases_are_not_worth_a_process(monkeypatch):
    monkeypatch.setattr(running.os, "sched_getaffinity", lambda _: range(64), raising=False)
    cases = select([])
    assert [processes(cases[:count]) for count in (1, 30)] == [1, 1]
    assert processes(cases) == running.MOST_PROCESSES
    assert processes(cases, 6) == 6
    assert processes(select(["lenet"]), 2) == 1  # all of them share what they compile


def invoke(*arguments):
    return CliRunner().invoke(app, list(map(str, arguments)))


def without_seconds(tree):
    if isinstance(tree, dict):
        return {key: without_seconds(value) for key, value in tree.items() if key != "seconds"}
    return [without_seconds(value) for value in tree] if isinstance(tree, list) else tree


def test_side_by_side_is_the_same_report(tmp_path):
    documents = []
    for jobs in (1, 2):
        folder = tmp_path / str(jobs)
        done = invoke("run", "mnist1", "mnist0", "random-order-0", "--golden", "--mode", "eager", "--jobs", jobs,
                      "--json", folder.with_suffix(".json"), "--traces", folder)  # fmt: skip
        assert done.exit_code == 0, done.output
        assert ("in one of 2 processes" in done.output) == (jobs == 2)
        documents.append(without_seconds(json.loads(folder.with_suffix(".json").read_text())))
    assert documents[0] == documents[1]
    assert len(documents[0]["cases"]) == 9
    for path in (tmp_path / "1").iterdir():
        assert path.read_bytes() == (tmp_path / "2" / path.name).read_bytes()


def test_a_case_that_kills_its_process_fails_alone():
    killer, other = select(["mnist0-float64-eager", "mnist1-float64-eager"])
    results = {r.case.subject: r for r in run([replace(killer, record_port=die), other], live=False, jobs=2)}
    assert results["mnist0"].error == "the process that ran it died; is there memory enough?"
    assert not results["mnist0"].passed
    assert results["mnist1"].passed


def test_fail_fast_side_by_side_stops_at_the_failure(monkeypatch):
    def broken(*arguments, **options):
        for result in run(*arguments, **options):
            yield replace(result, error="it is broken")

    monkeypatch.setattr("parity.session.run", broken)
    done = invoke("run", "mnist0", "mnist1", "--golden", "--mode", "eager", "--jobs", 2, "--fail-fast")
    assert done.exit_code == 1
    assert "0 of 1 cases passed" in done.output


def test_a_heavy_case_has_the_same_verdict_apart():
    (case,) = select(["lenet-float64-eager"])
    (here,), (there,) = (list(run([one], live=False)) for one in (case, replace(case, heavy=True)))
    assert there.passed
    assert [(row.name, row.size) for row in there.comparison.rows] == [(r.name, r.size) for r in here.comparison.rows]
    assert all((row.relative or 0) <= tolerance.FLOAT64[0].relative for row in there.comparison.rows)
