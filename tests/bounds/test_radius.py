"""What all rules of `BOUNDS` share: exact level, dominance, monotonicity, symmetry, edges.

The level is computed, not simulated: all outcomes of n votes are enumerated. By the
intersection-union argument only (N_A, N_B, the rest) matters, B the true runner-up; the rest is one
class (merged) or many of one vote each (scattered).
"""

import re
from functools import lru_cache
from importlib import import_module

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import special, stats

from rszoo.bounds import (
    BOUNDS,
    bonferroni,
    clopper_pearson_lower,
    clopper_pearson_upper,
    cohen,
    implied_linf,
    implying_l2,
    l2_radius,
    radius_upper,
)

Floats = NDArray[np.float64]

T_GRID = np.concatenate([[0.0], np.geomspace(1e-4, 4, 59)])
CASES = [(12, 0.001), (13, 0.1), (20, 0.01), (30, 0.001), (30, 0.05)]


@lru_cache
def outcomes(n: int) -> NDArray[np.int64]:
    """The rows (N_A, N_B, N_rest) with sum n."""
    a, b = np.meshgrid(np.arange(n + 1), np.arange(n + 1), indexing="ij")
    keep = a + b <= n
    return np.stack([a[keep], b[keep], n - a[keep] - b[keep]], axis=1)


@lru_cache
def radii(name: str, n: int, alpha: float, scattered: bool) -> Floats:
    def counts(a: int, b: int, rest: int) -> list[int]:
        return [a, b, *([1] * rest)] if scattered else [a, b, rest]

    return np.array([BOUNDS[name](counts(*row), 0, alpha).radius for row in outcomes(n).tolist()])


def worst_failure(rows: NDArray[np.int64], reported: Floats) -> float:
    """sup of P(reported >= r) over the reported r > 0 and the true p with radius r.

    z(p_A) = r - t for t on a grid.
    """
    log_multinomial = special.gammaln(rows[0].sum() + 1) - special.gammaln(rows + 1).sum(axis=1)
    worst = 0.0
    for r in np.unique(reported[reported > 0]):
        p_a, p_b = special.ndtr(r - T_GRID), special.ndtr(-(r + T_GRID))
        p = np.stack([p_a, p_b, np.maximum(0.0, 1 - p_a - p_b)])
        fails = reported >= r
        log_pmf = log_multinomial[fails, None] + special.xlogy(rows[fails, :, None], p[None]).sum(
            axis=1
        )
        worst = max(worst, float(np.exp(log_pmf).sum(axis=0).max()))
    return worst


@pytest.mark.parametrize("scattered", [False, True])
@pytest.mark.parametrize(("n", "alpha"), CASES)
@pytest.mark.parametrize("name", BOUNDS)
def test_the_level_holds_over_all_outcomes(
    name: str, n: int, alpha: float, scattered: bool
) -> None:
    worst = worst_failure(outcomes(n), radii(name, n, alpha, scattered))
    assert worst <= alpha * (1 + 1e-9)
    assert worst >= 0.2 * alpha  # the enumeration does see failures


@pytest.mark.parametrize("top_alone", [False, True])
@pytest.mark.parametrize(
    "p",
    [
        (0.9, 0.08, 0.02),
        (0.55, 0.44, 0.01),
        (0.6, 0.2, 0.2),
        (0.95, 0.03, 0.02),
        (0.34, 0.33, 0.33),
    ],
)
def test_the_upper_bound_is_seldom_below_the_true_radius(
    p: tuple[float, float, float], top_alone: bool
) -> None:
    """The probability that fresh votes refute the true radius, over all outcomes."""
    n, alpha = 30, 0.05
    rows = outcomes(n)
    z = special.ndtri(p)
    true = z[0] if top_alone else (z[0] - max(z[1:])) / 2
    uppers = np.array([radius_upper(row, 0, alpha, top_alone=top_alone) for row in rows.tolist()])
    below = stats.multinomial.pmf(rows, n, p)[uppers < true].sum()
    assert below <= alpha
    near = stats.multinomial.pmf(rows, n, p)[uppers < true + 1].sum()
    assert near > 0.2  # it is not far above


def test_enumeration_detects_a_rule_without_a_proof() -> None:
    """The plug-in radius, which forgets the noise, fails far more often than alpha."""
    rows = outcomes(20)
    share = np.clip(rows / 20, 0.01, 0.99)
    plug_in = (special.ndtri(share[:, 0]) - special.ndtri(share[:, 1:].max(axis=1))) / 2
    assert worst_failure(rows, plug_in) > 0.3


