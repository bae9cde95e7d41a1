"""PREDICT at several numbers of samples: how often it is right, agrees with g, and abstains."""

import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rszoo.logs.format import Log, Record


@dataclass(frozen=True)
class PredictRow:
    """PREDICT with n samples on some images; the five shares add up to 1.

    Attributes:
        title: of the log, or the folder of a published file.
        n: number of samples.
        reference: whether this row itself was taken for g.
        images: how many there are.
        correct_accurate, correct_inaccurate, incorrect_accurate, incorrect_inaccurate: shares of the images; correct: the
            true class, accurate: the class of g. Where the row taken for g abstains, no prediction counts as accurate.
        abstain: the share of abstentions.
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


def predict_rows(logs: Sequence[Log]) -> list[PredictRow]:
    """One row a log and number of samples; g is taken from the largest n of the same log, or folder of published files.

    Raises:
        ValueError: a log is of CERTIFY, is empty, holds an image twice, or does not say its n; or two rows have other images.

    Source: Cohen, Rosenfeld, Kolter 2019, Table 4.
    """
    runs: dict[tuple[str, Path], dict[int, dict[int, Record]]] = defaultdict(
        lambda: defaultdict(dict)
    )
    for log in logs:
        published = log.protocol is None
        run = runs[
            ("/".join(log.path.parent.parts[-3:]), log.path.parent)
            if published
            else (log.title, log.path)
        ]
        for record in log.records:
            n = _named_n(log) if published else record.n
            if record.radius is not None or record.idx in run[n]:
                fault = (
                    "radii" if record.radius is not None else f"image {record.idx} twice at n={n}"
                )
                raise ValueError(
                    f"Expected a log of PREDICT with each image once, got {fault} in {log.path}; correct that."
                )
            run[n][record.idx] = record
        if not log.records:
            raise ValueError(
                f"Expected results in {log.path}, got no image; run 'rszoo evaluate' before."
            )
    return [_row(title, n, run) for (title, _), run in runs.items() for n in sorted(run)]


def _named_n(log: Log) -> int:
    found = re.fullmatch(r"N_(\d+)", log.path.stem)
    if found is None:
        raise ValueError(
            f"Expected a file named N_<samples>, got {log.path}, which does not say its n; rename it, as N_100."
        )
    return int(found[1])


def _row(title: str, n: int, run: dict[int, dict[int, Record]]) -> PredictRow:
    reference, records = run[max(run)], run[n]
    if records.keys() != reference.keys():
        raise ValueError(
            f"Expected the same images at n={n} and n={max(run)} in {title}, got {len(records)} and {len(reference)} or "
            "others; finish the logs."
        )
    shares = [0, 0, 0, 0, 0]
    for idx, record in records.items():
        accurate = record.predict == reference[idx].predict
        shares[4 if record.predict == -1 else 2 * (not record.correct) + (not accurate)] += 1
    m = len(records)
    return PredictRow(title, n, n == max(run), m, *(count / m for count in shares))
