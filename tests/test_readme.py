"""The Python of the README runs, and its table is what the command beside it prints."""

import contextlib
import json
import re
import shlex
from glob import glob
from itertools import chain
from pathlib import Path
from typing import Any

import pytest
from support.commands import run

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"
COHEN = {  # how the table names these rows, and the digits of their source
    "cohen-log-cifar10-": ("Cohen et al., ResNet-110, log", 1),
    "cohen-cifar10-": ("Cohen et al., ResNet-110, paper", 0),
}


@pytest.mark.slow
def test_the_python_block_runs(capsys: pytest.CaptureFixture[str]) -> None:
    import rszoo

    (block,) = re.findall(
        r"```python\n(.*?)```", README.read_text(encoding="utf-8"), flags=re.DOTALL
    )
    photograph = Path(rszoo.__file__).parent / "demo_images" / "horse.jpg"
    assert "cat.png" in block
    changes = {  # the same calls with fewer samples
        "cat.png": str(photograph),
        "n=10_000": "n=1000",
        "radius=[": "n=10_000, radius=[",
        "tolerance=": "n=5000, tolerance=",
    }
    for old, new in changes.items():
        assert old in block
        block = block.replace(old, new)
    exec(block, {})
    assert capsys.readouterr().out.startswith("horse 0.")


@pytest.fixture(scope="module")
def rows() -> list[dict[str, Any]]:
    """What the command beside the table prints, as JSON."""
    (command,) = re.findall(
        r"`rszoo (table [^`]*certify-grid[^`]*)`", README.read_text(encoding="utf-8")
    )
    words = [
        glob(word, root_dir=ROOT) if word.endswith(".tsv") else [word]
        for word in shlex.split(command)
    ]
    with contextlib.chdir(ROOT):
        found: list[dict[str, Any]] = json.loads(run(*chain.from_iterable(words), "--json").output)
    return found


def test_the_table_is_that_of_the_command(rows: list[dict[str, Any]]) -> None:
    """Every row, with one digit, or none if it is from the paper's table; no entry is missing."""
    lines = [
        line
        for line in README.read_text(encoding="utf-8").splitlines()
        if re.match(r"\| (cifar10-|Cohen et al)", line)
    ]
    cells = [[cell.strip() for cell in line.split("|")[1:-1]] for line in lines]
    table = {(name, float(sigma)): shares for name, sigma, *shares in cells}
    expected = {}
    for row in rows:
        name, digits = next(
            (value for start, value in COHEN.items() if row["title"].startswith(start)),
            (row["title"], 1),
        )
        shares = [
            "" if share is None else f"{100 * share:.{digits}f}" for share in row["accuracies"]
        ]
        expected[name, row["sigma"]] = shares
    assert table == expected
    assert len(table) == len(rows) == len(list(ROOT.glob("rszoo/entries/*/certify-grid.tsv"))) + 8


@pytest.mark.parametrize("sigma", [0.12, 0.25, 0.5, 1.0])
def test_an_entry_is_above_the_published_log_at_each_radius(
    sigma: float, rows: list[dict[str, Any]]
) -> None:
    """From 0.25 on, on the same images, as the README says."""
    (published,) = [
        row for row in rows if row["title"].startswith("cohen-log-") and row["sigma"] == sigma
    ]
    ours = [row for row in rows if row["kind"] == "log" and row["sigma"] == sigma]
    stated = [
        i
        for i, share in enumerate(published["accuracies"])
        if share is not None and published["radii"][i] > 0
    ]
    assert stated
    assert all(
        max(row["accuracies"][i] for row in ours) > published["accuracies"][i] for i in stated
    )


def test_the_radii_where_no_entry_is_above_the_paper_are_named(rows: list[dict[str, Any]]) -> None:
    ours = [row for row in rows if row["kind"] == "log"]
    below: list[Any] = []
    for paper in (row for row in rows if row["title"].startswith("cohen-cifar10-")):
        for i, share in enumerate(paper["accuracies"]):
            if share is None or paper["radii"][i] == 0:
                continue
            best = max(
                row["accuracies"][i]
                for row in ours
                if row["sigma"] == paper["sigma"] and row["accuracies"][i] is not None
            )
            if best <= share:
                at = "" if below else f"for radius {paper['radii'][i]:g} at two sigmas: "
                below.append(f"{at}{100 * best:.1f} and {100 * share:.0f} at sigma")
                below[-1] += f" {paper['sigma']:g}"
    assert len(below) == 2
    text = " ".join(README.read_text(encoding="utf-8").split())
    assert ", ".join(below) in text
