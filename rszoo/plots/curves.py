"""Pictures of curves: one panel, or one for each sigma, with one legend below."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from rszoo.plots.curve import Curve
from rszoo.plots.looks import folded, looks, titled

WIDTH_INCHES, HEIGHT_INCHES, LEGEND_LINE_INCHES = 6.0, 4.0, 0.17
# with more titles the figure is wider, for two columns of them
MANY_TITLES, MANY_WIDTH_INCHES = 12, 7.2
LONGEST_LABEL = 48  # characters beside the axis
LONGEST_LINE, LONGEST_OF_MANY = 76, 46  # characters of the legend
WIDE_TITLE = 41  # with longer titles the legend of a few curves has one column
PANEL_HEIGHT_INCHES, MOST_PANELS = 2.7, 12
X_LABEL = r"$\ell_2$ radius, pixels in [0, 1]"

Drawn = Sequence[tuple[Curve, dict[str, Any]]]


def draw_curves(curves: Sequence[Curve], *, images: int | None, by_sigma: bool = False) -> Figure:
    """One panel, or one for each sigma, and the legend below.

    Beyond `rszoo.plots.looks.MOST_TITLES` curves the legend names none of them.

    Args:
        curves: at least one.
        images: the number of images, if it is the same for all.
        by_sigma: one panel for each sigma, in which entries that differ in sigma alone look the
            same; a last panel holds the curves without one.

    Raises:
        ValueError: there are more than `MOST_PANELS` sigmas.
    """
    several = by_sigma and len({curve.sigma for curve in curves}) > 1
    curves = titled(curves, by_sigma=by_sigma)
    drawn = list(zip(curves, looks(curves), strict=True))
    legend = _Legend.of(drawn, wide=several)
    if several:
        figure = _draw_panels(_by_sigma(drawn), legend.inches, images)
    else:
        width = MANY_WIDTH_INCHES if legend.wide else WIDTH_INCHES
        figure = Figure(figsize=(width, HEIGHT_INCHES + legend.inches), layout="constrained")
        _draw_panel(figure.add_subplot(), drawn, images)
    handles = _handles(figure, drawn)
    figure.legend(
        handles.values(),
        [folded(label, legend.longest) for label in handles],
        loc="outside lower center",
        ncols=legend.columns,
        fontsize=8,
        frameon=False,
        handlelength=3.4,
        columnspacing=1.5,
    )
    return figure


@dataclass(frozen=True)
class _Legend:
    """Its layout: two columns in a wide figure, the longest line, and what it adds to a height."""

    wide: bool
    columns: int
    longest: int
    inches: float

    @classmethod
    def of(cls, drawn: Drawn, *, wide: bool) -> "_Legend":
        """The layout for the labels of these curves; `wide`: the figure is."""
        labels = {look["label"] for _, look in drawn} - {"_"}
        wide = wide or len(labels) > MANY_TITLES
        two = wide or (len(drawn) > 1 and max(map(len, labels)) <= WIDE_TITLE)
        longest = LONGEST_OF_MANY if wide else LONGEST_LINE
        lines = sum(1 + folded(label, longest).count("\n") for label in labels)
        lines = -(-lines // 2) if two else lines
        return cls(wide, 2 if two else 1, longest, LEGEND_LINE_INCHES * max(0, lines - 3))


def _by_sigma(drawn: Drawn) -> Mapping[float | None, Drawn]:
    """The curves of each sigma, and last those without one."""
    panels: dict[float | None, Drawn] = {}
    for sigma in sorted({curve.sigma for curve, _ in drawn}, key=lambda s: (s is None, s)):
        panels[sigma] = [each for each in drawn if each[0].sigma == sigma]
    if len(panels) > MOST_PANELS:
        raise ValueError(
            f"Expected at most {MOST_PANELS} sigmas for one panel each, got {len(panels)}; "
            "draw fewer logs, or all in one panel."
        )
    return panels


def _draw_panels(panels: Mapping[float | None, Drawn], below: float, images: int | None) -> Figure:
    """Two panels per row, with the same vertical axis."""
    rows = -(-len(panels) // 2)
    size = (MANY_WIDTH_INCHES, PANEL_HEIGHT_INCHES * rows + below)
    figure = Figure(figsize=size, layout="constrained")
    for place, (sigma, drawn) in enumerate(panels.items(), 1):
        ax = figure.add_subplot(rows, 2, place)
        _draw_panel(ax, drawn, images)
        name = "several sigmas, or not known" if sigma is None else rf"$\sigma$ = {sigma:g}"
        ax.set_title(name, fontsize=10)
        ax.tick_params(labelsize=8)
        for label in (ax.xaxis.label, ax.yaxis.label):
            label.set_fontsize(9)
        if place % 2 == 0:
            ax.set_ylabel("")
        if place <= len(panels) - 2:
            ax.set_xlabel("")
    top = max(ax.get_ylim()[1] for ax in figure.axes)
    for ax in figure.axes:
        ax.set_ylim(0, top)
    return figure


def _handles(figure: Figure, drawn: Drawn) -> dict[str, Artist]:
    """What stands for each label in the legend, in the order of the curves."""
    shown: dict[str, Artist] = {}
    for ax in figure.axes:
        for artist, label in zip(*ax.get_legend_handles_labels(), strict=True):
            shown.setdefault(str(label), artist)
    order = dict.fromkeys(look["label"] for _, look in drawn)
    return {label: shown[label] for label in order if label in shown}


def _draw_panel(ax: Axes, drawn: Drawn, images: int | None) -> None:
    _draw_axes(ax, [curve for curve, _ in drawn], images)
    for curve, look in drawn:
        if curve.kind in ("attack", "points"):
            ax.plot(curve.radii, curve.accuracies, **look)
            continue
        fall = ([curve.radii[-1]], [0.0]) if curve.falls else ([], [])
        x, y = [*curve.radii, *fall[0]], [*curve.accuracies, *fall[1]]
        ax.step(x, y, where="pre", **look)


def _what(curves: Sequence[Curve], images: int | None) -> str:
    """The label of the vertical axis."""
    kinds = {curve.kind for curve in curves}
    what = "certified accuracy"
    if "attack" in kinds:
        both = kinds != {"attack"}
        what = "accuracy (certified, under attack)" if both else "accuracy under attack"
    where = "" if images is None else f" on {images:,} images"
    return what + ("\n" + where.strip() if len(what + where) > LONGEST_LABEL else where)


def _draw_axes(ax: Axes, curves: Sequence[Curve], images: int | None) -> None:
    ax.set_xlabel(X_LABEL)
    ax.set_ylabel(_what(curves, images))
    ax.set_xlim(0, 1.02 * max([0.1, *(curve.radii[-1] for curve in curves)]))
    ax.set_ylim(0, min(1.0, 0.05 + max(curve.accuracies[0] for curve in curves)))
    ax.grid(color="#DDDDDD", linewidth=0.6)
    ax.set_axisbelow(True)
    ax.spines[["top", "right"]].set_visible(False)
