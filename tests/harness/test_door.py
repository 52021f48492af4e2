"""Mistakes handed to `parity.check`, the right pairs they are made in, and the judge of both."""

import json
from collections import Counter
from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
import pytest
from keras import layers
from typer.testing import CliRunner

from parity.cli import app
from parity.core.verdict import Verdict

pytestmark = pytest.mark.covers("H8")

torch = pytest.importorskip("torch", reason="needs PyTorch: pip install 'keras-blitz[torch]'")

from parity.faults.door import catalogue, handed, run  # noqa: E402
from parity.faults.door.mistake import REFUSED, UNDECIDED, at, undecided  # noqa: E402
from parity.faults.door.pairs import PAIRS  # noqa: E402
from parity.faults.door.pairs import handed as pair_of  # noqa: E402
from parity.faults.fault import fault  # noqa: E402

BY_ID = {mistake.id: mistake for mistake in catalogue.MISTAKES}
SLOW_PAIRS = ("resnet18",)
QUICK_PAIRS = ("mlp", "kept", "difference", "own-layer", "auxiliary")
QUICK = (  # a few of each kind, of those that take the least time
    "door-softmax-axis", "door-factor-set", "door-forgetful-model", "door-kernel-transposed", "door-wrong-map",
    "door-from-logits", "door-loss-weights", "door-rate-assigned", "door-accumulation", "door-constraint",
    "door-epsilon-set",
)  # fmt: skip


def idle(given):
    """Change nothing."""
    return given


def hand_over(*places):
    """Return the findings of a mistake made in these places."""
    return run.outcome(fault("door-any", "what", "source", *places)).findings


def check_all(outcome):
    wrong = [(f.place.case, f.place.seen, f.seen, f.error or f.problem) for f in outcome.findings if not f.located]
    assert wrong == [], wrong


def test_the_door_has_sixty_mistakes_in_two_places_or_more():
    assert len(catalogue.MISTAKES) >= 60
    assert len(BY_ID) == len(catalogue.MISTAKES)
    assert all(mistake.id.startswith("door-") for mistake in catalogue.MISTAKES)
    assert [mistake.id for mistake in catalogue.MISTAKES if len(mistake.places) < 2] == []
    assert [mistake.id for mistake in catalogue.MISTAKES if not (mistake.what and mistake.source)] == []
    assert {place.case for mistake in catalogue.MISTAKES for place in mistake.places} <= set(PAIRS)


def test_a_source_that_is_a_gap_names_one():
    known = (Path(__file__).parent / "gap_ids.txt").read_text(encoding="utf-8").split()
    gaps = [m.source.removeprefix("gap ") for m in catalogue.MISTAKES if m.source.startswith("gap ")]
    assert [gap for gap in gaps if gap not in known] == []


def test_an_expectation_names_the_quantity():
    """A pattern may leave open which parameter, where all are moved alike, and the step of a running average."""
    for mistake in catalogue.MISTAKES:
        for place in mistake.places:
            assert place.seen.count("*") <= (2 if place.seen.startswith("step*:param:") else 1), mistake.id
            assert not place.seen.startswith("*"), mistake.id
            assert place.says or place.seen not in (UNDECIDED, REFUSED), mistake.id


def test_there_are_right_pairs_of_each_kind():
    assert len(PAIRS) - len(SLOW_PAIRS) >= 25
    made = {name: pair_of(name) for name in PAIRS if name not in SLOW_PAIRS}
    kinds = Counter(type(given.model).__name__ for given in made.values())
    assert {"Functional", "Sequential"} < set(kinds), "and subclassed models"
    assert sum(count for kind, count in kinds.items() if kind not in ("Functional", "Sequential")) >= 2
    assert any(given.model.compiled for given in made.values())
    assert any(isinstance(layer, keras.Model) for given in made.values() for layer in given.model.layers)
    assert any(given.options.get("train") for given in made.values())


@pytest.mark.parametrize("name", QUICK_PAIRS)
def test_right_pair_is_no_false_alarm(name):
    assert run.check_pair(name).problem == ""


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(PAIRS.keys() - set(QUICK_PAIRS)))
def test_no_right_pair_is_a_false_alarm(name):
    assert run.check_pair(name).problem == ""


@pytest.mark.parametrize("name", QUICK)
def test_mistake_is_caught_and_located(name):
    check_all(run.outcome(BY_ID[name]))


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(BY_ID.keys() - set(QUICK)))
def test_every_mistake_is_caught(name):
    outcome = run.outcome(BY_ID[name])
    assert [(f.place.case, f.seen, f.error) for f in outcome.findings if not f.caught] == []


def test_a_mistake_that_changes_nothing_is_not_caught():
    (finding,) = hand_over(at("mlp", "output", idle))
    assert (finding.caught, finding.located, finding.seen) == (False, False, "")
    (finding,) = hand_over(undecided("mlp", "anything", idle))
    assert not finding.caught


