"""Pictures into files."""

import io
import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from matplotlib.figure import Figure


def save_figure(figure: Figure, out: Path, *, dpi: int, metadata: Mapping[str, str | None] | None = None) -> None:
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
    partial = out.with_name(f"{out.name}.partial")
    try:
        partial.write_bytes(drawn.getvalue())
        os.replace(partial, out)
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(out)) from error
    finally:
        with suppress(OSError):
            partial.unlink()
