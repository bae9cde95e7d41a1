"""Certificates as a picture: one row per image, with its votes and the certificate in words."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from rszoo.smoothing.certificate import Certificate

Pixels = NDArray[np.floating[Any]]

# Okabe & Ito's palette, which colour-blind readers can tell apart
RIGHT, WRONG, OTHER = "#0072B2", "#D55E00", "#BBBBBB"
ROW_INCHES, WIDTH_INCHES, BOTTOM_INCHES = 1.45, 13.5, 1.0
TITLE_INCHES, LINE_INCHES = 0.5, 0.19


@dataclass(frozen=True)
class Panel:
    """One image and its certificate.

    Attributes:
        shows: the name of its true class.
        image: (height, width, channels) in [0, 1], as the network sees it.
        copies: some of its noisy copies, likewise.
        certificate: what CERTIFY returned.
        words: the certificate in words, by line.
    """

    shows: str
    image: Pixels
    copies: Sequence[Pixels]
    certificate: Certificate
    words: Sequence[str]


def draw_certificates(
    panels: Sequence[Panel], classes: Sequence[str], *, caption: str = ""
) -> Figure:
    """One row per image: the image, noisy copies, votes by class, and the certificate in words.

    Args:
        panels: the rows, at least one; all with as many copies as the first.
        classes: the names of the classes, in label order.
        caption: lines above the picture, before those that explain its colours.
    """
    copies = len(panels[0].copies)
    caption = "\n".join(filter(None, [caption, _colours(panels[0].certificate)]))
    top = TITLE_INCHES + LINE_INCHES * (1 + caption.count("\n"))
    height = ROW_INCHES * len(panels) + top + BOTTOM_INCHES
    figure = Figure(figsize=(WIDTH_INCHES, height))
    grid = figure.add_gridspec(
        len(panels),
        copies + 3,
        width_ratios=[1] * (copies + 1) + [2.9, 3.0],
        left=0.01,
        right=0.99,
        bottom=BOTTOM_INCHES / height,
        top=1 - top / height,
        wspace=0.08,
        hspace=0.16,
    )
    for row, panel in enumerate(panels):
        axes = [figure.add_subplot(grid[row, column]) for column in range(copies + 3)]
        for ax, pixels in zip(axes, [panel.image, *panel.copies], strict=False):
            _draw_pixels(ax, pixels)
        _draw_votes(axes[-2], panel, classes, last=row == len(panels) - 1)
        _draw_words(axes[-1], panel, classes)
        if row == 0:
            _draw_titles(axes, panel.certificate)
    figure.text(
        0.01,
        1 - 0.15 / height,
        caption,
        fontsize=9.5,
        va="top",
        color="#333333",
        linespacing=1.4,
    )
    return figure


def _colours(certificate: Certificate) -> str:
    return (
        f"Coloured: the class that {certificate.n0} separate copies selected, blue if it is what "
        "the photograph shows, orange if not, black if the classifier abstains. Black line:\n"
        "p_lower, its lower confidence bound. Dotted: one half. "
        "A certificate says that the answer is stable, not that it is right."
    )


def _draw_titles(axes: Sequence[Axes], certificate: Certificate) -> None:
    axes[0].set_title("input", fontsize=10)
    axes[1].set_title(rf"with noise, $\sigma$ = {certificate.sigma:g}", fontsize=10, loc="left")
    axes[-2].set_title(f"votes of {certificate.n:,} noisy copies", fontsize=10)
    axes[-1].set_title("certificate", fontsize=10, loc="left", x=0.08)


def _draw_pixels(ax: Axes, pixels: Pixels) -> None:
    ax.imshow(pixels, interpolation="nearest", vmin=0, vmax=1)
    ax.set_axis_off()


def _draw_votes(ax: Axes, panel: Panel, classes: Sequence[str], *, last: bool) -> None:
    certificate, selected = panel.certificate, panel.certificate.selected
    colors = [OTHER] * len(classes)
    colors[selected] = _color(panel, classes)
    ax.bar(range(len(classes)), np.array(certificate.counts) / certificate.n, color=colors)
    ax.hlines(certificate.p_lower, selected - 0.5, selected + 0.5, color="black", linewidth=1.6)
    ax.axhline(0.5, color="black", linewidth=0.8, linestyle=":")
    ax.set_ylim(0, 1.05)
    ax.set_yticks([0, 0.5, 1])
    ax.set_ylabel("share of votes", fontsize=8)
    ax.tick_params(labelsize=8)
    ax.spines[["top", "right"]].set_visible(False)
    labels = classes if last else [""] * len(classes)
    ax.set_xticks(range(len(classes)), labels, rotation=45, ha="right", rotation_mode="anchor")
    box, label_width = ax.get_position(), 0.045
    ax.set_position((box.x0 + label_width, box.y0, box.width - label_width, box.height))


def _draw_words(ax: Axes, panel: Panel, classes: Sequence[str]) -> None:
    ax.set_axis_off()
    certificate = panel.certificate
    head = "abstains" if certificate.abstained else classes[certificate.label]
    ax.text(0.08, 0.97, head, fontsize=13, weight="bold", color=_color(panel, classes), va="top")
    ax.text(0.08, 0.74, "\n".join(panel.words), fontsize=9, va="top", linespacing=1.4)


def _color(panel: Panel, classes: Sequence[str]) -> str:
    """Black for an abstention, else whether the class is right."""
    if panel.certificate.abstained:
        return "black"
    return RIGHT if classes[panel.certificate.label] == panel.shows else WRONG
