"""Rules that turn votes into a certified radius, by name: `BOUNDS`.

With p_A the probability of the top class and p_B the largest probability of another class, the
smoothed classifier is constant within sigma * (z(p_A) - z(p_B)) / 2, z the normal quantile (Cohen,
Rosenfeld, Kolter 2019, Theorem 1). A rule is a lower confidence bound for that radius. All rules
take the votes of the ESTIMATION samples only: the class must have been chosen with other samples,
and the rule before the votes were seen.

p_B is a maximum, so its upper bound needs no correction for the number of classes: if class j is
the true runner-up, N_(2) >= N_j, hence "the bound of the largest count is below p_B" implies "the
bound of N_j is below p_j" (an intersection-union test, Berger 1982; Voracek 2024, Appendix B).
"""

import math
from collections.abc import Callable

import numpy as np
from scipy import special

from rszoo.bounds.binomial import clopper_pearson_lower, clopper_pearson_upper
from rszoo.bounds.joint import joint
from rszoo.bounds.tcertify import tcertify
from rszoo.bounds.votes import (
    Counts,
    RadiusBound,
    clopper_pearson_radius,
    split_votes,
    toward_zero,
)

OUTWARD = 1e-12  # relative: more than the error of the normal quantile

RadiusRule = Callable[[Counts, int, float], RadiusBound]


def cohen(counts: Counts, top: int, alpha: float) -> RadiusBound:
    """Radius that exceeds the true one with probability at most `alpha`; ignores the runner-up.

    Args:
        counts: votes of the estimation samples for all classes.
        top: the class that the selection samples chose; it need not have the most votes here.
        alpha: failure probability, in (0, 1).

    Returns:
        z(p_lower) in units of sigma, with p_upper = 1 - p_lower; abstains if p_lower <= 1/2.

    Raises:
        ValueError: an argument is out of range, or there are too few votes to certify anything.

    Source: Cohen, Rosenfeld, Kolter 2019, Section 3.2 (CERTIFY), Proposition 2.
    Differs from the authors' code in: p_lower = 1/2 abstains (theirs certifies radius 0).
    """
    votes = split_votes(counts, top, alpha)
    p_lower = clopper_pearson_lower(votes.top, votes.n, alpha)
    return RadiusBound(toward_zero(float(special.ndtri(p_lower))), p_lower, 1.0 - p_lower)


def bonferroni(counts: Counts, top: int, alpha: float) -> RadiusBound:
    """Radius that exceeds the true one with probability at most `alpha`: two bounds at alpha / 2.

    Args:
        counts: votes of the estimation samples for all classes.
        top: the class that the selection samples chose; it need not have the most votes here.
        alpha: failure probability, in (0, 1).

    Returns:
        (z(p_lower) - z(p_upper)) / 2 in units of sigma; p_lower may be below 1/2.

    Raises:
        ValueError: an argument is out of range, or there are too few votes to certify anything.

    Source: Cohen, Rosenfeld, Kolter 2019, Theorem 1; Berger 1982 (no correction for the number of
        classes).
    """
    return clopper_pearson_radius(split_votes(counts, top, alpha), alpha / 2)


def l2_radius(bound_radius: float, sigma: float) -> float:
    """The radius in pixel units, rounded toward zero: never above sigma times `bound_radius`.

    Args:
        bound_radius: a radius in units of sigma, >= 0.
        sigma: standard deviation of the noise in pixel units, > 0.

    Raises:
        ValueError: an argument is out of range.

    Source: Cohen, Rosenfeld, Kolter 2019, Theorem 1.
    """
    if not 0 < sigma < np.inf:
        raise ValueError(
            f"Expected sigma > 0, got {sigma}; "
            "pass the standard deviation of the noise in pixel units."
        )
    if not bound_radius >= 0:
        raise ValueError(f"Expected a radius >= 0, got {bound_radius}; pass RadiusBound.radius.")
    return toward_zero(sigma * bound_radius)


def implied_linf(radius: float, values: int) -> float:
    """The l-infinity radius that an l2 radius implies, rounded toward zero.

    A change of each of d values by at most r has an l2 norm of at most r sqrt(d). The radius is
    implied, not certified by a method for l-infinity.

    Args:
        radius: an l2 radius, >= 0.
        values: d, the number of values of an image: C H W.

    Returns:
        radius / sqrt(values), in the unit of the radius.

    Raises:
        ValueError: an argument is out of range.

    Source: Salman et al. 2019, section 4.
    """
    _check_values(radius, values)
    return toward_zero(radius / math.sqrt(values))


def implying_l2(radius: float, values: int) -> float:
    """The smallest l2 radius that implies an l-infinity radius, rounded up.

    Args, Raises, Source: as `implied_linf`, for an l-infinity radius.

    Returns:
        radius sqrt(values); 2/255 on CIFAR-10 takes 0.4348.
    """
    _check_values(radius, values)
    return radius * math.sqrt(values) * (1 + OUTWARD)


def _check_values(radius: float, values: int) -> None:
    if not 0 <= radius < math.inf:
        raise ValueError(f"Expected a radius >= 0, got {radius}; pass a distance in pixel units.")
    if values < 1:
        raise ValueError(
            f"Expected the number of values of an image, got {values}; pass C H W, as 3 * 32 * 32."
        )


def radius_upper(counts: Counts, top: int, alpha: float, *, top_alone: bool = False) -> float:
    """Upper bound that is below the true radius of `top` with probability at most `alpha`.

    A certified radius should not exceed it.

    Args:
        counts: votes of fresh samples for all classes.
        top: the class of the certificate, chosen without these votes.
        alpha: failure probability, in (0, 1).
        top_alone: bound z(p_A), the true radius of the rule `cohen`, instead of
            (z(p_A) - z(p_B)) / 2.

    Returns:
        The bound in units of sigma, rounded up; 0 if the bounds put another class on top.

    Raises:
        ValueError: an argument is out of range.

    Source: Cohen, Rosenfeld, Kolter 2019, Theorem 1. p_A is bounded at alpha / 2. p_B is at least
        an equal share of what p_A leaves, and, at alpha / 2 for all other classes together, at
        least the largest of their lower bounds.
    """
    votes, n = np.asarray(counts), int(np.sum(counts))
    p_upper = clopper_pearson_upper(int(votes[top]), n, alpha if top_alone else alpha / 2)
    radius = float(special.ndtri(p_upper))
    if not top_alone:
        others = np.delete(votes, top)
        lower = clopper_pearson_lower(others, n, alpha / 2 / len(others))
        p_other = max(float(lower.max()), (1.0 - p_upper) / len(others))
        radius = float(special.ndtri(p_upper) - special.ndtri(p_other)) / 2
    return max(0.0, radius * (1 + OUTWARD))


BOUNDS: dict[str, RadiusRule] = {
    "cohen": cohen,
    "joint": joint,
    "tcertify": tcertify,
    "bonferroni": bonferroni,
}
