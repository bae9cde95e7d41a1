"""Accuracy under attack by distance, beside certified accuracy by radius.

Certified accuracy is a lower bound on the robust accuracy of g. Accuracy under attack is that of PREDICT with its n; together
with the abstentions, where g may be right, it is an upper bound on that of g, up to alpha a line.

Source: Salman et al. 2019, figures 1, 3, 7 and 8.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from rszoo.logs.analysis.setting import answers
from rszoo.logs.analysis.summary import results
from rszoo.logs.format import AttackProtocol, CertifyProtocol, Log, Record


@dataclass(frozen=True)
class EmpiricalRow:
    """Accuracy at some l2 distances; None where a number is not known.

    Attributes:
        title: of the log.
        kind: "attack": the share of images on which PREDICT is right under attack; "certified": the share that is certified at
            the distance.
        distances: in pixel units.
        accuracies: at each.
        abstentions: shares of images on which PREDICT returned no class, which count as wrong; None for "certified".
        images: how many there are.
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


def is_attack(log: Log) -> bool:
    """Whether a log is of an attack."""
    return isinstance(log.protocol, AttackProtocol)


def attacked_distances(logs: Sequence[Log]) -> list[float]:
    """All distances at which the logs have attacks, and 0."""
    return sorted(
        {
            0.0,
            *(
                eps
                for log in logs
                if isinstance(log.protocol, AttackProtocol)
                for eps in log.protocol.eps
            ),
        }
    )


def empirical_rows(logs: Sequence[Log], distances: Sequence[float]) -> list[EmpiricalRow]:
    """The row of each log, of an attack or of CERTIFY.

    Raises:
        ValueError: a log is of neither, holds no image, or an image not once for each distance.
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

    def share(eps: float, *, abstained: bool) -> float | None:
        if eps not in lines:
            return None
        return (
            sum(each.predict == -1 if abstained else each.correct for each in lines[eps]) / images
        )

    return EmpiricalRow(
        title=log.title,
        kind="attack",
        distances=distances,
        accuracies=[share(eps, abstained=False) for eps in distances],
        abstentions=[share(eps, abstained=True) for eps in distances],
        images=images,
        n=protocol.n,
        attack=described(protocol),
        num_noise=protocol.num_noise,
        steps=protocol.steps,
        alpha=protocol.alpha,
    )


def _by_distance(log: Log) -> dict[float, list[Record]]:
    if not log.records:
        raise ValueError(
            f"Expected results in {log.path}, got no image; run 'rszoo attack' before."
        )
    lines: dict[float, list[Record]] = {0.0: []}
    for record in log.records:
        lines.setdefault(record.eps or 0.0, []).append(record)
    images = [sorted(record.idx for record in each) for each in lines.values()]
    if any(each != images[0] for each in images) or len(set(images[0])) < len(images[0]):
        raise ValueError(
            f"Expected each image once a distance in {log.path}, got others; 'rszoo audit' lists them."
        )
    return lines


def _certified_row(log: Log, distances: Sequence[float]) -> EmpiricalRow:
    found = results(log)
    protocol = log.protocol if isinstance(log.protocol, CertifyProtocol) else None
    return EmpiricalRow(
        title=log.title,
        kind="certified",
        distances=distances,
        accuracies=[
            found.accuracy(radius) if answers(log, radius) else None for radius in distances
        ],
        abstentions=[None] * len(distances),
        images=len(found),
        n=protocol.n if protocol else None,
        alpha=protocol.alpha if protocol else None,
    )


def described(protocol: AttackProtocol) -> str:
    """The attack with those of its options that are not usual."""
    options = {
        "targeted": protocol.targeted,
        "random start": protocol.random_start,
        f"{protocol.restarts} restarts": protocol.restarts > 1,
        "no box": not protocol.box,
        "redraw": protocol.redraw,
    }
    return ", ".join([protocol.attack, *(name for name, given in options.items() if given)])
