"""The lessons: what compares their columns can fail, the index has all of them, and each runs as a notebook."""

import ast
import importlib
import json
import re
import runpy
from pathlib import Path

import numpy as np
import pytest

from keras_blitz.errors import BlitzError
from parity import inventory, lessons
from parity.lessons import Lesson

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "scripts" / "lessons"
LESSONS = sorted(FOLDER.glob("[0-9]*.py"))
HEADER = (FOLDER / "GALLERY_HEADER.rst").read_text(encoding="utf-8")


@pytest.fixture
def recorded(monkeypatch):
    """Golden values of a lesson of its own, and PyTorch as if it were not installed."""
    values = {"a": {"dtype": "float32", "shape": [2], "values": [36.0, 81.0]}, "shape": [2, 3], "none": None}
    monkeypatch.setattr(lessons, "_golden", lambda: {"x": {"powers": values}})
    monkeypatch.setattr(lessons, "torch_installed", lambda: False)


def keras_column(a=(36, 81), dtype="float32", shape=(2, 3), **more):
    def with_keras():
        return {"a": np.array(a, dtype), "shape": shape, "none": None, **more}

    return with_keras


def with_pytorch():
    raise AssertionError("PyTorch is not installed, so nobody calls this")


def test_recorded_values_take_pytorchs_place(recorded, capsys):
    Lesson("x").compare("powers", with_pytorch, keras_column())
    assert capsys.readouterr().out.splitlines() == [
        "       PyTorch, recorded  Keras",
        "a      [36. 81.]          [36. 81.]",
        "shape  (2, 3)             (2, 3)",
        "none   None               None",
        "3 equal, to the last bit",
    ]


@pytest.mark.parametrize(
    ("column", "problem"),
    [
        (keras_column(a=(36, 81.01)), "a of Keras differs by 1.2e-04 of the largest value, allowed 1e-05"),
        (keras_column(a=(36, np.nan)), "a of Keras differs"),
        (keras_column(dtype="float64"), "a of Keras differs"),
        (keras_column(shape=(3, 2)), "shape of Keras differs"),
        (keras_column(more=1), "Keras has a, shape, none, more, expected a, shape, none"),
    ],
)
def test_a_value_that_differs_fails(recorded, column, problem):
    with pytest.raises(AssertionError, match=re.escape(problem)):
        Lesson("x").compare("powers", with_pytorch, column)


def test_what_is_said_to_differ_must_differ(recorded, capsys):
    Lesson("x").compare("powers", with_pytorch, keras_column(shape=(3, 2)), differs={"shape": "channels last"})
    out = capsys.readouterr().out
    assert "↑ differs: channels last" in out
    assert "2 equal, to the last bit; 1 different, as expected" in out
    with pytest.raises(AssertionError, match="shape of Keras is listed as different, and is not"):
        Lesson("x").compare("powers", with_pytorch, keras_column(), differs={"Keras: shape": "channels last"})


def test_a_rounding_error_passes_and_is_shown(recorded, capsys):
    Lesson("x").compare("powers", with_pytorch, keras_column(a=(36, 81.00001)))
    assert "3 equal, to 9e-08 of the largest value" in capsys.readouterr().out


def test_a_section_that_is_not_recorded_says_what_to_do(recorded):
    with pytest.raises(BlitzError, match=r"no values of it are recorded for x, mine: pip install"):
        Lesson("x").compare("mine", with_pytorch, keras_column())


def test_a_function_of_another_name_is_refused(recorded):
    def something():
        return {}

    with pytest.raises(BlitzError, match="are called with_pytorch, with_numpy"):
        Lesson("x").compare("powers", something)