@pytest.mark.parametrize(("n", "alpha"), [(10, 0.001), (40, 0.05), (200, 0.001)])
def test_cohens_level_holds_over_all_binary_votes(n: int, alpha: float) -> None:
    k = np.arange(n + 1)
    reported = np.array([cohen([int(i), n - int(i)], 0, alpha).radius for i in k])
    failures = [
        stats.binom.pmf(k, n, special.ndtr(r)) @ (reported >= r)
        for r in np.unique(reported[reported > 0])
    ]
    assert max(failures) <= alpha * (1 + 1e-9)
    assert max(failures) > 0.99 * alpha


@pytest.mark.parametrize("scattered", [False, True])
@pytest.mark.parametrize(("n", "alpha"), CASES)
def test_joint_dominates_outcome_by_outcome(n: int, alpha: float, scattered: bool) -> None:
    joint = radii("joint", n, alpha, scattered)
    for name in BOUNDS:
        assert np.all(joint >= radii(name, n, alpha, scattered) - 1e-4)
    assert np.any(joint > radii("bonferroni", n, alpha, scattered) + 1e-3)


@pytest.mark.parametrize("n", [1000, 100_000])
@pytest.mark.parametrize(
    "p",
    [
        (1, 0, 0),
        (0.9999, 0.0001, 0),
        (0.98, 0.005, 0.015),
        (0.9, 0.1, 0),
        (0.6, 0.395, 0.005),
        (0.45, 0.4, 0.15),
    ],
)
def test_joint_dominates_at_common_n(n: int, p: tuple[float, ...]) -> None:
    counts = [round(n * q) for q in p]
    best = BOUNDS["joint"](counts, 0, 0.001).radius
    assert all(best >= rule(counts, 0, 0.001).radius - 1e-4 for rule in BOUNDS.values())


@pytest.mark.parametrize(("n", "alpha"), [(20, 0.01), (30, 0.001)])
@pytest.mark.parametrize("name", BOUNDS)
def test_radii_are_monotone_in_both_counts(name: str, n: int, alpha: float) -> None:
    """A vote moved to A cannot lower the radius; one moved to the runner-up cannot raise it."""
    slack = 1e-4 if name == "joint" else 1e-9  # joint is monotone up to its shrink
    table = {
        tuple(map(int, row)): r
        for row, r in zip(outcomes(n), radii(name, n, alpha, True), strict=True)
    }
    compared = 0
    for (a, b, rest), r in table.items():
        if rest > 0:
            assert table[a + 1, b, rest - 1] >= r - slack
        # tcertify's sum over the classes rewards a class that loses its votes
        if rest > 0 and name != "tcertify":
            assert table[a, b + 1, rest - 1] <= r + slack
        if a > 0:
            assert table[a - 1, b + 1, rest] <= r + slack
            compared += r > 0
    assert compared > 0


@pytest.mark.parametrize("name", BOUNDS)
def test_the_order_of_the_classes_does_not_matter(name: str) -> None:
    counts = np.array([5, 820, 100, 0, 75, 0])
    expected = BOUNDS[name](counts, 1, 0.001)
    rng = np.random.default_rng(0)
    for _ in range(5):
        order = rng.permutation(counts.size)
        assert BOUNDS[name](counts[order], int(np.argwhere(order == 1)[0, 0]), 0.001) == expected
    assert expected.radius > 0.5


@settings(max_examples=60, deadline=None, derandomize=True)
@given(st.lists(st.integers(0, 200), min_size=2, max_size=6), st.sampled_from([0.001, 0.05]))
def test_radius_follows_from_the_bounds(counts: list[int], alpha: float) -> None:
    counts = [counts[0] + 10, *counts[1:]]
    for rule in BOUNDS.values():
        bound = rule(counts, 0, alpha)
        ideal = (special.ndtri(bound.p_lower) - special.ndtri(bound.p_upper)) / 2
        assert bound.radius == 0 or bound.p_lower > bound.p_upper
        shrunk = max(0.0, ideal) - 1e-4  # joint may shrink a little
        assert shrunk <= bound.radius <= max(0.0, ideal)


@pytest.mark.parametrize("name", BOUNDS)
@pytest.mark.parametrize(
    ("n", "expected"),
    [(100, 1.5005), (1000, 2.4633), (10_000, 3.1986), (100_000, 3.8115), (1_000_000, 4.3468)],
)
def test_unanimous_votes_give_the_largest_radius(name: str, n: int, expected: float) -> None:
    radius = BOUNDS[name]([0, n, 0], 1, 0.001).radius
    alpha = 0.0005 if name == "bonferroni" else 0.001
    assert radius <= special.ndtri(alpha ** (1 / n))
    assert radius == pytest.approx(special.ndtri(alpha ** (1 / n)), abs=1e-4)
    assert name == "bonferroni" or radius == pytest.approx(expected, abs=1.5e-4)


