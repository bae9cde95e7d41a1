"""What README and the pages show is what runs and what the commands beside it print."""

import ast
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
README, RESULTS = ROOT / "README.md", ROOT / "docs" / "results.md"
PAGES = [README, ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
PHOTOGRAPHS = ROOT / "rszoo" / "demo_images"
COHEN = {  # how the table names these rows, and the digits of their source
    "cohen-log-cifar10-": ("Cohen et al., ResNet-110, log", 1),
    "cohen-cifar10-": ("Cohen et al., ResNet-110, paper", 0),
}


def text(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def blocks(kind: str) -> list[str]:
    return re.findall(rf"```{kind}\n(.*?)```", text(README), flags=re.DOTALL)


def test_the_first_block_prints_what_stands_under_it(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    first, _ = blocks("python")
    monkeypatch.chdir(PHOTOGRAPHS)
    exec(first, {})
    (shown,) = [line.removeprefix("# ") for line in first.splitlines() if line.startswith("# ")]
    (label, radius), (known, value) = capsys.readouterr().out.split(), shown.split()
    assert label == known
    assert float(radius) == pytest.approx(float(value), rel=1e-12)


@pytest.mark.slow
def test_the_second_block_runs(capsys: pytest.CaptureFixture[str]) -> None:
    _, block = blocks("python")
    changes = {  # the same calls with fewer samples
        "cat.png": str(PHOTOGRAPHS / "horse.jpg"),
        "n=10_000": "n=1000",
        "radius=[": "n=10_000, radius=[",
        "tolerance=": "n=5000, tolerance=",
    }
    for old, new in changes.items():
        assert old in block
        block = block.replace(old, new)
    exec(block, {})
    assert capsys.readouterr().out.startswith("horse 0.")


@pytest.mark.slow
def test_the_notebook_runs() -> None:
    """Cell after cell in one namespace, the last expression of each shown as a notebook would."""
    cells = json.loads(text(ROOT / "docs" / "quickstart.ipynb"))["cells"]
    sources = ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]
    assert len(sources) > 5
    namespace: dict[str, Any] = {}
    shown = []
    for source in sources:
        *statements, last = ast.parse(source).body
        exec(compile(ast.Module(statements, []), "cell", "exec"), namespace)
        if isinstance(last, ast.Expr):
            shown.append(eval(compile(ast.Expression(last.value), "cell", "eval"), namespace))
        else:
            exec(compile(ast.Module([last], []), "cell", "exec"), namespace)
    assert all(repr(value) for value in shown)
    assert namespace["certificates"][0].class_name in (None, *namespace["clf"].classes)


def test_links_lead_somewhere() -> None:
    links = [
        (page, *link)
        for page in PAGES
        for link in re.findall(r"\]\((?!https?:)([^)#]*)(#[^)]*)?\)", text(page))
    ]
    assert len(links) > 10
    for page, path, anchor in links:
        target = page.parent / path if path else page
        assert target.exists(), f"{path} in {page}"
        heads = re.findall(r"^#+ (.*)$", text(target) if anchor else "", flags=re.MULTILINE)
        assert not anchor or anchor[1:] in {head.lower().replace(" ", "-") for head in heads}


def test_every_verb_of_the_readme_exists() -> None:
    import typer

    from rszoo.cli import app

    verbs = set(typer.main.get_command(app).commands)  # type: ignore[attr-defined]
    listed = re.findall(r"^    rszoo (\w+)", text(README), flags=re.MULTILINE)
    assert set(listed) == verbs


@pytest.fixture(scope="module")
def rows() -> list[dict[str, Any]]:
    """What the command beside the table prints, as JSON."""
    (command,) = re.findall(r"`rszoo (table [^`]*certify-grid[^`]*)`", text(RESULTS))
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
        line for line in text(RESULTS).splitlines() if re.match(r"\| (cifar10-|Cohen et al)", line)
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


def test_the_short_table_holds_the_best_entry_of_each_sigma() -> None:
    lines = re.findall(r"^\| (?:0\.\d+|1) \|.*$", text(README), flags=re.MULTILINE)
    cells = [[cell.strip() for cell in line.split("|")[1:-1]] for line in lines]
    assert [float(sigma) for sigma, *_ in cells] == [0.12, 0.25, 0.5, 1.0]
    logs = [str(path) for path in ROOT.glob("rszoo/entries/*/certify-grid.tsv")]
    published = ["--published", "cohen-log-*", "--published", "salman-smoothadv-cifar10-s*"]
    for sigma, radius, ours, name, *theirs in cells:
        output = run("table", *logs, *published, "--radius", radius, "--json").output
        rows = [row for row in json.loads(output) if row["sigma"] == float(sigma)]
        best = max((row for row in rows if row["kind"] == "log"), key=lambda row: row["accuracies"])
        assert (name, ours) == (best["title"], f"{100 * best['accuracies'][0]:.1f}")
        others = {row["title"]: row["accuracies"][0] for row in rows if row["kind"] != "log"}
        for start, share in zip(("cohen-log", "salman-smoothadv"), theirs, strict=True):
            (known,) = [value for title, value in others.items() if title.startswith(start)]
            assert share == f"{100 * known:.1f}"


@pytest.mark.parametrize("sigma", [0.12, 0.25, 0.5, 1.0])
def test_an_entry_is_above_the_published_log_at_each_radius(
    sigma: float, rows: list[dict[str, Any]]
) -> None:
    """From 0.25 on, on the same images, as the page says."""
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
    assert ", ".join(below) in " ".join(text(RESULTS).split())
