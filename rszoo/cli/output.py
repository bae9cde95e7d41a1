"""What the verbs print: tables, JSON, and p-values that are rounded to the safe side."""

import json
import os
import shutil
import sys
from collections.abc import Sequence
from decimal import ROUND_CEILING, Context
from typing import Literal, TextIO

from rszoo.cli.names import without_common_start
from rszoo.logs.tables import Layout, Table, fold

TOGETHER = "\0=\0"  # stands for " = " while text is folded
Format = Literal["terminal", "markdown", "latex", "csv"]


def print_table(
    columns: Sequence[str],
    rows: Sequence[Sequence[str]],
    format: Format = "terminal",
    *,
    facts: Sequence[str] = (),
    spare: Sequence[str] = (),
    unsaid: Sequence[str] = (),
) -> dict[str, str]:
    """Print a table for the terminal, or for a document.

    A pipe gets all columns, one line per row. A terminal gets lines that fit it, in which no word
    is broken, and entries' names without the start that they share.

    Args:
        columns: the names of the columns.
        rows: their cells.
        format: "terminal", or that of the document.
        facts: columns that a terminal shows above the table where all rows have the same.
        spare: columns that the first one repeats; a terminal that is too narrow leaves them out.
        unsaid: facts that the caller prints itself where all rows have the same.

    Returns:
        What of `unsaid` the rows share, by column; empty if it is in the table.
    """
    table = Table(columns, rows)
    documents = {"markdown": table.markdown, "latex": table.latex, "csv": table.csv}
    if format != "terminal":
        print(documents[format]())
        return {}
    if not sys.stdout.isatty():
        layout = table.layout()
        print(*(line for cells in (columns, *rows) for line in layout.row(cells)), sep="\n")
        return {}
    return _print_in_terminal(table, facts, spare, unsaid)


def _print_in_terminal(
    table: Table, facts: Sequence[str], spare: Sequence[str], unsaid: Sequence[str]
) -> dict[str, str]:
    table, shared = table.distinguishing([*facts, *unsaid])
    start, names = without_common_start([row[0] for row in table.rows])
    table = Table(
        table.columns,
        [[name, *row[1:]] for name, row in zip(names, table.rows, strict=True)],
    )
    above = [f"{column} {shared[column]}" for column in shared if column not in unsaid]
    if above:
        print_text(f"All: {', '.join(above)}.")
    if start:
        print_text(f"Names start with {start}, which may be left out when you type them.")
    if above or start:
        print()
    layout = table.layout(terminal_width())
    if spare and (len(layout.lines) > 1 or layout.gap < 2):
        table = table.without(spare)
        layout = table.layout(terminal_width())
    print_head(layout, table.columns)
    for row in table.rows:
        print(*layout.row(row), sep="\n")
    print()
    return {column: shared[column] for column in unsaid if column in shared}


def print_head(layout: Layout, columns: Sequence[str]) -> None:
    """Print the head of a table on a terminal, unless it is empty, and a rule below it."""
    bold, plain = ("", "") if os.environ.get("NO_COLOR") else ("\x1b[1m", "\x1b[0m")
    for line in layout.row(columns) if any(columns) else ():
        print(f"{bold}{line}{plain}")
    print("\u2500" * min(layout.width, terminal_width()))


class Rows:
    """A table whose rows are printed one by one, as they become known.

    Args:
        columns: their names.
        widest: for each the widest cell to expect.
    """

    def __init__(self, columns: Sequence[str], widest: Sequence[str]) -> None:
        self.columns, self.begun = columns, False
        width = terminal_width() if sys.stdout.isatty() else None
        self.layout = Table(columns, [widest]).layout(width)

    def print(self, cells: Sequence[str]) -> None:
        """Print a row, and before the first one the head."""
        if not self.begun and sys.stdout.isatty():
            print_head(self.layout, self.columns)
        elif not self.begun:
            print(*self.layout.row(self.columns), sep="\n")
        self.begun = True
        print(*self.layout.row(cells), sep="\n", flush=True)


def print_text(text: str, file: TextIO | None = None) -> None:
    """Print text, which a terminal shows folded between words, paragraph by paragraph."""
    file = file or sys.stdout
    if not file.isatty():
        print(text, file=file)
        return
    for paragraph in text.replace(" = ", TOGETHER).split("\n"):
        for line in fold(paragraph, terminal_width()):
            print(line.replace(TOGETHER, " = "), file=file)


def terminal_width() -> int:
    """Of the terminal, in characters."""
    return shutil.get_terminal_size().columns


def print_json(value: object) -> None:
    """Print a value as JSON."""
    print(json.dumps(value, indent=2))


def print_json_line(value: object) -> None:
    """Print a value as one line of JSON, at once."""
    print(json.dumps(value), flush=True)


def round_up(value: float, digits: int) -> str:
    """A p-value with that many significant digits, never below `value`."""
    return f"{Context(prec=digits, rounding=ROUND_CEILING).create_decimal_from_float(value):g}"
