"""README and CONTRIBUTING tell the truth about what is installed and printed."""

import re
import tomllib
from pathlib import Path

from parity.suite import oracle
from parity.suite.select import select

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_readme_shows_the_table_of_the_networks():
    """The lines, their tensor counts and the sum are those of a golden run; the errors depend on the machine."""
    table = README.split("`parity run networks` prints:")[1].split("```")[1]
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
