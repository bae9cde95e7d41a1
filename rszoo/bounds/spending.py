"""Critical values of the exact sequential test of one radius: how many votes certify it, and when.

The radius exceeds r if p_A > Phi(r / sigma) =: p. Read the votes H_k for A after
T_1 < ... < T_K = n samples (`looks`) and reject H0: p_A <= p at the first look with H_k >= c_k. The
critical values c_k are the smallest with

    P(H_i >= c_i for some i <= k) <= A_k under p_A = p,
    A_k = alpha/2 * k/(K - 1) for k < K,  A_K = alpha

(alpha spending, Lan & DeMets 1983). A rejection stays one when a vote for another class becomes a
vote for A, so its probability increases in p_A and its supremum over H0 is the value at p_A = p: at
most alpha. The probabilities come from the recursion of Armitage, McPherson & Rowe 1969 over the
counts not rejected so far, rounded outward: terms are rounded up, and what is too small to keep
counts as rejected.
"""

from functools import cache, lru_cache
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from scipy import special

from rszoo.bounds.binomial import Floats, validate_n

NEGLIGIBLE = 1e-12  # share of alpha that may be cut off each end of a distribution
ROUNDING = 1 + 1e-10  # more than the relative error of a sum of 10^5 positive terms


def looks(n: int) -> tuple[int, ...]:
    """Look times of the test of a radius: 32, growing by 5/4 (rounded up) until n itself.

    They depend on n alone, never on the votes.

    Args:
        n: the most samples that may be drawn, >= 1.

    Returns:
        Increasing numbers of samples; (n,) for n <= 32, 37 looks for n = 100,000.

    Raises:
        ValueError: n < 1.
    """
    return geometric_looks(32, n, numerator=5, denominator=4)


@cache
def geometric_looks(first: int, n: int, *, numerator: int, denominator: int) -> tuple[int, ...]:
    """`first`, growing by numerator / denominator (rounded up) while below n, and n itself."""
    if n < 1:
        raise ValueError(f"Expected n >= 1, got n={n}; pass the most samples that may be drawn.")
    times, time = [], first
    while time < n:
        times.append(time)
        time = -(-time * numerator // denominator)
    return (*times, n)


def critical_values(radius_in_sigma: float, *, n: int, alpha: float) -> NDArray[np.int64]:
    """Votes for A that certify a radius at each of `looks(n)`, at level `alpha` for all together.

    If p_A <= Phi(radius_in_sigma), the votes reach one of them with probability at most `alpha`,
    rounding included.

    Args:
        radius_in_sigma: the radius in units of sigma, >= 0.
        n: the most samples that may be drawn, >= 1.
        alpha: failure probability, in (0, 1).

    Returns:
        int64, read-only and cached; a value above the number of samples at its look means that no
        votes certify there.

    Raises:
        ValueError: an argument is out of range, or n votes for A would certify nothing at any
            radius.
    """
    validate_n(n, alpha)
    validate_radii((radius_in_sigma,))
    return _spend(null_probability(radius_in_sigma), looks(n), alpha)


def null_probability(radius_in_sigma: float) -> float:
    """Phi(radius_in_sigma), rounded up by more than the error of computing it and its argument."""
    return min(1.0, float(special.ndtr(radius_in_sigma)) * (1 + 1e-15))


def validate_radii(radii: tuple[float, ...]) -> None:
    """Raise ValueError unless there are radii, all finite and >= 0, strictly increasing."""
    finite = all(0 <= r < np.inf for r in radii)
    if not radii or not finite or any(b <= a for a, b in pairwise(radii)):
        raise ValueError(
            f"Expected increasing radii >= 0 in units of sigma, got {radii}; "
            "sort them and divide by sigma."
        )


@lru_cache(maxsize=1024)
def _spend(p: float, times: tuple[int, ...], alpha: float) -> NDArray[np.int64]:
    """The critical values of H0: p_A <= p for any look times."""
    critical = np.asarray(times) + 1  # never certify
    if p < 1:
        steps = np.diff(times, prepend=0).tolist()
        budgets = [alpha / 2 * k / (len(times) - 1) for k in range(1, len(times))] + [alpha]
        # kept[i]: P(not rejected so far, count = low + i), rounded up
        kept, low, spent = np.ones(1), 0, 0.0
        for k, (step, budget) in enumerate(zip(steps, budgets, strict=True)):
            votes, first, cut = _trim(_binomial(step, p), NEGLIGIBLE * alpha)
            density = np.convolve(kept, votes) * ROUNDING
            kept, skipped, cut_again = _trim(density, NEGLIGIBLE * alpha)
            low, spent = low + first + skipped, spent + cut + cut_again
            tails = np.append(np.cumsum(kept[::-1])[::-1] * ROUNDING, 0.0)
            index = int(np.argmax(tails <= max(0.0, budget - spent)))
            critical[k], spent, kept = low + index, spent + tails[index], kept[:index]
    critical.flags.writeable = False  # shared by all callers
    return critical


def _binomial(m: int, p: float) -> Floats:
    """P(Bin(m, p) = j) for j = 0..m, rounded up.

    The logarithm may be wrong by a few units in the last place of each of its terms.
    """
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
    """`density` without ends of at most `budget` each.

    Returns:
        What is left, how many values the front lost, and the sum cut off, rounded up.
    """
    first = int(np.searchsorted(np.cumsum(density), budget))
    last = len(density) - int(np.searchsorted(np.cumsum(density[::-1]), budget))
    cut = float(density[:first].sum() + density[last:].sum()) * ROUNDING
    return density[first:last], first, cut
