"""Certificates for SOFT smoothing: G_c(x) = E F_c(x + noise), F_c(x) in [0, 1] such as a softmax.

They certify a different classifier: argmax_c G_c of the averaged scores, not the majority vote of
argmax F. The two may disagree, so a soft radius never belongs beside hard counts.

z(G_c(x)) is (1 / sigma)-Lipschitz (Levine et al. 2019; Salman et al. 2019, Lemma 2), so two classes
cannot change order within sigma * (z(G_A) - z(G_B)) / 2. G_B is a maximum: use the upper bound of
the largest other mean, at alpha / 2 if the lower bound is at alpha / 2, with no correction for the
number of classes. This holds for bounds that increase with the mean (Hoeffding); with empirical
Bernstein take the largest of the upper bounds.
"""

import math

from rszoo.bounds.binomial import validate_alpha
from rszoo.bounds.prior_work import validate_probabilities
from rszoo.bounds.votes import two_sided

OUTWARD = 2.0**-50  # more than the rounding errors of a bound in [0, 1]


def hoeffding_lower(mean: float, n: int, alpha: float) -> float:
    """Lower bound that exceeds the true mean of a [0, 1] variable with probability <= `alpha`.

    Args:
        mean: average of n independent values in [0, 1].
        n: number of values, >= 1.
        alpha: failure probability of this one side, in (0, 1).

    Returns:
        mean - sqrt(ln(1 / alpha) / (2 n)), at least 0, rounded down.

    Raises:
        ValueError: an argument is out of range.

    Source: Hoeffding 1963, Theorem 1 (its exponential form).
    """
    _validate(mean, n, alpha, smallest=1)
    return max(0.0, mean - math.sqrt(math.log(1 / alpha) / (2 * n)) - OUTWARD)


def hoeffding_upper(mean: float, n: int, alpha: float) -> float:
    """Upper bound that is below the true mean of a [0, 1] variable with probability <= `alpha`.

    Args, Raises, Source: as `hoeffding_lower`.

    Returns:
        mean + sqrt(ln(1 / alpha) / (2 n)), at most 1, rounded up.
    """
    _validate(mean, n, alpha, smallest=1)
    return 1.0 - hoeffding_lower(1.0 - mean, n, alpha)


def empirical_bernstein_lower(mean: float, variance: float, n: int, alpha: float) -> float:
    """Lower bound that exceeds the true mean of a [0, 1] variable with probability <= `alpha`.

    Args:
        mean: average of n independent values in [0, 1].
        variance: their sample variance, with divisor n - 1, >= 0.
        n: number of values, >= 2.
        alpha: failure probability of this one side, in (0, 1).

    Returns:
        mean - sqrt(2 variance ln(2 / alpha) / n) - 7 ln(2 / alpha) / (3 (n - 1)), at least 0,
        rounded down.

    Raises:
        ValueError: an argument is out of range.

    Source: Maurer & Pontil 2009, Theorem 4.
    """
    _validate(mean, n, alpha, smallest=2)
    if not variance >= 0:
        raise ValueError(
            f"Expected variance >= 0, got {variance}; pass the sample variance (divisor n - 1)."
        )
    log = math.log(2 / alpha)
    width = math.sqrt(2 * variance * log / n) + 7 * log / (3 * (n - 1))
    return max(0.0, mean - width - OUTWARD)


def empirical_bernstein_upper(mean: float, variance: float, n: int, alpha: float) -> float:
    """Upper bound that is below the true mean of a [0, 1] variable with probability <= `alpha`.

    Args, Raises, Source: as `empirical_bernstein_lower`.

    Returns:
        mean + sqrt(2 variance ln(2 / alpha) / n) + 7 ln(2 / alpha) / (3 (n - 1)), at most 1,
        rounded up.
    """
    _validate(mean, n, alpha, smallest=2)
    return 1.0 - empirical_bernstein_lower(1.0 - mean, variance, n, alpha)


def soft_radius(p_a_lower: float, p_b_upper: float) -> float:
    """Radius within which argmax_c G_c is constant, in units of sigma, if the two bounds hold.

    Args:
        p_a_lower: lower bound on G_A(x), in [0, 1].
        p_b_upper: upper bound on G_c(x) for every c != A, in [0, 1].

    Returns:
        (z(p_a_lower) - z(p_b_upper)) / 2, rounded toward zero, or 0.0 (abstain) if that is not
        positive.

    Raises:
        ValueError: an argument is not in [0, 1].

    Source: Levine et al. 2019; Salman et al. 2019, Lemma 2 and Theorem 1.
    """
    validate_probabilities(p_a_lower, p_b_upper)
    if p_a_lower <= p_b_upper:
        return 0.0
    if p_a_lower == 1 or p_b_upper == 0:
        return math.inf
    return two_sided(p_a_lower, p_b_upper).radius


def lipschitz_radius(p_a: float, p_b: float) -> float:
    """Radius from the Lipschitz constant of G itself, in units of sigma: never above `soft_radius`.

    Along a unit vector v the slope of G_c is E[Z F_c(x + noise)] / sigma, with
    Z = <v, noise> / sigma a standard normal and 0 <= F_c <= 1: at most
    E[max(Z, 0)] / sigma = 1 / (sigma sqrt(2 pi)). Two classes that move toward each other at this
    rate meet after sigma sqrt(pi / 2) (p_a - p_b). The bound E|Z| = sqrt(2 / pi) in place of
    E[max(Z, 0)], as in Salman et al. 2019, Lemma 1, is also valid and loses a factor 2.

    Args:
        p_a: (lower bound on) G_A(x), in [0, 1].
        p_b: (upper bound on) the largest other G_c(x), in [0, 1].

    Returns:
        sqrt(pi / 2) (p_a - p_b), or 0.0 if that is not positive.

    Raises:
        ValueError: an argument is not in [0, 1].

    Source: Salman et al. 2019, Lemma 1, with the sharp constant.
    """
    validate_probabilities(p_a, p_b)
    return math.sqrt(math.pi / 2) * max(0.0, p_a - p_b)


def _validate(mean: float, n: int, alpha: float, smallest: int) -> None:
    validate_alpha(alpha)
    if not 0 <= mean <= 1:
        raise ValueError(
            f"Expected a mean in [0, 1], got {mean}; average softmax outputs, not logits."
        )
    if n < smallest:
        raise ValueError(f"Expected n >= {smallest}, got n={n}; draw more noise samples.")
