"""What the verbs print: tables, JSON, and p-values that are rounded to the safe side."""

import json
import sys
from collections.abc import Sequence
from decimal import ROUND_CEILING, Context
from typing import Literal

from rszoo.logs.tables import Table

PIPE_WIDTH = 10_000  # wide enough that no cell of a piped table is wrapped
WHOLE_NAME = 48  # names up to this long stay on one line of a terminal, where they can be copied

Format = Literal["terminal", "markdown", "latex", "csv"]


def print_table(
    columns: Sequence[str], rows: Sequence[Sequence[str]], format: Format = "terminal"
) -> None:
    """Print a table for the terminal, or for a document."""
    table = Table(columns, rows)
    documents = {"markdown": table.markdown, "latex": table.latex, "csv": table.csv}
    if format == "terminal":
        _print_in_terminal(table)
    else:
        print(documents[format]())


def _print_in_terminal(table: Table) -> None:
    """Framed and folded to the terminal's width; plain, one line per row, without a terminal."""
    from rich.box import SIMPLE
    from rich.console import Console
    from rich.table import Table as Grid
    from rich.text import Text

    terminal = sys.stdout.isatty()
    grid = Grid(box=SIMPLE if terminal else None, pad_edge=False, collapse_padding=True)
    for column in table.columns:
        grid.add_column(column, overflow="fold")
    grid.columns[0].no_wrap = all(len(row[0]) <= WHOLE_NAME for row in table.rows)
    for row in table.rows:
        grid.add_row(*map(Text, row))  # as text: a name with brackets is no markup
    Console(width=None if terminal else PIPE_WIDTH, highlight=False).print(grid)


def print_json(value: object) -> None:
    """Print a value as JSON."""
    print(json.dumps(value, indent=2))


def round_up(value: float, digits: int) -> str:
    """A p-value with that many significant digits, never below `value`."""
    return f"{Context(prec=digits, rounding=ROUND_CEILING).create_decimal_from_float(value):g}"
