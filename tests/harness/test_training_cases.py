"""The training cases can fail: a run that is slightly another one does, in both dtypes."""

from dataclasses import replace

import pytest

from keras_blitz.errors import BlitzError
from keras_blitz.training.recipes import RECIPES
from parity.cases.training import ROWS
from parity.core.compare import compare
from parity.suite import oracle
from parity.suite.select import select
from parity.suite.training import missing, record_port, without_missing

SHORT = next(row for row in ROWS if row.subject == "train-cifar10-sample-tape-30-seed0")
LONG = [row for row in ROWS if row.data == "sample" and row.loop == "tape" and row.steps == 250]

MISTAKES = {
    "lr": {"lr": 1.02},
    "momentum": {"momentum": 0.9},
    "no-shuffle": {"shuffle": False},
    "drawn-before": {"shows_batch": False},
    "normalize": {"normalize": (0.5, 0.51)},
}


def with_mistake(name: str, mistake: dict):
    recipe = RECIPES[name]
    scaled = {key: getattr(recipe, key) * by for key, by in mistake.items() if key in ("lr", "momentum")}
    return replace(recipe, **(mistake | scaled))


@pytest.mark.parametrize("mistake", MISTAKES)
def test_mistakes_are_caught(mistake):
    (case,) = select([f"{SHORT.subject}-float64-graph"])
    port = record_port(SHORT, "float64", recipe=with_mistake("cifar10", MISTAKES[mistake]))
    assert not compare(oracle.from_golden(case).truth, port, case=case.id, dtype="float64").passed


@pytest.mark.slow
@pytest.mark.parametrize("row", LONG, ids=lambda row: row.recipe)
def test_float32_catches_a_rate_that_is_two_percent_off(row):
    (case,) = select([f"{row.subject}-float32-graph"], slow=True)
    reference = oracle.from_golden(case)
    wrong = record_port(row, "float32", recipe=with_mistake(row.recipe, MISTAKES["lr"]))
    right = record_port(row, "float32")
    verdicts = [
        compare(reference.truth, port, case=case.id, dtype="float32", own=reference.own).passed
        for port in (right, wrong)
    ]
    assert verdicts == [True, False]


def test_cases_whose_data_is_missing_are_skipped_with_a_word(monkeypatch, tmp_path):
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path))
    chosen = select(["training"], slow=True)
    left, said = without_missing(chosen)
    assert left
    assert not any(case.needs for case in left)
    assert len(said) == 3
    assert "scripts/prepare_data.py FOLDER --name mnist" in " ".join(said)
    real = [case for case in chosen if case.needs]
    assert missing(real[0])
    with pytest.raises(BlitzError, match="prepare_data"):
        without_missing(real)
