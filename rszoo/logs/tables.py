"""A table of text: how it fits a terminal, and its forms for documents: Markdown, LaTeX and CSV."""

import csv
import io
import re
import textwrap
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from itertools import zip_longest

from rich.cells import cell_len

NOT_MEASURED = (
    "-: not measured: the radius is above the largest that n votes can certify, or was not tested."
)
LATEX = str.maketrans(
    {character: f"\\{character}" for character in "&%$#_{}"}
    | {"^": r"\^{}", "~": r"\textasciitilde{}", "\\": r"\textbackslash{}"}
    | {"<": r"\ensuremath{<}", ">": r"\ensuremath{>}"}
)

GAPS = (2, 1)  # spaces between columns, the second where the first does not fit
INDENT = 2  # of the second and further lines of a row
INDENTED_WORD = re.compile(r"^ *[^ ]*")
LEAST_TEXT = 16  # columns of sentences are not folded to fewer characters than that


@dataclass(frozen=True)
class Layout:
    """Where the cells of a row stand.

    Attributes:
        widths: of the columns, in characters; a cell is folded between words, never within one.
        lines: the places of the columns on each line of a row.
        gap: spaces between two columns.
    """

    widths: Sequence[int]
    lines: Sequence[Sequence[int]]
    gap: int

    @property
    def width(self) -> int:
        """Of the longest line."""
        return max(
            INDENT * (number > 0) + _total([self.widths[place] for place in places], self.gap)
            for number, places in enumerate(self.lines)
        )

    def row(self, cells: Sequence[str]) -> list[str]:
        """The lines of a row with these cells."""
        lines = []
        for number, places in enumerate(self.lines):
            folded = [fold(cells[place], self.widths[place]) for place in places]
            for parts in zip_longest(*folded, fillvalue=""):
                padded = [
                    part + " " * (self.widths[place] - cell_len(part))
                    for place, part in zip(places, parts, strict=True)
                ]
                lines.append((" " * INDENT * (number > 0) + (" " * self.gap).join(padded)).rstrip())
        return lines


def fold(text: str, width: int) -> list[str]:
    """The lines of a text, folded between words; a longer word stands alone, whole."""
    start = text[: len(text) - len(text.lstrip())]
    return textwrap.wrap(
        text,
        max(width, 1),
        subsequent_indent=start,
        break_long_words=False,
        break_on_hyphens=False,
    ) or [""]


@dataclass(frozen=True)
class Table:
    """A table.

    Attributes:
        columns: their names.
        rows: the cells of each, one per column; spaces around a cell indent it on a terminal only.
    """

    columns: Sequence[str]
    rows: Sequence[Sequence[str]]

    def layout(self, width: int | None = None) -> Layout:
        """The widest form with lines of at most `width` characters, if no word is longer.

        What helps is tried in this order: folding text, narrower gaps, and a second line of the
        row. Without a width, every row has one line.
        """
        columns = list(zip(self.columns, *self.rows, strict=True))
        natural = [max(map(cell_len, column)) for column in columns]
        places = range(len(columns))
        if width is None:
            return Layout(natural, [places], GAPS[-1])
        least = [_least(column, LEAST_TEXT) for column in columns]
        for gap in GAPS:
            if widths := _fitted(natural, least, width - gap * (len(columns) - 1)):
                return Layout(widths, [places], gap)
        room = width - INDENT
        widths = [
            max(_least(column), min(most, room))
            for column, most in zip(columns, natural, strict=True)
        ]
        stacked = [Layout(widths, _lines(widths, room, gap), gap) for gap in GAPS]
        return min(stacked, key=lambda layout: len(layout.lines))

    def distinguishing(self, facts: Collection[str]) -> tuple["Table", dict[str, str]]:
        """The table without those columns of `facts` that are the same in all rows, and these.

        A table of one row keeps all of its columns.
        """
        shared = {
            column: self.rows[0][place]
            for place, column in enumerate(self.columns)
            if column in facts and len(self.rows) > 1 and len({row[place] for row in self.rows}) < 2
        }
        return self.without(shared), shared

    def without(self, columns: Collection[str]) -> "Table":
        """The table without these columns."""
        kept = [place for place, column in enumerate(self.columns) if column not in columns]
        head, *rows = [[cells[place] for place in kept] for cells in (self.columns, *self.rows)]
        return Table(head, rows)

    def markdown(self) -> str:
        """As a Markdown table; all columns but the first are aligned to the right."""
        rule = ["---", *["---:"] * (len(self.columns) - 1)]
        lines = [self.columns, rule, *self._stripped()]
        return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)

    def latex(self) -> str:
        """As a LaTeX tabular for the package booktabs, special characters escaped."""
        head, *body = [
            f" {' & '.join(cell.translate(LATEX) for cell in cells)} \\\\"
            for cells in (self.columns, *self._stripped())
        ]
        columns = "l" + "r" * (len(self.columns) - 1)
        top = [f"\\begin{{tabular}}{{{columns}}}", "\\toprule", head, "\\midrule"]
        return "\n".join([*top, *body, "\\bottomrule", "\\end{tabular}"])

    def csv(self) -> str:
        """As comma-separated values."""
        text = io.StringIO()
        csv.writer(text, lineterminator="\n").writerows([self.columns, *self._stripped()])
        return text.getvalue().removesuffix("\n")

    def _stripped(self) -> list[list[str]]:
        return [[cell.strip() for cell in row] for row in self.rows]


def _least(column: Sequence[str], text: int = 0) -> int:
    """The width below which a column with these cells, the first its head, is not folded.

    It is that of the longest word, or for longer cells `text`.
    """
    words = [cell_len(word) for cell in column for word in cell.split()]
    indented = [cell_len(INDENTED_WORD.findall(cell)[0]) for cell in column]
    cells = [cell_len(cell) for cell in column[1:]]
    return max([1, *words, *indented, min(max(cells, default=0), text)])


def _fitted(natural: Sequence[int], least: Sequence[int], room: int) -> list[int] | None:
    """Widths of at most `room` in all, the widest columns made narrower first; None if none fit."""
    widths = list(natural)
    while sum(widths) > room:
        foldable = [place for place, width in enumerate(widths) if width > least[place]]
        if not foldable:
            return None
        widths[max(foldable, key=widths.__getitem__)] -= 1
    return widths


def _total(widths: Sequence[int], gap: int) -> int:
    return sum(widths) + gap * (len(widths) - 1)


def _lines(widths: Sequence[int], room: int, gap: int) -> list[list[int]]:
    """The first column on a line of its own, then as many on each line as fit."""
    lines: list[list[int]] = [[]]
    for place in range(1, len(widths)):
        if lines[-1] and _total([widths[i] for i in (*lines[-1], place)], gap) > room:
            lines.append([])
        lines[-1].append(place)
    return [[0], *lines]
