"""The catalogue of mistakes, `parity faults`, and four published decision rules that would let such mistakes pass."""

import json
import re
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from keras_blitz import data, losses, optim
from keras_blitz.errors import BlitzError
from keras_blitz.layers import BatchNorm
from keras_blitz.optim.base import Optimizer
from parity.cli import app
from parity.core.compare import compare
from parity.core.trace import Trace
from parity.faults import catalogue
from parity.faults.fault import eager, fault, survivor
from parity.faults.plant import in_layer, planted
from parity.faults.run import cases_of, outcome
from parity.record import keras_recorder
from parity.record.keras_recorder import KerasRecorder
from parity.suite import networks
from parity.suite.run import run
from parity.suite.select import all_cases, select

pytestmark = pytest.mark.covers("H8")

BY_ID = {fault.id: fault for fault in catalogue.FAULTS}
MISTAKES = [fault for fault in catalogue.FAULTS if not fault.survives]

# A few of each kind, of those that take the least time.
QUICK = (
    "flatten-order", "parameter-dropped", "padding-on-one-side", "maxpool-zero-padding", "dropout-left-on", "bn-frozen",
    "bn-biased-variance", "sum-for-mean", "log-of-sigmoid", "gradient-sign", "branch-detached", "eps-hat",
    "groups-lost", "cosine-clamped", "batch-rolled", "gradients-accumulated", "layer-in-float32", "not-reshuffled",
    "relu-behind-the-pool",
)  # fmt: skip


def nothing(plant):
    """No mistake at all."""


def only(monkeypatch, *faults):
    monkeypatch.setattr(catalogue, "FAULTS", faults)
    if find_spec("torch"):
        for where in ("door", "translator"):
            monkeypatch.setattr(f"parity.faults.{where}.catalogue.MISTAKES", ())
    return CliRunner().invoke(app, ["faults"])


def found(name: str):
    return outcome(BY_ID[name], {case.id: case for case in cases_of([BY_ID[name]])})


def test_catalogue_has_eighty_mistakes_each_in_two_places():
    assert len(MISTAKES) >= 80
    assert len(BY_ID) == len(catalogue.FAULTS)
    assert [fault.id for fault in catalogue.FAULTS if len(fault.places) < 2] == []
    assert [fault.id for fault in catalogue.FAULTS if len({(p.case, p.seen, p.plant) for p in fault.places}) < 2] == []


def test_every_place_is_a_case_and_every_mistake_has_a_source():
    # A heavy case runs in a process of its own, which a mistake planted here would not reach.
    known = {case.id for case in all_cases() if not case.heavy}
    assert [place.case for fault in catalogue.FAULTS for place in fault.places if place.case not in known] == []
    assert [fault.id for fault in MISTAKES if not (fault.what and fault.source)] == []


def test_readme_and_changelog_count_them():
    places = sum(len(fault.places) for fault in MISTAKES)
    root = Path(__file__).parents[2]
    readme, changelog = ((root / name).read_text(encoding="utf-8") for name in ("README.md", "CHANGELOG.md"))
    assert f"{len(MISTAKES)} mistakes in {places} places" in readme
    assert f"{len(MISTAKES)} mistakes people make" in readme
    assert f"{len(MISTAKES)} mistakes people make" in changelog
    evidence = (root / "docs" / "evidence.md").read_text(encoding="utf-8")
    count, survivors = len(MISTAKES), len(catalogue.FAULTS) - len(MISTAKES)
    assert (
        f"\n{count} mistakes in {places} places: {count} caught, {count} located; {survivors} survivors\n" in evidence
    )
    rows = re.findall(r"^([\w-]+) +(\d+) +(\d+) +(\d+)  \S+  in (\S+)$", evidence, flags=re.M)
    assert len(rows) == 5
    for name, *counts, case in rows:
        known = BY_ID[name].places
        assert (counts, case) == ([str(len(known))] * 3, known[0].case), name


