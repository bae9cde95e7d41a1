"""One line of a log: the result for one image and the votes behind it."""

from collections.abc import Mapping, Sequence
from dataclasses import astuple, dataclass, field
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from pathlib import Path
from typing import Literal

RADIUS_DIGITS = 6


@dataclass(frozen=True)
class Means:
    """The evidence of soft votes: n scores of the class under test.

    Attributes:
        mean: of the scores.
        lower, upper: confidence bounds on the mean score of the class, and of every other.
        n: the number of samples.
    """

    mean: float
    lower: float
    upper: float
    n: int


@dataclass(frozen=True)
class Record:
    """One line of a log.

    Attributes:
        idx: index of the image in its data set.
        label: its true class.
        predict: the predicted class, -1 for abstaining.
        correct: whether the prediction is the true class.
        seconds: time since the line before.
        radius: certified l2 radius in pixel units; 0.0 if abstained; None in a log of PREDICT.
        selected: the class under test; -1 in a published file.
        votes: votes by class, without the classes that got none; empty in a published file.
        path: votes for `selected` at each look of a sequential test; None for other rules.
        eps: l2 distance that an attack was allowed, in pixel units; None without an attack.
        l2: l2 distance of the adversarial image, rounded up in the log.
        base_predict: the class that the base network returns without noise; only in some
            published files.
        rounding: by how much the radius of a published file may be too large: half a unit of its
            last digit, as the file writes it.
        means: of soft votes, which have no counts; None for others.
    """

    idx: int
    label: int
    predict: int
    correct: bool
    seconds: float
    radius: float | None = None
    selected: int = -1
    votes: Mapping[int, int] = field(default_factory=dict)
    path: tuple[int, ...] | None = None
    eps: float | None = None
    l2: float | None = None
    base_predict: int | None = None
    rounding: float = 0.0
    means: Means | None = None

    @property
    def n(self) -> int:
        """The number of votes, or of scores."""
        return self.means.n if self.means else sum(self.votes.values())

    def counts(self, num_classes: int) -> list[int]:
        """The votes of every class, in label order."""
        return [self.votes.get(label, 0) for label in range(num_classes)]


def format_line(record: Record) -> bytes:
    """The record as a line of a log."""
    radius = record.radius
    cells = [
        record.idx,
        record.label,
        record.predict,
        None if radius is None else round_down(radius, RADIUS_DIGITS),
        int(record.correct),
        f"{record.seconds:.3f}",
        record.selected,
        *(_vote_cells(record) if record.means is None else astuple(record.means)),
    ]
    return "\t".join(str(cell) for cell in cells if cell is not None).encode() + b"\n"


def _vote_cells(record: Record) -> list[object]:
    """What follows the class under test in a line with votes."""
    selected, votes = record.selected, record.votes
    rest = {label: votes[label] for label in sorted(votes) if label != selected}
    runner_up = max(rest, key=rest.__getitem__, default=int(selected == 0))
    others = [f"{k}:{count}" for k, count in rest.items() if count and k != runner_up]
    path, l2 = record.path, record.l2
    return [
        votes.get(selected, 0),
        runner_up,
        rest.get(runner_up, 0),
        record.n,
        ",".join(others) or "-",
        None if path is None else ",".join(map(str, path)) or "-",
        record.eps,
        None if l2 is None else round_up(l2, RADIUS_DIGITS),
    ]


def round_down(value: float, digits: int) -> str:
    """A radius, share or lower bound with `digits` decimals, as a number never above `value`.

    A value that has no more decimals than that stays as it is.
    """
    return _rounded(value, digits, ROUND_FLOOR)


def round_up(value: float, digits: int) -> str:
    """A distance or share with `digits` decimals, as a number never below `value`."""
    return _rounded(value, digits, ROUND_CEILING)


def in_full(value: float) -> str:
    """All digits of a radius, so that headings tell radii apart and none is above its radius."""
    return repr(float(value)).removesuffix(".0")


