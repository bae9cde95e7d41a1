"""The rules of soft smoothing: level by enumeration and simulation, exact sums, edges."""

import math
from math import comb

import numpy as np
import pytest
from numpy.typing import NDArray

from rszoo.bounds import SOFT_BOUNDS, Scores, soft_radius
from rszoo.bounds.scores import MOST, STEPS, certifies, validate_soft_n

POINTS = np.array(  # scores of three classes, in steps; each adds up to at most 1
    [
        [STEPS, 0, 0],
        [STEPS // 2, STEPS // 4, STEPS // 4],
        [STEPS // 8, STEPS // 2, STEPS // 4],
        [0, STEPS // 4, 3 * STEPS // 4 - 1],
    ]
)


def scores(drawn: NDArray[np.int64]) -> Scores:
    """Of samples (n, classes) in steps; the first class is followed."""
    squares = (drawn.astype(object) ** 2).sum(0).tolist()
    return Scores(len(drawn), drawn.sum(0).tolist(), squares, drawn[:, 0])


def true_radius(law: NDArray[np.float64]) -> float:
    means = law @ POINTS / STEPS
    return soft_radius(means[0], max(means[1:])) * (1 + 1e-9)


LAWS = [
    [0.5, 0.3, 0.15, 0.05],
    [0.2, 0.2, 0.3, 0.3],
    [0.0, 0.3, 0.4, 0.3],
    [0.9, 0.02, 0.02, 0.06],
    [0.05, 0.75, 0.1, 0.1],
]


@pytest.mark.parametrize("bound", ["hoeffding", "bernstein"])
def test_the_level_is_kept_by_enumeration(bound: str) -> None:
    """A law of three points, all multinomial outcomes; the order does not matter to these rules."""
    n, alpha = 30, 0.5
    outcomes = [(i, j, n - i - j) for i in range(n + 1) for j in range(n + 1 - i)]
    weights = [comb(n, i) * comb(n - i, j) for i, j, _ in outcomes]
    for chosen in ([0, 1, 3], [0, 2, 3], [1, 2, 3]):
        radii = np.array(
            [
                SOFT_BOUNDS[bound](scores(np.repeat(POINTS[chosen], counts, 0)), 0, alpha).radius
                for counts in outcomes
            ]
        )
        for p in (np.array([0.6, 0.3, 0.1]), np.array([0.3, 0.4, 0.3]), np.array([0.1, 0.8, 0.1])):
            law = np.zeros(4)
            law[chosen] = p
            chance = weights * (p ** np.array(outcomes)).prod(1)
            assert chance.sum() == pytest.approx(1)
            assert chance[radii > true_radius(law)].sum() <= alpha


@pytest.mark.parametrize("bound", SOFT_BOUNDS)
@pytest.mark.parametrize("law", LAWS)
def test_the_level_is_kept_in_a_simulation(bound: str, law: list[float]) -> None:
    reps, n, alpha = 300, 80, 0.2
    generator = np.random.default_rng(3)
    drawn = [POINTS[generator.choice(4, n, p=law)] for _ in range(reps)]
    bounds = [SOFT_BOUNDS[bound](scores(each), 0, alpha) for each in drawn]
    true = true_radius(np.array(law))
    assert sum(found.radius > true for found in bounds) <= alpha * reps
    means = np.array(law) @ POINTS / STEPS
    assert sum(found.lower > means[0] for found in bounds) <= alpha / 2 * reps
    assert sum(found.upper < max(means[1:]) for found in bounds) <= alpha * reps


def test_the_radius_is_that_of_the_bounds_and_the_rules_are_in_order() -> None:
    drawn = np.random.default_rng(1).dirichlet([30.0, 1.0, 1.0], 5000)
    found = {
        name: rule(scores((drawn * STEPS).astype(np.int64)), 0, 0.001)
        for name, rule in SOFT_BOUNDS.items()
    }
    for bound in found.values():
        assert bound.radius == soft_radius(bound.lower, bound.upper) > 0
        assert bound.lower < drawn[:, 0].mean()
        assert drawn[:, 1:].mean(0).max() < bound.upper <= np.nextafter(1 - bound.lower, 1)
    order = ["hoeffding", "bernstein", "betting"]
    assert sorted(found, key=lambda name: found[name].radius) == order


def test_means_and_variances_are_exact() -> None:
    drawn = np.random.default_rng(2).integers(0, STEPS // 3, (999, 3))
    exact = scores(drawn)
    for label in range(3):
        assert exact.mean(label) == pytest.approx((drawn[:, label] / STEPS).mean(), rel=1e-15)
        variance = (drawn[:, label] / STEPS).var(ddof=1)
        assert exact.variance(label) == pytest.approx(variance, rel=1e-12)
    constant = Scores(MOST, (MOST * (STEPS - 1), 0), (MOST * (STEPS - 1) ** 2, 0))
    assert constant.variance(0) == 0.0
    assert constant.squares[0] < 2**63


@pytest.mark.parametrize("bound", SOFT_BOUNDS)
def test_too_few_samples_are_refused_with_the_number_that_suffices(bound: str) -> None:
    with pytest.raises(ValueError, match=rf"by {bound}, got n=3; .* use n >= \d+\.") as error:
        validate_soft_n(3, bound, 0.001)
    enough = int(str(error.value).rpartition("n >= ")[2].removesuffix("."))
    assert certifies(enough, bound, 0.001)
    assert not certifies(enough - 1, bound, 0.001)
    validate_soft_n(enough, bound, 0.001)
    with pytest.raises(ValueError, match=rf"n <= {MOST} scores"):
        validate_soft_n(MOST + 1, bound, 0.001)
    if bound == "hoeffding":  # sqrt(ln(2 / alpha) / (2 n)) < 1/2
        assert enough == math.ceil(2 * math.log(2000))


def test_betting_needs_the_scores_of_the_class() -> None:
    with pytest.raises(ValueError, match="Expected 2 scores of the class under test"):
        SOFT_BOUNDS["betting"](Scores(2, (1, 1), (1, 1)), 0, 0.1)
