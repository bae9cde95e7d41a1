"""A line of a log: what was found for one image, and the votes that it was computed from."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from pathlib import Path
from typing import Literal

RADIUS_DIGITS = 6


@dataclass(frozen=True)
class Record:
    """One line of a log.

    Attributes:
        idx: number of the image in its data set.
        label: its true class.
        predict: the class that was returned, or -1 for abstaining.
        correct: whether that is the true class.
        seconds: time since the line before.
        radius: certified l2 radius in pixel units; 0.0 if abstained; None in a log of PREDICT.
        selected: the class that was put to the test; None where the votes were not kept.
        votes: votes by class, the classes without any left out; None where they were not kept.
        path: votes for `selected` at each look of a sequential test; None for other rules.
        eps: l2 distance that an attack was allowed, in pixel units; None where there was none.
        l2: distance of what it found, rounded up in the log.
    """

    idx: int
    label: int
    predict: int
    correct: bool
    seconds: float
    radius: float | None = None
    selected: int | None = None
    votes: dict[int, int] | None = None
    path: tuple[int, ...] | None = None
    eps: float | None = None
    l2: float | None = None

    @property
    def n(self) -> int:
        """The number of votes."""
        return sum((self.votes or {}).values())

    def counts(self, num_classes: int) -> list[int]:
        """Votes, one number a class."""
        votes = self.votes or {}
        return [votes.get(label, 0) for label in range(num_classes)]


def format_line(record: Record) -> bytes:
    """One line of a log."""
    if record.selected is None or record.votes is None:
        raise ValueError(
            f"Expected the votes of image {record.idx}, got none; a log holds its evidence."
        )
    rest = {label: count for label, count in record.votes.items() if label != record.selected}
    runner_up = max(sorted(rest), key=rest.__getitem__, default=int(record.selected == 0))
    others = ",".join(
        f"{label}:{count}" for label, count in sorted(rest.items()) if count and label != runner_up
    )
    radius = [] if record.radius is None else [round_down(record.radius, RADIUS_DIGITS)]
    cells = [
        record.idx,
        record.label,
        record.predict,
        *radius,
        int(record.correct),
        f"{record.seconds:.3f}",
    ]
    evidence = [
        record.selected,
        record.votes.get(record.selected, 0),
        runner_up,
        rest.get(runner_up, 0),
        record.n,
        others or "-",
    ]
    path = [] if record.path is None else [",".join(map(str, record.path)) or "-"]
    distance = (
        [] if record.l2 is None else [record.eps, _rounded(record.l2, RADIUS_DIGITS, ROUND_CEILING)]
    )
    return "\t".join(map(str, cells + evidence + path + distance)).encode() + b"\n"


def round_down(value: float, digits: int) -> str:
    """A radius or a lower bound with that many decimals: never above `value` as a number, and `value` where it has no more."""
    return _rounded(value, digits, ROUND_FLOOR)


def logged_radius(radius: float) -> float:
    """A radius as it is read from the log that it was written to: rounded down to the decimals of its column."""
    return float(round_down(radius, RADIUS_DIGITS))


def _rounded(value: float, digits: int, rounding: Literal["ROUND_FLOOR", "ROUND_CEILING"]) -> str:
    """The value or, as a number, the next on that side of it; the same again when it is read and written."""
    text = f"{value:.{digits}f}"
    if float(text) > value if rounding == ROUND_FLOOR else float(text) < value:
        text = str(Decimal(value).quantize(Decimal(1).scaleb(-digits), rounding=rounding))
    return text


def parse_line(path: Path, number: int, columns: Sequence[str], text: str) -> Record:
    """The record in a line with these columns; `path` and `number` name it in the error."""
    cells = text.split("\t")
    try:
        if len(cells) != len(columns):
            raise ValueError(f"{len(cells)} columns instead of {len(columns)}")
        return _parsed(dict(zip(columns, cells, strict=True)))
    except ValueError as error:
        raise ValueError(
            f"Expected line {number} of {path} to hold {' '.join(columns)}, got {text[:60]!r} ({error}); "
            "restore the line or delete it."
        ) from error


def _parsed(cells: dict[str, str]) -> Record:
    return Record(
        idx=int(cells["idx"]),
        label=int(cells["label"]),
        predict=int(cells["predict"]),
        correct=bool(int(cells["correct"])),
        seconds=_seconds(cells["time"]),
        radius=float(cells["radius"]) if "radius" in cells else None,
        selected=int(cells["selected"]) if "selected" in cells else None,
        votes=dict(_votes(cells)) if "selected" in cells else None,
        path=tuple(int(each) for each in cells["path"].split(",") if each != "-")
        if "path" in cells
        else None,
        eps=float(cells["eps"]) if "eps" in cells else None,
        l2=float(cells["l2"]) if "l2" in cells else None,
    )


def _votes(cells: dict[str, str]) -> Iterator[tuple[int, int]]:
    found = [
        (int(cells["selected"]), int(cells["top_count"])),
        (int(cells["runner_up"]), int(cells["runner_up_count"])),
    ]
    if cells["others"] != "-":
        found += [
            (int(label), int(count))
            for label, _, count in (each.partition(":") for each in cells["others"].split(","))
        ]
    if (
        len({label for label, _ in found}) < len(found)
        or min(found)[0] < 0
        or min(count for _, count in found) < 0
    ):
        raise ValueError("votes of a class twice, or a negative number")
    if sum(count for _, count in found) != int(cells["n"]):
        raise ValueError(f"votes that do not add up to n = {cells['n']}")
    return ((label, count) for label, count in found if count)


def _seconds(text: str) -> float:
    """Seconds, from the papers' h:mm:ss.ffffff too."""
    seconds = 0.0
    for part in text.split(":"):
        seconds = 60 * seconds + float(part)
    return seconds
