"""T-CERTIFY as published (Feng et al. 2020, Algorithm 2): split alpha between p_A and p_B.

For alpha' on the grid 0.1 alpha, 0.2 alpha, ..., alpha:

    p_lower(alpha') = sup { p : P(Bin(n, p) >= N_A) <= alpha' }
    p_upper(alpha') = inf { p : sum over j != A of P(Bin(n, p) <= N_j) <= alpha - alpha' },
                      at most 1 - p_lower
    r(alpha')       = (z(p_lower) - z(p_upper)) / 2 if p_lower > 1/2, else 0

and the radius is the largest r(alpha'). alpha' = alpha is CERTIFY.

Level. The published proof is a union bound for a FIXED alpha'; it does not cover an alpha' chosen
by the data. However, no r of the grid exceeds the radius from both Clopper-Pearson bounds at the
full level alpha (each bound weakens as its level falls, and the sum only enlarges p_upper), and of
that radius no failure probability above alpha is known for alpha <= 1/2: where it was enumerated,
the supremum equals alpha, attained with two classes only. `rszoo.bounds.joint` is proved per image
and at least as large.
"""

import numpy as np
from scipy import optimize, special

from rszoo.bounds.binomial import (
    EPS,
    betainc_error,
    clopper_pearson_lower,
    clopper_pearson_upper,
)
from rszoo.bounds.votes import Counts, RadiusBound, Votes, split_votes, two_sided

GRID = 10


def tcertify(counts: Counts, top: int, alpha: float) -> RadiusBound:
    """Radius of T-CERTIFY, which exceeds the true one with probability at most `alpha`.

    That level is proved for each fixed split, and verified numerically for the best one.

    Args:
        counts: votes of the estimation samples for all classes.
        top: the class that the selection samples chose; it need not have the most votes here.
        alpha: failure probability, in (0, 1).

    Returns:
        The largest radius over the ten splits, with the bounds of that split; abstains if all have
        p_lower <= 1/2.

    Raises:
        ValueError: an argument is out of range, or there are too few votes to certify anything.

    Source: Feng et al. 2020, Algorithm 2 and Equation 14.
    Differs from the paper in: p_upper is capped at 1 - p_lower for every alpha' (the paper says so
        for alpha' = alpha).
    """
    votes = split_votes(counts, top, alpha)
    splits = [alpha, *(alpha * i / GRID for i in range(1, GRID))]
    bounds = (_fixed_split(votes, alpha, split) for split in splits)
    return max(bounds, key=lambda bound: bound.radius)


def _fixed_split(votes: Votes, alpha: float, split: float) -> RadiusBound:
    p_lower = clopper_pearson_lower(votes.top, votes.n, split)
    if p_lower <= 1 / 2:
        return RadiusBound(0.0, p_lower, 1.0 - p_lower)
    p_upper = min(_sum_upper(votes, alpha - split), 1.0 - p_lower)
    return two_sided(p_lower, p_upper)


def _sum_upper(votes: Votes, level: float) -> float:
    """The smallest p with sum_j P(Bin(n, p) <= N_j) <= level, rounded up; every N_j must be < n."""
    if level <= 0:
        return 1.0
    count, times = np.unique(votes.others, return_counts=True)

    def excess(p: float) -> float:
        return float(times @ special.betaincc(count + 1.0, votes.n - count, p)) - level

    p = clopper_pearson_upper(votes.runner_up, votes.n, level)  # one term of the sum alone
    if excess(p) > 0:
        p = float(optimize.brentq(excess, p, 1.0, xtol=1e-15, rtol=1e-14))
    step = EPS
    while excess(p) > 0:
        p, step = min(1.0, p + step), 2 * step
    return min(1.0, float(np.nextafter(p + betainc_error(p, level) + EPS, 1.0)))