def test_expectations_name_a_tensor():
    """A pattern may leave open which parameter, where all are moved alike, never the quantity."""
    for mistake in MISTAKES:
        for place in mistake.places:
            assert place.seen.count("*") <= (2 if place.seen.startswith("step*:param:") else 1), mistake.id
            assert not place.seen.startswith("*"), mistake.id


@pytest.mark.parametrize("name", QUICK)
def test_mistake_is_caught_and_located(name):
    check(found(name))


# Each starts two workers several times; `parity faults` plants them all.
OF_WORKERS = {"buffers-of-rank-0", "order-not-padded", "gradients-summed", "divisor-per-replica", "seed-shared"}


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=pytest.mark.long if name in OF_WORKERS else pytest.mark.slow)
        for name in sorted(BY_ID.keys() - set(QUICK))
    ],
)
def test_every_mistake_is_caught_and_located(name):
    check(found(name))


def check(result):
    assert [finding.error for finding in result.findings if finding.error] == []
    if result.fault.survives:
        assert result.survived
    else:
        assert [(f.place.seen, f.seen, f.problem) for f in result.findings if not f.located] == []


def test_command_prints_and_writes_what_it_found(tmp_path):
    path = tmp_path / "faults.json"
    done = CliRunner().invoke(app, ["faults", "relu-dropped", "relu-twice", "--json", str(path)])
    assert done.exit_code == 0, done.output
    assert "activation:conv2  in lenet-float64-eager" in done.output
    assert "relu-twice survives: a ReLU after a ReLU" in done.output
    assert "1 mistake in 3 places: 1 caught, 1 located; 1 survivor" in done.output
    assert "unmutated, 3 of 3 cases passed" in done.output
    written = json.loads(path.read_text())
    assert written["summary"]["passed"]
    assert (written["summary"]["mistakes"], written["summary"]["caught"], written["summary"]["located"]) == (1, 1, 1)
    assert written["mistakes"][0]["places"][0]["seen"] == "activation:conv2"
    assert written["survivors"][0]["argument"]


def test_a_mistake_that_does_nothing_is_not_caught(monkeypatch):
    done = only(monkeypatch, fault("idle", "nothing", "here", *[eager("mnist0", "output", nothing)] * 2))
    assert done.exit_code == 1
    assert "idle, mnist0-float64-eager: expected at output, seen at none: no difference" in done.output
    assert "0 caught, 0 located" in done.output


def test_a_mistake_seen_elsewhere_is_not_located(monkeypatch):
    plant = BY_ID["relu-dropped"].places[0].plant
    done = only(monkeypatch, fault("lost", "w", "s", *[eager("lenet", "activation:conv1", plant)] * 2))
    assert done.exit_code == 1
    assert "expected at activation:conv1, seen at activation:conv2" in done.output
    assert "1 caught, 0 located" in done.output


def test_a_mistake_that_raises_is_not_caught(monkeypatch):
    plant = in_layer("layer", call=lambda *_: 1 / 0)
    done = only(monkeypatch, fault("raises", "w", "s", *[eager("mnist0", "output", plant)] * 2))
    assert done.exit_code == 1
    assert "ZeroDivisionError" in done.output
    assert "0 caught" in done.output


def test_a_survivor_that_is_caught_fails(monkeypatch):
    plant = BY_ID["relu-dropped"].places[0].plant
    done = only(monkeypatch, survivor("argued", "w", "wrongly", *[eager("lenet", "", plant)] * 2))
    assert done.exit_code == 1
    assert "argued was to survive, and did not" in done.output


def test_a_port_that_fails_unmutated_is_not_planted_in(monkeypatch):
    monkeypatch.setattr(data, "to_tensor", lambda images: images.astype(np.float32) / np.float32(256))
    place = BY_ID["pixels-not-scaled"].places[0]
    done = only(monkeypatch, fault("any", "w", "s", place, place))
    assert done.exit_code == 1
    assert "the port fails before a mistake is planted" in done.output


