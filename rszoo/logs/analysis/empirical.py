"""Accuracy under attack by distance, beside certified accuracy by radius.

Certified accuracy is a lower bound on the robust accuracy of g. Accuracy under attack is that of
PREDICT with its n; together with the abstentions, where g may be right, it is an upper bound on the
robust accuracy of g, up to alpha per line.

Source: Salman et al. 2019, figures 1, 3, 7 and 8.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from rszoo.logs.analysis.possible import check_lines
from rszoo.logs.analysis.summary import results
from rszoo.logs.format import AttackProtocol, CertifyProtocol, Log, Record, SoftProtocol


@dataclass(frozen=True)
class EmpiricalRow:
    """Accuracy at some l2 distances; None where a number is not known.

    Attributes:
        title: of the log.
        kind: "attack": the share of images on which PREDICT is right under attack; "certified": the
            share that is certified at the distance.
        distances: in pixel units.
        accuracies: at each.
        abstentions: shares of images without a prediction, which count as wrong; None for
            "certified".
        images: the number of images.
        n: samples of PREDICT, or of CERTIFY.
        attack: its name and options.
        num_noise, steps: m and T.
        alpha: failure probability of each line.
    """

    title: str
    kind: Literal["attack", "certified"]
    distances: Sequence[float]
    accuracies: Sequence[float | None]
    abstentions: Sequence[float | None]
    images: int
    n: int | None = None
    attack: str | None = None
    num_noise: int | None = None
    steps: int | None = None
    alpha: float | None = None


def attacked_distances(logs: Sequence[Log]) -> list[float]:
    """All distances at which the logs have attacks, and 0."""
    attacks = [log.protocol for log in logs if isinstance(log.protocol, AttackProtocol)]
    return sorted({0.0, *(eps for protocol in attacks for eps in protocol.eps)})


def empirical_rows(logs: Sequence[Log], distances: Sequence[float]) -> list[EmpiricalRow]:
    """The row of each log, of an attack or of CERTIFY.

    Raises:
        ValueError: a log is of neither, has no image or an image not once per distance, or has a
            line that no evaluation writes.
    """
    return [
        _attack_row(log, distances, log.protocol)
        if isinstance(log.protocol, AttackProtocol)
        else _certified_row(log, distances)
        for log in logs
    ]


def _attack_row(log: Log, distances: Sequence[float], protocol: AttackProtocol) -> EmpiricalRow:
    lines = _by_distance(log)
    images = len(lines[0.0])
    right = {eps: sum(line.correct for line in lines[eps]) / images for eps in lines}
    silent = {eps: sum(line.predict == -1 for line in lines[eps]) / images for eps in lines}
    return EmpiricalRow(
        title=log.title,
        kind="attack",
        distances=distances,
        accuracies=[right.get(eps) for eps in distances],
        abstentions=[silent.get(eps) for eps in distances],
        images=images,
        n=protocol.n,
        attack=protocol.description,
        num_noise=protocol.num_noise,
        steps=protocol.steps,
        alpha=protocol.alpha,
    )


def _by_distance(log: Log) -> dict[float, list[Record]]:
    if not log.records:
        raise ValueError(
            f"Expected results in {log.path}, got no image; run 'rszoo attack' before."
        )
    check_lines(log)
    lines: dict[float, list[Record]] = defaultdict(list, {0.0: []})
    for record in log.records:
        lines[record.eps or 0.0].append(record)
    first, *others = [sorted(line.idx for line in at_eps) for at_eps in lines.values()]
    if len(set(first)) < len(first) or any(images != first for images in others):
        raise ValueError(
            f"Expected each image once per distance in {log.path}, got others; "
            "'rszoo audit' lists them."
        )
    return lines


def _certified_row(log: Log, distances: Sequence[float]) -> EmpiricalRow:
    summary = results(log)
    protocol = None
    if isinstance(log.protocol, CertifyProtocol | SoftProtocol):
        protocol = log.protocol
    return EmpiricalRow(
        title=log.title,
        kind="certified",
        distances=distances,
        accuracies=[summary.measured(radius) for radius in distances],
        abstentions=[None] * len(distances),
        images=len(summary),
        n=protocol.n if protocol else None,
        alpha=protocol.alpha if protocol else None,
    )
