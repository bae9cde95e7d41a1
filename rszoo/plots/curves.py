"""Certified accuracy against radius, as exact step curves; accuracy under attack as joined marks; published values as marks."""

import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from matplotlib.axes import Axes
from matplotlib.figure import Figure

# Okabe & Ito's palette without its yellow, which white paper swallows; in grey the line styles tell the curves apart
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
WIDTH_INCHES, HEIGHT_INCHES, LEGEND_LINE_INCHES = 6.0, 4.0, 0.17
MANY_TITLES, MANY_WIDTH_INCHES = (
    12,
    7.2,
)  # with more titles the figure is wider, with room for two columns of them
LONGEST_LABEL = 48  # characters beside the axis
LONGEST_LINE, LONGEST_OF_MANY = 76, 46  # characters of the legend
WIDE_TITLE = 41  # with longer ones the legend of a few curves has one column


@dataclass(frozen=True)
class Curve:
    """Certified accuracy at some radii.

    Attributes:
        title: its name in the legend.
        radii: l2 radii in pixel units, increasing.
        accuracies: at these radii; of a "curve" also between, where it is that of the larger radius.
        kind: a step "curve"; the "bound" below the curve before it; the "envelope" of all; published "points"; accuracy
            under "attack", in the colour of the classifier's first curve.
        of: the classifier, where there are attacks.
    """

    title: str
    radii: Sequence[float]
    accuracies: Sequence[float]
    kind: Literal["curve", "bound", "envelope", "points", "attack"] = "curve"
    of: str = ""


def draw_curves(curves: Sequence[Curve], *, images: int | None) -> Figure:
    """One panel, the legend below it.

    Args:
        curves: at least one.
        images: on how many the curves are, if all are on as many.
    """
    titles = {curve.title for curve in curves}
    many = len(titles) > MANY_TITLES
    columns = 2 if many or (len(curves) > 1 and max(map(len, titles)) <= WIDE_TITLE) else 1
    folded = {
        title: textwrap.fill(title, LONGEST_OF_MANY if many else LONGEST_LINE) for title in titles
    }
    lines = -(-sum(1 + text.count("\n") for text in folded.values()) // columns)
    height = HEIGHT_INCHES + LEGEND_LINE_INCHES * max(0, lines - 3)
    figure = Figure(
        figsize=(MANY_WIDTH_INCHES if many else WIDTH_INCHES, height), layout="constrained"
    )
    ax = figure.add_subplot()
    _draw_axes(ax, curves, images)
    _draw_each(ax, curves, folded)
    figure.legend(
        loc="outside lower center",
        ncols=columns,
        fontsize=8,
        frameon=False,
        handlelength=3.4,
        columnspacing=1.5,
    )
    return figure


def _draw_each(ax: Axes, curves: Sequence[Curve], folded: Mapping[str, str]) -> None:
    drawn, marked, named = -1, -1, set()
    places: dict[str, int] = {}
    for curve in curves:
        title = folded[curve.title]
        drawn += curve.kind == "curve"
        marked += curve.kind in ("points", "attack")
        if curve.kind == "curve":
            places.setdefault(curve.of, drawn)
        elif curve.kind == "attack" and curve.of not in places:
            drawn += 1
            places[curve.of] = drawn
        color, style = COLORS[max(drawn, 0) % len(COLORS)], STYLES[max(drawn, 0) % len(STYLES)]
        x, y = (
            [*curve.radii, curve.radii[-1]],
            [*curve.accuracies, 0.0],
        )  # above its last radius a curve is 0
        if curve.kind == "curve":
            ax.step(x, y, where="pre", color=color, linestyle=style, linewidth=1.5, label=title)
        elif curve.kind == "bound":
            label = "_" if title in named else title  # bounds share one line of the legend
            ax.step(x, y, where="pre", color=color, linestyle="-", linewidth=0.6, label=label)
            named.add(title)
        elif curve.kind == "attack":
            marker, color = MARKERS[marked % len(MARKERS)], COLORS[places[curve.of] % len(COLORS)]
            ax.plot(
                curve.radii,
                curve.accuracies,
                marker,
                color=color,
                linestyle=":",
                linewidth=1,
                markersize=5,
                clip_on=False,
                label=title,
            )
        elif curve.kind == "envelope":
            ax.step(x, y, where="pre", color="#D0D0D0", linewidth=5, zorder=1, label=title)
        else:
            marker = MARKERS[marked % len(MARKERS)]
            face = "white" if marked < len(MARKERS) else "black"
            ax.plot(
                curve.radii,
                curve.accuracies,
                marker,
                color="black",
                markerfacecolor=face,
                markersize=5.5,
                clip_on=False,
                zorder=3,
                label=title,
            )


def _draw_axes(ax: Axes, curves: Sequence[Curve], images: int | None) -> None:
    ax.set_xlabel(r"$\ell_2$ radius, pixels in [0, 1]")
    kinds = {curve.kind for curve in curves}
    what = (
        "certified accuracy"
        if "attack" not in kinds
        else "accuracy under attack"
        if kinds == {"attack"}
        else "accuracy (certified, under attack)"
    )
    where = "" if images is None else f" on {images:,} images"
    ax.set_ylabel(what + ("\n" + where.strip() if len(what + where) > LONGEST_LABEL else where))
    ax.set_xlim(0, 1.02 * max([0.1, *(curve.radii[-1] for curve in curves)]))
    ax.set_ylim(0, min(1.0, 0.05 + max(curve.accuracies[0] for curve in curves)))
    ax.grid(color="#DDDDDD", linewidth=0.6)
    ax.set_axisbelow(True)
    ax.spines[["top", "right"]].set_visible(False)
