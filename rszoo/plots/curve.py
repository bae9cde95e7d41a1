"""Certified accuracy against radius, accuracy under attack and papers' accuracies, as data."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from rszoo.logs.analysis import Published, Results, lower_bounds

ROUNDING = 2e-6  # of a radius in a log


@dataclass(frozen=True)
class Curve:
    """Certified accuracy at some radii.

    Attributes:
        title: its name in the legend.
        radii: l2 radii in pixel units, increasing.
        accuracies: at these radii; between them a "curve" has the accuracy of the larger radius.
        kind: a step "curve"; the "bound" below the curve before it; the "envelope" of all;
            published "points"; accuracy under "attack", in the colour of the classifier's first
            curve.
        of: the classifier, where there are attacks.
        end: the largest radius at which the accuracy is known; a curve that is above 0 up to there
            ends there, others fall to 0 after their last radius.
        sigma: of the noise, in pixel units; None if it is not known or of several.
    """

    title: str
    radii: Sequence[float]
    accuracies: Sequence[float]
    kind: Literal["curve", "bound", "envelope", "points", "attack"] = "curve"
    of: str = ""
    end: float = math.inf
    sigma: float | None = None

    @property
    def falls(self) -> bool:
        """Whether the accuracy is known to be 0 above the last of the radii."""
        return self.end - self.radii[-1] > ROUNDING


def accuracy_curve(
    title: str, results: Results, *, of: str = "", sigma: float | None = None
) -> Curve:
    """Certified accuracy at all radii that the votes can certify."""
    radii, accuracies = results.curve()
    return Curve(title, radii.tolist(), accuracies.tolist(), of=of, end=results.reach, sigma=sigma)


def bound_curve(proven: Results, curve: Curve, *, alpha: float, rho: float) -> Curve:
    """The lower bound that holds at all radii at once; see `rszoo.logs.analysis.lower_bounds`.

    Args:
        proven: what the votes prove.
        curve: the one that the bound is drawn below, at whose radii it is taken.
        alpha: the failure probability of a certificate.
        rho: that of the bound.
    """
    _, everywhere = lower_bounds(proven, curve.radii, alpha=alpha, rho=rho)
    title = f"thin: lower bound at all radii, rho={rho:g}"
    return Curve(title, curve.radii, everywhere, "bound", end=proven.reach, sigma=curve.sigma)


def published_points(row: Published, title: str, images: int | None) -> Curve:
    """The accuracies of a paper, with its number of images unless that is the axis's."""
    other = "" if row.images in (images, None) else f", {row.images:,} images"
    return Curve(title + other, row.radii, row.accuracies, "points", sigma=row.sigma)
