"""Critical values against exact rational arithmetic, and their level over all votes."""

import itertools
import math
import re
from collections.abc import Callable
from fractions import Fraction
from functools import cache

import mpmath
import numpy as np
import pytest

from rszoo.bounds import critical_values, looks, predict_looks
from rszoo.bounds import spending as module
from rszoo.bounds.spending import null_probability

FIRST = {
    0: [28, 33, 40, 48, 58, 70, 85, 103, 126, 154],
    1: [33, 41, 51, 63, 78, 96, 119, 148, 182, 227, 280, 348, 431, 534],
    2: [],
}
LAST = {0: 50518, 1: 84512, 2: 97879}
SMALL = [((3, 5, 8, 13), 0.05), ((1, 2, 4, 7, 12), 0.3), ((12,), 0.01), ((2, 3, 5, 8, 12), 0.001)]


def test_looks_grow_by_their_factor_and_end_with_n() -> None:
    times = looks(100_000)
    assert (len(times), times[:7], times[-2:]) == (
        37,
        (32, 40, 50, 63, 79, 99, 124),
        (80_750, 100_000),
    )
    assert predict_looks(100_000)[:7] == (16, 24, 36, 54, 81, 122, 183)
    assert [looks(n) for n in (1, 31, 32, 33, 40, 41)] == [
        (1,),
        (31,),
        (32,),
        (32, 33),
        (32, 40),
        (32, 40, 41),
    ]
    for schedule, factor in ((looks, 5 / 4), (predict_looks, 3 / 2)):
        for n in (100, 1234, 99_999):
            assert schedule(n)[-1] == n
            assert all(b == math.ceil(factor * a) for a, b in itertools.pairwise(schedule(n)[:-1]))
            assert schedule(n)[-2] < n <= math.ceil(factor * schedule(n)[-2])


@pytest.mark.parametrize("r", FIRST)
def test_critical_values_are_the_known_ones(r: float) -> None:
    critical = critical_values(r, n=100_000, alpha=0.001)
    assert (critical.dtype, critical.shape, critical[-1]) == (
        np.dtype(np.int64),
        (37,),
        LAST[int(r)],
    )
    assert critical[: len(FIRST[int(r)])].tolist() == FIRST[int(r)]
    with pytest.raises(ValueError, match="read-only"):
        critical[0] = 0


# The reference: integer numbers of vote sequences, exact rational probabilities, vote by vote.


@cache
def rejecting_paths(
    critical: tuple[int, ...], times: tuple[int, ...]
) -> tuple[dict[int, int], ...]:
    """For each look: {count: number of vote sequences that first reject there, with this count}."""
    alive, rejected = {0: 1}, []
    for start, end, c in zip((0, *times), times, critical, strict=False):
        for _ in range(start, end):
            moved: dict[int, int] = {}
            for h, paths in alive.items():
                moved[h] = moved.get(h, 0) + paths
                moved[h + 1] = moved.get(h + 1, 0) + paths
            alive = moved
        rejected.append({h: paths for h, paths in alive.items() if h >= c})
        alive = {h: paths for h, paths in alive.items() if h < c}
    return tuple(rejected)


def exact_levels(critical: tuple[int, ...], times: tuple[int, ...], p: float) -> list[Fraction]:
    """P(rejected at look 1, ..., k) for each k; p_A is the float p as a rational number."""
    q = Fraction(p)
    parts = [
        sum((paths * q**h * (1 - q) ** (t - h) for h, paths in look.items()), Fraction(0))
        for look, t in zip(rejecting_paths(critical, times), times, strict=True)
    ]
    return list(itertools.accumulate(parts))


def allowed(looks_in_all: int, alpha: float) -> list[Fraction]:
    return [Fraction(alpha) / 2 * k / (looks_in_all - 1) for k in range(1, looks_in_all)] + [
        Fraction(alpha)
    ]


def spend(p: float, times: tuple[int, ...], alpha: float) -> tuple[int, ...]:
    return tuple(module._spend(p, times, alpha).tolist())


@pytest.mark.parametrize(
    ("times", "alpha"), [*SMALL, ((32, 40, 50, 63, 79), 0.001), ((10, 20, 30, 60), 0.2)]
)
@pytest.mark.parametrize("p", [0.5, 0.6, 0.84, 0.977, 0.999])
def test_critical_values_are_the_smallest_within_the_spending(
    times: tuple[int, ...], alpha: float, p: float
) -> None:
    critical = spend(p, times, alpha)
    levels = exact_levels(critical, times, p)
    for k, budget in enumerate(allowed(len(times), alpha)):
        assert levels[k] <= budget
        lowered = (*critical[:k], critical[k] - 1)
        assert exact_levels(lowered, times[: k + 1], p)[k] > budget


