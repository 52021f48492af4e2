"""Documents, docstrings, comments and messages are plain English, as a Keras or PyTorch engineer writes it."""

import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
NOUNS = (
    "bar case chart column core epoch file figure finding layer line list module number page process record row "
    "section share step subject table task tensor test value verdict word"
)
VERBS = (
    "agrees? are can cannot changes? computes? does do gives? goes go has have holds? is jumps? keeps? knows? may "
    "needs? runs? takes? turns? was would"
)
PAGES, CODE = ("*.md", "*.html", "*.toml"), "*.py"
# What is written and what to write instead. Each pattern is right in every sentence of the project.
DIALECT = {
    r"(?<![-\w.])behind(?![-\w(])": "after, following",
    r"\bin front of\b|\bahead of (?!time)": "before",
    r"\bmend(?:s|ed|ing)?\b": "fix, correct",
    r"\banew\b": "again, from scratch",
    r"(?<!there )(?<!There )\b(?:is|are|was|were) no (?!longer|more|less|fewer|small|is\b)": "is not a, has no",
    rf", for (?:(?:the|an?|its|no|this|that|each) )?\w+ (?:{'|'.join(VERBS.split())})\b": "because, since",
    rf"(?<!ive )(?<!akes )(?<!ake )\b(?:a|A|one|One) (?:{'|'.join(NOUNS.split())}) an? [a-z]": "one row per layer",
    r"(?<![-\w])(?:lies|lie)\b(?!-)": "the layout of x; x has layout NHWC; is at",
    r"\b(?:truth and port|theirs and mine|mine and theirs)\b": "expected / actual",
    r"errors? by PyTorch's own": "the port's error ÷ PyTorch's own",
    r"\b(?:is|are) to be \w+": "must be, has to be",
    r"\bis made in it\b": "so the error is in this layer",
    r"\b\w*(?:olour|aviour|avour|eighbour)\w*\b": "American spelling: color, behavior",
    r"\b(?:\w*[nN]ormal|[iI]nitial|[rR]egular|[oO]ptim|[sS]ummar|[sS]erial|[gG]eneral|[mM]inim|[mM]axim|[qQ]uant)is"
    r"(?:e|ed|es|er|ing|ation|ations)\b": "American spelling: normalize",
}
# Folders of docs/ that the site's build writes.
MADE = {"_build", "api", "catalogue", "commands", "lessons"}


def prose(path: Path) -> str:
    """Return the text of a page, or the comments and strings of a program."""
    text = path.read_text(encoding="utf-8")
    if path.suffix != ".py":
        return text
    parts = re.findall(r'"""[\s\S]*?"""|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'|#[^\n]*', text)
    return "\n".join(parts)


@cache
def occurrences() -> tuple[tuple[str, str, str], ...]:
    """Return (file, what is written, what to write instead) for all that is in the repository."""
    listed = [*ROOT.glob("*.md"), *ROOT.glob("*.toml")]
    for folder in ("benchmarks", "docs", "keras_blitz", "parity", "scripts", "tests"):
        listed += [path for kind in (*PAGES, CODE) for path in (ROOT / folder).rglob(kind)]
    skipped = {Path(__file__), ROOT / "docs" / "inventory.md"}
    merged = re.compile("|".join(f"(?P<p{i}>{pattern})" for i, pattern in enumerate(DIALECT)))
    plain = list(DIALECT.values())
    return tuple(
        (str(path.relative_to(ROOT)), match[0], plain[int(match.lastgroup[1:])])
        for path in sorted(set(listed) - skipped)
        if not (path.is_relative_to(ROOT / "docs") and MADE & set(path.parts))
        for match in merged.finditer(prose(path))
    )


def test_the_prose_is_plain_english():
    lines = [f"{file}: {written!r}, write: {instead}" for file, written, instead in occurrences()]
    assert not lines, "\n".join(lines)


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("the layers behind it, ahead of it; a row a layer", 3),
        ("after the layers, before it, ahead of time; one row per layer", 0),
        ("a list is no index, and there is no other; it is no longer one", 1),
        ("float64, for PyTorch computes it so", 1),
        ("a name, for the message; schedules, for Keras optimizers", 0),
        ("relu-behind-the-head, half an hour a row", 0),
        ("how x lies; the normalised behaviour", 3),
        ("the normalized behavior", 0),
    ],
)
def test_the_patterns_find_the_dialect_and_nothing_else(text, count):
    assert sum(len(re.findall(pattern, text)) for pattern in DIALECT) == count
