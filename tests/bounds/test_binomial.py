"""Clopper-Pearson bounds: golden digits, edges, exact coverage, outward rounding."""

import re
from typing import Any

import mpmath as mp
import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import special, stats
from statsmodels.stats.proportion import proportion_confint
from support.exact_binomial import exact_tail

from rszoo.bounds import BOUNDS
from rszoo.bounds.binomial import clopper_pearson_lower, clopper_pearson_upper, minimum_n

GOLDEN = {
    50490: 0.50000894877440,
    60000: 0.59520104729459,
    90000: 0.89703649622383,
    99900: 0.99865099244675,
    99999: 0.99990766966627,
    100000: 0.99993092483301,
}


@pytest.mark.parametrize(("k", "expected"), GOLDEN.items())
def test_lower_bounds_are_those_known_to_14_digits(k: int, expected: float) -> None:
    assert clopper_pearson_lower(k, 100_000, 0.001) == pytest.approx(expected, abs=1.1e-14, rel=0)


@pytest.mark.parametrize(("k", "z"), [(99_999, 3.739126668543), (100_000, 3.811456563390)])
def test_quantiles_of_lower_bounds_are_those_known_to_12_digits(k: int, z: float) -> None:
    assert special.ndtri(clopper_pearson_lower(k, 100_000, 0.001)) == pytest.approx(
        z, abs=1e-11, rel=0
    )


