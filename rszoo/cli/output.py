"""What the verbs print: tables, JSON, and numbers that are rounded to the safe side."""

import csv
import json
import sys
from collections.abc import Sequence
from decimal import ROUND_CEILING, Context

PIPE_WIDTH = 10_000  # wide enough that no cell of a piped table is wrapped
WHOLE_NAME = 48  # names up to this long stay on one line of a terminal, where they can be copied


def print_table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a table: framed and folded to a terminal's width, plain and one line a row where stdout is no terminal."""
    from rich.box import SIMPLE
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    terminal = sys.stdout.isatty()
    table = Table(box=SIMPLE if terminal else None, pad_edge=False, collapse_padding=True)
    for column in columns:
        table.add_column(column, overflow="fold")
    table.columns[0].no_wrap = all(len(row[0]) <= WHOLE_NAME for row in rows)
    for row in rows:
        table.add_row(*map(Text, row))  # as text: a name with brackets is no markup
    Console(width=None if terminal else PIPE_WIDTH, highlight=False).print(table)


def print_grid(columns: Sequence[str], rows: Sequence[Sequence[str]], format: str) -> None:
    """Print a table as `print_table` ("terminal"), or for a document: "markdown", "latex" (booktabs) or "csv"."""
    if format == "terminal":
        print_table(columns, rows)
    elif format == "csv":
        writer = csv.writer(sys.stdout, lineterminator="\n")
        writer.writerow(columns)
        writer.writerows([[cell.strip() for cell in row] for row in rows])
    else:
        from tabulate import tabulate

        styles = {"markdown": "github", "latex": "latex_booktabs"}
        align = ["left", *["right"] * (len(columns) - 1)]
        print(
            tabulate(
                rows,
                headers=columns,
                tablefmt=styles[format],
                colalign=align,
                disable_numparse=True,
            )
        )


def print_json(value: object) -> None:
    """Print a value as JSON."""
    print(json.dumps(value, indent=2))


def round_up(value: float, digits: int) -> str:
    """A p-value with that many significant digits, never below `value`."""
    return f"{Context(prec=digits, rounding=ROUND_CEILING).create_decimal_from_float(value):g}"