@pytest.mark.parametrize(("done", "said"), [(0, "no report was written"), (1, "1 of 2 mistakes were planted")])
def test_interrupted_run_says_how_far_it_came(monkeypatch, done, said):
    planted = []

    def interrupted(*arguments):
        planted.append(arguments)
        if len(planted) > done:
            raise KeyboardInterrupt
        return outcome(*arguments)

    monkeypatch.setattr("parity.faults.run.outcome", interrupted)
    ended = only(monkeypatch, *(fault(name, "w", "s", *[eager("mnist0", "output", nothing)] * 2) for name in "ab"))
    assert ended.exit_code == 130
    assert said in ended.output


def test_unknown_mistake_is_one_line():
    done = CliRunner().invoke(app, ["faults", "no-such"])
    assert isinstance(done.exception, BlitzError)
    assert "no mistake 'no-such'" in str(done.exception)


@pytest.mark.parametrize("pattern", ["translate-*", "door-all-nan", "trans*"])
def test_mistakes_that_need_pytorch_say_so_without_it(monkeypatch, pattern):
    monkeypatch.setattr("parity.planting.torch_installed", lambda: False)
    done = CliRunner().invoke(app, ["faults", pattern])
    assert isinstance(done.exception, BlitzError)
    assert "run PyTorch: pip install 'keras-blitz[torch]'" in str(done.exception)
    unknown = CliRunner().invoke(app, ["faults", "no-such"])
    assert "no mistake 'no-such'" in str(unknown.exception)


def test_a_layer_that_is_not_there_is_an_error(monkeypatch):
    done = only(monkeypatch, fault("typo", "w", "s", *[eager("mnist0", "output", in_layer("conv9", eps=1))] * 2))
    assert done.exit_code == 1
    assert "has no layer 'conv9' to plant a mistake in" in done.output


PATCHED = (KerasRecorder, Optimizer, BatchNorm, optim, optim.Adam, optim.SGD, losses.MSELoss, data, networks,
           keras_recorder)  # fmt: skip


def test_planting_is_undone_whatever_happens():
    before = [dict(vars(target)) for target in PATCHED]
    for mistake in catalogue.FAULTS:
        for place in mistake.places:
            with pytest.raises(KeyError), planted(place.plant):
                raise KeyError
    assert [dict(vars(target)) for target in PATCHED] == before


def test_the_port_passes_behind_a_mistake():
    (case,) = select(["lenet-float64-eager"])
    with planted(BY_ID["relu-dropped"].places[0].plant):
        assert not next(run([case], live=False)).passed
    assert next(run([case], live=False)).passed


# Published checkers decide so; each lets the mistake beside it pass.


def means_agree(expected, actual):
    return abs(expected.mean() - actual.mean()) < 1e-12


def largest_difference_without_abs(expected, actual):
    return (actual - expected).max() < 1e-12


def nan_is_zero(expected, actual):
    either = np.isnan(expected) | np.isnan(actual)
    return np.allclose(np.where(either, 0, expected), np.where(either, 0, actual), rtol=0, atol=1e-12)


def any_order(expected, actual):
    return np.allclose(np.sort(expected, None), np.sort(actual, None), rtol=0, atol=1e-12)


RULES = (
    (means_agree, "activation-noise"),
    (largest_difference_without_abs, "activation-lowered"),
    (nan_is_zero, "nan-on-one-side"),
    (any_order, "activation-permuted"),
)


@pytest.mark.parametrize(("rule", "name"), RULES, ids=[rule.__name__ for rule, _ in RULES])
def test_published_rule_passes_what_ours_refuses(rule, name):
    place = BY_ID[name].places[-1]
    (right,) = run(select([place.case]), live=False, keep_traces=True)
    with planted(place.plant):
        (wrong,) = run(select([place.case]), live=False, keep_traces=True)
    expected, actual = right.port[place.seen], wrong.port[place.seen]
    assert not np.array_equal(expected, actual)
    assert rule(expected, actual)
    assert place.seen in [row.name for row in wrong.comparison.failures]
    truth = Trace([("output", expected)])
    assert not compare(truth, Trace([("output", actual)]), case=place.case, dtype="float64").passed
    assert compare(truth, truth, case=place.case, dtype="float64").passed
