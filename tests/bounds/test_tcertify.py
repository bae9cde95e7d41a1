"""T-CERTIFY against its definition in the paper."""

import mpmath as mp
import numpy as np
import pytest
from scipy import special, stats
from support.exact_binomial import exact_tail

from rszoo.bounds import clopper_pearson_lower, clopper_pearson_upper, cohen, tcertify
from rszoo.bounds.tcertify import _sum_upper
from rszoo.bounds.votes import split_votes


@pytest.mark.parametrize(
    "counts", [[90, 10], [60, 20, 20], [700, 0, 100, 100, 50, 50, 0], [12, 1, 1, 1]]
)
@pytest.mark.parametrize("level", [0.0001, 0.04])
def test_sum_upper_solves_equation_14(counts: list[int], level: float) -> None:
    votes = split_votes(counts, 0, 0.05)
    p = _sum_upper(votes, level)
    assert stats.binom.cdf(votes.others, votes.n, p).sum() == pytest.approx(level, rel=1e-8)
    assert p >= clopper_pearson_upper(votes.runner_up, votes.n, level)


@pytest.mark.parametrize(
    "counts",
    [[9_999_000, 700, 300], [900, 60, 40], [10**9 - 12, 5, 5, 2], [60_000, 30_000, 10_000]],
)
@pytest.mark.parametrize("level", [1e-12, 1e-4, 0.1])
def test_sum_upper_holds_at_40_digits(counts: list[int], level: float) -> None:
    n = sum(counts)
    p = _sum_upper(split_votes(counts, 0, 0.05), level)
    assert sum(exact_tail(n - count, n, 1 - mp.mpf(p)) for count in counts[1:]) <= level


def test_no_level_left_gives_the_bound_one() -> None:
    assert _sum_upper(split_votes([90, 10], 0, 0.05), 0.0) == 1.0


def test_with_two_classes_it_is_cohen() -> None:
    for top in (55, 90, 99, 100):
        counts = [top, 100 - top]
        assert tcertify(counts, 0, 0.001) == cohen(counts, 0, 0.001)


def test_the_radius_is_that_of_the_best_split() -> None:
    counts, n, alpha = [600, 300, 100], 1000, 0.001
    best = 0.0
    for split in alpha * np.arange(1, 10) / 10:
        p_a = clopper_pearson_lower(600, n, float(split))
        grid = np.linspace(0.3, 0.4, 200_001)
        p_b = grid[
            np.argmax(
                stats.binom.cdf(300, n, grid) + stats.binom.cdf(100, n, grid) <= alpha - split
            )
        ]
        best = max(best, (special.ndtri(p_a) - special.ndtri(p_b)) / 2)
    assert tcertify(counts, 0, alpha).radius == pytest.approx(best, abs=1e-6)
    assert best > cohen(counts, 0, alpha).radius + 0.1


def test_more_classes_with_the_same_votes_weaken_it() -> None:
    few = tcertify([700, 100, 200], 0, 0.001).radius
    many = tcertify([700, 100, 100, 100], 0, 0.001).radius
    assert many > few  # a smaller runner-up
    assert tcertify([700, 100, 100, 100], 0, 0.001).p_upper > clopper_pearson_upper(
        100, 1000, 0.0009
    )
    assert tcertify([700, 200, 100, *[0] * 900], 0, 0.001).radius == pytest.approx(few, abs=1e-12)


def test_a_lower_bound_below_one_half_abstains() -> None:
    assert tcertify([4500, 2000, 2000, 1500], 0, 0.001).radius == 0.0
