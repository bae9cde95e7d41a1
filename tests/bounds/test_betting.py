"""The betting bound: exact coverage by enumeration, coverage by simulation, and its limits."""

from itertools import product

import numpy as np
import pytest

from rszoo.bounds import betting_lower, clopper_pearson_lower, empirical_bernstein_lower


@pytest.mark.parametrize(
    ("points", "n", "alpha"),
    [((0.0, 1.0), 9, 0.3), ((0.0, 1.0), 9, 0.05), ((0.0, 0.5, 1.0), 6, 0.3)],
)
def test_the_level_is_kept_for_every_law_on_these_points(
    points: tuple[float, ...], n: int, alpha: float
) -> None:
    """All sequences are enumerated, as the bets depend on the order."""
    sequences = np.array(list(product(range(len(points)), repeat=n)))
    values = np.array(points)
    bounds = np.array([betting_lower(values[sequence], alpha) for sequence in sequences])
    counts = np.stack([(sequences == k).sum(1) for k in range(len(points))], axis=1)
    shares = np.linspace(0.02, 0.98, 25)
    laws = [
        np.array([1 - p, *(p * q for q in rest)])
        for p in shares
        for rest in ([(1.0,)] if len(points) == 2 else [(q, 1 - q) for q in shares])
    ]
    failures = [float((law**counts).prod(1)[bounds > law @ values + 1e-12].sum()) for law in laws]
    assert max(failures) <= alpha
    assert max(failures) > alpha / 30  # the test is not idle


@pytest.mark.parametrize(("a", "b"), [(0.5, 0.5), (5.0, 0.5), (0.05, 0.1), (40.0, 1.0)])
def test_it_covers_in_a_simulation(a: float, b: float) -> None:
    reps, n, alpha, mean = 800, 60, 0.1, a / (a + b)
    values = np.random.default_rng(7).beta(a, b, size=(reps, n))
    bounds = [betting_lower(row, alpha) for row in values]
    assert sum(bound > mean for bound in bounds) <= alpha * reps
    variances = zip(values.mean(1).tolist(), values.var(1, ddof=1).tolist(), strict=True)
    others = [empirical_bernstein_lower(m, v, n, alpha) for m, v in variances]
    assert np.mean(bounds) > np.mean(others)


def test_it_is_between_bernsteins_bound_and_the_binomial_one() -> None:
    n, alpha = 2000, 0.001
    ones = betting_lower(np.ones(n), alpha)
    assert empirical_bernstein_lower(1.0, 0.0, n, alpha) < ones
    assert ones < clopper_pearson_lower(n, n, alpha) == pytest.approx(alpha ** (1 / n))
    assert 1 - ones < 1.2 * (1 - alpha ** (1 / n))
    assert betting_lower(np.zeros(n), alpha) == 0.0


def test_only_values_before_a_bet_decide_it() -> None:
    """A last value of 0 cannot lower what has been refuted before, as the best time counts."""
    values = np.random.default_rng(0).beta(9, 1, 100)
    values[-1] = 0.0
    changed = values.copy()
    changed[-1] = 0.5
    assert betting_lower(values, 0.01) <= betting_lower(changed, 0.01)
    early = np.concatenate([np.ones(80), np.zeros(1)])
    assert betting_lower(early, 0.01) > 0.9


def test_values_out_of_range_are_named() -> None:
    for values in ([0.5, 1.5], [0.5, float("nan")], [], [[0.5]]):
        with pytest.raises(ValueError, match=r"^Expected values in \[0, 1\], of shape \(n,\)"):
            betting_lower(values, 0.05)
    with pytest.raises(ValueError, match="alpha < 1, got 1"):
        betting_lower([0.5], 1.0)