@pytest.mark.parametrize("rule", BOUNDS.values(), ids=BOUNDS.keys())
@pytest.mark.parametrize(
    "counts", [[0, 100, 0], [0, 60, 40], [50, 50], [30, 30, 40], [33, 34, 33], [40, 30, 30]]
)
def test_nothing_to_certify_abstains(rule, counts) -> None:  # type: ignore[no-untyped-def]
    assert rule(counts, 0, 0.001).radius == 0.0


@pytest.mark.parametrize("name", BOUNDS)
def test_smallest_n_certifies_except_with_a_split(name: str) -> None:
    assert (BOUNDS[name]([10, 0], 0, 0.001).radius > 0) == (name != "bonferroni")
    assert BOUNDS[name]([11, 0], 0, 0.001).radius > 0


@pytest.mark.parametrize("name", BOUNDS)
def test_only_two_bounds_certify_below_one_half(name: str) -> None:
    bound = BOUNDS[name]([4500, 2000, 2000, 1500], 0, 0.001)
    assert bound.p_lower < 0.5
    assert (bound.radius > 0.2) == (name in {"joint", "bonferroni"})


def test_probability_exactly_one_half_abstains(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("radius", "tcertify"):
        # by name, as `rszoo.bounds.tcertify` itself is the function
        monkeypatch.setattr(
            import_module(f"rszoo.bounds.{module}"),
            "clopper_pearson_lower",
            lambda k, n, alpha: 0.5,
        )
    assert cohen([90, 10], 0, 0.001).radius == 0.0
    assert BOUNDS["tcertify"]([90, 10], 0, 0.001).radius == 0.0


def test_rules_report_the_bounds_they_used() -> None:
    counts = [900, 60, 40]
    bound = cohen(counts, 0, 0.001)
    assert bound.p_lower == clopper_pearson_lower(900, 1000, 0.001)
    assert bound.p_upper == 1 - bound.p_lower
    assert bound.radius == pytest.approx(special.ndtri(bound.p_lower), rel=1e-11)
    bound = bonferroni(counts, 0, 0.001)
    assert bound.p_lower == clopper_pearson_lower(900, 1000, 0.0005)
    assert bound.p_upper == clopper_pearson_upper(60, 1000, 0.0005)


def test_mean_radii_are_the_known_ones() -> None:
    """At p = (.6, .3, .1), n = 100, alpha = .05, over outcomes with probability above 1e-6."""
    rows = outcomes(100)
    rows = rows[stats.multinomial.pmf(rows, 100, [0.6, 0.3, 0.1]) > 1e-6]
    pmf = stats.multinomial.pmf(rows, 100, [0.6, 0.3, 0.1])
    means = {
        name: pmf @ [BOUNDS[name](row, 0, 0.05).radius for row in rows]
        for name in ("cohen", "bonferroni", "joint")
    }
    assert means["cohen"] == pytest.approx(0.069, abs=1.5e-3)
    assert means["bonferroni"] == pytest.approx(0.135, abs=1.5e-3)
    assert means["joint"] == pytest.approx(0.171, abs=1.5e-3)


@given(st.floats(0, 5), st.floats(1e-3, 10))
def test_l2_radius_rounds_toward_zero(radius: float, sigma: float) -> None:
    result = l2_radius(radius, sigma)
    assert 0 <= result <= radius * sigma
    assert result >= radius * sigma * (1 - 2e-12) - 1e-300
    assert radius < 1e-300 or result < radius * sigma


@pytest.mark.parametrize(
    ("radius", "sigma", "named"),
    [(1.0, 0.0, "sigma > 0, got 0.0"), (1.0, -0.5, "got -0.5"), (-0.1, 0.5, "got -0.1")],
)
def test_l2_radius_names_bad_arguments(radius: float, sigma: float, named: str) -> None:
    with pytest.raises(ValueError, match=re.escape(named)):
        l2_radius(radius, sigma)


def test_the_l_infinity_radius_that_l2_implies_is_never_too_large() -> None:
    assert 0.43471 < implying_l2(2 / 255, 3 * 32 * 32) < 0.4348  # Salman et al. 2019: 0.435
    for values in (1, 3, 784, 3072, 150_528):
        for radius in (0.0, 1e-9, 0.25, 0.4348, 3.7):
            implied = implied_linf(radius, values)
            assert implied**2 * values <= radius**2
            assert implied == pytest.approx(radius / values**0.5, rel=1e-11)
            assert radius <= implying_l2(radius, values) / values**0.5 <= radius * (1 + 1e-11)
    with pytest.raises(ValueError, match=r"Expected a radius >= 0, got nan"):
        implied_linf(float("nan"), 3072)
    with pytest.raises(ValueError, match=r"number of values of an image, got 0; pass C H W"):
        implied_linf(0.5, 0)
