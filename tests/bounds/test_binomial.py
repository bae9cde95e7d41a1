"""Clopper-Pearson bounds: golden digits, edges, exact coverage, outward rounding."""

import re

import numpy as np
import pytest
from scipy import special, stats
from statsmodels.stats.proportion import proportion_confint

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
    assert type(clopper_pearson_upper(np.int64(3), 10, 0.05)) is float  # type: ignore[call-overload]
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


def test_wrong_inverse_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("scipy.special.betaincinv", lambda a, b, y: np.full_like(a, 0.9))
    with pytest.raises(ArithmeticError, match="install scipy"):
        clopper_pearson_lower(5, 10, 0.05)
