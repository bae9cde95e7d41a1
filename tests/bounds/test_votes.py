"""Validation of votes, and rounding."""

import dataclasses
import re
from collections.abc import Callable
from typing import Any

import mpmath
import numpy as np
import pytest

from rszoo.bounds import BOUNDS, RadiusBound
from rszoo.bounds.binomial import clopper_pearson_lower, clopper_pearson_upper
from rszoo.bounds.votes import split_votes, toward_zero, two_sided


def test_votes_are_split_into_the_top_class_and_the_others() -> None:
    votes = split_votes(np.array([3, 90, 7]), 1, 0.001)
    assert (votes.top, votes.others.tolist(), votes.runner_up, votes.n) == (90, [3, 7], 7, 100)


@pytest.mark.parametrize("rule", BOUNDS.values(), ids=BOUNDS.keys())
@pytest.mark.parametrize(
    ("counts", "top", "alpha", "named"),
    [
        ([9, 0], 0, 0.001, "Expected n large enough to certify at alpha=0.001, got n=9; "
         "all 9 votes would still give p_lower <= 1/2: use n >= 10."),
        ([90, 10], 0, 1.5, "Expected 0 < alpha < 1, got 1.5; pass"),
        ([90, 10], 2, 0.001, "Expected 0 <= top < 2, got 2"),
        ([90, 10], -1, 0.001, "Expected 0 <= top < 2, got -1"),
        ([90, -1], 0, 0.001, "got -1; pass counts"),
        ([0.9, 0.1], 0, 0.001, "got 0.1; pass counts"),
        ([100], 0, 0.001, "shape (1,)"),
        ([[90, 10]], 0, 0.001, "shape (1, 2)"),
    ],
)  # fmt: skip
def test_rules_name_bad_arguments(
    rule: Callable[..., object], counts: Any, top: int, alpha: float, named: str
) -> None:
    with pytest.raises(ValueError, match=re.escape(named)):
        rule(counts, top, alpha)


@pytest.mark.parametrize("radius", [1e-300, 1e-9, 0.3, 3.81, 1e6])
def test_toward_zero_is_strictly_below_and_close(radius: float) -> None:
    assert radius * (1 - 2e-12) <= toward_zero(radius) < radius


def test_two_quantiles_that_all_but_cancel_give_no_larger_radius() -> None:
    """35251 and 34259 of 100,000 votes, alpha = 0.001: rounding decided the tenth digit of 4e-8."""
    p_lower, p_upper = (
        clopper_pearson_lower(35251, 100_000, 0.0005),
        clopper_pearson_upper(34259, 100_000, 0.0005),
    )
    with mpmath.workprec(200):
        exact = [mpmath.sqrt(2) * mpmath.erfinv(2 * mpmath.mpf(p) - 1) for p in (p_lower, p_upper)]
        true = (exact[0] - exact[1]) / 2
    assert 3e-8 < true < 5e-8
    assert true * (1 - mpmath.mpf("1e-7")) < two_sided(p_lower, p_upper).radius < true


def test_toward_zero_is_never_negative() -> None:
    assert [toward_zero(r) for r in (0.0, -0.5, -np.inf)] == [0.0, 0.0, 0.0]


def test_radius_bound_is_frozen() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        RadiusBound(1.0, 0.8, 0.2).radius = 2.0  # type: ignore[misc]
