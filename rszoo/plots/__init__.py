"""Pictures: data in, a matplotlib `Figure` out; no global state. Needs the extra `plots`."""

import io
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from rszoo.files import replace_content

if find_spec("matplotlib") is None:
    raise ValueError("Expected matplotlib to be installed, got none; pip install 'rszoo[plots]'.")

from rszoo.plots.certificates import OTHER, RIGHT, WRONG, Panel, draw_certificates
from rszoo.plots.curve import Curve, accuracy_curve, bound_curve, published_points
from rszoo.plots.curves import draw_curves
from rszoo.plots.looks import crowded

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = [
    "OTHER",
    "RIGHT",
    "WRONG",
    "Curve",
    "Panel",
    "accuracy_curve",
    "bound_curve",
    "crowded",
    "draw_certificates",
    "draw_curves",
    "published_points",
    "save_figure",
]


def save_figure(
    figure: "Figure", out: Path, *, dpi: int, metadata: Mapping[str, str | None] | None = None
) -> None:
    """Write a picture whole or not at all: a file that was there stays until it is complete.

    Args:
        figure: the picture.
        out: its file; the suffix, such as .png, .pdf or .svg, says the format.
        dpi: pixels per inch.
        metadata: of the file, as for matplotlib; None takes a key out.

    Raises:
        OSError: it cannot be written; the error names `out`.
    """
    drawn = io.BytesIO()  # the PDF writer hides a full disk behind a fault of its own
    figure.savefig(drawn, format=out.suffix[1:].lower(), dpi=dpi, metadata=metadata)
    replace_content(out, drawn.getvalue())
