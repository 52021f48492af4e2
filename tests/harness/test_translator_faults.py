"""Mistakes planted in the translator's rules: the proof catches each, and says where it begins."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from parity.cli import app

pytestmark = [pytest.mark.covers("H8"), pytest.mark.torch]

torch = pytest.importorskip("torch", reason="needs PyTorch: pip install 'keras-blitz[torch]'")

from parity.faults.fault import fault  # noqa: E402
from parity.faults.translator import catalogue, run  # noqa: E402
from parity.faults.translator.mistake import REFUSED, at, passing_on, refused  # noqa: E402
from parity.translate import registry  # noqa: E402

BY_ID = {mistake.id: mistake for mistake in catalogue.MISTAKES}
QUICK = ("translate-bias-lost", "translate-detach-lost", "translate-alpha-lost")


def idle(rule, builder, *args, **kwargs):
    """Change nothing."""
    return rule(builder, *args, **kwargs)


def raising(*_, **__):
    """Be a mistake that proves nothing."""
    return 1 / 0


def plant(*places):
    """Return the findings of a mistake in these places."""
    return run.outcome(fault("translate-any", "what", "source", *places)).findings


def test_there_are_thirty_mistakes_each_in_two_places_or_more():
    assert len(catalogue.MISTAKES) >= 30
    assert len(BY_ID) == len(catalogue.MISTAKES)
    assert all(mistake.id.startswith("translate-") for mistake in catalogue.MISTAKES)
    assert [mistake.id for mistake in catalogue.MISTAKES if len(mistake.places) < 2] == []
    assert {place.case for mistake in catalogue.MISTAKES for place in mistake.places} <= set(run.NETS)
    assert [m.id for m in catalogue.MISTAKES for p in m.places if p.seen == REFUSED and not p.says] == []


def test_readme_counts_them():
    places = sum(len(mistake.places) for mistake in catalogue.MISTAKES)
    readme = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
    assert f"{len(catalogue.MISTAKES)} more are planted in the rules" in readme
    assert f"`translate-*`, {places} places" in readme
    assert f"on the {len(run.NETS)} networks" in readme


def test_every_mistake_is_in_a_rule_that_its_network_uses():
    registry.load()
    for mistake in catalogue.MISTAKES:
        for place in mistake.places:
            assert place.rule in registry.MODULES.keys() | registry.FUNCTIONS.keys(), mistake.id


@pytest.mark.parametrize("name", QUICK)
def test_mistake_is_caught_and_located(name):
    check(name)


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(BY_ID.keys() - set(QUICK)))
def test_every_mistake_is_caught_and_located(name):
    check(name)


def check(name):
    findings = run.outcome(BY_ID[name]).findings
    assert [(f.place.case, f.place.seen, f.seen, f.error or f.problem) for f in findings if not f.located] == []


@pytest.mark.parametrize("net", [pytest.param(n, marks=() if n == "gates" else pytest.mark.slow) for n in run.NETS])
def test_right_rules_are_proven(net):
    assert run.check_pair(net).problem == ""


def test_what_changes_nothing_raises_or_is_seen_elsewhere_is_not_located():
    same, crash, elsewhere, other = plant(
        at("gates", "output:0", "sub", idle),
        at("gates", "output:0", "sub", raising),
        at("gates", "activation:left", "clamp", passing_on),
        refused("gates", "tail", "clamp", passing_on),
    )
    assert (same.caught, same.seen) == (False, "")
    assert not crash.caught
    assert "ZeroDivisionError" in crash.error
    assert elsewhere.caught
    assert not elsewhere.located
    assert not other.caught


def test_a_planted_mistake_is_taken_out_again():
    registry.load()
    before = dict(registry.MODULES), dict(registry.FUNCTIONS)
    for mistake in catalogue.MISTAKES:
        for place in mistake.places:
            with pytest.raises(KeyError), place.planted():
                raise KeyError
    assert before == (registry.MODULES, registry.FUNCTIONS)


@pytest.mark.slow
def test_the_command_counts_them(tmp_path, monkeypatch):
    right = fault("translate-clamp", "w", "s", *[at("gates", "activation:tail", "clamp", passing_on)] * 2)
    wrong = fault("translate-idle", "w", "s", *[at("gates", "activation:tail", "clamp", idle)] * 2)
    monkeypatch.setattr(catalogue, "MISTAKES", (right, wrong))
    monkeypatch.setattr("parity.faults.catalogue.FAULTS", ())
    path, page = tmp_path / "faults.json", tmp_path / "faults.html"
    done = CliRunner().invoke(app, ["faults", "translate-clamp", "--json", str(path)])
    assert done.exit_code == 0, done.output
    assert "planted in the rules of parity translate: 1 mistake in 2 places: 1 caught, 1 located" in done.output
    assert "0 false alarms on 1 right network;" in done.output
    assert json.loads(path.read_text())["translator"]["summary"]["caught"] == 1
    done = CliRunner().invoke(app, ["faults", "translate-*", "--html", str(page)])
    assert done.exit_code == 1
    assert "translate-idle, gates: expected at activation:tail, seen at none: no difference" in done.output
    assert "translate-idle" in page.read_text(encoding="utf-8")
