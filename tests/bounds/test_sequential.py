"""A sequential test of a grid of radii: its level over all histories, when it stops."""

import math
import re
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import pytest
from scipy import stats

from rszoo.bounds import RadiusTest, critical_values, futile, looks, predictive_power, sequential
from rszoo.bounds.spending import null_probability

GRID = (0.2, 0.5, 0.9, 1.4)


@pytest.mark.parametrize(("r", "theory"), [(1.0, 40), (2.0, 301), (3.0, 5114)])
def test_unanimous_votes_need_few_samples(r: float, theory: int) -> None:
    test = RadiusTest((r,), n=100_000, alpha=0.001)
    assert math.ceil(math.log(1 / 0.001) / -math.log(null_probability(r))) == pytest.approx(
        theory, abs=1
    )
    while test.outcome == "continue":
        test = test.update(test.next_look)
    assert test.outcome == "certified"
    assert theory <= test.counts[-1] <= 2.2 * theory


# A grid of radii: every history of counts that the sampling loop can see.


def histories(start: RadiusTest) -> list[RadiusTest]:
    ended, running = [], [start]
    while running:
        test = running.pop()
        if test.outcome != "continue":
            ended.append(test)
            continue
        seen = test.counts[-1] if test.counts else 0
        drawn = looks(test.n)[len(test.counts) - 1] if test.counts else 0
        running += [test.update(count) for count in range(seen, seen + test.next_look - drawn + 1)]
    return ended


def probabilities(ended: list[RadiusTest], p: float) -> np.ndarray:
    n = ended[0].n
    times = np.diff((0, *looks(n)))
    total = []
    for test in ended:
        steps = np.diff((0, *test.counts))
        total.append(math.prod(binomial(int(m), p)[k] for m, k in zip(times, steps, strict=False)))
    return np.array(total)


@cache
def binomial(m: int, p: float) -> list[float]:
    return [math.comb(m, k) * p**k * (1 - p) ** (m - k) for k in range(m + 1)]


@pytest.mark.parametrize("alpha", [0.2, 0.02])
@pytest.mark.parametrize(
    ("futility", "power"), [(0.0, 0.0), (0.01, 0.0), (0.01, 0.01), (0.3, 0.0), (0.0, 0.3)]
)
def test_false_certificates_of_a_grid_keep_the_level(
    alpha: float, futility: float, power: float
) -> None:
    ended = histories(RadiusTest(GRID, n=48, alpha=alpha, futility=futility, power=power))
    certified = np.array([test.certified for test in ended])
    assert set(certified) == set(range(len(GRID) + 1))
    worst = 0.0
    for true in (
        -1.0,
        0.0,
        0.1999,
        *GRID,
        *(r + d for r in GRID for d in (-0.15, -0.05, 0.05, 0.1)),
    ):
        p = float(stats.norm.cdf(true))
        weights = probabilities(ended, p)
        assert weights.sum() == pytest.approx(1, abs=1e-9)
        below = np.searchsorted(GRID, true)  # how many radii may be certified
        false = weights[certified > below].sum()
        assert false <= alpha * (1 + 1e-9)
        worst = max(worst, float(false))
    if futility == power == 0:
        assert worst > alpha / 2


NEVER: dict[str, Any] = {"futility": 0.0, "power": 0.0}


@pytest.mark.parametrize("rule", ["futility", "power"])
def test_giving_up_only_lowers_the_level(rule: str) -> None:
    def level(value: float) -> tuple[float, set[str]]:
        ended = histories(RadiusTest((0.4,), n=60, alpha=0.05, **{**NEVER, rule: value}))
        weights = probabilities(ended, null_probability(0.4))
        return float(weights[[test.certified == 1 for test in ended]].sum()), {
            test.outcome for test in ended
        }

    (never, without), (often, with_it) = level(0.0), level(0.4)
    assert often < never <= 0.05
    assert without == {"certified", "undecided"}
    assert with_it == {"certified", "futile", "undecided"}


def test_the_outcome_follows_from_the_votes() -> None:
    start = RadiusTest((0.0, 1.0, 4.0), n=100_000, alpha=0.001)
    assert (start.outcome, start.next_look, start.certified) == ("continue", 32, 0)
    assert (start.bound.radius, start.bound.p_lower) == (0.0, 0.0)
    one = start.update(32)
    assert (one.outcome, one.certified, one.next_look) == ("continue", 1, 40)
    assert one.bound.p_lower > 0.5
    two = one.update(40).update(50).update(63)
    # 1e5 votes of 1e5 give 3.81 sigma, less than the third radius
    assert (two.outcome, two.certified, two.bound.radius) == ("undecided", 2, 1.0)
    assert two.bound.p_lower >= stats.norm.cdf(1.0)
    assert start.update(20).outcome == "continue"
    assert start.update(5).outcome == "futile"
    assert one.update(32).update(32).outcome == "futile"
    assert RadiusTest((9.0,), n=100, alpha=0.01).outcome == "undecided"
    assert start.counts == ()  # nothing was changed in place


