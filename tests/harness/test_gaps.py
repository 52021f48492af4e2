"""The catalogue of semantic differences: every row runs, and says what it should about the installed versions."""

import json
import re
import subprocess
import sys
from dataclasses import replace
from math import inf
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from keras_blitz.errors import BlitzError
from parity.cli import app
from parity.core import tolerance
from parity.gaps import SECTIONS, catalogue, select
from parity.gaps.gap import gap
from parity.gaps.measure import Outcome, compared, measure
from parity.report import gaps as report

pytestmark = [pytest.mark.torch, pytest.mark.covers("H14")]

# What the pages of the catalogue show.
STORED = json.loads((Path(__file__).parents[2] / "docs" / "measured.json").read_text(encoding="utf-8"))["rows"]

# Ids are public: planted mistakes, tolerances, hints and users' notes cite them. A line here is a row that must stay.
IDS = Path(__file__).with_name("gap_ids.txt").read_text(encoding="utf-8").split()

# Rows of every section and of every kind: values, gradients, facts, errors, tolerances, nothing to tell.
QUICK = [
    "conv-same-stride2", "conv-same-odd-input", "conv-groups", "flatten-order", "bn-unbiased-running-var",
    "bn-f32-cancel", "dropout-rng", "relu-nan", "gru-map", "init-rng", "l2-regularizer-factor", "ce-class-weight",
    "bce-clamp", "opt-sgd-momentum", "clip-grad-norm", "sched-steplr", "grad-accumulate", "grad-unconnected",
    "maximum-ties", "op-default-dtypes", "op-std-var", "op-argmax-nan", "data-normalize", "data-resize-pil",
    "prec-floatx", "prec-keras-f32-detours",
]  # fmt: skip


def test_readme_and_changelog_count_the_rows():
    root = Path(__file__).parents[2]
    assert f"{len(IDS)} places" in (root / "README.md").read_text(encoding="utf-8")
    assert f"{len(IDS)} differences" in (root / "CHANGELOG.md").read_text(encoding="utf-8")


def assert_holds(measured):
    """Assert the rules of the catalogue on one row."""
    assert not measured.exact.raised, measured.exact
    assert measured.exact.error <= measured.allowed, measured.exact
    assert measured.allowed == 1e-12 or measured.reason != tolerance.FLOAT64[0].reason
    if measured.verdict == "no difference here":
        assert measured.naive.error <= measured.allowed
    else:
        assert measured.verdict == "differs"
        assert measured.naive.error > max(measured.allowed, measured.exact.error)


@pytest.mark.parametrize("id", QUICK)
def test_row_holds(id):
    assert_holds(measure(select([id])[0]))


@pytest.mark.slow
@pytest.mark.parametrize("one", catalogue(), ids=lambda one: one.id)
def test_every_row_holds(one):
    measured = measure(one)
    assert_holds(measured)
    assert STORED[one.id]["differs"] == measured.differs, "docs/measured.json: python scripts/dev/measured.py"


def test_there_are_enough_rows():
    rows = catalogue()
    assert len(rows) >= 250
    assert {one.section for one in rows} == set(SECTIONS)


def test_the_catalogues_pages_have_every_row_and_no_other():
    """`python scripts/dev/measured.py` prints the file again."""
    assert sorted(STORED) == IDS


def test_no_id_is_lost_or_renamed():
    assert sorted(one.id for one in catalogue()) == IDS


def test_rows_explain_themselves():
    for one in catalogue():
        assert all([one.affects, one.behavior, one.naive_spelling, one.exact_spelling]), one.id
        for side in ("pytorch", "naive", "exact"):
            assert one.code(side).startswith(f"def {side}("), one.id


def test_figures_are_those_known_by_another_way():
    weighted = measure(select(["l2-regularizer-factor"])[0])
    assert weighted.naive.error == pytest.approx(1.0)  # L2 is twice the weight decay
    dtypes = measure(select(["op-default-dtypes"])[0])
    assert dtypes.naive.error == inf
    assert str(dtypes.naive) == "whole: 'int32', expected 'int64'"


def test_a_wrong_exact_spelling_is_caught():
    right = select(["conv-same-stride2"])[0]
    wrong = measure(replace(right, exact=right.naive))
    assert not wrong.passed
    assert wrong.verdict == "the exact spelling is beyond its bound"


def test_a_missing_gradient_is_caught():
    import tensorflow as tf

    right = select(["maximum-ties"])[0]
    wrong = measure(replace(right, exact=lambda a, b: tf.stop_gradient(right.exact(a, b))))
    assert not wrong.passed
    assert "absent gradient" in str(wrong.exact)


def test_an_exact_spelling_that_raises_is_caught():
    right = select(["conv-groups"])[0]
    wrong = measure(replace(right, exact=right.naive))
    assert wrong.verdict == "the exact spelling raises"
    assert str(wrong.exact).startswith("raises: InvalidArgumentError: ")


def test_a_naive_spelling_that_is_right_is_no_difference():
    right = select(["conv-same-stride2"])[0]
    same = measure(replace(right, naive=right.exact))
    assert same.passed
    assert same.verdict == "no difference here"


def test_pytorchs_own_error_is_an_error():
    right = select(["conv-same-stride2"])[0]
    with pytest.raises(BlitzError, match="conv-same-stride2: PyTorch's side raises"):
        measure(replace(right, pytorch=lambda x: x))


