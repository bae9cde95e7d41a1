"""The picture of a card: certified accuracy against radius, with the published values."""

from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from rszoo.logs.analysis import Results, lower_bounds
from rszoo.publishing.cards.evidence import Evidence, FixedLog
from rszoo.publishing.cards.numbers import RHO, published_rows
from rszoo.zoo.layout import picture

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from rszoo.plots import Curve


def draw_card(evidence: Evidence) -> "Figure | None":
    """The picture that the card of an entry shows; None if there is no log with n votes for each image."""
    from rszoo.plots import Curve, draw_curves

    if evidence.fixed is None:
        return None
    images = len(evidence.fixed.results)
    curves = list(_curves(evidence.fixed))
    for row in published_rows(evidence):
        title = f"{row.title}, {row.architecture}" + (
            "" if row.images in (images, None) else f", {row.images:,} images"
        )
        curves.append(Curve(title, row.radii, row.accuracies, "points"))
    return draw_curves(curves, images=images)


def save_picture(evidence: Evidence, folder: Path) -> None:
    """Write the picture that the card of an entry shows, if it shows one, into the folder of the card.

    Raises:
        ValueError: matplotlib is not installed.
    """
    if evidence.fixed is None:
        return
    if find_spec("matplotlib") is None:
        raise ValueError(
            "Expected matplotlib to be installed, got none; pip install 'rszoo[plots]'."
        )
    if figure := draw_card(evidence):
        from rszoo.plots import save_figure

        place = folder / picture(evidence.config.name)
        save_figure(
            figure, place, dpi=150, metadata={"Software": None}
        )  # without the version of matplotlib


def _curves(fixed: FixedLog) -> "Iterator[Curve]":
    for bound, found in (
        (fixed.protocol.bound, fixed.results),
        (fixed.other_bound, fixed.projected),
    ):
        yield from _with_bound(f"this entry, {bound}", found, fixed.protocol.alpha)


def _with_bound(title: str, found: Results, alpha: float) -> "Iterator[Curve]":
    from rszoo.plots import Curve

    radii, accuracies = (values.tolist() for values in found.curve())
    yield Curve(title, radii, accuracies)
    below = lower_bounds(found, radii, alpha=alpha, rho=RHO)[1]
    yield Curve(f"thin: lower bound at all radii, rho={RHO:g}", radii, below, "bound")
