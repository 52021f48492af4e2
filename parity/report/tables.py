"""Tables that stay readable in a narrow terminal: where the columns do not fit, each row becomes a few lines."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from rich.console import Console, ConsoleOptions, RenderableType
from rich.table import Table
from rich.text import Text

Cell = str | Text
INDENT = 2  # characters before the lines of a row


@dataclass(frozen=True)
class Column:
    """One column.

    Args:
        title: above it.
        right: aligned to the right, as numbers are.
        wraps: the least width at which its cells may be broken into lines; None: they are never broken.
        narrow: where it goes in a narrow terminal: the "head" of the row, the "line" of numbers that follows, or
            "below" on a line of its own.
    """

    title: str
    right: bool = False
    wraps: int | None = None
    narrow: Literal["head", "line", "below"] = "line"


@dataclass(frozen=True)
class FittingTable:
    """A table, drawn with columns where they fit and as lines where they do not.

    Args:
        columns: from left to right.
        rows: a cell for each column.
        styles: a style for each row; none: as the cells are.
        gap: characters between two columns.
    """

    columns: Sequence[Column]
    rows: Sequence[Sequence[Cell]]
    styles: Sequence[str] = ()
    gap: int = 2

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[RenderableType]:
        if self.width() <= options.max_width:
            yield self._table()
        else:
            yield from self._lines()

    def width(self) -> int:
        """Return how many characters the columns need, where those that may be broken are."""
        needed = [
            width if column.wraps is None else min(width, column.wraps)
            for column, width in zip(self.columns, self._widths(), strict=True)
        ]
        return sum(needed) + self.gap * (len(needed) - 1)

    def _widths(self) -> list[int]:
        cells = zip(*self.rows, strict=True) if self.rows else ((),) * len(self.columns)
        return [max([len(column.title), *map(len, down)]) for column, down in zip(self.columns, cells, strict=True)]

    def _table(self) -> Table:
        table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, self.gap, 0, 0))
        for column in self.columns:
            justify: Literal["right", "left"] = "right" if column.right else "left"
            table.add_column(column.title, justify=justify, no_wrap=column.wraps is None, overflow="fold")
        for row, style in zip(self.rows, self.styles or [""] * len(self.rows), strict=True):
            table.add_row(*map(_text, row), style=style)
        return table

    def _lines(self) -> Iterator[Text]:
        """Yield the rows as lines: a head that a row shares with the one above is written once."""
        yield from self._row([column.title for column in self.columns], "bold", below=False)
        above = None
        for row, style in zip(self.rows, self.styles or [""] * len(self.rows), strict=True):
            head = [str(cell) for cell, column in zip(row, self.columns, strict=True) if column.narrow == "head"]
            yield from self._row(row, style, head=head != above)
            above = head

    def _row(self, row: Sequence[Cell], style: str, *, head: bool = True, below: bool = True) -> Iterator[Text]:
        placed = list(zip(self.columns, self._widths(), map(_text, row), strict=True))
        if head:
            yield _join([cell for column, _, cell in placed if column.narrow == "head" and cell], style)
        numbers = [_align(cell, width, column) for column, width, cell in placed if column.narrow == "line"]
        if numbers:
            yield _join(numbers, style, " " * INDENT)
        for column, _, cell in placed:
            if column.narrow == "below" and cell and below:
                yield _join([Text(column.title, style="dim"), cell] if column.title else [cell], style, " " * INDENT)


def _text(cell: Cell) -> Text:
    return Text(cell) if isinstance(cell, str) else cell


def _align(cell: Text, width: int, column: Column) -> Text:
    cell = cell.copy()
    cell.align("right" if column.right else "left", width)
    return cell


def _join(cells: Sequence[Text], style: str, start: str = "") -> Text:
    line = Text(start, style=style, overflow="fold")
    for number, cell in enumerate(cells):
        line.append("  " if number else "")
        line.append_text(cell)
    line.rstrip()
    return line
