"""Rows of a table of certified accuracies: a log, its bounds and classes, a paper, the best log."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from rszoo.bounds import certified_accuracy_lower_bernstein
from rszoo.logs.analysis.norms import Norm, required, stated
from rszoo.logs.analysis.projection import Projection, top_share
from rszoo.logs.analysis.published import Published
from rszoo.logs.analysis.summary import Results, lower_bounds, proved, results
from rszoo.logs.format import CertifyProtocol, Log, PublishedProtocol

QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)


@dataclass(frozen=True)
class Row:
    """One row; None where a number was not measured, is not known, or has no meaning.

    Attributes:
        title, kind: what it is about.
        radii: in pixel units.
        accuracies: certified accuracy at each.
        sigma, n, alpha, bound: the setting.
        average_radius: ACR, in l2.
        abstention: share of images that abstained.
        images: the number of images.
        quantiles: of the estimates of p_A (votes for the class under test over n, where n is the
            same for all images), by level.
        best: for each radius the place of the best log among the logs, from 1.
        names: for each radius the title of the best log.
        norm: of the radii: "l2", or "linf" for l-infinity radii that l2 radii imply.
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
    norm: Norm = "l2"


def log_row(log: Log, radii: Sequence[float], norm: Norm = "l2") -> Row:
    """The row of a log.

    Raises:
        ValueError: it is no log of CERTIFY, or as of `required`.
    """
    protocol, row = log.protocol, _row(log, "log", results(log), radii, norm)
    if isinstance(protocol, PublishedProtocol) and None in (protocol.n, protocol.alpha):
        return replace(row, sigma=protocol.sigma)
    setting = log.setting
    return replace(
        row,
        sigma=setting.sigma,
        n=setting.n,
        alpha=setting.alpha,
        bound=setting.bound,
        quantiles=_quantiles(log),
    )


def class_rows(log: Log, radii: Sequence[float], norm: Norm = "l2") -> list[Row]:
    """One row per true class."""
    return [
        replace(_row(log, "class", part, radii, norm), title=f"class {label}")
        for label, part in results(log).by_class().items()
    ]


def _row(
    log: Log,
    kind: Literal["log", "class"],
    summary: Results,
    radii: Sequence[float],
    norm: Norm,
) -> Row:
    return Row(
        title=log.title,
        kind=kind,
        radii=radii,
        norm=norm,
        accuracies=[
            None if needed is None else summary.accuracy(needed)
            for needed in required(log, summary, radii, norm)
        ],
        average_radius=summary.average_radius if log.tested_radii is None else None,
        abstention=summary.abstention if _abstains_at_x(log, summary) else None,
        images=len(summary),
    )


def _abstains_at_x(log: Log, summary: Results) -> bool:
    """Whether the log tells if the class at each image itself is certified.

    It does not of images that were skipped, or tested at r > 0 only.
    """
    protocol = log.protocol
    skips = isinstance(protocol, CertifyProtocol) and protocol.correct_only
    return summary.answers(0.0) and not skips


def _quantiles(log: Log) -> dict[str, float] | None:
    if isinstance(log, Projection) or log.protocol.adaptive:
        return None
    shares = top_share(log)
    return {f"{q:g}": float(np.quantile(shares, q)) for q in QUANTILES} if shares else None


def bound_rows(log: Log, radii: Sequence[float], norm: Norm = "l2", *, rho: float) -> list[Row]:
    """Lower bounds on the certified accuracy of a log, each wrong with probability at most rho.

    Raises:
        ValueError: alpha is not known, or the log is an estimate.
    """
    proven, alpha = proved(log), log.setting.alpha
    needed = required(log, proven, radii, norm)
    known = [radius or 0.0 for radius in needed]
    pointwise, everywhere = lower_bounds(proven, known, alpha=alpha, rho=rho)
    bounds = {
        f"lower bound at one radius, rho={rho:g}": pointwise,
        f"lower bound at all radii, rho={rho:g}": everywhere,
    }
    if alpha <= 0.5:
        bounds[f"at one radius by Theorem 6 of Cohen et al., rho={rho:g}"] = [
            certified_accuracy_lower_bernstein(
                proven.count(radius), len(proven), alpha=alpha, rho=rho
            )
            for radius in known
        ]
    return [
        Row(
            title,
            "lower bound",
            radii,
            [
                None if radius is None else value
                for radius, value in zip(needed, values, strict=True)
            ],
            norm=norm,
        )
        for title, values in bounds.items()
    ]


def published_row(row: Published, radii: Sequence[float], norm: Norm = "l2") -> Row:
    """The row of a paper, at those of the radii that it states, or that these imply."""
    return Row(
        title=row.title,
        kind="published",
        radii=radii,
        norm=norm,
        accuracies=stated(row, radii, norm),
        sigma=row.sigma,
        n=row.n,
        alpha=row.alpha,
        average_radius=row.acr,
        images=row.images,
    )


def best_row(logs: Sequence[Log], radii: Sequence[float], norm: Norm = "l2") -> Row:
    """The upper envelope: at each radius the largest accuracy, of the first log that has it.

    A log is left out at a radius where it measured nothing. Each log is chosen by its result, so no
    classifier attains the whole envelope.
    """
    rows = [_row(log, "log", results(log), radii, norm) for log in logs]
    places: list[int | None] = []
    for column in range(len(radii)):
        known = {place: row.accuracies[column] for place, row in enumerate(rows)}
        shares = {place: share for place, share in known.items() if share is not None}
        places.append(max(shares, key=shares.__getitem__, default=None))
    return Row(
        title="best of the logs (place)",
        kind="best",
        radii=radii,
        norm=norm,
        accuracies=[
            None if place is None else rows[place].accuracies[column]
            for column, place in enumerate(places)
        ],
        best=[None if place is None else place + 1 for place in places],
        names=[None if place is None else logs[place].title for place in places],
    )
