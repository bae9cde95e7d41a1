"""Soft bounds: values by hand, coverage by simulation, radii against each other."""

import math

import numpy as np
import pytest

from rszoo.bounds import (
    cohen_radius,
    empirical_bernstein_lower,
    empirical_bernstein_upper,
    hoeffding_lower,
    hoeffding_upper,
    lipschitz_radius,
    soft_radius,
)


def test_hoeffdings_bounds_are_those_by_hand() -> None:
    alpha = math.exp(-2)  # ln(1 / alpha) = 2, so the half-width is 1 / sqrt(n)
    assert hoeffding_lower(0.5, 100, alpha) == pytest.approx(0.4, rel=1e-14)
    assert hoeffding_upper(0.5, 100, alpha) == pytest.approx(0.6, rel=1e-14)
    assert hoeffding_lower(0.05, 100, alpha) == 0.0
    assert hoeffding_upper(0.95, 100, alpha) == 1.0


def test_bernsteins_bounds_are_those_by_hand() -> None:
    alpha = 2 * math.exp(-2)  # ln(2 / alpha) = 2
    width = math.sqrt(2 * 0.09 * 2 / 400) + 7 * 2 / (3 * 399)  # .03 + 14 / 1197
    assert width == pytest.approx(0.03 + 0.011695906432748537, rel=1e-12)
    assert empirical_bernstein_lower(0.5, 0.09, 400, alpha) == pytest.approx(0.5 - width, rel=1e-13)
    assert empirical_bernstein_upper(0.5, 0.09, 400, alpha) == pytest.approx(0.5 + width, rel=1e-13)
    assert empirical_bernstein_lower(0.01, 0.09, 400, alpha) == 0.0
    assert empirical_bernstein_upper(0.99, 0.09, 400, alpha) == 1.0


@pytest.mark.parametrize(("a", "b"), [(0.5, 0.5), (5.0, 0.5), (0.05, 0.1)])
def test_bounds_cover_in_a_simulation(a: float, b: float) -> None:
    reps, n, alpha, mean = 4000, 60, 0.1, a / (a + b)
    values = np.random.default_rng(7).beta(a, b, size=(reps, n))
    averages, variances = values.mean(axis=1), values.var(axis=1, ddof=1)
    rows = list(zip(averages.tolist(), variances.tolist(), strict=True))
    failures = [
        sum(hoeffding_lower(m, n, alpha) > mean for m, _ in rows),
        sum(hoeffding_upper(m, n, alpha) < mean for m, _ in rows),
        sum(empirical_bernstein_lower(m, v, n, alpha) > mean for m, v in rows),
        sum(empirical_bernstein_upper(m, v, n, alpha) < mean for m, v in rows),
    ]
    assert max(failures) <= alpha * reps
    informative = sum(
        0 < hoeffding_lower(m, n, alpha) < hoeffding_upper(m, n, alpha) <= 1 for m, _ in rows
    )
    assert informative > reps / 2


def test_a_small_variance_pays_for_large_n() -> None:
    assert (
        empirical_bernstein_lower(0.9, 1e-4, 100_000, 0.001)
        > hoeffding_lower(0.9, 100_000, 0.001) + 0.005
    )
    assert empirical_bernstein_lower(0.9, 0.25, 100, 0.001) < hoeffding_lower(0.9, 100, 0.001)


def test_the_soft_radius_is_that_of_the_two_bounds() -> None:
    assert soft_radius(0.8413447460685429, 0.15865525393145707) == pytest.approx(1.0, rel=1e-11)
    exact = cohen_radius(0.7, 0.6)  # bounds may add up to more than 1
    assert exact * (1 - 1e-11) < soft_radius(0.7, 0.6) < exact
    assert soft_radius(0.4, 0.4) == soft_radius(0.3, 0.4) == 0.0
    assert soft_radius(1.0, 0.0) == math.inf


def test_lipschitz_radius_is_the_weaker_one() -> None:
    assert lipschitz_radius(1.0, 0.0) == pytest.approx(1.2533141373155003, rel=1e-14)
    assert lipschitz_radius(0.3, 0.4) == 0.0
    pairs = [
        (a, b)
        for a in np.linspace(0.05, 0.95, 19).tolist()
        for b in np.linspace(0.01, 0.9, 19).tolist()
        if b < a
    ]
    assert all(lipschitz_radius(a, b) < soft_radius(a, b) for a, b in pairs)
    sharp = soft_radius(0.5001, 0.4999)
    assert lipschitz_radius(0.5001, 0.4999) == pytest.approx(sharp, rel=1e-6)


def test_lipschitz_constant_is_attained_by_a_half_space() -> None:
    """F = 1[x > 0] in one dimension: G = Phi(x), so at x = h they differ by Phi(h) - Phi(-h)."""
    h = 1e-4  # the distance of the boundary
    gap = math.erf(h / math.sqrt(2))
    assert lipschitz_radius(0.5 + gap / 2, 0.5 - gap / 2) == pytest.approx(h, rel=1e-6)


def test_bad_arguments_are_named() -> None:
    with pytest.raises(ValueError, match=r"mean in \[0, 1\], got 1\.2; average softmax"):
        hoeffding_upper(1.2, 10, 0.05)
    with pytest.raises(ValueError, match=r"mean in \[0, 1\], got -0\.2"):
        empirical_bernstein_upper(-0.2, 0.1, 10, 0.05)
    with pytest.raises(ValueError, match=r"alpha < 1, got 2"):
        hoeffding_lower(0.5, 10, 2)
    with pytest.raises(ValueError, match="n >= 1, got n=0"):
        hoeffding_lower(0.5, 0, 0.05)
    with pytest.raises(ValueError, match="n >= 2, got n=1"):
        empirical_bernstein_lower(0.5, 0.1, 1, 0.05)
    with pytest.raises(ValueError, match=r"variance >= 0, got -0\.1"):
        empirical_bernstein_lower(0.5, -0.1, 10, 0.05)
    for radius in (soft_radius, lipschitz_radius):
        with pytest.raises(ValueError, match=r"p_b <= 1, got 1\.5; pass a probability"):
            radius(0.5, 1.5)