def test_a_radius_is_certified_only_after_all_smaller_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    """With critical values that no test has: the larger radius rejected first."""
    reversed_order = {0.5: np.array([31, 33]), 1.0: np.array([25, 41])}
    monkeypatch.setattr(sequential, "critical_values", lambda r, *, n, alpha: reversed_order[r])
    first = RadiusTest((0.5, 1.0), n=40, alpha=0.05).update(26)
    assert (first.certified, first.outcome) == (0, "continue")
    second = first.update(33)
    assert (second.certified, second.outcome) == (2, "certified")


def test_a_rejection_is_kept() -> None:
    """A radius rejected at one look stays rejected when the frequency of votes falls."""
    test = RadiusTest((0.5,), n=1000, alpha=0.05).update(32)
    assert test.certified == 1
    assert test.update(32).update(32).certified == 1


def test_the_last_look_ends_the_test() -> None:
    test = RadiusTest((0.1,), n=50, alpha=0.05, futility=0.0).update(17).update(21).update(26)
    assert (test.outcome, test.certified) == ("undecided", 0)
    with pytest.raises(ValueError, match="Expected a look before n=50"):
        _ = test.next_look
    with pytest.raises(ValueError, match="Expected at most 3 counts, got 4"):
        test.update(30)


def test_futile_is_a_binomial_tail() -> None:
    tail = stats.binom.cdf(20, 32, stats.norm.cdf(1.0))
    assert futile(1.0, 20, 32, futility=tail * 1.0001)
    assert not futile(1.0, 20, 32, futility=tail * 0.9999)
    assert not futile(1.0, 32, 32, futility=0.99)
    assert not futile(5.0, 0, 100_000, futility=0.0)


@pytest.mark.parametrize(
    ("n", "samples", "needed"), [(20, 8, 15), (20, 19, 15), (20, 20, 15), (48, 32, 49), (48, 40, 1)]
)
def test_predictive_power_is_that_of_the_beta_binomial(n: int, samples: int, needed: int) -> None:
    """Exact counts of the equally likely totals with `count` votes among the first `samples`."""
    for count in range(samples + 1):
        ways = [
            math.comb(total, count) * math.comb(n - total, samples - count)
            for total in range(n + 1)
        ]
        exact = sum(ways[needed:]) / sum(ways)
        assert predictive_power(needed, count, samples, n=n) == pytest.approx(
            exact, rel=1e-9, abs=1e-12
        )


def test_what_n_samples_would_hardly_certify_is_given_up() -> None:
    """After about half of the samples, with too many votes for A for `futile` to stop."""

    def after_half(share: float, power: float) -> str:
        test = RadiusTest((0.0,), n=1000, alpha=0.001, power=power)
        while test.next_look < 600:
            assert test.outcome == "continue"
            test = test.update(round(share * test.next_look))
        return test.outcome

    needed, seen = (
        int(critical_values(0.0, n=1000, alpha=0.001)[-1]),
        max(look for look in looks(1000) if look < 600),
    )
    low, high = (
        predictive_power(needed, round(share * seen), seen, n=1000) for share in (0.515, 0.53)
    )
    assert 1e-3 < low < 0.01 < high < 0.1
    assert (after_half(0.515, 0.01), after_half(0.515, 0.0), after_half(0.53, 0.01)) == (
        "futile",
        "continue",
        "continue",
    )


@pytest.mark.parametrize(
    ("call", "named"),
    [
        (lambda: RadiusTest((), n=100, alpha=0.01), "Expected increasing radii"),
        (lambda: RadiusTest((0.5, 0.5), n=100, alpha=0.01), "got (0.5, 0.5); sort"),
        (
            lambda: RadiusTest((0.5,), n=100, alpha=0.01, futility=1.0),
            "Expected 0 <= futility < 1, got 1.0",
        ),
        (
            lambda: RadiusTest((0.5,), n=100, alpha=0.01, power=-0.1),
            "Expected 0 <= power < 1, got -0.1",
        ),
        (
            lambda: RadiusTest((0.5,), n=100, alpha=0.01).update(33),
            "Expected from 0 to 32 new votes among the first 32",
        ),
        (
            lambda: RadiusTest((0.5,), n=100, alpha=0.01).update(20).update(19),
            "among the first 40 samples, got -1",
        ),
    ],
)
def test_bad_arguments_are_named(call: Callable[[], object], named: str) -> None:
    with pytest.raises(ValueError, match=re.escape(named)):
        call()
