"""The rows of a table of certified accuracies: of a log, its bounds and classes, of a paper, and the best of all."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from rszoo.bounds import certified_accuracy_lower_bernstein
from rszoo.logs.analysis.comparison import envelope
from rszoo.logs.analysis.projection import top_share
from rszoo.logs.analysis.published import Published
from rszoo.logs.analysis.setting import (
    Given,
    Projection,
    Setting,
    answers,
    named_sigma,
    setting_of,
    tested_radii,
)
from rszoo.logs.analysis.summary import Results, lower_bounds, proved, results
from rszoo.logs.format import CertifyProtocol, Log

QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)


@dataclass(frozen=True)
class Row:
    """One row; None where a number is not known or has no meaning.

    Attributes:
        title, kind: what it is of.
        radii: l2 radii in pixel units.
        accuracies: certified accuracy at each.
        sigma, n, alpha, bound: the setting.
        average_radius: ACR; abstention: share of images; images: how many.
        quantiles: of the estimates of p_A (the votes of the class under test over n, where all images have as many), by level.
        best: for each radius the place of the best log among the logs, from 1.
        names: for each radius the title of the best log.
    """

    title: str
    kind: Literal["log", "lower bound", "class", "published", "best"]
    radii: Sequence[float]
    accuracies: Sequence[float | None]
    sigma: float | None = None
    n: int | None = None
    alpha: float | None = None
    bound: str | None = None
    average_radius: float | None = None
    abstention: float | None = None
    images: int | None = None
    quantiles: dict[str, float] | None = None
    best: Sequence[int | None] | None = None
    names: Sequence[str | None] | None = None


def log_rows(
    log: Log, radii: Sequence[float], *, given: Given, rho: float | None, per_class: bool
) -> list[Row]:
    """The row of a log, and, if wanted, those of lower bounds with failure probability rho and of the classes.

    Raises:
        ValueError: it is no log of CERTIFY; or bounds are wanted, of a published file without alpha or of another n.
    """
    found = results(log)
    setting = _setting(log, given)
    sigma = setting.sigma if setting else given.sigma or named_sigma(log)
    rows = [
        _row(
            log,
            log.title,
            "log",
            found,
            radii,
            sigma=sigma,
            setting=setting,
            quantiles=_quantiles(log, setting),
        )
    ]
    if rho is not None:
        rows += _bound_rows(log, radii, given=given, rho=rho)
    if per_class:
        rows += [
            _row(log, f"class {label}", "class", part, radii)
            for label, part in found.by_class().items()
        ]
    return rows


def _row(
    log: Log,
    title: str,
    kind: Literal["log", "class"],
    found: Results,
    radii: Sequence[float],
    *,
    sigma: float | None = None,
    setting: Setting | None = None,
    quantiles: dict[str, float] | None = None,
) -> Row:
    return Row(
        title=title,
        kind=kind,
        radii=radii,
        accuracies=_at_tested(log, radii, [found.accuracy(radius) for radius in radii]),
        sigma=sigma,
        n=setting.n if setting else None,
        alpha=setting.alpha if setting else None,
        bound=setting.bound if setting else None,
        average_radius=found.average_radius if tested_radii(log) is None else None,
        abstention=found.abstention if _abstains_at_x(log) else None,
        images=len(found),
        quantiles=quantiles,
    )


def _at_tested(log: Log, radii: Sequence[float], values: Sequence[float]) -> Sequence[float | None]:
    """The values at those of the radii that the log answers for."""
    return [
        value if answers(log, radius) else None for radius, value in zip(radii, values, strict=True)
    ]


def _abstains_at_x(log: Log) -> bool:
    """Whether the log tells if the class at the image itself is certified: not of images left out or tested at r > 0 only."""
    protocol = log.protocol
    if not isinstance(protocol, CertifyProtocol):
        return True
    return not protocol.correct_only and (protocol.radii is None or 0.0 in protocol.radii)


def _setting(log: Log, given: Given) -> Setting | None:
    unknown = (
        log.protocol is None and not isinstance(log, Projection) and None in (given.n, given.alpha)
    )
    return None if unknown else setting_of(log, given)


def _quantiles(log: Log, setting: Setting | None) -> dict[str, float] | None:
    if (
        setting is None
        or isinstance(log, Projection)
        or (log.protocol is not None and log.protocol.adaptive)
    ):
        return None
    shares = top_share(log, setting)
    return (
        {f"{level:g}": float(np.quantile(shares, level)) for level in QUANTILES} if shares else None
    )


def _bound_rows(log: Log, radii: Sequence[float], *, given: Given, rho: float) -> list[Row]:
    alpha = level_of(log, given)
    found = proved(log)
    pointwise, everywhere = lower_bounds(found, radii, alpha=alpha, rho=rho)
    bounds = {
        f"lower bound at one radius, rho={rho:g}": pointwise,
        f"lower bound at all radii, rho={rho:g}": everywhere,
    }
    if alpha <= 0.5:
        bounds[f"at one radius by Theorem 6 of Cohen et al., rho={rho:g}"] = [
            certified_accuracy_lower_bernstein(
                found.count(radius), len(found), alpha=alpha, rho=rho
            )
            for radius in radii
        ]
    return [
        Row(title, "lower bound", radii, _at_tested(log, radii, values))
        for title, values in bounds.items()
    ]


def level_of(log: Log, given: Given) -> float:
    """The failure probability of each line, for bounds on the accuracy.

    Raises:
        ValueError: it is not known, or the log is a projection that is no certificate.
    """
    if isinstance(log, Projection) and log.estimated:
        raise ValueError(
            f"Expected certificates to bound the accuracy, got {log.title}, an estimate; take the log as it is."
        )
    return setting_of(log, given).alpha


def published_row(row: Published, radii: Sequence[float]) -> Row:
    """The row of a paper, at those of the radii that it states."""
    stated = dict(zip(row.radii, row.accuracies, strict=True))
    return Row(
        title=row.title,
        kind="published",
        radii=radii,
        accuracies=[stated.get(radius) for radius in radii],
        sigma=row.sigma,
        n=row.n,
        alpha=row.alpha,
        average_radius=row.acr,
        images=row.images,
    )


def best_row(logs: Sequence[Log], radii: Sequence[float]) -> Row:
    """The upper envelope of the logs."""
    found = envelope(logs, radii)
    return Row(
        title="best of the logs (place)",
        kind="best",
        radii=radii,
        accuracies=[None if best is None else best.accuracy for best in found],
        best=[None if best is None else best.place + 1 for best in found],
        names=[None if best is None else best.title for best in found],
    )
