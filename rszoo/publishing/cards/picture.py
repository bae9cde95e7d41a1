"""The picture of a card: certified accuracy against radius, with published values."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from rszoo.publishing.cards.evidence import Evidence, FixedLog
from rszoo.publishing.cards.numbers import RHO, published_rows
from rszoo.zoo.config import picture

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from rszoo.plots import Curve


def draw_card(evidence: Evidence) -> "Figure | None":
    """The picture on the card of an entry; None without a log of n votes per image."""
    if evidence.fixed is None:
        return None
    from rszoo.plots import draw_curves, published_points

    images = len(evidence.fixed.results)
    curves = list(_curves(evidence.fixed))
    for row in published_rows(evidence):
        curves.append(published_points(row, f"{row.title}, {row.architecture}", images))
    return draw_curves(curves, images=images)


def save_picture(evidence: Evidence, folder: Path) -> None:
    """Write the picture on the card of an entry, if it has one, into the folder of the card.

    Raises:
        ValueError: matplotlib is not installed.
    """
    if figure := draw_card(evidence):
        from rszoo.plots import save_figure

        place = folder / picture(evidence.config.name)
        without_version = {"Software": None}  # of matplotlib
        save_figure(figure, place, dpi=150, metadata=without_version)


def _curves(fixed: FixedLog) -> "Iterator[Curve]":
    """The curve of each bound, and below it what it proves at all radii at once."""
    from rszoo.plots import accuracy_curve, bound_curve

    bounds = {fixed.protocol.bound: fixed.results, fixed.other_bound: fixed.projected}
    for bound, results in bounds.items():
        curve = accuracy_curve(f"this entry, {bound}", results)
        yield curve
        yield bound_curve(results, curve, alpha=fixed.protocol.alpha, rho=RHO)
