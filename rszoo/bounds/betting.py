"""A lower bound for the mean of [0, 1] variables by betting: close to Bernstein's for large n, and
close to the binomial one where the values are near 0 and 1.

For a candidate mean m, a gambler who starts with 1 bets lambda_i(m) on "value i is above m":

    K_t(m) = product over i <= t of (1 + lambda_i(m) (x_i - m)),
    lambda_i(m) = min(c / m, sqrt(2 ln(1 / alpha) / (n v_(i-1)))),

where v_(i-1) estimates the variance from the values before x_i. If m is the true mean, K is a
nonnegative martingale, so it reaches 1 / alpha with probability at most alpha (Ville 1939). No
factor increases with m, so the candidates that the gambler refutes are those below one number: the
bound. The order of the values decides the bets and must be that in which they were drawn.
"""

import math

import numpy as np
from numpy.typing import ArrayLike

from rszoo.bounds.binomial import Floats, validate_alpha

LARGEST_BET = 0.9  # c: the share of the capital that one value of 0 can take
PRIOR_MEAN, PRIOR_VARIANCE = 0.5, 0.25
HALVINGS = 44


def betting_lower(values: ArrayLike, alpha: float) -> float:
    """Lower bound that exceeds the true mean of a [0, 1] variable with probability <= `alpha`.

    Args:
        values: (n,), independent values in [0, 1], in the order in which they were drawn.
        alpha: failure probability of this one side, in (0, 1).

    Returns:
        The bound in [0, 1), rounded down.

    Raises:
        ValueError: an argument is out of range.

    Source: Waudby-Smith & Ramdas 2024, section 4, with their predictable plug-in bets for one side;
        the largest capital of all times counts.
    """
    x = np.asarray(values, dtype=np.float64)
    validate_alpha(alpha)
    if x.ndim != 1 or not x.size or not ((x >= 0) & (x <= 1)).all():
        raise ValueError(
            f"Expected values in [0, 1], of shape (n,), got others, of shape {x.shape}; "
            "pass softmax outputs of one class."
        )
    bets, goal = _bets(x, alpha), -math.log(alpha)
    refuted, kept = 0.0, 1.0
    for _ in range(HALVINGS):
        middle = (refuted + kept) / 2
        if _reaches(goal, x, bets, middle):
            refuted = middle
        else:
            kept = middle
    return refuted


def _bets(x: Floats, alpha: float) -> Floats:
    """The bets before they are capped, (n,); each depends on the values before its own."""
    count = np.arange(1, x.size + 1)
    means = (PRIOR_MEAN + np.cumsum(x)) / (count + 1)
    variances = (PRIOR_VARIANCE + np.cumsum((x - means) ** 2)) / (count + 1)
    before = np.concatenate([[PRIOR_VARIANCE], variances[:-1]])
    return np.sqrt(-2 * math.log(alpha) / (x.size * before))


def _reaches(goal: float, x: Floats, bets: Floats, mean: float) -> bool:
    """Whether the log of the capital against that mean reaches the goal, rounding errors aside."""
    gains = np.log1p(np.minimum(bets, LARGEST_BET / mean) * (x - mean))
    error = x.size * (2.0**-52 * float(np.abs(gains).sum()) + 2.0**-46)
    return float(np.cumsum(gains).max()) >= goal + error
