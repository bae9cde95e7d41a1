"""A table as Markdown, LaTeX and CSV."""

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
