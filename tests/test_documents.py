"""README, CONTRIBUTING and docs/ tell the truth about what is installed, printed and linked."""

import re
import tomllib
from pathlib import Path

import pytest

from parity.core import tolerance
from parity.suite import oracle
from parity.suite.select import select

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_the_cases_page_shows_the_table_of_the_networks():
    """The lines, their tensor counts and the sum are those of a golden run; the errors depend on the machine."""
    page = (ROOT / "docs" / "cases.md").read_text(encoding="utf-8")
    table = page.split("`parity run networks` prints:")[1].split("```")[1]
    shown = re.findall(r"^(\S+) +(N\d[ \w]*?) +(float\d\d) +(\d+) ", table, flags=re.M)
    cases, expected = select(["networks"]), {}
    for case in cases:
        key = case.subject, " ".join(case.covers), case.dtype
        expected[key] = expected.get(key, 0) + len(oracle.from_golden(case).truth)
    assert {(subject, covers, dtype): int(count) for subject, covers, dtype, count in shown} == expected
    total = f"{len(cases)} of {len(cases)} cases passed, {sum(expected.values()):,} tensors compared"
    assert total in table


def test_ci_runs_the_readmes_test_command():
    command = 'pip install -c constraints.txt -e ".[test]" && pytest'
    assert command in README
    assert command.replace("pip install", "pip install --quiet") in (ROOT / ".ci" / "run").read_text()


def test_every_dependency_is_argued_for():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    listed = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8").split("## Why each dependency")[1]
    extras = [name for extra in project["optional-dependencies"].values() for name in extra]
    for requirement in [*project["dependencies"], *extras]:
        name = re.match(r"[\w-]+", requirement)[0]
        assert name == "keras-blitz" or re.search(rf"\b{name}\b", listed), name


DOCS = ROOT / "docs"
# Folders of pages that the site's build makes, and whose links it checks.
MADE = {DOCS / name for name in ("api", "catalogue", "commands", "lessons")}
PAGES = [ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")] + sorted(
    path for path in DOCS.rglob("*.md") if path.parent not in MADE and DOCS / "_build" not in path.parents
)
LINK = re.compile(r"\]\(([^)#\s]*)(#[^)\s]*)?\)")


def anchors(page: Path) -> set[str]:
    """Return the anchors of a page's headings, as GitHub makes them."""
    titles = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), flags=re.M)
    return {"#" + re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_every_link_leads_somewhere(page):
    broken = []
    for path, anchor in LINK.findall(page.read_text(encoding="utf-8")):
        if not path.startswith("https:"):
            target = (page.parent / path).resolve() if path else page
            inside = target.is_relative_to(ROOT)
            if target.parent in MADE:
                continue
            if not (inside and target.exists() and (not anchor or anchor in anchors(target))):
                broken.append(path + anchor)
    assert broken == []


def test_the_readme_links_every_page_of_docs_or_the_site_does():
    index = (DOCS / "index.md").read_text(encoding="utf-8")
    pages = [page.name for page in DOCS.glob("*.md") if f"(docs/{page.name})" not in README]
    assert [name for name in pages if not re.search(rf"\b{name[:-3]}>?$", index, re.M)] == []


def test_every_page_that_the_code_cites_exists():
    cited = set()
    for folder in ("keras_blitz", "parity", "scripts", "tests"):
        for path in (ROOT / folder).rglob("*.py"):
            for name in re.findall(r"[\w./-]+\.md\b", path.read_text(encoding="utf-8")):
                cited.add((path.relative_to(ROOT).as_posix(), name))
    assert ("parity/suite/case.py", "docs/inventory.md") in cited
    places = (ROOT, ROOT / "docs")
    assert [one for one in sorted(cited) if not any((place / one[1]).is_file() for place in places)] == []


def test_the_design_names_the_bounds_of_the_tolerance_table():
    design = (ROOT / "docs" / "design.md").read_text(encoding="utf-8")
    assert f"the largest error may be {tolerance.FLOAT64[0].relative:.0e} of" in design
    bounds = re.findall(r"^\| .* \| ([\d.]+) × \|", design, flags=re.M)
    assert list(map(float, bounds)) == [tolerance.RMS_RATIO, tolerance.MAX_RATIO, tolerance.MEDIAN_RATIO]
    assert float(re.search(r"screened at (\S+),", design)[1]) == tolerance.FLOAT32_SCREEN.relative
    for figure in (
        f"below {tolerance.FLOOR_ULP} units in the last place", f"fewer than {tolerance.POOL_BELOW} values",
        f"more than {tolerance.POOL_OUTLIER:g} times",
    ):  # fmt: skip
        assert figure in re.sub(r"\s+", " ", design), figure
