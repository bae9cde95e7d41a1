"""Two stages: a pilot decides how many samples one image needs, fresh samples certify it.

The pilot's votes choose the n whose radius is within a tolerance of the best. Then n FRESH samples
are certified at the full level alpha. n is independent of them, so any choice is valid, and a bad
one costs only samples or radius (Chen et al. 2022, without its reuse of the pilot's votes).
"""

from bisect import bisect_left

import numpy as np
from numpy.typing import NDArray
from scipy import special

from rszoo.bounds.binomial import minimum_n, validate_n

NODES = 20


def two_stage_n(
    pilot_top_count: int, pilot_n: int, *, n_max: int, tolerance_in_sigma: float, alpha: float
) -> int:
    """The smallest n whose predicted radius is at most `tolerance_in_sigma` below that of `n_max`.

    The prediction for m samples is the mean of max(0, z(L)) over p_A. L is the Clopper-Pearson
    lower bound at alpha for m p_A votes out of m (continued to fractions). p_A has the distribution
    Beta(votes + 1/2, others + 1/2) that Jeffreys' prior gives after the pilot, replaced by its
    quantiles at 1/40, 3/40, ..., 39/40. So if the pilot is unanimous, or leaves open which side of
    1/2 p_A is on, the mean covers all that it leaves open, and n is large. The tolerance holds on
    average over such p_A: an image with p_A far above 1 - 1/pilot_n may lose a few times as much.

    Args:
        pilot_top_count: the pilot's votes for the class to be certified, from 0 to pilot_n.
        pilot_n: samples of the pilot, >= 1.
        n_max: the most samples to certify with.
        tolerance_in_sigma: acceptable loss of radius in units of sigma, >= 0.
        alpha: failure probability of the certificate, in (0, 1).

    Returns:
        minimum_n(alpha) <= n <= n_max.

    Raises:
        ValueError: an argument is out of range, or n_max votes out of n_max certify nothing at
            alpha.

    Source: Chen et al. 2022 (input-specific certification).
    Differs from the authors' code in: estimation samples are fresh; the prediction is averaged.
    """
    validate_n(n_max, alpha)
    _validate(pilot_top_count, pilot_n, tolerance_in_sigma)
    levels = (np.arange(NODES) + 0.5) / NODES
    p = special.betaincinv(pilot_top_count + 0.5, pilot_n - pilot_top_count + 0.5, levels)
    target = predicted_radius(p, n_max, alpha) - tolerance_in_sigma
    smallest = minimum_n(alpha)
    return smallest + bisect_left(  # n_max itself reaches the target
        range(smallest, n_max), True, key=lambda m: predicted_radius(p, m, alpha) >= target
    )


def predicted_radius(p: NDArray[np.float64], m: int, alpha: float) -> float:
    """Mean over p of the radius that p m votes out of m certify at alpha, in units of sigma."""
    bound = special.betaincinv(p * m, (1 - p) * m + 1, alpha)
    return float(np.mean(np.maximum(0.0, special.ndtri(bound))))


def _validate(count: int, pilot_n: int, tolerance: float) -> None:
    if not 0 <= count <= pilot_n or pilot_n < 1:
        raise ValueError(
            "Expected 0 <= pilot_top_count <= pilot_n and pilot_n >= 1, "
            f"got {count} and {pilot_n}; pass the pilot's votes for the selected class "
            "and its number of samples."
        )
    if not tolerance >= 0:
        raise ValueError(
            f"Expected tolerance_in_sigma >= 0, got {tolerance}; "
            "pass a radius in units of sigma such as 0.05."
        )
