"""Certified accuracy against radius as exact steps; accuracy under attack and papers' as marks."""

import math
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from rszoo.logs.analysis import Published, Results, lower_bounds

# Okabe & Ito's palette without its yellow, which is too pale on white; in grey the line styles
# tell the curves apart
COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00")
STYLES = (
    "-",
    (0, (5, 1.5)),
    (0, (1, 1)),
    (0, (6, 1.5, 1, 1.5)),
    (0, (3, 1, 1, 1, 1, 1)),
    (0, (12, 2)),
    (0, (2, 2)),
    (0, (10, 1.5, 1, 1.5, 1, 1.5)),
    (0, (4, 4)),
    (0, (1, 3)),
)
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "<", ">")
LOOKS: dict[str, dict[str, Any]] = {
    "curve": {"linewidth": 1.5},
    "bound": {"linewidth": 0.6},
    "envelope": {"linewidth": 5, "color": "#D0D0D0", "zorder": 1},
    "attack": {"linestyle": ":", "linewidth": 1, "markersize": 5, "clip_on": False},
    "points": {"linestyle": "", "color": "black", "markersize": 5.5, "clip_on": False, "zorder": 3},
}
WIDTH_INCHES, HEIGHT_INCHES, LEGEND_LINE_INCHES = 6.0, 4.0, 0.17
# with more titles the figure is wider, for two columns of them
MANY_TITLES, MANY_WIDTH_INCHES = 12, 7.2
LONGEST_LABEL = 48  # characters beside the axis
LONGEST_LINE, LONGEST_OF_MANY = 76, 46  # characters of the legend
ROUNDING = 2e-6  # of a radius in a log
WIDE_TITLE = 41  # with longer titles the legend of a few curves has one column


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
    """

    title: str
    radii: Sequence[float]
    accuracies: Sequence[float]
    kind: Literal["curve", "bound", "envelope", "points", "attack"] = "curve"
    of: str = ""
    end: float = math.inf

    @property
    def falls(self) -> bool:
        """Whether the accuracy is known to be 0 above the last of the radii."""
        return self.end - self.radii[-1] > ROUNDING


def accuracy_curve(title: str, results: Results, *, of: str = "") -> Curve:
    """Certified accuracy at all radii that the votes can certify."""
    radii, accuracies = results.curve()
    return Curve(title, radii.tolist(), accuracies.tolist(), of=of, end=results.reach)


def bound_curve(proven: Results, radii: Sequence[float], *, alpha: float, rho: float) -> Curve:
    """The lower bound that holds at all radii at once; see `rszoo.logs.analysis.lower_bounds`."""
    _, everywhere = lower_bounds(proven, radii, alpha=alpha, rho=rho)
    title = f"thin: lower bound at all radii, rho={rho:g}"
    return Curve(title, radii, everywhere, "bound", end=proven.reach)


def published_points(row: Published, title: str, images: int | None) -> Curve:
    """The accuracies of a paper, with its number of images unless that is the axis's."""
    other = "" if row.images in (images, None) else f", {row.images:,} images"
    return Curve(title + other, row.radii, row.accuracies, "points")


def draw_curves(curves: Sequence[Curve], *, images: int | None) -> Figure:
    """One panel, the legend below it.

    Args:
        curves: at least one.
        images: the number of images, if it is the same for all.
    """
    titles = {curve.title for curve in curves}
    many = len(titles) > MANY_TITLES
    columns = 2 if many or (len(curves) > 1 and max(map(len, titles)) <= WIDE_TITLE) else 1
    longest = LONGEST_OF_MANY if many else LONGEST_LINE
    folded = {title: textwrap.fill(title, longest) for title in titles}
    lines = -(-sum(1 + text.count("\n") for text in folded.values()) // columns)
    height = HEIGHT_INCHES + LEGEND_LINE_INCHES * max(0, lines - 3)
    width = MANY_WIDTH_INCHES if many else WIDTH_INCHES
    figure = Figure(figsize=(width, height), layout="constrained")
    ax = figure.add_subplot()
    _draw_axes(ax, curves, images)
    _draw_all(ax, curves, folded)
    figure.legend(
        loc="outside lower center",
        ncols=columns,
        fontsize=8,
        frameon=False,
        handlelength=3.4,
        columnspacing=1.5,
    )
    return figure


def _draw_all(ax: Axes, curves: Sequence[Curve], folded: Mapping[str, str]) -> None:
    place, marked, labels = -1, -1, dict(folded)
    places: dict[str, int] = {}  # of each classifier's first curve, whose colour its attacks have
    for curve in curves:
        if curve.kind == "curve" or (curve.kind == "attack" and curve.of not in places):
            place += 1
            places.setdefault(curve.of, place)
        number = places[curve.of] if curve.kind == "attack" else max(place, 0)
        look: dict[str, Any] = {"color": COLORS[number % len(COLORS)], **LOOKS[curve.kind]}
        look["label"] = labels[curve.title]
        if curve.kind in ("attack", "points"):
            marked += 1
            hollow = curve.kind == "points" and marked < len(MARKERS)
            face = "white" if hollow else look["color"]
            marker = MARKERS[marked % len(MARKERS)]
            ax.plot(curve.radii, curve.accuracies, marker, markerfacecolor=face, **look)
        else:
            fall = ([curve.radii[-1]], [0.0]) if curve.falls else ([], [])
            x, y = [*curve.radii, *fall[0]], [*curve.accuracies, *fall[1]]
            style = STYLES[number % len(STYLES)] if curve.kind == "curve" else "-"
            ax.step(x, y, where="pre", linestyle=style, **look)
        if curve.kind == "bound":
            labels[curve.title] = "_"  # bounds share one line of the legend


def _draw_axes(ax: Axes, curves: Sequence[Curve], images: int | None) -> None:
    ax.set_xlabel(r"$\ell_2$ radius, pixels in [0, 1]")
    kinds = {curve.kind for curve in curves}
    what = "certified accuracy"
    if "attack" in kinds:
        both = kinds != {"attack"}
        what = "accuracy (certified, under attack)" if both else "accuracy under attack"
    where = "" if images is None else f" on {images:,} images"
    ax.set_ylabel(what + ("\n" + where.strip() if len(what + where) > LONGEST_LABEL else where))
    ax.set_xlim(0, 1.02 * max([0.1, *(curve.radii[-1] for curve in curves)]))
    ax.set_ylim(0, min(1.0, 0.05 + max(curve.accuracies[0] for curve in curves)))
    ax.grid(color="#DDDDDD", linewidth=0.6)
    ax.set_axisbelow(True)
    ax.spines[["top", "right"]].set_visible(False)
