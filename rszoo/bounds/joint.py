"""`joint`: both Clopper-Pearson bounds at the FULL level alpha, verified per image.

This is the largest radius that we can prove.

Candidate. With CPL, CPU the Clopper-Pearson bounds, N_A the votes of the top class, N_(2) the
largest other count,

    u = (z(CPL(N_A, n, alpha)) - z(CPU(N_(2), n, alpha))) / 2.

alpha is not split, so u is at least the radius of `cohen`, `bonferroni` and `tcertify`, outcome by
outcome. For alpha <= 1/2 no case is known where u fails with probability above alpha (for alpha =
0.9 and n = 60 one fails with 1.008 alpha), but there is no proof for all n either. So each u is
tested before it is reported, and lowered until it passes.

Test (Berger & Boos 1994). Let B be a class with the largest true probability among the others.
Write z(p_A) = r - t and z(p_B) = -(r + t): r is the true radius in units of sigma, and t >= 0
because p_A + p_B <= 1. Order the outcomes by G = h(N_A) + h(n - N_B), h(k) = z(CPL(k, n, alpha)).
At level beta = alpha / 10^4 the confidence set

    {p_A >= CPL(N_A, n, beta/2), p_B <= CPU(N_B, n, beta/2)}

contains the truth, and on it r <= u implies

    max(0, -z(CPU) - u) <= t <= u - z(CPL).                                  (T)

    p(u) = beta + sup { P_{r,t}(G >= observed G) : r <= u, (r, t) in the confidence set }

is a p-value of "true radius <= u", increasing in u. Hence a reported u with p(u) <= alpha exceeds
the true radius only if p(true radius) <= alpha: probability at most alpha. The true B is unknown;
N_(2) >= N_B gives a smaller G and a wider T, so the p-value computed from N_(2) is the larger one
and rejecting with it is safe (Berger 1982).

Supremum. G increases in N_A and decreases in N_B, so moving probability to A or away from B raises
P(G >= g): on a cell t1 <= t <= t2, r <= u it is at most its value at p_A = Phi(u - t1), p_B =
Phi(-(u + t2)). Cells that cover T, each with that value <= alpha - beta, prove p(u) <= alpha.
Nothing here needs h to be exact: any increasing h gives a valid test, so h is interpolated for
large n.
"""

import math
from dataclasses import replace
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from scipy import special

from rszoo.bounds.binomial import Floats, clopper_pearson_lower, clopper_pearson_upper
from rszoo.bounds.votes import (
    Counts,
    RadiusBound,
    clopper_pearson_radius,
    split_votes,
    toward_zero,
)

BETA = 1e-4  # share of alpha spent on the confidence set of the nuisance t
SHRINK = (0.0, 1e-4, 3e-4, 1e-3, 3e-3, 1e-2)  # lower the candidate by these / sqrt(n), then bisect
MAX_CELLS = 400  # give up on a candidate after this many cells: bounds the time
EXACT = 4000  # exact values in the table of h; up to this n, all of them


class Problem(NamedTuple):
    """One image: the table of h, the observed G, the two ends of the confidence set, and alpha."""

    h: Floats
    g: float
    z_lower: float
    z_upper: float
    alpha: float


def joint(counts: Counts, top: int, alpha: float) -> RadiusBound:
    """Radius that exceeds the true one with probability at most `alpha`, proved for these votes.

    For alpha <= 0.1 no other rule of this package exceeds it by more than 1e-4 sigma.

    Args:
        counts: votes of the estimation samples for all classes.
        top: the class that the selection samples chose; it need not have the most votes here.
        alpha: failure probability, in (0, 1).

    Returns:
        The verified radius in units of sigma; p_lower may be below 1/2. p_lower and p_upper are the
        two bounds at the full level alpha each: either one holds at level alpha, not both
        together. The radius does.

    Raises:
        ValueError: an argument is out of range, or there are too few votes to certify anything.

    Source: Berger & Boos 1994 (p-values over a confidence set); Cohen, Rosenfeld, Kolter 2019,
        Theorem 1.
    """
    votes = split_votes(counts, top, alpha)
    candidate = clopper_pearson_radius(votes, alpha)  # an upper limit, without a proof
    if candidate.radius == 0:
        return candidate
    beta = BETA * alpha
    h = statistic(votes.n, alpha)
    problem = Problem(
        h=h,
        g=float(h[votes.top] + h[votes.n - votes.runner_up]),
        z_lower=float(special.ndtri(clopper_pearson_lower(votes.top, votes.n, beta / 2))),
        z_upper=float(special.ndtri(clopper_pearson_upper(votes.runner_up, votes.n, beta / 2))),
        alpha=alpha,
    )
    return replace(candidate, radius=toward_zero(_largest(problem, candidate.radius)))


