"""The tables of the commands at several widths of the terminal."""

import io

import pytest
from rich.console import Console
from rich.text import Text

from parity.report.tables import Column, FittingTable

CASES = FittingTable(
    [
        Column("case", narrow="head"),
        Column("covers", narrow="head"),
        Column("dtype"),
        Column("tensors", right=True),
        *map(Column, ("eager", "graph", "xla")),
        Column("", wraps=24, narrow="below"),
    ],
    [
        ("sgd-momentum-clip", "O3 O4", "float64", "72", "1.2e-15", "1.3e-15", "1.4e-15", ""),
        (
            "sgd-momentum-clip",
            "O3 O4",
            "float32",
            "8",
            "1.05× 2.03×",
            "1.06× 2.04×",
            Text("FAIL 3/72"),
            "a reason",
        ),
        ("lenet", "N1", "float64", "99", "error", "-", "-", "the golden trace of this case is missing on this machine"),
    ],
)


def printed(table, width):
    out = io.StringIO()
    Console(file=out, width=width).print(table)
    return [line.rstrip() for line in out.getvalue().splitlines()]


@pytest.mark.parametrize("width", [40, 60, 80, 120, 200])
def test_no_cell_is_cut_and_no_line_is_wider_than_the_terminal(width):
    lines = printed(CASES, width)
    assert max(map(len, lines)) <= width
    words = " ".join(lines).split()
    assert "…" not in "".join(words)
    for row in (*CASES.rows, [column.title for column in CASES.columns]):
        assert {word for cell in row for word in str(cell).split()} <= set(words)


def test_columns_where_they_fit_and_lines_where_they_do_not():
    head, first, *_ = printed(CASES, 200)
    assert head.split() == ["case", "covers", "dtype", "tensors", "eager", "graph", "xla"]
    assert first.split()[:3] == ["sgd-momentum-clip", "O3", "O4"]
    assert printed(CASES, 60) == [
        "case  covers",
        "  dtype    tensors  eager        graph        xla",
        "sgd-momentum-clip  O3 O4",  # written once for both dtypes
        "  float64       72  1.2e-15      1.3e-15      1.4e-15",
        "  float32        8  1.05× 2.03×  1.06× 2.04×  FAIL 3/72",
        "  a reason",
        "lenet  N1",
        "  float64       99  error        -            -",
        "  the golden trace of this case is missing on this machine",
    ]


def test_a_table_without_rows_has_its_titles():
    (head,) = printed(FittingTable(CASES.columns, []), 200)
    assert head.split() == ["case", "covers", "dtype", "tensors", "eager", "graph", "xla"]
