import json
import subprocess
import sys
import zipfile
from xml.etree import ElementTree

import numpy as np
import pytest
from typer.testing import CliRunner

from keras_blitz.errors import BlitzError
from parity.cli import app
from parity.core.trace import Trace
from parity.suite import oracle
from parity.suite.select import all_cases, select


def invoke(*arguments):
    return CliRunner().invoke(app, list(map(str, arguments)))


def command(*arguments, without_torch=False):
    """Run the command as a user does; on request as where PyTorch is not installed."""
    block = "sys.modules['torch'] = None; " if without_torch else ""
    code = f"import sys; {block}from parity.cli import main; main()"
    words = [sys.executable, "-c", code, *map(str, arguments)]
    return subprocess.run(words, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def reports(tmp_path_factory):
    """One run with every kind of report."""
    folder = tmp_path_factory.mktemp("reports")
    done = invoke(
        "run", "lenet", "mnist1", "--mode", "eager", "--golden", "--json", folder / "out.json",
        "--html", folder / "out.html", "--junit", folder / "out.xml", "--traces", folder / "traces",
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    return folder, done.output


@pytest.mark.covers("H11")
def test_json_has_the_contracts_keys(reports):
    document = json.loads((reports[0] / "out.json").read_text())
    assert document["mode"] == "golden"
    assert {"python", "tensorflow", "keras", "numpy", "torch"} <= set(document["versions"])
    cases = document["cases"]
    assert document["summary"]["cases"] == len(cases) == 8
    assert document["summary"]["passed"] == 8
    assert document["summary"]["failed"] == 0
    assert document["summary"]["tensors"] == sum(len(case["tensors"]) for case in cases)
    case = next(case for case in cases if case["id"] == "lenet-float32-eager")
    assert case["covers"] == ["N1"]
    assert case["passed"] is True
    row = next(row for row in case["tensors"] if row["name"] == "grad:conv1.weight")
    assert {"name", "kind", "size", "max_abs", "relative", "allowed", "ratio", "passed"} <= set(row)
    assert (row["kind"], row["size"], row["passed"]) == ("gradient", 150, True)
    assert 0 < row["relative"] < row["allowed"]
    assert 0 < row["ratio"] < 4


@pytest.mark.covers("H11")
def test_junit_names_every_case(reports):
    suite = ElementTree.parse(reports[0] / "out.xml").getroot()
    assert (suite.get("tests"), suite.get("failures"), suite.get("errors")) == ("8", "0", "0")
    assert "lenet-sample-float64-eager" in [case.get("name") for case in suite]


def test_html_is_one_file_that_names_every_case(reports):
    page = (reports[0] / "out.html").read_text()
    assert "8 of 8 cases passed" in page
    assert "grad:conv1.weight" in page
    ids = [case["id"] for case in json.loads((reports[0] / "out.json").read_text())["cases"]]
    assert [name for name in ids if f">{name}<" not in page] == []
    assert "://" not in page


@pytest.mark.covers("H11")
def test_table_has_a_line_a_subject_and_dtype(reports):
    lines = reports[1].splitlines()
    assert any(line.startswith("lenet-sample") and "float32" in line and "×" in line for line in lines)
    assert "8 of 8 cases passed" in reports[1]


def test_saved_traces_compare(reports, tmp_path):
    folder = reports[0] / "traces"
    for dtype in ("float64", "float32"):
        reference = folder / f"lenet-{dtype}-eager.torch.npz"
        port = folder / f"lenet-{dtype}-eager.keras.npz"
        done = invoke("compare", reference, port)
        assert done.exit_code == 0, done.output
        trace = Trace.load(port)
        trace["output"] = trace["output"] * np.array(1 + 1e-4, dtype)
        trace.save(tmp_path / "wrong.npz")
        done = invoke("compare", reference, tmp_path / "wrong.npz", "--html", tmp_path / "wrong.html")
        assert done.exit_code == 1
        assert "first divergence at output" in done.output
        page = (tmp_path / "wrong.html").read_text()
        assert "0 of 1 cases passed" in page
        assert f"{reference.name} and wrong.npz, {dtype}" in page
        assert "First divergence at <code>output</code>" in page


def test_golden_file_and_a_whole_trace_compare(tmp_path):
    case = select(["lenet-float32-eager"])[0]
    case.record_port("float32", "eager").save(tmp_path / "whole.npz")
    done = invoke("compare", oracle.golden.path_of("lenet"), tmp_path / "whole.npz")
    assert done.exit_code == 0, done.output


@pytest.mark.torch
def test_truth_gives_two_float32_traces_a_verdict(tmp_path):
    case = select(["lenet-float32-eager"])[0]
    case.record_reference("float64", 0).save(tmp_path / "truth.npz")
    case.record_reference("float32", 0).save(tmp_path / "torch.npz")
    case.record_port("float32", "eager").save(tmp_path / "keras.npz")
    done = invoke("compare", tmp_path / "torch.npz", tmp_path / "keras.npz", "--truth", tmp_path / "truth.npz")
    assert done.exit_code == 0, done.output
    assert "screened" not in done.output
    done = invoke("compare", tmp_path / "torch.npz", tmp_path / "keras.npz")
    assert done.exit_code == 0
    assert "only screened" in done.output


def test_list_names_every_case_and_what_it_covers():
    rows = json.loads(invoke("list", "--json").output)
    assert {"id": "lenet-float64-eager", "group": "networks", "covers": ["N1"], "dtype": "float64", "mode": "eager",
            "slow": False} in rows  # fmt: skip
    assert invoke("list", "*").output.splitlines()[0].split() == ["lenet-float64-eager", "N1"]


def test_list_groups_the_cases_and_a_pattern_shows_the_rows():
    lines = invoke("list").output.splitlines()
    assert len(lines) < 200 < len(all_cases())
    heads = [line.split(": ") for line in lines if line and not line.startswith(" ") and ": " in line]
    assert sum(int(counts.split()[0]) for _, counts in heads) == len(all_cases())
    assert {group for group, _ in heads} == {case.group for case in all_cases()}
    assert "lenet 6," in invoke("list").output
    assert invoke("list", "lenet-float32").output.split()[::2] == [
        f"lenet-float32-{mode}" for mode in ("eager", "graph", "xla")
    ]
    assert [row["id"] for row in json.loads(invoke("list", "mnist0", "--json").output)] == [
        case.id for case in select(["mnist0"])
    ]


def test_list_of_an_inventory_id_shows_its_tests_and_its_cases():
    assert "L1   tests/library/test_layers.py" in invoke("list", "L1").output.splitlines()
    assert invoke("list", "N1", "L1").output.startswith("lenet-float64-eager")
    assert "no case 'nosuch'" in str(invoke("list", "nosuch").exception)


@pytest.mark.parametrize(
    ("patterns", "count"),
    [
        (["lenet"], 12), (["lenet-float64-xla"], 1), (["N3"], 21), (["networks"], 82), (["optimizers"], 12),
        (["autograd"], 30), (["*-sample-*-xla"], 12), (["lenet", "N1"], 13), (["mnist"], 12), (["mlp-last-relu"], 8),
    ],
)  # fmt: skip
def test_selection(patterns, count):
    assert len(select(patterns)) == count


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["run", "nosuch"], f"no case 'nosuch'; `parity list` shows the groups of all {len(all_cases())}"),
        (["run", ""], "no case ''"),
        (["run", "--json", "/dev/null"], "/dev/null: is not an ordinary file"),
        (["run", "--dtype", "float16"], "--dtype 'float16': choose among float64, float32"),
        (["run", "--mode", ""], "--mode '': choose among eager, graph, xla"),
        (["run", "--json", "/no/such/folder/x.json"], "x.json: the folder /no/such/folder does not exist"),
        (["show", "lenet"], "'lenet' names 12 cases: lenet-float64-eager"),
        (["compare", "none.npz", "none.npz"], "none.npz: no such file"),
        (["record", "--output", "/no/such/folder"], "/no/such/folder: no such folder"),
    ],
)  # fmt: skip
def test_bad_usage_is_said_in_one_line(arguments, message):
    done = invoke(*arguments)
    assert isinstance(done.exception, BlitzError)
    assert message in str(done.exception)
    assert "\n" not in str(done.exception)


