"""The picture of a card: certified accuracy against radius, with published values."""

from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from rszoo.logs.analysis import lower_bounds
from rszoo.publishing.cards.evidence import Evidence, FixedLog
from rszoo.publishing.cards.numbers import RHO, published_rows
from rszoo.zoo.layout import picture

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from rszoo.plots import Curve


def draw_card(evidence: Evidence) -> "Figure | None":
    """The picture of an entry's card; None without a log of n votes per image."""
    if evidence.fixed is None:
        return None
    from rszoo.plots import Curve, draw_curves

    images = len(evidence.fixed.results)
    curves = list(_curves(evidence.fixed))
    for row in published_rows(evidence):
        others = "" if row.images in (images, None) else f", {row.images:,} images"
        title = f"{row.title}, {row.architecture}{others}"
        curves.append(Curve(title, row.radii, row.accuracies, "points"))
    return draw_curves(curves, images=images)


def save_picture(evidence: Evidence, folder: Path) -> None:
    """Write the picture of an entry's card, if it has one, into the folder of the card.

    Raises:
        ValueError: matplotlib is not installed.
    """
    if evidence.fixed is not None and find_spec("matplotlib") is None:
        raise ValueError(
            "Expected matplotlib to be installed, got none; pip install 'rszoo[plots]'."
        )
    if figure := draw_card(evidence):
        from rszoo.plots import save_figure

        unversioned = {"Software": None}  # else matplotlib writes its version
        path = folder / picture(evidence.config.name)
        save_figure(figure, path, dpi=150, metadata=unversioned)


def _curves(fixed: FixedLog) -> "Iterator[Curve]":
    """By the logged rule and by the other, each with its lower bound."""
    from rszoo.plots import Curve

    rules = ((fixed.protocol.bound, fixed.results), (fixed.other_bound, fixed.projected))
    for bound, results in rules:
        radii, accuracies = (values.tolist() for values in results.curve())
        yield Curve(f"this entry, {bound}", radii, accuracies)
        below = lower_bounds(results, radii, alpha=fixed.protocol.alpha, rho=RHO)[1]
        yield Curve(f"thin: lower bound at all radii, rho={RHO:g}", radii, below, "bound")
