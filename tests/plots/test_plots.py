"""The pictures: a legend is whole, however many and however long its titles are."""

import pytest

from rszoo.plots import Curve, draw_curves


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
