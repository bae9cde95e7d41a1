"""A table that fits a terminal, and as Markdown, LaTeX and CSV."""

import pytest

from rszoo.logs.tables import Table

TABLE = Table(["log", "0.25"], [["a_b & 50 %", "0.61"], ["  class 0", "-"]])


def test_markdown_aligns_numbers_to_the_right() -> None:
    lines = ["| log | 0.25 |", "| --- | ---: |", "| a_b & 50 % | 0.61 |", "| class 0 | - |"]
    assert TABLE.markdown().splitlines() == lines


def test_latex_escapes_special_characters() -> None:
    lines = TABLE.latex().splitlines()
    assert lines[0] == r"\begin{tabular}{lr}"
    assert lines[2:6] == [
        r" log & 0.25 \\",
        r"\midrule",
        r" a\_b \& 50 \% & 0.61 \\",
        r" class 0 & - \\",
    ]
    text = Table(["$#{}^~<>", "\\"], []).latex()
    assert r"\$\#\{\}\^{}\textasciitilde{}\ensuremath{<}\ensuremath{>} & \textbackslash{}" in text


def test_csv_quotes_commas_and_has_no_indentation() -> None:
    table = Table(["log", "correct, accurate"], [["  a", "1"]])
    assert table.csv().splitlines() == ['log,"correct, accurate"', "a,1"]


WIDE = Table(
    ["name", "share changed", "finding"],
    [["an-entry-of-a-zoo", "0.123456", "words that can be folded anywhere between them"]],
)


@pytest.mark.parametrize("width", [12, 20, 30, 40, 60, 100, None])
def test_a_layout_fits_and_keeps_every_word(width: int | None) -> None:
    layout = WIDE.layout(width)
    for cells in (WIDE.columns, *WIDE.rows):
        lines = layout.row(cells)
        assert sorted(" ".join(lines).split()) == sorted(" ".join(cells).split())
        assert all(not width or len(line) <= width or len(line.split()) == 1 for line in lines)


def test_a_layout_prefers_one_line_per_row() -> None:
    name, share, finding = WIDE.rows[0]
    assert WIDE.layout().row(WIDE.rows[0]) == [f"{name} {share:13} {finding}"]
    assert len(WIDE.layout(100).row(WIDE.rows[0])) == 1
    assert len(WIDE.layout(60).lines) == 1
    stacked = WIDE.layout(30)
    assert [list(places) for places in stacked.lines] == [[0], [1], [2]]
    assert stacked.row(WIDE.rows[0])[0] == "an-entry-of-a-zoo"
    assert stacked.row(WIDE.rows[0])[1].startswith("  0.123456")


def test_a_row_that_is_indented_stays_so_when_folded() -> None:
    table = Table(["log", "0"], [["a-log", "1"], ["  lower bound at one radius, rho=0.01", "0"]])
    lines = table.layout(24).row(table.rows[1])
    assert len(lines) > 1
    assert all(line.startswith("  ") for line in lines)


def test_columns_are_aligned_by_what_a_terminal_shows() -> None:
    table = Table(["image", "label"], [["\u732b.png", "cat"], ["dog.png", "dog"]])
    wide, narrow = (table.layout().row(row)[0] for row in table.rows)
    assert narrow.index("dog", 4) == wide.index("cat") + 1  # one character is two columns wide