def test_a_row_leaves_no_setting_behind():
    import keras
    import torch

    measure(select(["opt-sgd-plain"])[0])
    measure(select(["prec-floatx-not-tf"])[0])
    assert keras.config.floatx() == "float32"
    assert torch.get_default_dtype() == torch.float32


@pytest.mark.parametrize(
    ("expected", "actual", "said"),
    [
        ({"y": np.ones(3)}, {"y": np.ones(3)}, "0"),
        ({"y": np.array([4.0, 2.0])}, {"y": np.array([4.0, 3.0])}, "2.5e-01"),
        ({"y": np.ones(3)}, {"y": np.ones((3, 1))}, "y: shape (3, 1), expected (3,)"),
        ({"y": np.ones(3)}, {"y": np.ones(3, np.float32)}, "y: type float32, expected float64"),
        ({"y": np.ones(1)}, {}, "y: missing in the port"),
        ({"y": np.array([np.nan])}, {"y": np.ones(1)}, "y: NaN or infinite on one side only, 1 of 1 values, first at (0,)"),  # noqa: E501
        ({"y": np.array([4, 2])}, {"y": np.array([4, 3])}, "2.5e-01"),
        ({"y": np.array("int64")}, {"y": np.array("int32")}, "y: 'int32', expected 'int64'"),
    ],
)  # fmt: skip
def test_comparison_says(expected, actual, said):
    assert str(compared(expected, actual)) == said


def test_the_worst_of_several_is_told():
    one, other = {"a": np.ones(2), "b": np.ones(2)}, {"a": np.ones(2) * 3, "b": np.ones(2) * 2}
    assert compared(one, other) == Outcome(2.0, "a")
    assert compared(one | {"c": np.ones(1)}, other).tensor == "c"  # what no number can say before all numbers


def test_an_id_is_taken_once():
    select([])
    with pytest.raises(BlitzError, match="two gaps are called relu-nan"):

        @gap("relu-nan", "G", "", "", "")
        class _:
            pytorch = naive = exact = None


@pytest.mark.parametrize(
    ("names", "count"), [(["bn-frozen"], 1), (["maxpool-"], 7), (["bn-frozen", "bn-frozen", "maxpool-nan"], 2)]
)
def test_selection(names, count):
    assert len(select(names)) == count


def test_selection_of_a_section():
    assert {one.section for one in select(["losses"])} == {"losses"}


def test_the_catalogue_is_listed_without_a_framework():
    code = (
        "import sys, parity.gaps; parity.gaps.catalogue(); print([m for m in ('torch', 'keras') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def run(*arguments):
    return CliRunner().invoke(app, ["gaps", *arguments])


def test_command_writes_json_and_html(tmp_path):
    done = run("conv-same-", "relu-", "--json", str(tmp_path / "g.json"), "--html", str(tmp_path / "g.html"))
    assert done.exit_code == 0
    assert "conv-same-odd-input" in done.stdout
    assert "no difference here" in done.stdout
    document = json.loads((tmp_path / "g.json").read_text())
    assert document["summary"]["gaps"] == len(document["gaps"]) == 5
    assert document["summary"]["failed"] == 0
    assert {"torch", "tensorflow", "keras"} <= set(document["versions"])
    row = document["gaps"][0]
    assert row["id"] == "conv-same-stride2"
    assert row["naive"]["error"] > 1e-12 >= row["exact"]["error"]
    assert "padding=\"same\"" in row["naive"]["code"]  # fmt: skip
    page = (tmp_path / "g.html").read_text()
    assert "<code>conv-same-stride2</code>" in page
    assert "http" not in page


def test_command_shows_one_row_with_its_code():
    done = run("conv-same-stride2")
    assert done.exit_code == 0
    assert "def hwio(w):" in done.stdout
    for part in ("pads 1 on every side", 'padding="same"', "layers.Conv2d(4, 3, stride=2, padding=1", "F.conv2d(x, w"):
        assert part in done.stdout


def test_command_lists():
    assert len(run("--list").stdout.splitlines()) == len(catalogue())


def test_command_fails_where_an_exact_spelling_does(monkeypatch):
    right = select(["conv-same-stride2"])[0]
    monkeypatch.setattr("parity.gaps.select", lambda names: [replace(right, exact=right.naive)])
    done = run("conv-same-stride2")
    assert done.exit_code == 1
    assert "the exact spelling is beyond its bound" in done.stdout


def test_unknown_name_is_one_line_with_near_ones():
    done = run("conv-same-stride3")
    assert isinstance(done.exception, BlitzError)
    assert re.match(r"no gap is called 'conv-same-stride3'; near: conv-same-stride2", str(done.exception))
    assert str(run("Weight-Decay").exception).startswith("no gap is called 'Weight-Decay'; near: opt-sgd-weight-decay,")


@pytest.mark.parametrize("name", ["nonsense", "hello", "asdfgh", "xyz", "-"])
def test_what_is_like_no_name_gets_no_suggestion(name):
    assert str(run(name).exception) == f"no gap is called {name!r}; `parity gaps --list` has them all"


def test_interrupted_command_keeps_what_is_done(monkeypatch):
    first, *_ = rows = select(["relu-"])

    def interrupted(one):
        if one is not first:
            raise KeyboardInterrupt
        return measure(one)

    assert len(rows) > 1
    monkeypatch.setattr("parity.gaps.measure.measure", interrupted)
    done = run("relu-")
    assert done.exit_code == 130
    assert first.id in done.stdout


def test_table_counts():
    measured = [measure(one) for one in select(["relu-nan", "abs-0"])]
    assert report.counts(measured) == (1, 1, 0)
