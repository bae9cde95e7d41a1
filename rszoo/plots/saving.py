"""Pictures into files."""

import io
from collections.abc import Mapping
from pathlib import Path

from matplotlib.figure import Figure

from rszoo.files import replace_content


def save_figure(
    figure: Figure, out: Path, *, dpi: int, metadata: Mapping[str, str | None] | None = None
) -> None:
    """Write a picture, whole or not at all: what was there before stays until it is complete.

    Args:
        figure: the picture.
        out: its file; the suffix, such as .png, .pdf or .svg, says the format.
        dpi: pixels an inch.
        metadata: of the file, as for matplotlib; None takes a key out.

    Raises:
        OSError: it cannot be written; the error names `out`.
    """
    drawn = io.BytesIO()  # the PDF writer hides a full disk behind a fault of its own
    figure.savefig(drawn, format=out.suffix[1:].lower(), dpi=dpi, metadata=metadata)
    replace_content(out, drawn.getvalue())
