"""The numbers of a card as text: shares of images rounded to the safe side, tables in Markdown."""

from collections.abc import Sequence
from decimal import Decimal

from rszoo.logs.analysis import Published, Results, load_published, lower_bounds
from rszoo.logs.format import round_down
from rszoo.publishing.cards.evidence import Evidence, FixedLog, GridLog, TwinLog

RHO = 0.001
STEP = 0.25


def share(value: float, images: int, *, up: bool = False) -> str:
    """A share of so many images in percent: exact if the decimals allow it, else rounded down, or up."""
    digits = 1 if images <= 1000 else 2
    count = round(value * images) * 10 ** (digits + 2)
    return f"{Decimal(-(-count // images) if up else count // images).scaleb(-digits)} %"


def markdown(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table; all columns but the first are aligned to the right."""
    rule = ["---", *["---:"] * (len(columns) - 1)]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in (columns, rule, *rows))


def table_radii(fixed: FixedLog) -> list[float]:
    """0, 0.25, 0.5, ... while an image is certified by one of the two rules."""
    radii = [0.0]
    while any(found.count(radii[-1] + STEP) for found in (fixed.results, fixed.projected)):
        radii.append(radii[-1] + STEP)
    return radii


def fixed_table(fixed: FixedLog) -> str:
    """Certified accuracy by the logged rule and by the other, each with its lower bound; ACR and abstentions."""
    radii, images = table_radii(fixed), len(fixed.results)
    cells = [[_radius(radius) for radius in radii] + ["average certified radius (ACR)", "abstains"]]
    for found in (fixed.results, fixed.projected):
        cells.append([share(found.accuracy(radius), images) for radius in radii])
        cells[-1] += [round_down(found.average_radius, 3), share(found.abstention, images, up=True)]
        cells.append([*_at_least(found, radii, fixed.protocol.alpha), "", ""])
    columns = (
        "l2 radius",
        f"`{fixed.protocol.bound}`",
        "at least",
        f"`{fixed.other_bound}`",
        "at least",
    )
    return markdown(columns, list(zip(*cells, strict=True)))


def grid_table(grid: GridLog) -> str:
    """Certified accuracy at the tested radii, with its lower bound."""
    images = len(grid.results)
    cells = [
        [_radius(radius) for radius in grid.radii],
        [share(grid.results.accuracy(radius), images) for radius in grid.radii],
        _at_least(grid.results, grid.radii, grid.protocol.alpha),
    ]
    return markdown(("l2 radius", "certified accuracy", "at least"), list(zip(*cells, strict=True)))


def twin_table(fixed: FixedLog, twin: TwinLog) -> str:
    """Certified accuracy of the same images in both precisions."""
    own, other = twin.results
    rows = [
        [_radius(radius), *(share(found.accuracy(radius), len(found)) for found in (own, other))]
        for radius in table_radii(fixed)
    ]
    averages = [
        "average certified radius (ACR)",
        *(round_down(found.average_radius, 3) for found in (own, other)),
    ]
    return markdown(
        ("l2 radius", f"`{fixed.protocol.precision}`", f"`{twin.precision}`"), [*rows, averages]
    )


def _radius(radius: float) -> str:
    return "0 (right class)" if radius == 0 else f"{radius:.6g}"


def _at_least(found: Results, radii: Sequence[float], alpha: float) -> list[str]:
    return [
        share(value, len(found)) for value in lower_bounds(found, radii, alpha=alpha, rho=RHO)[1]
    ]


def published_rows(evidence: Evidence) -> list[Published]:
    """What papers state for the same data set, sigma and family of methods."""
    model = (evidence.config.dataset, evidence.config.sigma, evidence.config.method)
    return [
        row for row in load_published().values() if (row.dataset, row.sigma, _family(row)) == model
    ]


def _family(row: Published) -> str:
    return row.method.replace(",", " ").split()[0]


def published_table(evidence: Evidence, rows: Sequence[Published]) -> str:
    """The entry's certified accuracy above that of papers."""
    radii = sorted({radius for row in rows for radius in row.radii})
    lines = [_own_line(evidence, evidence.fixed, radii)] if evidence.fixed else []
    columns = (
        "",
        "method",
        "network",
        "images",
        "n",
        "alpha",
        *(f"{radius:g}" for radius in radii),
        "ACR",
    )
    return markdown(columns, [*lines, *(_published_line(row, radii) for row in rows)])


def _own_line(evidence: Evidence, fixed: FixedLog, radii: Sequence[float]) -> list[str]:
    found, protocol = fixed.results, fixed.protocol
    facts = [
        evidence.config.method,
        evidence.config.architecture,
        f"{len(found):,}",
        f"{protocol.n:,}",
        f"{protocol.alpha:g}",
    ]
    accuracies = [share(found.accuracy(radius), len(found)) for radius in radii]
    return ["**this entry**", *facts, *accuracies, round_down(found.average_radius, 3)]


def _published_line(row: Published, radii: Sequence[float]) -> list[str]:
    def known(value: float | None, text: str) -> str:
        return "" if value is None else format(value, text)

    stated = dict(zip(row.radii, row.accuracies, strict=True))
    digits = 0 if row.source == "table" else 1
    facts = [
        row.method,
        row.architecture,
        known(row.images, ","),
        known(row.n, ","),
        known(row.alpha, "g"),
    ]
    accuracies = [
        f"{100 * stated[radius]:.{digits}f} %" if radius in stated else "" for radius in radii
    ]
    return [
        f"[{row.key}](https://arxiv.org/abs/{row.paper})",
        *facts,
        *accuracies,
        known(row.acr, ".3f"),
    ]
