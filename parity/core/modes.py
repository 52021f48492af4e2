"""What a case can run in, and the patterns that choose among it."""

from fnmatch import fnmatchcase

DTYPES = ("float64", "float32")
MODES = ("eager", "graph", "xla")


def any_matches(text: str, patterns: tuple[str, ...]) -> bool:
    """Whether a text, such as <dtype>-<mode>, matches one of these patterns."""
    return any(fnmatchcase(text, pattern) for pattern in patterns)