@pytest.mark.parametrize("n", [1, 7, 100, 5000])
@pytest.mark.parametrize("alpha", [0.2, 0.001, 1e-6])
def test_bounds_agree_with_statsmodels(n: int, alpha: float) -> None:
    for k in {1, n // 3 + 1, n}:
        reference = proportion_confint(k, n, alpha=2 * alpha, method="beta")
        assert clopper_pearson_lower(k, n, alpha) == pytest.approx(reference[0], rel=1e-10)
        assert clopper_pearson_upper(n - k, n, alpha) == pytest.approx(1 - reference[0], rel=1e-10)


def test_bounds_at_the_edges_and_their_types() -> None:
    assert clopper_pearson_lower(0, 10, 0.05) == 0.0
    assert clopper_pearson_upper(10, 10, 0.05) == 1.0
    assert clopper_pearson_lower(10, 10, 0.05) == pytest.approx(0.05**0.1, rel=1e-15)
    assert clopper_pearson_upper(0, 10, 0.05) == pytest.approx(1 - 0.05**0.1, rel=1e-14)
    assert type(clopper_pearson_lower(3, 10, 0.05)) is float
    votes: Any = np.int64(3)
    assert type(clopper_pearson_upper(votes, 10, 0.05)) is float
    assert clopper_pearson_lower(np.arange(4), 10, 0.05).shape == (4,)
    assert clopper_pearson_upper(np.array([1, 2]), np.array([10, 20]), 0.05).dtype == np.float64


def test_an_array_gives_what_its_numbers_give() -> None:
    k = np.arange(51)
    assert clopper_pearson_lower(k, 50, 0.01).tolist() == [
        clopper_pearson_lower(int(i), 50, 0.01) for i in k
    ]
    assert clopper_pearson_upper(k, 50, 0.01).tolist() == [
        clopper_pearson_upper(int(i), 50, 0.01) for i in k
    ]


@pytest.mark.parametrize("alpha", [0.05, 0.001, 5e-4])
def test_lower_is_strictly_increasing_and_rounded_outward(alpha: float) -> None:
    n = 20_000
    lower = clopper_pearson_lower(np.arange(1, n + 1), n, alpha)
    assert np.all(np.diff(lower) > 0)
    level = special.betainc(np.arange(1, n + 1), n - np.arange(1, n + 1) + 1.0, lower)
    assert np.all(level <= alpha)
    assert np.all(level >= alpha * (1 - 1e-7))


@pytest.mark.parametrize("n", [1, 5, 30])
@pytest.mark.parametrize("alpha", [0.2, 0.01])
def test_bounds_cover_with_exactly_the_level(n: int, alpha: float) -> None:
    k = np.arange(n + 1)
    lower, upper = clopper_pearson_lower(k, n, alpha), clopper_pearson_upper(k, n, alpha)
    grid = np.concatenate([np.linspace(0.001, 0.999, 301), lower[1:] - 1e-12, upper[:-1] + 1e-12])
    failures = np.array(
        [
            [stats.binom.pmf(k, n, p) @ (lower > p), stats.binom.pmf(k, n, p) @ (upper < p)]
            for p in grid
        ]
    )
    assert np.all(failures <= alpha * (1 + 1e-9))
    assert failures.max() > 0.999 * alpha  # all of alpha is used just beside a bound


def test_the_smallest_n_that_can_certify() -> None:
    assert [minimum_n(a) for a in (0.001, 0.01, 0.05, 0.5, 0.25, 2.0**-20)] == [10, 7, 5, 2, 3, 21]
    assert 0.001 ** (1 / 10) > 0.5 >= 0.001 ** (1 / 9)


@pytest.mark.parametrize("power", [1, 2, 10, 11, 20, 30, 50])
def test_the_bound_of_the_smallest_n_is_above_one_half(power: int) -> None:
    """Also where alpha is so close to 2^-n that the bound, rounded down, is not."""
    for alpha in (0.5**power, float(np.nextafter(0.5**power, 1)), 0.5**power * 1.001):
        n = minimum_n(alpha)
        assert clopper_pearson_lower(n, n, alpha) > 0.5
        assert n == 1 or clopper_pearson_lower(n - 1, n - 1, alpha) <= 0.5


@pytest.mark.parametrize("alpha", [0.0, 1.0, 1.5, -0.1, float("nan")])
def test_bad_alpha_is_named(alpha: float) -> None:
    message = (
        f"Expected 0 < alpha < 1, got {alpha}; pass a failure probability such as alpha=0.001."
    )
    for call in (
        lambda: clopper_pearson_lower(1, 2, alpha),
        lambda: clopper_pearson_upper(1, 2, alpha),
    ):
        with pytest.raises(ValueError, match=re.escape(message)):
            call()
    with pytest.raises(ValueError, match=re.escape(message)):
        minimum_n(alpha)


@pytest.mark.parametrize(
    ("k", "n", "named"),
    [(11, 10, "k=11, n=10"), (-1, 10, "k=-1"), (2.5, 10, "k=2.5"), (0, 0, "n=0")],
)
def test_bad_counts_are_named(k: float, n: int, named: str) -> None:
    with pytest.raises(ValueError, match=named):
        clopper_pearson_lower(k, n, 0.05)  # type: ignore[call-overload]
    with pytest.raises(ValueError, match=named):
        clopper_pearson_upper(np.array([0, k]), max(n, 0), 0.05)


def counts_of(n: int) -> NDArray[np.int64]:
    """Counts from 1 to n: both ends, where the inverse is worst, and between."""
    ends = np.array([1, 2, 5, 37, 999])
    ks = np.concatenate([ends, n - ends, n * np.array([1, 300, 501, 900]) // 1000, [n]])
    return np.unique(ks[(ks >= 1) & (ks <= n)])


@pytest.mark.parametrize("n", [1, 2, 13, 1000, 10**5, 10**7, 10**9])
@pytest.mark.parametrize("alpha", [0.1, 1e-3, 1e-6, 1e-12])
def test_bounds_hold_at_50_digits_and_lose_less_than_a_billionth(n: int, alpha: float) -> None:
    ks = counts_of(n)
    for k, lower in zip(ks.tolist(), clopper_pearson_lower(ks, n, alpha), strict=True):
        assert exact_tail(k, n, lower) <= alpha
        closer = lower * (1 + 1e-9)
        assert closer >= 1 or exact_tail(k, n, closer) > alpha
    for k, upper in zip((n - ks).tolist(), clopper_pearson_upper(n - ks, n, alpha), strict=True):
        assert exact_tail(n - k, n, 1 - mp.mpf(upper)) <= alpha
        closer = upper * (1 - 1e-9) - 2.0**-51  # 1 - upper is a float
        assert closer <= 0 or exact_tail(n - k, n, 1 - mp.mpf(closer)) > alpha


@pytest.mark.parametrize("alpha", [1e-200, 1e-55, 0.5, 0.63, 0.99, 1 - 1e-12])
def test_bounds_hold_at_every_level(alpha: float) -> None:
    for n in (1, 50, 10**4, 10**8):
        ks = counts_of(n)
        lower = clopper_pearson_lower(ks, n, alpha)
        assert all(exact_tail(int(k), n, p) <= alpha for k, p in zip(ks, lower, strict=True) if p)
        closer = lower * (1 + 1e-9) + 2.0**-51
        assert all(
            exact_tail(int(k), n, p) > alpha for k, p in zip(ks, closer, strict=True) if p < 1
        )


@pytest.mark.parametrize(("n", "missing"), [(10**7, 999), (10**8, 1), (10**9, 9), (10**9, 10**5)])
@pytest.mark.parametrize("rule", ["cohen", "bonferroni", "tcertify"])
def test_no_votes_are_thrown_away(rule: str, n: int, missing: int) -> None:
    bound = BOUNDS[rule]([n - missing, missing], 0, 1e-3)
    assert bound.radius == pytest.approx(special.ndtri(bound.p_lower), rel=1e-6)
    assert exact_tail(n - missing, n, bound.p_lower) <= 1e-3


@pytest.mark.parametrize("inverse", [0.9, 0.0, 1.0, -1.0, 2.0, float("nan"), 1e-300])
def test_a_wrong_inverse_changes_no_bound(monkeypatch: pytest.MonkeyPatch, inverse: float) -> None:
    k = np.array([0, 1, 5, 40, 99, 100])
    for alpha in (1e-6, 0.05, 0.9):
        with monkeypatch.context() as patch:
            expected = clopper_pearson_lower(k, 100, alpha), clopper_pearson_upper(k, 100, alpha)
            wrong = lambda a, b, y: np.full_like(a, inverse)  # noqa: E731
            patch.setattr("scipy.special.betaincinv", wrong)
            bounds = clopper_pearson_lower(k, 100, alpha), clopper_pearson_upper(k, 100, alpha)
        np.testing.assert_allclose(bounds, expected, rtol=1e-14, atol=0)


def test_an_alpha_whose_tails_are_computed_wrong_is_refused() -> None:
    with pytest.raises(ValueError, match=r"^Expected alpha >= 1e-200, got 1e-250; pass a larger"):
        minimum_n(1e-250)
    with pytest.raises(ValueError, match=r"^Expected alpha >= 1e-220, got 1e-280; pass a larger"):
        clopper_pearson_lower(585, 612, 1e-280)