@lru_cache(maxsize=8)
def statistic(n: int, alpha: float) -> Floats:
    """h(k) = z(CPL(k, n, alpha)) for k = 0..n: nondecreasing, -inf at 0, interpolated for large n.

    Between exact values it is linear in z((k + 1/2) / (n + 1)), in which h is almost a straight
    line.
    """
    k = np.arange(1, n + 1)
    x = special.ndtri((k + 0.5) / (n + 1))
    grid = np.linspace(x[0], x[-1], EXACT)
    nodes = k if n <= EXACT else np.unique(np.append(np.searchsorted(x, grid[:-1]) + 1, n))
    exact = np.maximum.accumulate(special.ndtri(clopper_pearson_lower(nodes, n, alpha)))
    table = np.append(-np.inf, np.interp(x, x[nodes - 1], exact))
    table.flags.writeable = False  # shared by all callers
    return table


def _largest(problem: Problem, candidate: float) -> float:
    """The largest u <= `candidate` that was verified.

    At or below the last resort T is empty, so p(u) = beta: it needs no verification.
    """
    last_resort = max(0.0, (problem.z_lower - problem.z_upper) / 2)
    low, high = last_resort, candidate
    for shrink in SHRINK:
        high = candidate - shrink / math.sqrt(problem.h.size - 1)
        if high <= last_resort:
            break
        if _verified(problem, high):
            return high
    while high - low > 1e-2 * (candidate - last_resort) and high > low:
        middle = (low + high) / 2
        low, high = (middle, high) if _verified(problem, middle) else (low, middle)
    return low


def _verified(problem: Problem, u: float) -> bool:
    """Whether cells that cover T prove p(u) <= alpha; false may also mean that time was up."""
    level = problem.alpha * (1 - BETA)
    t = max(0.0, -problem.z_upper - u - 1e-12)
    end = u - problem.z_lower + 1e-12
    if _exceedance(problem, u, t, t) > level:
        return False  # no cell that starts here can pass
    width = (end - t) / 8
    for _ in range(MAX_CELLS):
        if t >= end:
            return True
        cell_end = min(t + width, end)
        if _exceedance(problem, u, t, cell_end) <= level:
            t, width = cell_end, 1.5 * width
        else:
            width /= 2
    return False


def _exceedance(problem: Problem, u: float, t1: float, t2: float) -> float:
    """Upper bound on P_{r,t}(G >= g) for all r <= u, t1 <= t <= t2, rounding errors included.

    N_B = j is binomial, and given j, N_A is binomial among the other n - j. All the probability
    outside a window of j counts as exceedance.
    """
    n = problem.h.size - 1
    p_b = special.ndtr(-(u + t2))
    share = min(1.0, special.ndtr(u - t1) / special.ndtr(u + t2))
    reach = 1 - special.ndtri(1e-8 * problem.alpha)
    spread = reach * math.sqrt(n * p_b * (1 - p_b))
    first, last = max(0, int(n * p_b - spread)), min(n, int(n * p_b + spread + reach**2))
    outside = special.betaincc(first, n - first + 1, p_b) if first > 0 else 0.0
    outside += special.betainc(last + 1, n - last, p_b) if last < n else 0.0

    j = np.arange(first, last + 1)
    least_h = problem.g - problem.h[n - j] - 1e-12
    k = np.searchsorted(problem.h, least_h)  # the smallest N_A with G >= g
    j, k = j[k <= n - j], k[k <= n - j]
    log_pmf = special.gammaln(n + 1) - special.gammaln(j + 1) - special.gammaln(n - j + 1)
    log_pmf += special.xlogy(j, p_b) + special.xlog1py(n - j, -p_b)
    tail = np.where(k > 0, special.betainc(np.maximum(k, 1), n - j - k + 1, share), 1.0)
    rounding = 1 + 1e-6 + 1e-14 * n  # gammaln is good to about 1e-15 * n log(n)
    return float((np.exp(log_pmf) @ tail + outside) * rounding)