@pytest.mark.parametrize(("times", "alpha"), SMALL)
def test_the_level_holds_over_all_vote_sequences(times: tuple[int, ...], alpha: float) -> None:
    """All 2^n sequences; the worst p_A of H0 is its largest."""
    for p in (0.5, 0.7, 0.84):
        critical = spend(p, times, alpha)
        sequences = np.array(list(itertools.product((0, 1), repeat=times[-1])), dtype=np.int8)
        heads = np.cumsum(sequences, axis=1)[:, np.array(times) - 1]
        ones = heads[np.any(heads >= critical, axis=1), -1]
        values = [
            float(np.sum(x**ones * (1 - x) ** (times[-1] - ones))) for x in np.linspace(0, p, 60)
        ]
        assert values[-1] == pytest.approx(float(exact_levels(critical, times, p)[-1]), rel=1e-12)
        assert values == sorted(values)
        assert values[-1] <= alpha


@pytest.mark.parametrize("alpha", [0.2, 0.05, 0.001])
@pytest.mark.parametrize("r", [0.0, 0.3, 1.0, 1.7])
def test_the_level_holds_for_the_real_looks(r: float, alpha: float) -> None:
    n, p = 100, null_probability(r)
    critical = tuple(critical_values(r, n=n, alpha=alpha).tolist())
    levels = [
        exact_levels(critical, looks(n), x)[-1] for x in (0.0, 0.7 * p, 0.95 * p, 0.999 * p, p)
    ]
    assert levels == sorted(levels)
    assert levels[-1] <= Fraction(alpha)
    if r < 1:
        assert levels[-1] > Fraction(alpha) / 2  # it does reject


def test_what_is_cut_off_counts_as_rejected(monkeypatch: pytest.MonkeyPatch) -> None:
    times, alpha = looks(100), 0.2
    usual = {p: spend(p, times, alpha) for p in (0.5, 0.7, 0.9)}
    for share, p in itertools.product((0.03, 0.1), usual):
        monkeypatch.setattr(module, "NEGLIGIBLE", share)
        critical = tuple(module._spend.__wrapped__(p, times, alpha).tolist())
        assert critical != usual[p]
        assert exact_levels(critical, times, p)[-1] <= Fraction(alpha)


@pytest.mark.parametrize("r", [0.0, 1.0, 2.5])
def test_the_level_holds_for_many_samples(r: float) -> None:
    """One vote at a time: no window, no factorial, nothing cut off."""
    n, alpha, p = 8_000, 0.001, null_probability(r)
    critical = dict(zip(looks(n), critical_values(r, n=n, alpha=alpha), strict=True))
    alive, rejected = np.zeros(n + 2), 0.0
    alive[0] = 1
    for t in range(1, n + 1):
        alive[1:] = alive[1:] * (1 - p) + alive[:-1] * p
        alive[0] *= 1 - p
        if t in critical:
            rejected += alive[critical[t] :].sum()
            alive[critical[t] :] = 0
    assert 0.8 * alpha < rejected <= alpha


def test_probabilities_are_rounded_up() -> None:
    mpmath.mp.dps = 40
    for m, p in ((1, 0.5), (30, 0.999999), (20_000, 0.5), (20_000, 0.977), (20_000, 1 - 1e-9)):
        pmf, q = module._binomial(m, p), mpmath.mpf(p)
        for j in {0, 1, m // 2, round(m * p) - 1, round(m * p), m - 1, m} & set(range(m + 1)):
            exact = mpmath.binomial(m, j) * q**j * (1 - q) ** (m - j)
            if exact > 1e-290:
                assert exact <= pmf[j] <= exact * (1 + mpmath.mpf(10) ** -7)


def test_null_probability_is_rounded_up() -> None:
    mpmath.mp.dps = 40
    for radius, sigma in itertools.product(
        (0.0, 0.1, 0.25, 0.5, 0.75, 1.0, 1.1, 1.5, 2.25), (0.12, 0.25, 0.3, 0.5, 0.7, 1.0)
    ):
        exact = mpmath.ncdf(mpmath.mpf(radius) / mpmath.mpf(sigma))  # not of the rounded quotient
        assert exact <= null_probability(radius / sigma) <= exact * (1 + mpmath.mpf(10) ** -14)


@pytest.mark.parametrize(
    ("call", "named"),
    [
        (lambda: looks(0), "Expected n >= 1, got n=0; pass"),
        (lambda: critical_values(-0.1, n=100, alpha=0.01), "got (-0.1,); sort"),
        (lambda: critical_values(math.inf, n=100, alpha=0.01), "got (inf,); sort"),
        (lambda: critical_values(1.0, n=9, alpha=0.001), "got n=9; all 9 votes"),
        (lambda: critical_values(1.0, n=100, alpha=0.0), "Expected 0 < alpha < 1, got 0.0"),
    ],
)
def test_bad_arguments_are_named(call: Callable[[], object], named: str) -> None:
    with pytest.raises(ValueError, match=re.escape(named)):
        call()