def test_bad_usage_on_the_command_line_is_status_2_without_a_traceback():
    done = command("run", "nosuch")
    assert (done.returncode, done.stdout) == (2, "")
    assert (
        done.stderr.strip()
        == f"parity: error: no case 'nosuch'; `parity list` shows the groups of all {len(all_cases())}"
    )
    assert command("run", "--frob").returncode == 2


@pytest.mark.covers("H10")
def test_without_torch_the_goldens_are_read():
    done = command("run", "lenet-float64-eager", without_torch=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert "1 of 1 cases passed" in done.stdout
    assert "golden" in done.stdout


@pytest.mark.parametrize("arguments", [["run", "--live"], ["record", "lenet"]])
def test_without_torch_what_needs_it_says_how_to_get_it(arguments):
    done = command(*arguments, without_torch=True)
    assert done.returncode == 2
    assert "pip install 'keras-blitz[torch]'" in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


def test_help_does_not_load_the_frameworks():
    code = (
        "import sys; from parity.cli import main\ntry: main()\nexcept SystemExit: pass\n"
        "print([m for m in ('tensorflow', 'torch', 'keras') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code, "--help"], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"
    assert all(name in done.stdout for name in ("run", "list", "show", "record", "compare"))


def test_broken_golden_fails_its_cases_alone(monkeypatch, tmp_path):
    content = oracle.golden.path_of("lenet").read_bytes()
    (tmp_path / "lenet.npz").write_bytes(content[: len(content) // 2])
    original = oracle.from_golden
    folder = {"lenet": tmp_path}
    monkeypatch.setattr(
        oracle, "from_golden", lambda case: original(case, folder.get(case.subject, oracle.golden.FOLDER))
    )
    done = invoke("run", "lenet-float64-eager", "mnist0-float64-eager", "--golden")
    assert done.exit_code == 2
    assert "lenet-float64-eager: " in done.output
    assert "truncated, or not a trace" in done.output.replace("\n", " ")
    assert "1 of 2 cases passed" in done.output


def test_missing_golden_says_how_to_record_it(tmp_path):
    with pytest.raises(BlitzError, match=r"lenet\.npz: no golden trace of 'lenet'; record it with PyTorch"):
        oracle.from_golden(select(["lenet"])[0], tmp_path)


def test_a_trace_that_is_no_golden_is_refused(tmp_path):
    Trace([("loss", np.float64(1))]).save(tmp_path / "lenet.npz")
    with pytest.raises(BlitzError, match="a trace, but not a golden one"):
        oracle.from_golden(select(["lenet"])[0], tmp_path)


@pytest.mark.torch
def test_record_writes_the_same_golden_again(tmp_path):
    done = invoke("record", "mnist1", "--output", tmp_path)
    assert done.exit_code == 0, done.output
    written = sorted(path.name for path in tmp_path.iterdir())
    assert written == ["mnist1-sample.npz", "mnist1.npz"]
    for name in written:
        golden = oracle.golden.path_of(name.removesuffix(".npz"))
        assert entries(tmp_path / name) == entries(golden)


def entries(path):
    """Return the files in an archive; its own headers differ by the version of Python."""
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


# Ctrl-C when the first case has begun, or when it has run.
INTERRUPTED = """
import os, signal
from parity import cli, session

signal.signal(signal.SIGINT, signal.default_int_handler)
original = session.run

def run(cases, started, **options):
    def interrupt(case):
        started(case)
        os.kill(os.getpid(), signal.SIGINT)

    for result in original(cases, started=interrupt if {early} else started, **options):
        yield result
        os.kill(os.getpid(), signal.SIGINT)

session.run = run
cli.main()
"""


def interrupted(folder, *arguments, early=False):
    """Run the networks of mnist0, four cases, into files that are there already, and interrupt it."""
    files = {f"--{suffix}": folder / f"out.{suffix}" for suffix in ("json", "html", "junit")}
    for path in files.values():
        path.write_text("yesterday's")
    written = [str(word) for pair in files.items() for word in pair]
    code = INTERRUPTED.replace("{early}", str(early))
    words = [sys.executable, "-c", code, "run", "mnist0", "--golden", "--mode", "eager", *arguments, *written]
    return subprocess.run(words, capture_output=True, text=True, check=False), list(files.values())


def test_an_interrupted_run_says_so_in_every_report(tmp_path):
    done, (json_file, html_file, junit_file) = interrupted(tmp_path, "--jobs", "1")
    assert done.returncode == 130
    assert done.stderr.strip().endswith("interrupted: 1 of 4 cases ran")
    assert "interrupted: 1 of 4 cases ran, 1 passed" in done.stdout
    assert "cases passed" not in done.stdout
    document = json.loads(json_file.read_text())
    assert (document["verdict"], document["undecided"]) == ("not decided", ["interrupted: 1 of 4 cases ran"])
    summary = document["summary"]
    assert (summary["interrupted"], summary["cases"], summary["chosen"], summary["passed"]) == (True, 1, 4, 1)
    page = html_file.read_text()
    assert '<strong class="weak">interrupted: 1 of 4 cases ran, 1 passed</strong>' in page
    assert "cases passed" not in page
    suite = ElementTree.parse(junit_file).getroot()
    assert (suite.get("tests"), suite.get("failures"), suite.get("errors")) == ("2", "0", "1")
    assert [case.get("name") for case in suite if case.find("error") is not None] == ["interrupted"]


@pytest.mark.parametrize("jobs", [1, 2])
def test_a_run_interrupted_before_its_first_result_keeps_yesterdays_reports(tmp_path, jobs):
    """With several processes the frameworks load while the first cases are under way."""
    done, files = interrupted(tmp_path, "--jobs", str(jobs), early=True)
    assert (done.returncode, done.stdout) == (130, "")
    assert "no report was written" in done.stderr
    assert "Traceback" not in done.stderr
    assert [path.read_text() for path in files] == ["yesterday's"] * 3


@pytest.mark.parametrize(
    "command",
    [["run", "mnist0", "--jobs", "1"], ["faults", "relu-dropped"], pytest.param(["gaps"], marks=pytest.mark.torch)],
)
def test_ctrl_c_while_the_frameworks_load_keeps_yesterdays_report(monkeypatch, tmp_path, command):
    def load(*_, **__):
        raise KeyboardInterrupt

    for module in ("cli", "planting"):
        monkeypatch.setattr(f"parity.{module}.load", load)
    (tmp_path / "out.json").write_text("yesterday's")
    done = invoke(*command, "--json", tmp_path / "out.json")
    assert done.exit_code == 130
    assert "no report was written" in done.output
    assert (tmp_path / "out.json").read_text() == "yesterday's"


def test_mistakes_are_not_reported_before_one_is_planted(monkeypatch, tmp_path):
    """The correct port's cases run first; interrupted among them, nothing is known of the mistakes."""
    from parity import session

    original = session.run

    def run(cases, **options):
        yield next(original(cases, **options))
        raise KeyboardInterrupt

    monkeypatch.setattr(session, "run", run)
    done = invoke("faults", "relu-dropped", "--json", tmp_path / "out.json")
    assert done.exit_code == 130
    assert not (tmp_path / "out.json").exists()


def test_an_uninterrupted_run_has_no_word_of_it(reports):
    assert {"interrupted", "chosen"}.isdisjoint(json.loads((reports[0] / "out.json").read_text())["summary"])
    assert json.loads((reports[0] / "out.json").read_text())["verdict"] == "equivalent"
    assert "interrupted" not in (reports[0] / "out.html").read_text()
    assert "interrupted" not in (reports[0] / "out.xml").read_text()


@pytest.fixture
def float32_traces(tmp_path):
    """Three traces of a model that is not there: the float64 truth, PyTorch's float32, a wrong port's float32."""
    values = np.random.RandomState(0).randn(100)
    for name, array in (("truth", values), ("torch", values.astype("float32")), ("wrong", np.float32(values * 1.5))):
        Trace([("output", array)]).save(tmp_path / f"{name}.npz")
    return tmp_path


@pytest.mark.parametrize(
    ("files", "message"),
    [
        (("torch", "wrong", "wrong"), "with --truth, A and B are float32 and the truth is float64"),
        (("truth", "wrong", "truth"), "with --truth, A and B are float32 and the truth is float64"),
        (("torch", "truth", "truth"), "a float64 trace needs no --truth"),
        (("torch", "truth", None), "a float64 trace is not judged by it"),
    ],
)
def test_a_truth_that_is_none_is_refused(float32_traces, files, message):
    reference, port, truth = (name and float32_traces / f"{name}.npz" for name in files)
    done = invoke("compare", reference, port, *(["--truth", truth] if truth else []))
    assert message in str(done.exception)


def test_half_precision_is_refused(tmp_path):
    Trace([("output", np.ones(3, "float16"))]).save(tmp_path / "half.npz")
    assert "only float32 and float64" in str(invoke("compare", tmp_path / "half.npz", tmp_path / "half.npz").exception)


def test_names_with_brackets_are_printed_as_they_are(tmp_path):
    Trace([("output:a[/b]", np.ones(3))]).save(tmp_path / "a.npz")
    done = invoke("compare", tmp_path / "a.npz", tmp_path / "a.npz")
    assert done.exit_code == 0
    assert "output:a[/b]" in done.output


def test_another_backend_is_one_clear_line():
    import os

    environment = {**os.environ, "KERAS_BACKEND": "jax"}
    words = [sys.executable, "-m", "parity", "run", "mnist0", "--golden"]
    done = subprocess.run(words, capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 2
    assert done.stderr.strip() == "parity: error: Keras is set to run on jax; set KERAS_BACKEND=tensorflow"