def test_a_mistake_seen_elsewhere_is_caught_and_not_located():
    change = handed.configured("bn", epsilon=1e-3)
    elsewhere, otherwise = hand_over(
        at("conv-bn", "activation:0", change), at("conv-bn", "activation:1", change, "who")
    )
    assert elsewhere.caught
    assert otherwise.caught
    assert not elsewhere.located
    assert not otherwise.located


def test_a_mistake_that_cannot_be_made_or_is_refused_is_not_caught():
    missing, refused = hand_over(
        at("mlp", "output", handed.attribute("no_such", epsilon=1)),
        at("mlp", "output", handed.argument(weights="guess")),
    )
    assert not missing.caught
    assert "has no layer 'no_such' to plant a mistake in" in missing.error
    assert not refused.caught
    assert "weights must be" in refused.error


def test_what_crashes_is_neither_caught_nor_right(monkeypatch):
    monkeypatch.setattr("parity.check", lambda *_, **__: 1 / 0, raising=False)
    (finding,) = hand_over(at("mlp", "output", idle))
    assert not finding.caught
    assert "ZeroDivisionError" in finding.error
    assert "crashed: ZeroDivisionError" in run.check_pair("mlp").problem


@pytest.mark.parametrize("verdict", list(Verdict))
def test_a_false_alarm_is_any_verdict_but_equivalent(monkeypatch, verdict):
    report = type("Report", (), {"verdict": verdict, "undecided": (), "location": None, "comparisons": {}})()
    monkeypatch.setattr("parity.check", lambda *_, **__: report, raising=False)
    assert run.check_pair("mlp").passed is (verdict is Verdict.EQUIVALENT)


def test_a_rebuilt_model_differs_in_one_layer_and_keeps_its_weights():
    given = pair_of("conv-kept")
    wrong = handed.configured("bn", epsilon=1e-3)(given).model
    assert [layer.name for layer in wrong.layers] == [layer.name for layer in given.model.layers]
    assert (wrong.get_layer("bn").epsilon, given.model.get_layer("bn").epsilon) == (1e-3, 1e-5)
    assert all(map(np.array_equal, wrong.get_weights(), given.model.get_weights()))
    assert handed.dropped("tanh")(given).model.get_layer("bn") is not given.model.get_layer("bn")


def test_a_pair_is_the_same_each_time():
    one, other = pair_of("lenet"), pair_of("lenet")
    assert one.model is not other.model
    assert all(map(np.array_equal, one.model.get_weights(), other.model.get_weights()))
    for a, b in zip(one.module.parameters(), other.module.parameters(), strict=True):
        assert torch.equal(a, b)


def test_the_command_counts_catches_locations_and_false_alarms(tmp_path, monkeypatch):
    wrong = fault("door-idle", "nothing", "here", at("mlp-forward", "output", idle), at("kept", "output", idle))
    right = fault(
        "door-doubled", "a factor", "here",
        *[at(name, "output", handed.appended(lambda: layers.Rescaling(2.0))) for name in ("mlp-forward", "kept")],
    )  # fmt: skip
    monkeypatch.setattr(catalogue, "MISTAKES", (right, wrong))
    monkeypatch.setattr("parity.faults.catalogue.FAULTS", ())
    paths = tmp_path / "faults.json", tmp_path / "faults.html"
    done = CliRunner().invoke(app, ["faults", "door-doubled", "--json", str(paths[0]), "--html", str(paths[1])])
    assert done.exit_code == 0, done.output
    assert "1 mistake in 2 places: 1 caught, 1 located" in done.output
    assert "0 false alarms on 2 right pairs, eager and graph" in done.output
    written = json.loads(paths[0].read_text())
    assert written["summary"]["passed"]
    assert (written["door"]["summary"]["caught"], written["door"]["summary"]["false_alarms"]) == (1, 0)
    assert [pair["id"] for pair in written["door"]["pairs"]] == ["mlp-forward", "kept"]
    assert "door-doubled" in paths[1].read_text(encoding="utf-8")
    alarm = replace(run.check_pair("kept"), problem="output: differs")
    monkeypatch.setattr(run, "check_pair", lambda _: alarm)
    done = CliRunner().invoke(app, ["faults", "door-*", "--json", str(paths[0]), "--html", str(paths[1])])
    assert done.exit_code == 1
    assert "door-idle, mlp-forward: expected at output, seen at none: no difference" in done.output
    assert "false alarm: kept, output: differs" in done.output
    assert "2 mistakes in 4 places: 1 caught, 1 located" in done.output
    assert "2 false alarms on 2 right pairs" in done.output
    assert not json.loads(paths[0].read_text())["summary"]["passed"]
    assert "false alarm: <code>kept</code>" in paths[1].read_text(encoding="utf-8")


def test_without_pytorch_the_command_says_that_the_door_is_left_out(monkeypatch):
    monkeypatch.setattr("parity.planting.torch_installed", lambda: False)
    done = CliRunner().invoke(app, ["faults", "relu-dropped"])
    assert done.exit_code == 0, done.output
    assert "no mistakes were handed to parity.check, which runs PyTorch" in done.output
