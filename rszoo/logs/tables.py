"""A table of text, and its forms for documents: Markdown, LaTeX and CSV."""

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass

NOT_MEASURED = (
    "-: not measured: the radius is above the largest that n votes can certify, or was not tested."
)
LATEX = str.maketrans(
    {character: f"\\{character}" for character in "&%$#_{}"}
    | {"^": r"\^{}", "~": r"\textasciitilde{}", "\\": r"\textbackslash{}"}
    | {"<": r"\ensuremath{<}", ">": r"\ensuremath{>}"}
)


@dataclass(frozen=True)
class Table:
    """A table.

    Attributes:
        columns: their names.
        rows: the cells of each, one per column; spaces around a cell indent it on a terminal only.
    """

    columns: Sequence[str]
    rows: Sequence[Sequence[str]]

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