@pytest.mark.torch
def test_values_of_both_frameworks_are_read():
    import tensorflow as tf
    import torch

    for one, other in (
        (torch.ones(2, requires_grad=True), tf.ones(2)),
        (torch.Size([2, 3]), tf.TensorShape([2, 3])),
        (torch.float32, tf.float32),
        ([torch.tensor(1.0), torch.tensor(2.0)], [tf.constant(1.0), tf.constant(2.0)]),
        (torch.tensor([1, 2]), np.array([1, 2])),
    ):
        assert lessons._distance(lessons._plain(one), lessons._plain(other)) == 0
        encoded = json.loads(json.dumps(lessons._encode(lessons._plain(one))))
        assert lessons._distance(lessons._decode(encoded), lessons._plain(other)) == 0


# The index


def ids_in(text: str) -> set[str]:
    """Return the ids of the inventory that a text names, ranges spelled out: T6–T12, A1 to A12."""
    found = set()
    for letter, first, last in re.findall(r"\b([A-Z])(\d+)(?:(?:–| to )[A-Z](\d+))?\b", text):
        found |= {f"{letter}{number}" for number in range(int(first), int(last or first) + 1)}
    return found & {item.id for item in inventory.ITEMS}


def test_the_index_names_every_lesson_and_every_id_of_the_tutorials():
    assert re.findall(r":doc:`(\d\w+)`", HEADER) == sorted(re.findall(r":doc:`(\d\w+)`", HEADER))
    assert {path.stem for path in LESSONS} == set(re.findall(r":doc:`(\d\w+)`", HEADER))
    tutorials = {item.id for item in inventory.ITEMS if item.id[0] in "NATS"} - {"T14"}
    assert tutorials <= ids_in(HEADER)


@pytest.mark.parametrize("path", LESSONS, ids=lambda path: path.stem)
def test_a_lesson_has_the_ids_that_the_index_says(path):
    rows = HEADER.partition("What has no lesson")[0].split("   * - ")
    indexed = set.union(*(ids_in(row.split("\n     - ")[2]) for row in rows if f"`{path.stem}`" in row))
    assert indexed <= ids_in(path.read_text(encoding="utf-8"))


def test_every_section_is_recorded():
    golden = json.loads(lessons.GOLDEN.read_text(encoding="utf-8"))
    for path in LESSONS:
        code = path.read_text(encoding="utf-8")
        (name,) = re.findall(r'Lesson\("([^"]+)"\)', code)
        sections = re.findall(r'^compare\(\s*"([^"]+)"', code, flags=re.M)
        assert list(golden[name]) == sections, path.name
        assert len(set(sections)) == len(sections)


@pytest.mark.filterwarnings("ignore:FigureCanvasAgg is non-interactive")
def test_a_lesson_runs_without_pytorch(monkeypatch, capsys):
    """The tensors' lesson, on the recorded values; the others take seconds each."""
    matplotlib = pytest.importorskip("matplotlib")
    matplotlib.use("Agg")
    monkeypatch.setattr(lessons, "torch_installed", lambda: False)
    assert runpy.run_path(str(LESSONS[0]))["torch"] is None
    assert capsys.readouterr().out.count("PyTorch, recorded") == 13


# The columns on a page


@pytest.fixture
def side_by_side(monkeypatch):
    pytest.importorskip("sphinx")
    monkeypatch.syspath_prepend(str(ROOT / "docs" / "extensions"))
    return importlib.import_module("side_by_side")


COLUMNS = """x = 1


# PyTorch
@torch.no_grad()
def with_pytorch(
    a,
):
    return a


# Keras
class Net:
    pass


def with_keras():
    return Net()


compare("x", with_pytorch, with_keras)
y = 2
"""


def test_a_block_is_cut_into_columns(side_by_side):
    before, columns, after = side_by_side.cut(COLUMNS)
    assert before == "x = 1"
    assert columns == {
        "PyTorch": "@torch.no_grad()\ndef with_pytorch(\n    a,\n):\n    return a",
        "Keras": "class Net:\n    pass\n\n\ndef with_keras():\n    return Net()",
    }
    assert after == 'compare("x", with_pytorch, with_keras)\ny = 2'