def logged_radius(radius: float) -> float:
    """The radius as it reads back from a log: rounded down to the decimals of its column."""
    return float(round_down(radius, RADIUS_DIGITS))


def _rounded(value: float, digits: int, rounding: Literal["ROUND_FLOOR", "ROUND_CEILING"]) -> str:
    text = f"{value:.{digits}f}"
    if float(text) > value if rounding == ROUND_FLOOR else float(text) < value:
        text = str(Decimal(value).quantize(Decimal(1).scaleb(-digits), rounding=rounding))
    return text


def parse_line(path: Path, number: int, columns: Sequence[str], text: str) -> Record:
    """The record in a line with these columns.

    Raises:
        ValueError: the line is damaged; the error names it by `path` and `number`.
    """
    cells = text.split("\t")
    try:
        if len(cells) != len(columns):
            raise ValueError(f"{len(cells)} columns instead of {len(columns)}")
        return _parsed(dict(zip(columns, cells, strict=True)))
    except ValueError as error:
        raise ValueError(
            f"Expected line {number} of {path} to hold {' '.join(columns)}, "
            f"got {text[:60]!r} ({error}); restore the line or delete it."
        ) from error


def _parsed(cells: dict[str, str]) -> Record:
    path, published = cells.get("path"), "selected" not in cells
    return Record(
        idx=int(cells["idx"]),
        label=int(cells["label"]),
        predict=int(cells["predict"]),
        correct=_correct(cells["correct"]),
        seconds=_seconds(cells["time"]),
        radius=float(cells["radius"]) if "radius" in cells else None,
        selected=int(cells.get("selected", -1)),
        votes=_votes(cells) if "top_count" in cells else {},
        path=None if path is None else tuple(int(k) for k in path.split(",") if k != "-"),
        eps=float(cells["eps"]) if "eps" in cells else None,
        l2=float(cells["l2"]) if "l2" in cells else None,
        base_predict=int(cells["basePredict"]) if "basePredict" in cells else None,
        rounding=_half_unit(cells["radius"]) if published and "radius" in cells else 0.0,
        means=_means(cells) if "mean" in cells else None,
    )


def _correct(text: str) -> bool:
    if text not in ("0", "1"):
        raise ValueError(f"correct = {text}, which is neither 0 nor 1")
    return text == "1"


def _half_unit(number: str) -> float:
    """Half a unit of the last digit of a number, zeros included: 0.00005 of 0.2510."""
    exponent = Decimal(number).as_tuple().exponent
    return 0.5 * 10.0**exponent if isinstance(exponent, int) else 0.0


def _means(cells: dict[str, str]) -> Means:
    mean, lower, upper = (float(cells[name]) for name in ("mean", "lower", "upper"))
    if not all(0 <= value <= 1 for value in (mean, lower, upper)):
        raise ValueError("a mean score outside [0, 1]")
    return Means(mean, lower, upper, int(cells["n"]))


def _votes(cells: dict[str, str]) -> dict[int, int]:
    pairs = [("selected", "top_count"), ("runner_up", "runner_up_count")]
    votes = [(int(cells[label]), int(cells[count])) for label, count in pairs]
    if cells["others"] != "-":
        others = [pair.partition(":") for pair in cells["others"].split(",")]
        votes += [(int(label), int(count)) for label, _, count in others]
    by_class = dict(votes)
    if len(by_class) < len(votes) or min(min(pair) for pair in votes) < 0:
        raise ValueError("votes of a class twice, or a negative number")
    if sum(by_class.values()) != int(cells["n"]):
        raise ValueError(f"votes that do not add up to n = {cells['n']}")
    return {label: count for label, count in votes if count}


def _seconds(text: str) -> float:
    """Seconds, also from the h:mm:ss.ffffff of published files."""
    return sum(float(part) * 60.0**place for place, part in enumerate(reversed(text.split(":"))))
