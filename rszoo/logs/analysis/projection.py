"""Projections: the radii that the votes of a log give in another setting, without new samples.

With another alpha or bound they are what CERTIFY would have returned for these votes; a certificate only if that setting
had been chosen before the votes were drawn. With another n the proportions of the votes are kept (Cohen, Rosenfeld, Kolter
2019, Figure 8): an estimate.

A published file holds no votes. Those of the top class follow from the radius: the k with sigma z(CPL(k, n, alpha)) next to
it, as far as its three digits tell. An image that abstained has no radius, so it is taken to abstain always; where alpha or
n is raised this understates the accuracy.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import lru_cache

import msgspec
import numpy as np
from numpy.typing import NDArray
from scipy import special, stats

from rszoo.bounds import (
    BOUNDS,
    RadiusBound,
    RadiusRule,
    clopper_pearson_lower,
    cohen,
    l2_radius,
    lecuyer_radius,
    li_radius,
)
from rszoo.bounds.binomial import validate_alpha
from rszoo.bounds.votes import Counts, toward_zero
from rszoo.logs.analysis.setting import Given, Projection, Setting, setting_of
from rszoo.logs.format import CertifyProtocol, Log, Record


def _earlier(radius: Callable[[float, float], float]) -> RadiusRule:
    def rule(counts: Counts, top: int, alpha: float) -> RadiusBound:
        bound = cohen(counts, top, alpha)
        return replace(bound, radius=toward_zero(radius(bound.p_lower, bound.p_upper)))

    return rule


RULES: dict[str, RadiusRule] = {
    **BOUNDS,
    "lecuyer": _earlier(lecuyer_radius),
    "li": _earlier(li_radius),
}
FROM_TOP = ("cohen", "lecuyer", "li")  # the rules that need the votes of the top class only


def project(
    log: Log,
    *,
    alpha: float | None = None,
    n: int | None = None,
    bound: str | None = None,
    given: Given | None = None,
) -> Projection:
    """A log of CERTIFY in another setting; what is None stays as it is.

    Args:
        log: of this package, or published.
        alpha: failure probability, in (0, 1).
        n: number of samples; the votes of the class under test are rounded down, the runner-up's up.
        bound: a key of `RULES`.
        given: what is known of a published file.

    Raises:
        ValueError: the setting is out of range, or the log does not hold what it needs.

    Source: Cohen, Rosenfeld, Kolter 2019, Figures 5 and 8.
    """
    before = setting_of(log, given)
    chosen = {
        name: value
        for name, value in (("n", n), ("alpha", alpha), ("bound", bound))
        if value is not None
    }
    after = replace(before, **chosen)  # type: ignore[arg-type]
    _check(log, after)
    if log.protocol is None:
        records = _projected_published(log, before, after)
    else:
        records = [_projected(record, log.protocol.num_classes, after) for record in log.records]
    change = ", ".join(f"{name}={value}" for name, value in chosen.items())
    protocol = None if log.protocol is None else msgspec.structs.replace(log.protocol, **chosen)
    return Projection(
        log.path,
        protocol,
        records,
        after,
        change or "its own setting",
        after.n != before.n or protocol is None,
    )


def _check(log: Log, after: Setting) -> None:
    validate_alpha(after.alpha)
    if after.level <= 0:
        raise ValueError(
            f"Expected alpha above the error of {after.n} samples of grid noise, got {after.alpha:g}; use a larger alpha."
        )
    if after.bound not in RULES:
        raise ValueError(
            f"Expected a bound among {', '.join(RULES)}, got {after.bound!r}; choose one of these."
        )
    if isinstance(log, Projection):
        raise ValueError(f"Expected a log, got {log.title}; project the log itself, in one step.")
    protocol = log.protocol
    if isinstance(protocol, CertifyProtocol) and (protocol.radii, protocol.tolerance) != (
        None,
        None,
    ):
        raise ValueError(
            f"Expected a log with n votes an image, got {log.path}, where n depends on the votes and tells nothing of another "
            "n, alpha or bound; evaluate without --radii and --tolerance."
        )
    if log.protocol is None and after.bound not in FROM_TOP:
        raise ValueError(
            f"Expected the votes of the runner-up for the bound {after.bound}, got {log.path}, a published file without; "
            f"choose among {', '.join(FROM_TOP)}."
        )


def _projected(record: Record, num_classes: int, after: Setting) -> Record:
    if record.selected is None or record.votes is None:
        raise ValueError(
            f"Expected the votes of image {record.idx}, got none; pass a log with votes."
        )
    if not record.n:  # of `correct_only`: not estimated, in no setting
        return record
    votes = record.votes if record.n == after.n else scaled(record.votes, record.selected, after.n)
    radius = _radius(after, tuple(votes.items()), record.selected, num_classes)
    predict = record.selected if radius > 0 else -1
    return replace(
        record, predict=predict, correct=predict == record.label, radius=radius, votes=votes
    )


def scaled(votes: dict[int, int], selected: int, n: int) -> dict[int, int]:
    """The votes of n samples in the same proportions: `selected` rounded down, the runner-up rounded up.

    The rest are rounded so that the sum is n; none of them passes the runner-up.
    """
    total = sum(votes.values())
    rest = sorted(
        (label for label in votes if label != selected), key=lambda label: (-votes[label], label)
    )
    whole = {label: votes.get(label, 0) * n // total for label in [selected, *rest]}
    fraction = {label: votes[label] * n % total for label in rest}
    rounded_up = sorted(
        filter(fraction.get, rest), key=lambda label: (label != rest[0], -fraction[label], label)
    )
    for label in rounded_up[: n - sum(whole.values())]:
        whole[label] += 1
    return {label: count for label, count in whole.items() if count}


def _projected_published(log: Log, before: Setting, after: Setting) -> list[Record]:
    found = reconstructed_votes(log, before)
    kept = found * after.n // before.n
    records = []
    for record, votes, k in zip(log.records, found, kept, strict=True):
        radius = _radius(after, ((0, int(k)), (1, after.n - int(k))), 0, 2) if votes else 0.0
        predict = record.predict if radius > 0 else -1
        records.append(
            replace(record, predict=predict, correct=record.correct and radius > 0, radius=radius)
        )
    return records


@lru_cache(
    maxsize=65536
)  # many images of a log have the same votes, and cards ask for them again; `joint` takes its time
def _radius(
    after: Setting, votes: tuple[tuple[int, int], ...], top: int, num_classes: int
) -> float:
    found = dict(votes)
    counts = [found.get(label, 0) for label in range(num_classes)]
    return l2_radius(RULES[after.bound](counts, top, after.level).radius, after.sigma)


def reconstructed_votes(log: Log, setting: Setting) -> NDArray[np.int64]:
    """The votes of the top class in a published file, one number an image; 0 where it abstained.

    Raises:
        ValueError: a radius is above what n unanimous votes give: the setting is not the file's.
    """
    radii = np.array([record.radius or 0.0 for record in log.records])
    largest = float(special.ndtri(setting.alpha ** (1 / setting.n))) * setting.sigma
    if radii.max(initial=0.0) > largest * 1.005:  # half a unit of the third digit
        raise ValueError(
            f"Expected radii up to {largest:.4g}, the largest at sigma={setting.sigma:g}, n={setting.n} and "
            f"alpha={setting.alpha:g}, got {radii.max():g} in {log.path}; 'rszoo audit' says which alpha fits: pass that."
        )
    below = stats.binom.isf(setting.alpha, setting.n, special.ndtr(radii / setting.sigma))
    candidates = np.clip(np.stack([below, below + 1]), 0, setting.n).astype(np.int64)
    distance = np.abs(setting.sigma * special.ndtri(_lower(candidates, setting)) - radii)
    votes: NDArray[np.int64] = np.where(distance[1] < distance[0], candidates[1], candidates[0])
    certified = np.array([record.predict != -1 for record in log.records], dtype=bool)
    return np.where(certified, votes, 0)


def _lower(candidates: NDArray[np.int64], setting: Setting) -> NDArray[np.float64]:
    return clopper_pearson_lower(candidates, setting.n, setting.alpha)


def top_share(log: Log, setting: Setting) -> Sequence[float]:
    """Estimates of p_A, the votes of the class under test over n; without the abstentions of a published file."""
    if log.protocol is None:
        votes = reconstructed_votes(log, setting)
        return [int(k) / setting.n for k in votes if k]
    return [(record.votes or {}).get(record.selected or 0, 0) / record.n for record in log.records]
