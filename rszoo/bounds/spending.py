"""Critical values of the exact sequential test of one radius: how many votes certify it at which look.

The radius exceeds r if p_A > Phi(r / sigma) =: p. Read the votes H_k for A after T_1 < ... < T_K = n samples and reject
H0: p_A <= p at the first look with H_k >= c_k. The critical values c_k are the smallest with

    P(H_i >= c_i for some i <= k) <= A_k under p_A = p,    A_k = alpha/2 * k/(K - 1) for k < K,  A_K = alpha

(alpha spending, Lan & DeMets 1983). A rejection stays one when a vote for another class becomes a vote for A, so its
probability increases in p_A and its supremum over H0 is the value at p_A = p: at most alpha. The probabilities come from
the recursion of Armitage, McPherson & Rowe 1969 over the counts not rejected so far, rounded outward: terms are rounded
up, and what is too small to keep counts as rejected.
"""

from functools import lru_cache
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from scipy import special

from rszoo.bounds.binomial import validate_n
from rszoo.bounds.looks import looks

Floats = NDArray[np.float64]

NEGLIGIBLE = 1e-12  # share of alpha that may be cut off each end of a distribution
ROUNDING = 1 + 1e-10  # more than the relative error of a sum of 10^5 positive terms


def critical_values(radius_in_sigma: float, *, n: int, alpha: float) -> NDArray[np.int64]:
    """Votes for A that certify a radius, one number for each time of `looks(n)`, at level `alpha` for all looks together.

    The probability that the votes reach one of them is at most `alpha` if p_A <= Phi(radius_in_sigma), rounding included.

    Args:
        radius_in_sigma: the radius in units of sigma, >= 0.
        n: the most samples that may be drawn, >= 1.
        alpha: failure probability, in (0, 1).

    Returns:
        int64, read-only and cached; a value above the number of samples at its look means that none certifies there.

    Raises:
        ValueError: an argument is out of range, or n votes for A would certify nothing at any radius.
    """
    validate_n(n, alpha)
    validate_radii((radius_in_sigma,))
    return _spend(null_probability(radius_in_sigma), looks(n), alpha)


def null_probability(radius_in_sigma: float) -> float:
    """Phi(radius_in_sigma), rounded up by more than the rounding of its computation and of its argument."""
    return min(1.0, float(special.ndtr(radius_in_sigma)) * (1 + 1e-15))


def validate_radii(radii: tuple[float, ...]) -> None:
    """Raise ValueError unless there are radii, all finite and >= 0, strictly increasing."""
    if (
        not radii
        or not all(0 <= r < np.inf for r in radii)
        or any(b <= a for a, b in pairwise(radii))
    ):
        raise ValueError(
            f"Expected increasing radii >= 0 in units of sigma, got {radii}; sort them and divide by sigma."
        )


@lru_cache(maxsize=1024)
def _spend(p: float, times: tuple[int, ...], alpha: float) -> NDArray[np.int64]:
    """The critical values of H0: p_A <= p for any look times."""
    critical = np.asarray(times) + 1  # never certify
    if p < 1:
        kept, low, spent = (
            np.ones(1),
            0,
            0.0,
        )  # kept[i]: P(not rejected so far, count = low + i), rounded up
        budgets = [alpha / 2 * k / (len(times) - 1) for k in range(1, len(times))] + [alpha]
        for k, (step, budget) in enumerate(
            zip(np.diff(times, prepend=0).tolist(), budgets, strict=True)
        ):
            votes, first, cut = _trim(_binomial(step, p), NEGLIGIBLE * alpha)
            kept, skipped, cut_again = _trim(
                np.convolve(kept, votes) * ROUNDING, NEGLIGIBLE * alpha
            )
            low, spent = low + first + skipped, spent + cut + cut_again
            tails = np.append(np.cumsum(kept[::-1])[::-1] * ROUNDING, 0.0)
            index = int(np.argmax(tails <= max(0.0, budget - spent)))
            critical[k], spent, kept = low + index, spent + tails[index], kept[:index]
    critical.flags.writeable = False  # shared by all callers
    return critical


def _binomial(m: int, p: float) -> Floats:
    """P(Bin(m, p) = j) for j = 0..m, rounded up: the logarithm may be wrong by some units in the last place of each term."""
    j = np.arange(m + 1.0)
    log_factorial = special.gammaln(j + 1)
    terms = (
        log_factorial[-1],
        -log_factorial,
        -log_factorial[::-1],
        special.xlogy(j, p),
        special.xlog1py(j[::-1], -p),
    )
    error = 8 * np.finfo(float).eps * sum(np.abs(term) for term in terms)
    pmf: Floats = np.exp(sum(terms) + error)
    return pmf


def _trim(density: Floats, budget: float) -> tuple[Floats, int, float]:
    """`density` without ends of at most `budget` each: what is left, how many went off its front, their sum rounded up."""
    first = int(np.searchsorted(np.cumsum(density), budget))
    last = len(density) - int(np.searchsorted(np.cumsum(density[::-1]), budget))
    cut = float(density[:first].sum() + density[last:].sum()) * ROUNDING
    return density[first:last], first, cut
