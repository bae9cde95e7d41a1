"""Bounds on the certified accuracy of a test set: values of the formulas, exact coverage."""

import math
from collections.abc import Callable
from itertools import product

import pytest

from rszoo.bounds import (
    certified_accuracy_lower,
    certified_accuracy_lower_bernstein,
    overstated_images,
)

GOLDEN = [  # images, certified: Theorem 6, exact; alpha = rho = 0.001
    (500, 250, 0.4896, 0.4940),
    (500, 25, 0.0392, 0.0420),
    (10_000, 5000, 0.49809, 0.49870),
    (10_000, 200, 0.01761, 0.01790),
    (50_000, 20_000, 0.39883, 0.39904),
]


@pytest.mark.parametrize(("images", "certified", "bernstein", "exact"), GOLDEN)
def test_bounds_are_the_known_ones(
    images: int, certified: int, bernstein: float, exact: float
) -> None:
    assert certified_accuracy_lower(certified, images, alpha=0.001, rho=0.001) == pytest.approx(
        exact, abs=1e-9
    )
    lower = certified_accuracy_lower_bernstein(certified, images, alpha=0.001, rho=0.001)
    assert lower == pytest.approx(bernstein, abs=10 ** -(4 if images == 500 else 5))


def test_the_number_of_overstated_images_is_a_quantile() -> None:
    assert [overstated_images(images, alpha=0.001, rho=0.001) for images in (500, 10_000)] == [
        4,
        21,
    ]
    assert overstated_images(1, alpha=0.5, rho=0.1) == 1


def tail(n: int, p: float, k: int) -> float:
    """P(Bin(n, p) >= k), summed."""
    return math.fsum(math.comb(n, i) * p**i * (1 - p) ** (n - i) for i in range(max(k, 0), n + 1))


@pytest.mark.parametrize(("alpha", "rho"), list(product((0.3, 0.05, 0.001), (0.2, 0.01))))
@pytest.mark.parametrize("images", [1, 2, 7, 25])
def test_the_bound_is_the_smallest_g_that_is_no_surprise(
    images: int, alpha: float, rho: float
) -> None:
    for certified in range(images + 1):
        expected = next(
            g for g in range(certified + 1) if tail(images - g, alpha, certified - g) > rho
        )
        assert (
            certified_accuracy_lower(certified, images, alpha=alpha, rho=rho) == expected / images
        )
    assert overstated_images(images, alpha=alpha, rho=rho) == next(
        q for q in range(images + 1) if tail(images, alpha, q + 1) <= rho
    )


@pytest.mark.parametrize("bound", [certified_accuracy_lower, certified_accuracy_lower_bernstein])
@pytest.mark.parametrize(("alpha", "rho"), list(product((0.3, 0.05), (0.2, 0.01))))
def test_bounds_cover_even_if_bad_images_are_counted_as_often_as_can_be(
    bound: Callable[..., float], alpha: float, rho: float
) -> None:
    images = 30
    for good in range(images + 1):
        failure = math.fsum(
            math.comb(images - good, bad) * alpha**bad * (1 - alpha) ** (images - good - bad)
            for bad in range(images - good + 1)
            if bound(good + bad, images, alpha=alpha, rho=rho) > good / images
        )
        assert failure <= rho


def test_the_exact_bound_is_the_larger_one() -> None:
    for certified in range(0, 501, 7):
        arguments = {"alpha": 0.001, "rho": 0.001}
        exact = certified_accuracy_lower(certified, 500, **arguments)
        assert (
            certified_accuracy_lower_bernstein(certified, 500, **arguments)
            <= exact
            <= certified / 500
        )


@pytest.mark.parametrize(
    ("certified", "images", "alpha", "rho"),
    [(3, 2, 0.1, 0.1), (-1, 2, 0.1, 0.1), (0, 0, 0.1, 0.1), (1, 2, 0, 0.1), (1, 2, 0.1, 1)],
)
def test_arguments_out_of_range_are_named(
    certified: int, images: int, alpha: float, rho: float
) -> None:
    with pytest.raises(ValueError, match=r"^Expected .*, got .*; .*"):
        certified_accuracy_lower(certified, images, alpha=alpha, rho=rho)


def test_bernstein_needs_a_small_alpha() -> None:
    with pytest.raises(ValueError, match="alpha <= 1/2"):
        certified_accuracy_lower_bernstein(1, 2, alpha=0.6, rho=0.1)
