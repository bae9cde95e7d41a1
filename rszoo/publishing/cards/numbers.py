"""The numbers of a card as text: shares of images rounded to the safe side, tables in Markdown."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from rszoo.bounds import implying_l2
from rszoo.logs.analysis import Published, Results, load_published, lower_bounds
from rszoo.logs.format import in_full, round_down, round_up
from rszoo.logs.tables import Table
from rszoo.publishing.cards.evidence import Evidence, FixedLog, GridLog, TwinLog

CIFAR, LEVELS = 3 * 32 * 32, 2
RHO = 0.001
STEP = 0.25
ACR = "average certified radius (ACR)"


def share(value: float, images: int, *, up: bool = False) -> str:
    """A share of so many images in percent: exact where the decimals allow it, else rounded."""
    percent, digits = 100 * round(value * images) / images, 1 if images <= 1000 else 2
    return f"{round_up(percent, digits) if up else round_down(percent, digits)} %"


def table_radii(fixed: FixedLog) -> list[float]:
    """0, 0.25, 0.5, ... while an image is certified by one of the two rules."""
    radii = [0.0]
    while any(results.count(radii[-1] + STEP) for results in (fixed.results, fixed.projected)):
        radii.append(radii[-1] + STEP)
    return radii


def fixed_table(fixed: FixedLog) -> str:
    """Certified accuracy by the logged rule and the other, with lower bounds; ACR; abstentions."""
    radii, alpha = table_radii(fixed), fixed.protocol.alpha
    columns = ["l2 radius"]
    cells = [[*map(_radius, radii), ACR, "abstains"]]
    rules = {fixed.protocol.bound: fixed.results, fixed.other_bound: fixed.projected}
    for bound, results in rules.items():
        abstained = share(results.abstention, len(results), up=True)
        columns += [f"`{bound}`", "at least"]
        cells.append([*_accuracies(results, radii), _acr(results), abstained])
        cells.append([*_at_least(results, radii, alpha), "", ""])
    return _markdown(columns, cells)


@dataclass(frozen=True)
class Advice:
    """The bound with the larger mean radius on the images of a log, and what the log says of both.

    Attributes:
        bound, other: the advised bound, and the one that it is compared with.
        n: the samples per image of the log.
        acr, other_acr: the mean certified radius by each, rounded down.
        abstains, other_abstains: the share of images on which each abstains, rounded up.
        reach: the largest radius that n samples certify by the advised bound, rounded down.
    """

    bound: str
    other: str
    n: int
    acr: str
    other_acr: str
    abstains: str
    other_abstains: str
    reach: str


def advised(fixed: FixedLog) -> Advice:
    """The bound and n for users of the entry; of two equal bounds the logged one."""
    rules = [(fixed.protocol.bound, fixed.results), (fixed.other_bound, fixed.projected)]
    rules.sort(key=lambda rule: -rule[1].average_radius)
    (bound, best), (other, second) = rules
    return Advice(
        bound,
        other,
        fixed.protocol.n,
        _acr(best),
        _acr(second),
        share(best.abstention, len(best), up=True),
        share(second.abstention, len(second), up=True),
        round_down(best.reach, 3),
    )


def implied_facts(fixed: FixedLog, shape: Sequence[int]) -> dict[str, str] | None:
    """Accuracy at the l-infinity radius 2/255 that l2 radii imply; only for CIFAR-size images."""
    values = math.prod(shape)
    if values != CIFAR:
        return None
    needed = implying_l2(LEVELS / 255, values)
    accuracy = share(fixed.results.accuracy(needed), len(fixed.results))
    return {
        "radius": f"{LEVELS}/255",
        "size": f"{values:,}",
        "l2": round_up(needed, 4),
        "accuracy": accuracy,
    }


def grid_table(grid: GridLog) -> str:
    """Certified accuracy at the tested radii, with its lower bound."""
    results, radii = grid.results, grid.radii
    bounds = _at_least(results, radii, grid.protocol.alpha)
    return _markdown(
        ("l2 radius", "certified accuracy", "at least"),
        [[*map(_radius, radii)], _accuracies(results, radii), bounds],
    )


def twin_table(fixed: FixedLog, twin: TwinLog) -> str:
    """Certified accuracy of the same images in both precisions."""
    radii = table_radii(fixed)
    numbers = [[*_accuracies(results, radii), _acr(results)] for results in twin.results]
    columns = ("l2 radius", f"`{fixed.protocol.precision}`", f"`{twin.precision}`")
    return _markdown(columns, [[*map(_radius, radii), ACR], *numbers])


def _markdown(names: Sequence[str], columns: Sequence[Sequence[str]]) -> str:
    return Table(names, list(zip(*columns, strict=True))).markdown()


def _radius(radius: float) -> str:
    return "0 (right class)" if radius == 0 else in_full(radius)


def _accuracies(results: Results, radii: Sequence[float]) -> list[str]:
    """A dash where nothing was measured."""
    shares = [results.measured(radius) for radius in radii]
    return ["-" if value is None else share(value, len(results)) for value in shares]


def _acr(results: Results) -> str:
    return round_down(results.average_radius, 3)


def _at_least(results: Results, radii: Sequence[float], alpha: float) -> list[str]:
    _, everywhere = lower_bounds(results, radii, alpha=alpha, rho=RHO)
    return [
        share(bound, len(results)) if results.answers(radius) else "-"
        for bound, radius in zip(everywhere, radii, strict=True)
    ]


def published_rows(evidence: Evidence) -> list[Published]:
    """What papers state for the same data set, sigma and family of methods."""
    model = (evidence.config.dataset, evidence.config.sigma, evidence.config.method)
    return [
        row for row in load_published().values() if (row.dataset, row.sigma, _family(row)) == model
    ]


def published_radii(rows: Sequence[Published]) -> list[float]:
    """All radii that the rows state an accuracy at."""
    return sorted({radius for row in rows for radius in row.radii})


def _family(row: Published) -> str:
    return row.method.replace(",", " ").split()[0]


def published_table(evidence: Evidence, rows: Sequence[Published]) -> str:
    """The entry's certified accuracy above that of papers."""
    radii = published_radii(rows)
    columns = ["", "method", "network", "images", "n", "alpha", *map(in_full, radii), "ACR"]
    lines = [_own_line(evidence, evidence.fixed, radii)] if evidence.fixed else []
    return Table(columns, [*lines, *(_published_line(row, radii) for row in rows)]).markdown()


def _own_line(evidence: Evidence, fixed: FixedLog, radii: Sequence[float]) -> list[str]:
    config, protocol, results = evidence.config, fixed.protocol, fixed.results
    facts = [config.method, config.architecture, f"{len(results):,}"]
    facts += [f"{protocol.n:,}", f"{protocol.alpha:g}"]
    return ["**this entry**", *facts, *_accuracies(results, radii), _acr(results)]


def _published_line(row: Published, radii: Sequence[float]) -> list[str]:
    stated = dict(zip(row.radii, row.accuracies, strict=True))
    digits = 0 if row.source == "table" else 1
    return [
        f"[{row.key}](https://arxiv.org/abs/{row.paper})",
        row.method,
        row.architecture,
        _known(row.images, ","),
        _known(row.n, ","),
        _known(row.alpha, "g"),
        *(_known(stated.get(radius), f".{digits}%").replace("%", " %") for radius in radii),
        _known(row.acr, ".3f"),
    ]


def _known(value: float | None, text: str) -> str:
    return "" if value is None else format(value, text)
