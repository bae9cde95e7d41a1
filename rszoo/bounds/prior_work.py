"""Radii of three papers as functions of the exact p_a and p_b, in units of sigma, for comparison.

Each is a valid radius of the same smoothed classifier; Cohen's is the largest possible. Lecuyer's
and Li's are suprema over one parameter, sought on a grid and refined between its points. The value
returned is attained, hence never too large.
"""

import math
from collections.abc import Callable

import numpy as np
from scipy import optimize, special

from rszoo.bounds.binomial import Floats


def cohen_radius(p_a: float, p_b: float) -> float:
    """The tight radius (z(p_a) - z(p_b)) / 2 in units of sigma; 0.0 if p_a <= p_b.

    Args:
        p_a: probability of the top class, in [0, 1].
        p_b: probability of the runner-up class, in [0, 1].

    Raises:
        ValueError: an argument is not in [0, 1].

    Source: Cohen, Rosenfeld, Kolter 2019, Theorem 1.
    """
    validate_probabilities(p_a, p_b)
    return float(special.ndtri(p_a) - special.ndtri(p_b)) / 2 if p_a > p_b else 0.0


def lecuyer_radius(p_a: float, p_b: float) -> float:
    """Radius from differential privacy, in units of sigma; 0.0 if p_a <= p_b.

    The supremum over 0 < b <= 1 of b / sqrt(2 ln(1.25 (1 + e^b) / (p_a - e^(2b) p_b))), where
    p_a > e^(2b) p_b.

    Args:
        p_a: probability of the top class, in [0, 1].
        p_b: probability of the runner-up class, in [0, 1].

    Raises:
        ValueError: an argument is not in [0, 1].

    Source: Lecuyer et al. 2019, Proposition 1; Cohen, Rosenfeld, Kolter 2019, Appendix I.
    """
    validate_probabilities(p_a, p_b)
    if p_a <= p_b:
        return 0.0

    def value(b: Floats) -> Floats:
        gap = np.maximum(p_a - np.exp(2 * b) * p_b, 1e-300)  # no gap: the radius tends to 0
        radius: Floats = b / np.sqrt(2 * np.log(1.25 * (1 + np.exp(b)) / gap))
        return radius

    # the Gaussian mechanism needs b <= 1, the gap b < ln(p_a / p_b) / 2
    largest = min(1.0, 0.5 * math.log(p_a / p_b)) if p_b > 0 else 1.0
    return _supremum(value, np.linspace(0, largest, 1001)[1:])


def li_radius(p_a: float, p_b: float) -> float:
    """Radius from the Renyi divergence, in units of sigma; 0.0 if p_a <= p_b.

    The supremum over a > 0 of sqrt(-(2 / a) ln(1 - p_a - p_b + 2 M)), M the power mean of p_a and
    p_b of order 1 - a.

    Args:
        p_a: probability of the top class, in [0, 1].
        p_b: probability of the runner-up class, in [0, 1], p_a + p_b <= 1.

    Raises:
        ValueError: an argument is not in [0, 1], or p_a + p_b > 1.

    Source: Li et al. 2018, Theorem 1; Cohen, Rosenfeld, Kolter 2019, Appendix I.
    """
    validate_probabilities(p_a, p_b)
    if p_a + p_b > 1 + 1e-12:
        raise ValueError(f"Expected p_a + p_b <= 1, got {p_a} + {p_b}; cap p_b at 1 - p_a.")
    if p_a <= p_b:
        return 0.0
    log_a, log_b = math.log(p_a), math.log(p_b) if p_b > 0 else -math.inf

    def value(a: Floats) -> Floats:
        order = np.where(a == 1, 1e-300, 1 - a)  # the geometric mean, as a limit
        # expm1 keeps small orders free of cancellation
        ratio = np.expm1(-np.abs(order) * (log_a - log_b)) / 2
        log_mean = np.where(order > 0, log_a, log_b) + np.log1p(ratio) / order
        with np.errstate(divide="ignore"):  # p_a = 1 certifies everything
            divergence = -2 / a * np.log1p(2 * np.exp(log_mean) - p_a - p_b)
            radius: Floats = np.sqrt(np.maximum(0.0, divergence))
        return radius

    # where p_a is near p_b, rounding may lift Li's radius above Cohen's
    return min(_supremum(value, np.geomspace(1e-3, 1e3, 1001)), cohen_radius(p_a, p_b))


def _supremum(value: Callable[[Floats], Floats], grid: Floats) -> float:
    values = value(grid)
    best = int(np.argmax(values))
    bounds = float(grid[max(best - 1, 0)]), float(grid[min(best + 1, grid.size - 1)])
    refined = optimize.minimize_scalar(
        lambda x: -float(value(np.asarray(x))), bounds=bounds, method="bounded"
    )
    return max(float(values[best]), -float(refined.fun))


def validate_probabilities(p_a: float, p_b: float) -> None:
    """Raise ValueError unless both are in [0, 1]."""
    for name, p in (("p_a", p_a), ("p_b", p_b)):
        if not 0 <= p <= 1:
            raise ValueError(f"Expected 0 <= {name} <= 1, got {p}; pass a probability.")
