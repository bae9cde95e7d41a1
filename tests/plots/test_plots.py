"""The pictures: a legend is whole up to a crowd, a crowd stays small, sigmas get panels."""

from pathlib import Path
from typing import Literal

import pytest
from matplotlib.figure import Figure
from PIL import Image

from rszoo.plots import Curve, crowded, draw_curves, save_figure
from rszoo.plots.looks import MOST_TITLES, looks


@pytest.mark.parametrize("length", [12, 41, 44, 76, 120])
@pytest.mark.parametrize("count", [1, 2, 5, 12, 13, 30])
def test_the_legend_is_inside_the_figure_and_below_the_axes(count: int, length: int) -> None:
    titles = [
        f"{i:02} {'cifar10-resnet20-consistency-finetuned ' * 4}"[:length].strip()
        for i in range(count)
    ]
    figure = draw_curves([Curve(title, [0.0, 0.5], [0.6, 0.2]) for title in titles], images=500)
    figure.draw_without_rendering()
    (legend,) = figure.legends
    assert ["".join(text.get_text().split()) for text in legend.get_texts()] == [
        "".join(title.split()) for title in titles
    ]
    legend_box, axes_box = legend.get_window_extent(), figure.axes[0].get_window_extent()
    assert figure.bbox.x0 <= legend_box.x0 <= legend_box.x1 <= figure.bbox.x1
    assert figure.bbox.y0 <= legend_box.y0 <= legend_box.y1 <= axes_box.y0
    assert axes_box.height > 0.4 * 4 * figure.dpi


def named(count: int, kind: Literal["curve", "attack", "points"] = "curve") -> list[Curve]:
    return [Curve(f"log {i}", [0.0, 0.5], [0.6, 0.2], kind) for i in range(count)]


def legend_of(figure: Figure) -> list[str]:
    (legend,) = figure.legends
    return [text.get_text() for text in legend.get_texts()]


def test_as_many_curves_as_the_legend_names_differ_in_colour_or_style() -> None:
    shown = {(look["color"], look["linestyle"]) for look in looks(named(MOST_TITLES))}
    assert len(shown) == MOST_TITLES
    assert not crowded(named(MOST_TITLES))
    assert crowded(named(MOST_TITLES + 1))


def test_the_picture_of_a_crowd_stays_small(tmp_path: Path) -> None:
    curves = [
        Curve("best of the logs", [0.0, 0.5], [0.6, 0.2], "envelope"),
        *named(500),
        *named(500, "attack"),
        *named(500, "points"),
    ]
    figure = draw_curves(curves, images=500)
    assert legend_of(figure) == [
        "best of the logs",
        "each thin line: one of 500 curves",
        "each dotted line: one of 500 curves under attack",
        "each dot: an accuracy of one of 500 published rows",
    ]
    lines = figure.axes[0].get_lines()
    assert len(lines) == 1501
    assert lines[0].get_linewidth() > 2 * lines[1].get_linewidth()
    assert lines[0].get_zorder() > lines[1].get_zorder()
    save_figure(figure, tmp_path / "x.png", dpi=150)
    width, height = Image.open(tmp_path / "x.png").size
    assert max(width, height) <= 1080


def test_each_sigma_has_a_panel_where_a_method_looks_the_same() -> None:
    curves = [
        Curve(f"{name}-s{sigma:.2f}", [0.0, sigma], [0.6, 0.2], sigma=sigma)
        for sigma in (0.5, 0.25)
        for name in ("gaussian", "macer")
    ]
    curves += [
        Curve("log-s0.25 (paper)", [0.0], [0.9], "points", sigma=0.25),
        Curve("log-s0.50 (paper)", [0.0], [0.5], "points", sigma=0.5),
        Curve("best of a paper", [0.0], [0.9], "points"),
        Curve("macer-s0.50 at sigma 0.25", [0.0], [0.4], sigma=0.25),
    ]
    figure = draw_curves(curves, images=500, by_sigma=True)
    assert [ax.get_title() for ax in figure.axes] == [
        r"$\sigma$ = 0.25",
        r"$\sigma$ = 0.5",
        "several sigmas, or not known",
    ]
    assert legend_of(figure) == [
        "gaussian",
        "macer",
        "log (paper)",
        "best of a paper",
        "macer-s0.50 at sigma 0.25",
    ]
    quarter, half, other = (ax.get_lines() for ax in figure.axes)
    assert (len(quarter), len(half), len(other)) == (4, 3, 1)
    for place in range(3):
        assert quarter[place].get_color() == half[place].get_color()
        assert quarter[place].get_linestyle() == half[place].get_linestyle()
        assert quarter[place].get_marker() == half[place].get_marker()
    assert quarter[0].get_color() != quarter[1].get_color()
    assert len({ax.get_ylim() for ax in figure.axes}) == 1


def test_panels_of_one_sigma_are_the_usual_picture() -> None:
    curves = [Curve(f"{name}-s0.25", [0.0, 0.5], [0.6, 0.2], sigma=0.25) for name in ("one", "two")]
    figures = [draw_curves(curves, images=500, by_sigma=by_sigma) for by_sigma in (False, True)]
    assert legend_of(figures[0]) == legend_of(figures[1]) == ["one-s0.25", "two-s0.25"]
    assert len(figures[1].axes) == 1
    assert tuple(figures[0].get_size_inches()) == tuple(figures[1].get_size_inches())


def test_more_panels_than_a_page_holds_are_refused() -> None:
    curves = [Curve(str(i), [0.0], [0.5], sigma=i / 100) for i in range(1, 14)]
    with pytest.raises(ValueError, match=r"^Expected at most 12 sigmas .*, got 13; draw fewer"):
        draw_curves(curves, images=None, by_sigma=True)
