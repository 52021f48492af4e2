"""Put the parts of a lesson's code that begin with `# PyTorch`, `# Keras`, … next to each other.

A block of Python is cut at the lines that are one of these comments and nothing else, if there are two or more. What
comes before is above the columns, what follows their functions is below. On narrow pages the columns are below each
other (side_by_side.css).
"""

from docutils import nodes
from sphinx.transforms import SphinxTransform

TITLES = ("NumPy", "PyTorch", "TensorFlow", "Keras")


def cut(code: str) -> tuple[str, dict[str, str], str]:
    """Return a block's code before the first column, the columns by their titles, and the code after the last."""
    before: list[str] = []
    columns: dict[str, list[str]] = {}
    after: list[str] = []
    part = before
    for line in code.splitlines():
        title = line.removeprefix("# ")
        if line.startswith("# ") and title in TITLES:
            part = columns.setdefault(title, [])
            continue
        if columns and part is not after and _ends_a_function(line, part):
            part = after
        part.append(line)
    joined = {title: "\n".join(lines).strip("\n") for title, lines in columns.items()}
    return "\n".join(before).strip("\n"), joined, "\n".join(after).strip("\n")


def _ends_a_function(line: str, part: list[str]) -> bool:
    """Return whether a line at the margin is one after the functions and classes of a column."""
    at_margin = line[:1] not in ("", " ", ")", "]", "}", "@", "#") and not line.startswith(("def ", "class "))
    return at_margin and any(old.startswith(("def ", "class ")) for old in part)


class SideBySide(SphinxTransform):
    """Replaces the blocks that have columns."""

    default_priority = 400

    def apply(self, **options) -> None:
        """Cut the blocks of a page; what was a comment for sphinx-gallery alone leaves an empty one, which goes."""
        for block in list(self.document.findall(nodes.literal_block)):
            if not block.astext().strip():
                block.parent.remove(block)
                continue
            before, columns, after = cut(block.astext())
            if len(columns) < 2:
                continue
            row = nodes.container(classes=["side-by-side"])
            for title, code in columns.items():
                column = nodes.container(classes=["side"])
                column += nodes.paragraph(text=title, classes=["side-title"])
                column += _like(block, code)
                row += column
            around = [_like(block, code) if code else None for code in (before, after)]
            block.replace_self([part for part in (around[0], row, around[1]) if part is not None])


def _like(block: nodes.literal_block, code: str) -> nodes.literal_block:
    """Return a block with other code and the same attributes."""
    return nodes.literal_block(code, code, **block.attributes)


def setup(app):
    """Register the transform and its style."""
    app.add_transform(SideBySide)
    app.add_css_file("side_by_side.css")
    return {"parallel_read_safe": True}
