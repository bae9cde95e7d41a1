"""Certified accuracies as papers state them, for comparison: the package's table of them, checked as it is read."""

from fnmatch import fnmatchcase
from pathlib import Path
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

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
        n, alpha, images: samples, failure probability, and number of images, where known.
        source: "table" of the paper (two digits), "log" of the authors or of others who compare, or survey "board".
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
        """A row that cannot be a curve is refused."""
        if len(self.radii) != len(self.accuracies) or list(self.radii) != sorted(set(self.radii)):
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
    """The rows of the package, by key."""
    content = Path(__file__).with_name("published.toml").read_bytes()
    return {row.key: row for row in msgspec.toml.decode(content, type=_Table).rows}


def find_published(patterns: list[str]) -> list[Published]:
    """The rows whose key is one of these, or matches a shell pattern such as 'cohen-cifar10-*'.

    Raises:
        ValueError: a pattern matches none.
    """
    rows = load_published()
    found: dict[str, Published] = {}
    for pattern in patterns:
        matching = {key: row for key, row in rows.items() if fnmatchcase(key, pattern)}
        if not matching:
            raise ValueError(
                f"Expected the key of a published row, got {pattern!r}; \"rszoo table --published '*'\" lists them."
            )
        found |= matching
    return list(found.values())
