"""docs/report.md is held to the code: the keys of real documents, the names of a trace, the trace file."""

import json
import re
from contextlib import contextmanager
from inspect import isgeneratorfunction
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

import parity
from keras_blitz.errors import BlitzError
from parity import session
from parity.cli import app
from parity.core.difference import BINS
from parity.core.fingerprint import BUCKETS, SAMPLES
from parity.core.tolerance import POOL_BELOW
from parity.core.trace import FORMAT, KINDS
from parity.faults import catalogue
from parity.faults import run as run_faults
from parity.faults.fault import eager, fault
from parity.faults.plant import in_layer, planted
from parity.gaps import measure
from parity.suite import golden, oracle

PAGE = (Path(__file__).parents[2] / "docs" / "report.md").read_text(encoding="utf-8")


def table(heading: str) -> list[list[str]]:
    """Return the rows of the first table after a heading."""
    after = re.split(rf"^#+ {re.escape(heading)}$", PAGE, maxsplit=1, flags=re.M)[1]
    lines = after[: re.search(r"^#", after, re.M).start() if re.search(r"^#", after, re.M) else None].splitlines()
    rows = [line.strip("| ").split(" | ") for line in lines if line.startswith("|")]
    return rows[2:]  # after the titles and the line


def assert_documented(heading: str, *found: dict) -> None:
    """Assert that a table names exactly the keys there are, and which of them are always there."""
    assert found
    rows = {key.strip("`"): when for key, when, _ in table(heading)}
    assert set().union(*found) == set(rows)
    always = [key for key in rows if all(key in one for one in found)]
    assert [key for key, when in rows.items() if when == "always"] == always


def written(folder: Path, *arguments: str, status: int) -> dict:
    done = CliRunner().invoke(app, [*arguments, "--json", str(folder / "out.json")])
    assert done.exit_code == status, done.output
    return json.loads((folder / "out.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def mistake():
    return catalogue.select(["relu-dropped"])[0].places[0].plant


@pytest.fixture
def run(tmp_path, monkeypatch, mistake):
    """A run of cases that fail and pass, one with warnings, one whose golden trace is missing, one of float64 alone."""
    original = oracle.from_golden

    def from_golden(case):
        if case.subject == "mnist1":
            raise BlitzError("no golden trace")
        return original(case)

    monkeypatch.setattr(oracle, "from_golden", from_golden)
    cases = [
        "lenet-float64-eager",
        "lenet-float32-eager",
        "mnist1-float64-eager",
        "ops-t9-float64-eager",
        "small-float64-eager",
    ]
    with planted(mistake):
        return written(tmp_path, "run", *cases, "--golden", status=2)


@pytest.fixture(scope="module")
def interrupted_run(tmp_path_factory):
    with stopped_after(1, session, "run"):
        return written(tmp_path_factory.mktemp("cut"), "run", "mnist0", "--golden", "--jobs", "1", status=130)


@contextmanager
def stopped_after(count, module, name):
    """Let Ctrl-C come after so many calls of a function, or results of a generator."""
    original, calls = getattr(module, name), []

    def generator(*args, **kwargs):
        for number, one in enumerate(original(*args, **kwargs)):
            if number == count:
                raise KeyboardInterrupt
            yield one

    def function(*args, **kwargs):
        calls.append(args)
        if len(calls) > count:
            raise KeyboardInterrupt
        return original(*args, **kwargs)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, name, generator if isgeneratorfunction(original) else function)
        yield


def test_keys_of_a_run(run, interrupted_run):
    assert_documented("Document", run)
    assert_documented("Summary", run["summary"], interrupted_run["summary"])
    assert_documented("Case", *run["cases"])
    tensors = [row for case in run["cases"] for row in case["tensors"]]
    assert_documented("Tensor", *tensors)
    assert_documented("Worst entry", *(entry for row in tensors for entry in row.get("worst", ())))
    histograms = [case["histogram"] for case in run["cases"] if "histogram" in case]
    assert_documented("Histogram", *histograms)
    assert {key for one in histograms for key in one.get("own", ())} == {"max_abs", "rms"}
    assert {len(one["counts"]) for one in histograms} == {BINS}
    assert f"each of {BINS} equal bins" in PAGE
    assert f"a tensor of {POOL_BELOW} values or more has an error" in PAGE


@pytest.mark.torch
def test_keys_of_a_check(run):
    import keras
    from torch import nn

    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)])
    document = parity.check(nn.Sequential(nn.Linear(3, 2)), model, np.ones((4, 3), np.float32)).to_dict()
    added = {key: value for key, value in document.items() if key not in run}
    assert set(run) < set(document)
    assert_documented("Report", added)
    assert set(document["cases"][0]) <= set().union(*run["cases"])


