"""Two stages: the predicted loss against an integral and against the true mean radius."""

import re
from collections.abc import Callable

import numpy as np
import pytest
from scipy import integrate, stats

from rszoo.bounds import clopper_pearson_lower, minimum_n, two_stage_n
from rszoo.bounds.two_stage import predicted_radius


def mean_radius(p: float, n: int, alpha: float) -> float:
    k = np.arange(int(stats.binom.ppf(1e-9, n, p)), int(stats.binom.isf(1e-9, n, p)) + 1)
    return float(
        stats.binom.pmf(k, n, p) @ np.maximum(0, stats.norm.ppf(clopper_pearson_lower(k, n, alpha)))
    )


def two_stage(votes: int, pilot: int, tolerance: float) -> int:
    return two_stage_n(votes, pilot, n_max=100_000, tolerance_in_sigma=tolerance, alpha=0.001)


@pytest.mark.parametrize(
    ("votes", "pilot"), [(100, 100), (99, 100), (700, 1000), (55, 100), (1, 1), (0, 50)]
)
def test_two_stage_n_falls_with_the_tolerance(votes: int, pilot: int) -> None:
    chosen = [two_stage(votes, pilot, t) for t in (0.0, 0.001, 0.01, 0.02, 0.05, 0.1, 0.5, 9.0)]
    assert chosen == sorted(chosen, reverse=True)
    assert all(minimum_n(0.001) <= n <= 100_000 for n in chosen)
    assert chosen[-1] == minimum_n(0.001)
    assert chosen[0] == (100_000 if votes else minimum_n(0.001))  # no vote of 50: nothing to lose


@pytest.mark.parametrize(
    ("votes", "pilot", "tolerance"),
    [(1, 4, 0.02), (100, 100, 0.05), (985, 1000, 0.02), (55, 100, 0.05), (70, 100, 0.1)],
)
def test_predicted_loss_is_the_tolerance(votes: int, pilot: int, tolerance: float) -> None:
    """Over the pilot's whole distribution, by adaptive integration instead of 20 nodes."""
    posterior = stats.beta(votes + 0.5, pilot - votes + 0.5)

    def loss(u: float) -> float:
        p = np.array([posterior.ppf(u)])
        return predicted_radius(p, 100_000, 0.001) - predicted_radius(
            p, two_stage(votes, pilot, tolerance), 0.001
        )

    assert integrate.quad(loss, 0, 1, epsabs=1e-4, limit=60)[0] == pytest.approx(
        tolerance, rel=0.05
    )


@pytest.mark.parametrize("p", [0.6, 0.8, 0.95, 0.99])
@pytest.mark.parametrize("tolerance", [0.02, 0.1])
def test_true_loss_is_about_the_tolerance(p: float, tolerance: float) -> None:
    chosen = two_stage(round(1000 * p), 1000, tolerance)
    assert (
        0.9 * tolerance
        < mean_radius(p, 100_000, 0.001) - mean_radius(p, chosen, 0.001)
        < 1.1 * tolerance
    )
    assert chosen < 50_000


def test_a_unanimous_pilot_asks_for_more_samples() -> None:
    by_votes = [two_stage(votes, 1000, 0.05) for votes in (600, 900, 990, 999, 1000)]
    assert by_votes == sorted(by_votes)
    assert two_stage(1000, 1000, 0.05) > two_stage(100, 100, 0.05) > 10_000
    assert two_stage(100, 1000, 0.05) == minimum_n(0.001)  # nothing will be certified anyway


@pytest.mark.parametrize(
    ("call", "named"),
    [
        (
            lambda: two_stage_n(11, 10, n_max=100, tolerance_in_sigma=0.1, alpha=0.01),
            "got 11 and 10; pass",
        ),
        (
            lambda: two_stage_n(0, 0, n_max=100, tolerance_in_sigma=0.1, alpha=0.01),
            "got 0 and 0; pass",
        ),
        (
            lambda: two_stage_n(5, 10, n_max=100, tolerance_in_sigma=-0.1, alpha=0.01),
            "tolerance_in_sigma >= 0, got -0.1; pass",
        ),
        (
            lambda: two_stage_n(5, 10, n_max=5, tolerance_in_sigma=0.1, alpha=0.001),
            "got n=5; all 5 votes",
        ),
    ],
)
def test_bad_arguments_are_named(call: Callable[[], object], named: str) -> None:
    with pytest.raises(ValueError, match=re.escape(named)):
        call()
