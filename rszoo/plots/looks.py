"""How curves look: colours and styles that tell them apart, their lines of the legend, a crowd."""

import math
import re
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from rszoo.plots.curve import Curve

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
MOST_TITLES = math.lcm(len(COLORS), len(STYLES))
"""As many curves differ in colour or style; no one can follow more, and a legend has no place."""
CROWD: dict[str, dict[str, Any]] = {
    "curve": {"linewidth": 0.6, "color": "#999999", "alpha": 0.4, "linestyle": "-", "zorder": 1},
    "bound": {"linewidth": 0.3, "color": "#999999", "alpha": 0.4, "zorder": 1},
    "envelope": {"linewidth": 1.8, "color": COLORS[0], "zorder": 2},
    "attack": {"linewidth": 0.6, "color": "#999999", "alpha": 0.6, "marker": "."},
    "points": {"color": "black", "markersize": 4, "marker": "."},
}
CROWD_TITLES = {
    "curve": "each thin line: one of {} curves",
    "attack": "each dotted line: one of {} curves under attack",
    "points": "each dot: an accuracy of one of {} published rows",
}


def titled(curves: Sequence[Curve], *, by_sigma: bool) -> Sequence[Curve]:
    """The curves under the titles of the legend: where sigma has panels, no title needs it."""
    if by_sigma and len({curve.sigma for curve in curves}) > 1:
        return [replace(curve, title=_without_sigma(curve)) for curve in curves]
    return curves


def crowded(curves: Sequence[Curve], *, by_sigma: bool = False) -> bool:
    """Whether there are more certified curves than a reader can tell apart, or a legend name."""
    return "curve" in _crowds(titled(curves, by_sigma=by_sigma))


def looks(curves: Sequence[Curve]) -> list[dict[str, Any]]:
    """For each curve the keywords of `Axes.plot`; curves with the same title look the same.

    More than `MOST_TITLES` curves of a kind look all alike, and share one line of the legend.
    """
    crowds = _crowds(curves)
    places: dict[str, int] = {}  # of the titles of curves
    first: dict[str, int] = {}  # of each classifier's first curve, whose colour its attacks have
    marks: dict[str, int] = {}
    place, labelled, made = 0, False, []
    for curve in curves:
        if curve.kind == "curve":
            place = places.setdefault(curve.title, len(places))
            first.setdefault(curve.of, place)
        elif curve.kind == "attack":
            if curve.of not in first:  # a colour that no curve has, under a title that none has
                first[curve.of] = places.setdefault(f"\0{curve.of}", len(places))
            place = first[curve.of]
        look: dict[str, Any] = {"color": COLORS[place % len(COLORS)], **LOOKS[curve.kind]}
        look["label"] = crowds.get(curve.kind, curve.title)
        if curve.kind == "curve":
            look["linestyle"] = STYLES[place % len(STYLES)]
        elif curve.kind in ("attack", "points"):
            mark = marks.setdefault(curve.title, len(marks))
            hollow = curve.kind == "points" and mark < len(MARKERS)
            look["marker"] = MARKERS[mark % len(MARKERS)]
            look["markerfacecolor"] = "white" if hollow else look["color"]
        elif curve.kind == "bound":
            look["label"] = "_" if labelled else curve.title  # one line of the legend for all
            labelled = True
        if curve.kind in crowds or ("curve" in crowds and curve.kind in ("bound", "envelope")):
            look = {**look, **CROWD[curve.kind]}
            look.pop("markerfacecolor", None)
        made.append(look)
    return made


def _crowds(curves: Sequence[Curve]) -> Mapping[str, str]:
    """By kind, the line of the legend for all curves of that kind, if they are too many."""
    return {
        kind: text.format(f"{len(titles):,}")
        for kind, text in CROWD_TITLES.items()
        if len(titles := {curve.title for curve in curves if curve.kind == kind}) > MOST_TITLES
    }


def _without_sigma(curve: Curve) -> str:
    """The title without the sigma of an entry's name, if that is the curve's own."""
    sigma = re.search(r"-s(\d+\.\d+)(?![\w.-])", curve.title)
    if sigma is None or float(sigma[1]) != curve.sigma:
        return curve.title
    return curve.title[: sigma.start()] + curve.title[sigma.end() :]


def folded(label: str, width: int) -> str:
    """A line of the legend in lines of so many characters."""
    return textwrap.fill(label, width)
