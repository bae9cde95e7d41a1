"""PREDICT at several numbers of samples: how often it is right, agrees with g, and abstains."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from rszoo.logs.analysis.possible import check_lines
from rszoo.logs.format import Log, PublishedProtocol, Record
from rszoo.logs.format.cohen import samples_in_name


@dataclass(frozen=True)
class PredictRow:
    """PREDICT with n samples on some images; the five shares add up to 1.

    Attributes:
        title: of the log, or the folder of a published file.
        n: number of samples.
        reference: whether g is taken from this row itself.
        images: the number of images.
        correct_accurate, correct_inaccurate, incorrect_accurate, incorrect_inaccurate: shares of
            the images; correct: the true class, accurate: the class of g. Where g's row abstains,
            no prediction counts as accurate.
        abstain: the share of abstentions.
        base_accuracy: share that the base network gets right without noise; None unless the log
            has its predictions.
    """

    title: str
    n: int
    reference: bool
    images: int
    correct_accurate: float
    correct_inaccurate: float
    incorrect_accurate: float
    incorrect_inaccurate: float
    abstain: float
    base_accuracy: float | None = None


def predict_rows(logs: Sequence[Log]) -> list[PredictRow]:
    """One row per log and number of samples.

    g is taken from the largest n of the same log, or of the same folder of published files.

    Raises:
        ValueError: a log is of CERTIFY, is empty, has an image twice or a line that no evaluation
            writes, or does not say its n; or two rows have different images.

    Source: Cohen, Rosenfeld, Kolter 2019, Table 4.
    """
    runs: dict[tuple[str, Path], dict[int, dict[int, Record]]] = {}
    for log in logs:
        if not log.records:
            raise ValueError(
                f"Expected results in {log.path}, got no image; run 'rszoo evaluate' before."
            )
        check_lines(log)
        run = runs.setdefault(_run(log), defaultdict(dict))
        published_n = _published_n(log)
        for record in log.records:
            n = published_n or record.n
            if record.radius is not None or record.idx in run[n]:
                radii = record.radius is not None
                fault = "radii" if radii else f"image {record.idx} twice at n={n}"
                raise ValueError(
                    "Expected a log of PREDICT with each image once, "
                    f"got {fault} in {log.path}; correct that."
                )
            run[n][record.idx] = record
    return [_row(title, n, run) for (title, _), run in runs.items() for n in sorted(run)]


def _run(log: Log) -> tuple[str, Path]:
    """Title and place of a log's run; published files named N_100, N_1000 are one run."""
    if isinstance(log.protocol, PublishedProtocol) and samples_in_name(log.path) is not None:
        return "/".join(log.path.parent.parts[-3:]), log.path.parent
    return log.title, log.path


def _published_n(log: Log) -> int | None:
    """The n of a published file; None for a log of this package, whose lines say it."""
    if not isinstance(log.protocol, PublishedProtocol):
        return None
    if log.protocol.n is None:
        raise ValueError(
            f"Expected a file named N_<samples>, got {log.path}, which does not say its n; "
            "rename it, as N_100, or pass --given n=100."
        )
    return log.protocol.n


def _row(title: str, n: int, run: Mapping[int, Mapping[int, Record]]) -> PredictRow:
    reference, records = run[max(run)], run[n]
    if records.keys() != reference.keys():
        raise ValueError(
            f"Expected the same images at n={n} and n={max(run)} in {title}, "
            f"got {len(records)} and {len(reference)} or others; finish the logs."
        )
    shares = [0, 0, 0, 0, 0]
    for idx, record in records.items():
        accurate = record.predict == reference[idx].predict
        shares[4 if record.predict == -1 else 2 * (not record.correct) + (not accurate)] += 1
    images = len(records)
    row = PredictRow(title, n, n == max(run), images, *(count / images for count in shares))
    return replace(row, base_accuracy=_base_accuracy(records))


def _base_accuracy(records: Mapping[int, Record]) -> float | None:
    if any(record.base_predict is None for record in records.values()):
        return None
    right = sum(record.base_predict == record.label for record in records.values())
    return right / len(records)