def test_a_block_with_columns_becomes_a_row_of_them_and_others_stay(side_by_side):
    from docutils import nodes
    from docutils.utils import new_document

    document = new_document("page")
    document += [nodes.literal_block(code, code, language="Python") for code in (COLUMNS, "# PyTorch\nx = 1\n")]
    side_by_side.SideBySide(document).apply()
    assert [type(node).__name__ for node in document] == [
        "literal_block",
        "container",
        "literal_block",
        "literal_block",
    ]
    assert [column.astext().split()[0] for column in document[1]] == ["PyTorch", "Keras"]
    assert document[1][1][1]["language"] == "Python"
    assert document[3].astext().startswith("# PyTorch")


# The notebooks


def notebook(path: Path):
    """Return the notebook that the site offers of a lesson."""
    import nbformat
    from sphinx_gallery.gen_gallery import DEFAULT_GALLERY_CONF
    from sphinx_gallery.notebook import jupyter_notebook
    from sphinx_gallery.py_source_parser import split_code_and_text_blocks

    settings = DEFAULT_GALLERY_CONF | {"first_notebook_cell": first_cell()}
    content = jupyter_notebook(split_code_and_text_blocks(str(path))[1], settings, str(FOLDER))
    return nbformat.reads(json.dumps(content), as_version=4)


def first_cell() -> str:
    (cell,) = re.findall(r'"first_notebook_cell": \'(.+)\'', (ROOT / "docs" / "conf.py").read_text(encoding="utf-8"))
    return cell


def allowed(path: Path) -> dict[str, float]:
    """Return how far the values of a lesson's sections may be from PyTorch's, where the lesson says it."""
    calls = [node for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))) if isinstance(node, ast.Call)]
    return {
        call.args[0].value: keyword.value.value
        for call in calls
        for keyword in call.keywords
        if keyword.arg == "within"
    }


@pytest.mark.slow
@pytest.mark.torch
@pytest.mark.filterwarnings("default")
def test_each_notebook_runs_and_gives_the_recorded_values(tmp_path, monkeypatch):
    """In a folder outside the repository, one after the other in one kernel, which loads the frameworks once."""
    monkeypatch.setenv("OMP_NUM_THREADS", "1")  # beside another test PyTorch's threads wait more than they work
    nbclient = pytest.importorskip("nbclient")
    import nbformat

    pytest.importorskip("ipykernel")
    pytest.importorskip("sphinx_gallery")
    notebooks = {path: notebook(path) for path in LESSONS}
    last = nbformat.v4.new_notebook()
    last.cells = [nbformat.v4.new_code_cell("from parity import lessons\nlessons.write('recorded.json')")]
    client = nbclient.NotebookClient(last, timeout=300, resources={"metadata": {"path": str(tmp_path)}})
    with client.setup_kernel():
        for number, (path, content) in enumerate(notebooks.items()):
            assert content.cells[0].source == first_cell()
            for index, cell in enumerate(content.cells):
                if cell.cell_type == "code" and not (number and index == 0):  # one installation will do
                    client.nb = content
                    client.execute_cell(cell, index)
            printed = "".join(output.get("text", "") for cell in content.cells for output in cell.get("outputs", ()))
            assert " equal, to " in printed, path.name
        client.nb = last
        client.execute_cell(last.cells[0], 0)
    ran = json.loads((tmp_path / "recorded.json").read_text(encoding="utf-8"))
    golden = json.loads(lessons.GOLDEN.read_text(encoding="utf-8"))
    assert list(ran) == list(golden)
    for (name, sections), path in zip(golden.items(), LESSONS, strict=True):
        for section, values in sections.items():
            kept, found = ({key: lessons._decode(value) for key, value in each.items()}
                           for each in (values, ran[name][section]))  # fmt: skip
            assert lessons._problems("now", kept, found, {}, allowed(path).get(section)) == [], (name, section)
