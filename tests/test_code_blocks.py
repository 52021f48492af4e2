"""Every block of README and docs that is marked python or console runs, and prints what the page shows."""

import importlib.util
import sys
from pathlib import Path

import pytest

pytest.importorskip("torch")

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
PAGES += sorted(path for folder in ("start", "porting") for path in (ROOT / "docs" / folder).glob("*.md"))
LISTINGS = {"translated.md"}  # tests/harness/test_translated_page.py has what it shows written again


def load_script():
    spec = importlib.util.spec_from_file_location("code_blocks", ROOT / "scripts" / "dev" / "code_blocks.py")
    module = sys.modules[spec.name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


script = load_script()
WITH_BLOCKS = [path for path in PAGES if path.name not in LISTINGS and list(script.blocks(path.read_text("utf-8")))]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """An empty working folder, from which modules are imported, and fresh names of Keras's layers."""
    import keras

    keras.utils.clear_session()
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    before = set(sys.modules)
    yield tmp_path
    for name in set(sys.modules) - before:
        if str(getattr(sys.modules[name], "__file__", "")).startswith(str(tmp_path)):
            del sys.modules[name]


@pytest.mark.slow
@pytest.mark.torch
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("path", WITH_BLOCKS, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_blocks_run_and_print_what_the_page_shows(path, folder):
    assert script.run_page(path.read_text(encoding="utf-8"))[0] == []
    assert script.stale(path) == [], "python scripts/dev/code_blocks.py writes it again"


def test_the_pages_that_say_paste_this_have_blocks():
    names = {path.relative_to(ROOT).as_posix() for path in WITH_BLOCKS}
    assert {"README.md", "docs/start/check.md", "docs/start/translate.md", "docs/porting/guide.md"} <= names


PAGE = """a
```python
x = 1
```

```
1
```
```python
y
```
b
```
2
```
```text
$ no
```
```console
$ parity
out
```
"""


def test_the_blocks_of_a_page():
    assert [(one.kind, one.line, one.text, one.span) for one in script.blocks(PAGE)] == [
        ("python", 2, "x = 1\n", (PAGE.index("1\n```\n```python"), PAGE.index("```\n```python"))),
        ("python", 9, "y\n", None),
        ("console", 19, "$ parity\nout\n", (PAGE.index("$ parity"), PAGE.index("$ parity") + 13)),
    ]


@pytest.mark.parametrize(
    ("expected", "actual", "same"),
    [
        ("8 of 17 tensors", "8 of 17 tensors", True),
        ("8 of 17 tensors", "9 of 17 tensors", False),
        ("3,739 tensors in 27 s", "3,739 tensors in 31 s", True),
        ("differs by 4.9e-04", "differs by 4.93e-04", True),
        ("differs by 4.9e-04", "differs by 4.9e-03", False),
        ("worst 2.7e-16", "worst 1.1e-15", True),
        ("worst 2.7e-16", "worst 1.1e-03", False),
        ("1075.44 × PyTorch's own", "980.1 × PyTorch's own", True),
        ("one\n…\nthree", "one\ntwo\n2.5\nthree", True),
        ("one\n…", "one\ntwo", True),
        ("…\ntwo", "one\ntwo", True),
        ("one\n…\nthree", "one\ntwo\nthree\nfour", False),
        ("one\n…\nfour", "one\ntwo\nthree", False),
        ("one", "one\ntwo", False),
        ("one\ntwo", "one", False),
        ("two", "one\ntwo", False),
        ("", "one", False),
    ],
)
def test_what_a_page_shows(expected, actual, same):
    assert script.shows(expected, actual) is same


WRONG = "```python\n# two.py\nTWO = 3\n```\n```python\nimport two\nprint(two.TWO)\n```\n```\n2\n```\nend\n"


def test_a_page_that_is_wrong_is_said_and_put_right(folder):
    (problem,), page = script.run_page(WRONG)
    assert problem == "line 5: \nshown:\n2\n\nprinted:\n3\n"
    assert page == WRONG.replace("\n2\n", "\n3\n")
    assert script.run_page(page) == ([], page)
    assert script.run_page(WRONG.replace("\n2\n", "\n2\n…\n").replace("two.TWO", "'3\\n4\\n5'"))[1].endswith(
        "```\n3\n…\n```\nend\n"
    )
    with pytest.raises(NameError):
        script.run_page("```python\nmissing\n```\n")


def test_each_command_of_a_block_has_its_output(folder):
    page = "```console\n$ python -c 'print(1)'\n1\n$ python -c 'print(2)'\n3\n```\n"
    (problem,), right = script.run_page(page)
    assert problem.startswith("line 1: python -c 'print(2)'\nshown:\n3\n")
    assert right == page.replace("3\n", "2\n")


def test_a_report_that_the_page_shows_is_held_to_what_is_written(folder):
    page = folder / "docs" / "index.md"
    page.parent.mkdir()
    (folder / "report.html").write_text("<b>equivalent</b> 1.5e-16, 3 of 40")
    (folder / "other.html").write_text("beside no page")
    kept = page.with_name("report.html")
    kept.write_text("<b>equivalent</b> 2.5e-16, 4 of 40")
    assert script.stale(page) == []
    kept.write_text("<i>equivalent</i> 1.5e-16, 3 of 40")
    assert script.stale(page) == [kept]