def test_keys_of_faults(tmp_path, monkeypatch):
    document = written(tmp_path, "faults", "relu-dropped", "relu-twice", status=0)
    assert_documented("Faults document", document)
    with stopped_after(1, run_faults, "outcome"):
        cut = written(tmp_path, "faults", "relu-dropped", "relu-twice", status=130)
    assert_documented("Faults summary", document["summary"], cut["summary"])
    assert (document["summary"]["passed"], cut["summary"]["passed"]) == (True, False)
    assert {key for case in document["unmutated"] for key in case} == {"id", "passed"}
    assert_documented("Mistake", *document["mistakes"])
    assert_documented("Survivor", *document["survivors"])
    places = [place for one in (*document["mistakes"], *document["survivors"]) for place in one["places"]]
    raises = in_layer("layer", call=lambda *_: 1 / 0)
    monkeypatch.setattr(catalogue, "FAULTS", [fault("raises", "w", "s", eager("mnist0", "output", raises))])
    document = written(tmp_path, "faults", "raises", status=1)
    assert_documented("Place", *places, *document["mistakes"][0]["places"])


@pytest.mark.torch
def test_keys_of_faults_at_the_door(tmp_path):
    document = written(tmp_path, "faults", "door-factor-set", status=0)
    assert_documented("Faults at the door", document["door"])
    assert {f"`{key}`" for key in document["door"]["summary"]} <= set(re.findall("`[a-z_]+`", PAGE))
    assert {key for pair in document["door"]["pairs"] for key in pair} == {"id", "passed", "seconds"}
    assert set(document["door"]["mistakes"][0]) == {key.strip("`") for key, _, _ in table("Mistake")}


@pytest.mark.torch
def test_keys_of_gaps(tmp_path):
    document = written(tmp_path, "gaps", "relu-", "conv-groups", status=0)
    assert_documented("Gaps document", document)
    with stopped_after(1, measure, "measure"):
        cut = written(tmp_path, "gaps", "relu-", "conv-groups", status=130)
    assert_documented("Gaps summary", document["summary"], cut["summary"])
    assert (cut["summary"]["gaps"], cut["summary"]["chosen"]) == (1, len(document["gaps"]))
    assert_documented("Gap", *document["gaps"])
    assert {key for one in document["gaps"] for key in one["pytorch"]} == {"spelling", "code"}
    assert_documented("Side of a gap", *(one[side] for one in document["gaps"] for side in ("naive", "exact")))


def test_names_of_a_trace():
    assert {begins.strip("`"): kind.strip("`") for begins, kind, _ in table("Trace names")} == KINDS


def test_trace_file_and_golden_file():
    headers = []
    for subject in ("lenet", "resnet18-train", "autograd-powers", "autograd-hooks"):
        with np.load(golden.path_of(subject), allow_pickle=False) as archive:
            headers.append(json.loads(archive["trace"].tobytes()))
            types = {dtype for entry in headers[-1]["entries"] for dtype, _ in entry["arrays"]}
            assert set(archive.files) == {"trace", *types}
    assert_documented("Header", *headers)
    assert_documented("Entry", *(entry for header in headers for entry in header["entries"]))
    assert_documented("Meta", *(header["meta"] for header in headers))
    entries = [entry for header in headers for entry in header["entries"]]
    assert {entry["form"] for entry in entries} == {"array", "absent", "fingerprint"}
    assert {header["format"] for header in headers} == {FORMAT}


@pytest.mark.parametrize(
    "figure",
    [
        f"This is format {FORMAT};", f"| `format` | always | {FORMAT} |", f"more than {golden.KEEP} values",
        f"{BUCKETS} buckets and a sample of {SAMPLES} values", f"√(2/{BUCKETS}) = {100 * (2 / BUCKETS) ** 0.5:.0f} %",
    ],
)  # fmt: skip
def test_figures_are_those_of_the_code(figure):
    assert figure in PAGE.replace("\n", " ")


def test_a_key_that_is_not_documented_fails():
    right = dict.fromkeys(("tensor", "counts", "reach", "own"))
    without = {key: None for key in right if key != "reach"}
    sometimes = {key: None for key in right if key != "own"}
    assert_documented("Histogram", right, sometimes)
    for wrong in (right | {"new": 1}, without):
        with pytest.raises(AssertionError):
            assert_documented("Histogram", wrong, sometimes)
    with pytest.raises(AssertionError):  # `reach` is said to be always there
        assert_documented("Histogram", right, sometimes, without)
