"""Certified accuracies as papers state them, for comparison: a table that the package ships."""

from collections.abc import Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from rszoo.errors import ascending

Share = Annotated[float, Meta(ge=0, le=1)]
Radius = Annotated[float, Meta(ge=0)]


class Published(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One row of a published table.

    Attributes:
        key: its name here.
        paper: the arXiv number.
        dataset, architecture, method: what was trained.
        sigma: of the noise, in pixel units; None for an upper envelope over several.
        radii, accuracies: certified accuracy at each l2 radius, in pixel units.
        acr: average certified radius, if known.
        n, alpha, images: samples, failure probability, and number of images, if known.
        source: a "table" of the paper (two digits), a "log" of the authors or of others who compare
            with them, or a survey's "board".

    Raises:
        ValueError: the accuracies are no curve.
    """

    key: str
    paper: str
    dataset: str
    architecture: str
    method: str
    radii: tuple[Radius, ...]
    accuracies: tuple[Share, ...]
    source: Literal["table", "log", "board"]
    sigma: Annotated[float, Meta(gt=0)] | None = None
    acr: Radius | None = None
    n: Annotated[int, Meta(ge=1)] | None = None
    alpha: Annotated[float, Meta(gt=0, lt=1)] | None = None
    images: Annotated[int, Meta(ge=1)] | None = None

    def __post_init__(self) -> None:
        """Refuse a row that is no curve."""
        if len(self.radii) != len(self.accuracies) or not ascending(self.radii):
            raise ValueError(
                f"as many accuracies as radii, and increasing radii, are needed in {self.key}"
            )
        if list(self.accuracies) != sorted(self.accuracies, reverse=True):
            raise ValueError(
                f"certified accuracy cannot increase with the radius, as in {self.key}"
            )

    @property
    def title(self) -> str:
        """What tables and plots call it."""
        return f"{self.key} (arXiv {self.paper})"


class _Table(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    rows: tuple[Published, ...]


def load_published() -> dict[str, Published]:
    """All rows, by key."""
    content = Path(__file__).with_name("published.toml").read_bytes()
    return {row.key: row for row in msgspec.toml.decode(content, type=_Table).rows}


def find_published(patterns: Sequence[str]) -> list[Published]:
    """The rows whose keys match these shell patterns, such as 'cohen-cifar10-*', each once.

    Raises:
        ValueError: a pattern matches none.
    """
    rows = load_published()
    keys: dict[str, None] = {}  # a set that keeps the order
    for pattern in patterns:
        matching = [key for key in rows if fnmatchcase(key, pattern)]
        if not matching:
            raise ValueError(
                f"Expected the key of a published row, got {pattern!r}; "
                "\"rszoo table --published '*'\" lists them."
            )
        keys |= dict.fromkeys(matching)
    return [rows[key] for key in keys]
