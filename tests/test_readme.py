"""The Python of the README runs, and its table is that of the logs."""

import re
from pathlib import Path

import pytest

from rszoo.analysis import Published, load_published, results
from rszoo.records import Log, read_log

README = Path(__file__).parents[1] / "README.md"
ENTRIES = Path(__file__).parents[1] / "rszoo" / "entries"
RADII = [0.25 * i for i in range(7)]
SOURCES = {"Cohen et al., ResNet-110, log": "cohen-log-cifar10-", "Cohen et al., ResNet-110, paper": "cohen-cifar10-"}


def test_the_python_block_runs(capsys: pytest.CaptureFixture[str]) -> None:
    import rszoo

    (block,) = re.findall(r"```python\n(.*?)```", README.read_text(encoding="utf-8"), flags=re.DOTALL)
    photograph = Path(rszoo.__file__).parent / "demo_images" / "horse.jpg"
    assert "cat.png" in block
    assert "n=10_000" in block
    exec(block.replace("cat.png", str(photograph)).replace("n=10_000", "n=1000"), {})
    assert capsys.readouterr().out.startswith("horse 0.")


def grid_row(log: Log) -> list[str]:
    found = results(log)
    return [f"{100 * found.accuracy(radius):.1f}" if radius in log.protocol.radii else "" for radius in RADII]


def published_row(row: Published) -> list[str]:
    stated = dict(zip(row.radii, row.accuracies, strict=True))
    return [f"{100 * stated[radius]:.{1 if row.source == 'log' else 0}f}" if radius in stated else "" for radius in RADII]


def entry_rows() -> dict[tuple[str, float], list[str]]:
    logs = {path.parent.name: read_log(path) for path in ENTRIES.glob("*/certify-grid.tsv")}
    return {(name, log.protocol.sigma): grid_row(log) for name, log in logs.items()}


def published_rows(name: str) -> dict[tuple[str, float], list[str]]:
    rows = [row for row in load_published().values() if row.key.startswith(SOURCES[name])]
    return {(name, row.sigma): published_row(row) for row in rows}


def test_the_table_is_that_of_the_logs() -> None:
    """Every grid of the package has its line, and so has each row of Cohen et al. for CIFAR-10."""
    lines = [line for line in README.read_text(encoding="utf-8").splitlines() if re.match(r"\| (cifar10-|Cohen et al)", line)]
    cells = [[cell.strip() for cell in line.split("|")[1:-1]] for line in lines]
    table = {(name, float(sigma)): shares for name, sigma, *shares in cells}
    log, paper = map(published_rows, SOURCES)
    assert len(log) == len(paper) == 4
    assert table == entry_rows() | log | paper


@pytest.mark.parametrize("sigma", [0.12, 0.25, 0.5, 1.0])
def test_an_entry_is_above_the_published_log_at_each_radius(sigma: float) -> None:
    """From 0.25 on, on the same images, as the README says."""
    (published,) = [row for (_, s), row in published_rows("Cohen et al., ResNet-110, log").items() if s == sigma]
    ours = [row for (_, s), row in entry_rows().items() if s == sigma]
    pairs = [(max(float(row[i]) for row in ours), float(share)) for i, share in enumerate(published) if i and share]
    assert pairs
    assert all(best > share for best, share in pairs)
