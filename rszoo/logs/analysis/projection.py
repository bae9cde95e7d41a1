"""Projections: the radii that the votes of a log give in another setting, without new samples.

With another alpha or bound they are what CERTIFY would have returned for these votes; a certificate
only if that setting had been chosen before the votes were drawn. With another n the proportions of
the votes are kept (Cohen, Rosenfeld, Kolter 2019, Figure 8): an estimate.

A published file holds no votes. Those of the top class follow from the radius: the k whose
sigma z(CPL(k, n, alpha)) is nearest to it, as far as its digits tell. An image that abstained
has no radius, so it is taken to abstain always; where alpha or n is raised this understates the
accuracy.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
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
    minimum_n,
)
from rszoo.bounds.binomial import validate_alpha
from rszoo.bounds.votes import Counts, toward_zero
from rszoo.logs.format import (
    CertifyProtocol,
    Log,
    PublishedProtocol,
    Record,
    Setting,
    SoftProtocol,
    logged_radius,
)

Votes = Mapping[int, int]


def _earlier(radius: Callable[[float, float], float]) -> RadiusRule:
    """The rule of earlier work: its radius, from the bounds of `cohen`."""

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


@dataclass(frozen=True)
class Projection(Log):
    """What a log might have been in another setting, which its protocol names; nothing was run.

    Attributes:
        change: what was changed, such as "n=1000".
        estimated: whether the radii are an estimate and bound nothing, because n was changed, or
            because the votes of a published file were computed from its radii.
    """

    change: str
    estimated: bool

    @property
    def title(self) -> str:
        """The title of the log, and the change."""
        return f"{super().title} [projected to {self.change}]"


def project(
    log: Log, *, alpha: float | None = None, n: int | None = None, bound: str | None = None
) -> Projection:
    """A log of CERTIFY in another setting; what is None stays as it is.

    Args:
        log: of this package, or published.
        alpha: failure probability, in (0, 1).
        n: number of samples; votes for the class under test are rounded down, the runner-up's up.
        bound: a key of `RULES`.

    Raises:
        ValueError: the setting is out of range, or the log does not hold what it needs.

    Source: Cohen, Rosenfeld, Kolter 2019, Figures 5 and 8.
    """
    if isinstance(log.protocol, SoftProtocol):
        raise ValueError(
            f"Expected a log with votes to project, got {log.path}, one of soft votes, which holds "
            "their means alone; evaluate again in the other setting."
        )
    options = {"n": n, "alpha": alpha, "bound": bound}
    chosen = {name: value for name, value in options.items() if value is not None}
    before, protocol = log.setting, log.protocol
    after = replace(before, **chosen)  # type: ignore[arg-type]
    _check(log, after)
    records, published = _with_votes(log), isinstance(protocol, PublishedProtocol)
    seen = max((label for record in records for label in record.votes), default=0) + 1
    classes = protocol.num_classes if isinstance(protocol, CertifyProtocol) else seen
    change = ", ".join(f"{name}={value}" for name, value in chosen.items()) or "its own setting"
    return Projection(
        log.path,
        msgspec.structs.replace(protocol, **chosen),
        [_projected(record, classes, after) for record in records],
        change,
        estimated=published or after.n != before.n,
    )


def _check(log: Log, after: Setting) -> None:
    """Raise ValueError unless the log holds what that setting needs."""
    validate_alpha(after.alpha)
    if after.level <= 0:
        raise ValueError(
            f"Expected alpha above the error of {after.n} samples of grid noise, "
            f"got {after.alpha:g}; use a larger alpha."
        )
    if after.bound not in RULES:
        raise ValueError(
            f"Expected a bound among {', '.join(RULES)}, got {after.bound!r}; choose one of these."
        )
    if isinstance(log, Projection):
        raise ValueError(f"Expected a log, got {log.title}; project the log itself, in one step.")
    protocol = log.protocol
    if isinstance(protocol, CertifyProtocol):
        if (protocol.radii, protocol.tolerance) != (None, None):
            raise ValueError(
                f"Expected a log with n votes per image, got {log.path}, where n depends on the "
                "votes, which then say nothing about another n, alpha or bound; "
                "evaluate without --radius and --tolerance."
            )
    elif after.bound not in FROM_TOP:
        raise ValueError(
            f"Expected the votes of the runner-up for the bound {after.bound}, got {log.path}, "
            f"a published file without; choose among {', '.join(FROM_TOP)}."
        )


def _projected(record: Record, num_classes: int, after: Setting) -> Record:
    if not record.votes:  # skipped by `correct_only`, in any setting
        return record
    same, selected = record.n == after.n, record.selected
    votes = record.votes if same else scaled(record.votes, selected, after.n)
    radius = _radius(after, tuple(votes.items()), selected, num_classes)
    predict = selected if radius > 0 else -1
    return replace(
        record, predict=predict, correct=predict == record.label, radius=radius, votes=votes
    )


def scaled(votes: Votes, selected: int, n: int) -> Votes:
    """The votes of n samples in the same proportions: `selected` rounded down, the runner-up up.

    The rest are rounded so that the sum is n; none of them passes the runner-up.
    """
    total = sum(votes.values())
    rest = sorted(votes.keys() - {selected}, key=lambda label: (-votes[label], label))
    whole = {label: votes.get(label, 0) * n // total for label in [selected, *rest]}
    fraction = {label: votes[label] * n % total for label in rest}
    rounded_up = sorted(
        filter(fraction.get, rest), key=lambda label: (label != rest[0], -fraction[label], label)
    )
    for label in rounded_up[: n - sum(whole.values())]:
        whole[label] += 1
    return {label: count for label, count in whole.items() if count}


# many images of a log have the same votes, cards ask for them again, and `joint` takes its time
@lru_cache(maxsize=65536)
def _radius(
    after: Setting, votes: tuple[tuple[int, int], ...], top: int, num_classes: int
) -> float:
    by_class = dict(votes)
    counts = [by_class.get(label, 0) for label in range(num_classes)]
    return l2_radius(RULES[after.bound](counts, top, after.level).radius, after.sigma)


def largest_radius(setting: Setting) -> float:
    """The l2 radius that n unanimous votes certify, in pixel units."""
    return setting.sigma * float(special.ndtri(setting.alpha ** (1 / setting.n)))


def reach(log: Log) -> float:
    """The largest radius that a log of CERTIFY can have, in pixel units; it says nothing beyond.

    It is the radius of n unanimous votes, rounded down as in a log. A sequential test reaches its
    last radius. Where the rule, sigma, n or alpha is not known, it is the largest in the log.
    """
    if log.tested_radii:
        return log.tested_radii[-1]
    protocol = log.protocol
    largest = max((record.radius or 0.0 for record in log.records), default=0.0)
    published = isinstance(protocol, PublishedProtocol)
    if published and None in (protocol.sigma, protocol.n, protocol.alpha):
        return largest
    setting = log.setting
    if setting.bound not in RULES or setting.n < minimum_n(setting.level):
        return largest
    classes = protocol.num_classes if isinstance(protocol, CertifyProtocol) else 2
    return max(largest, logged_radius(_radius(setting, ((0, setting.n),), 0, classes)))


def _with_votes(log: Log) -> Sequence[Record]:
    """The lines with their votes; for a published file those that follow from its radii.

    Which other classes its votes are for is not known; all of them are given to the next class.
    """
    if not isinstance(log.protocol, PublishedProtocol):
        return log.records
    n, records = log.setting.n, []
    for record, top in zip(log.records, reconstructed_votes(log).tolist(), strict=True):
        votes = {record.predict: top, record.predict + 1: n - top} if top else {}
        records.append(replace(record, selected=record.predict, votes=votes))
    return records


def reconstructed_votes(log: Log) -> NDArray[np.int64]:
    """The votes of the top class in a published file, one number per image; 0 where it abstained.

    Raises:
        ValueError: a radius is above what n unanimous votes give: the setting is not the file's.
    """
    setting = log.setting
    sigma, n, alpha = setting.sigma, setting.n, setting.alpha
    radii = np.array([record.radius or 0.0 for record in log.records])
    largest = largest_radius(setting)
    least = radii - np.array([record.rounding for record in log.records])
    if least.max(initial=0.0) > largest * (1 + 1e-9):
        raise ValueError(
            f"Expected radii up to {largest:.4g}, the largest at sigma={sigma:g}, n={n} and "
            f"alpha={alpha:g}, got {radii.max():g} in {log.path}; "
            "'rszoo audit' says which alpha fits: pass that."
        )
    below = stats.binom.isf(alpha, n, special.ndtr(radii / sigma))
    candidates = np.clip(np.stack([below, below + 1]), 0, n).astype(np.int64)
    p_lower = clopper_pearson_lower(candidates, n, alpha)
    distance = np.abs(sigma * special.ndtri(p_lower) - radii)
    votes: NDArray[np.int64] = np.where(distance[1] < distance[0], candidates[1], candidates[0])
    certified = np.array([record.predict != -1 for record in log.records], dtype=bool)
    return np.where(certified, votes, 0)


def top_share(log: Log) -> list[float]:
    """Estimates of p_A: the share of votes for the class under test.

    Those of a published file are without its abstentions.
    """
    records = [record for record in _with_votes(log) if record.votes]
    return [record.votes.get(record.selected, 0) / record.n for record in records]
