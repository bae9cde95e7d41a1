"""`joint`: the pieces of its proof, checked one by one, and its time."""

import math
import time
from importlib import import_module

import numpy as np
import pytest
from scipy import special, stats

from rszoo.bounds import BOUNDS, clopper_pearson_lower, joint
from rszoo.bounds.votes import split_votes

module = import_module("rszoo.bounds.joint")  # `rszoo.bounds.joint` itself is the function


def problem(counts: list[int], alpha: float):  # type: ignore[no-untyped-def]
    votes = split_votes(counts, 0, alpha)
    h = module.statistic(votes.n, alpha)
    ends = (
        clopper_pearson_lower(k, votes.n, 1e-4 * alpha / 2)
        for k in (votes.top, votes.n - votes.runner_up)
    )
    z_lower, z_rest = (float(special.ndtri(p)) for p in ends)
    return module.Problem(
        h, float(h[votes.top] + h[votes.n - votes.runner_up]), z_lower, -z_rest, alpha
    )


def brute_force(p, u: float, t: float) -> float:  # type: ignore[no-untyped-def]
    """P(G >= g) by the sum over all outcomes."""
    n = p.h.size - 1
    a, b = (m.ravel() for m in np.meshgrid(np.arange(n + 1), np.arange(n + 1)))
    a, b = a[a + b <= n], b[a + b <= n]
    p_a, p_b = special.ndtr(u - t), special.ndtr(-(u + t))
    rows = np.stack([a, b, n - a - b], axis=1)
    pmf = stats.multinomial.pmf(rows, n, [p_a, p_b, max(0.0, 1 - p_a - p_b)])
    return float(pmf @ (p.h[a] + p.h[n - b] >= p.g - 1e-12))


@pytest.mark.parametrize(
    "counts", [[20, 3, 2], [25, 0, 0], [14, 6, 5], [40, 39, 21], [90, 10, 0], [60, 1, 39]]
)
@pytest.mark.parametrize("t", [0.0, 0.01, 0.3, 1.0])
def test_exceedance_is_the_exact_tail(counts: list[int], t: float) -> None:
    p = problem(counts, 0.05)
    for u in (0.01, 0.3, 1.2):
        exact = brute_force(p, u, t)
        assert exact <= module._exceedance(p, u, t, t) <= exact * (1 + 2e-6) + 1e-8 * 0.05


@pytest.mark.parametrize("counts", [[90, 10, 0], [60, 25, 15]])
def test_exceedance_bounds_the_whole_cell(counts: list[int]) -> None:
    p = problem(counts, 0.01)
    bound = module._exceedance(p, 0.5, 0.1, 0.2)
    inside = [brute_force(p, r, t) for r in (0.0, 0.3, 0.5) for t in np.linspace(0.1, 0.2, 5)]
    assert max(inside) <= bound
    assert max(inside) > 0.1 * bound


@pytest.mark.parametrize("counts", [[90, 10, 0], [60, *[1] * 40], [480, 370, 150], [700, 150, 150]])
def test_verified_radius_passes_on_a_fine_grid(counts: list[int]) -> None:
    """Its p-value, with the supremum over a dense grid, is at most alpha."""
    alpha = 0.01
    radius = joint(counts, 0, alpha).radius
    assert radius > 0
    p = problem(counts, alpha)
    grid = np.linspace(max(0.0, -p.z_upper - radius), radius - p.z_lower, 400)
    worst = max(module._exceedance(p, radius, t, t) for t in grid)
    assert worst + 1e-4 * alpha <= alpha * (1 + 2e-6)
    assert not module._verified(p, radius + 1.0)


def test_failing_candidates_are_lowered(monkeypatch: pytest.MonkeyPatch) -> None:
    """If nothing can be verified, the last resort remains, which needs no verification."""
    counts, alpha = [900, 50, 50], 0.001
    honest = joint(counts, 0, alpha).radius
    monkeypatch.setattr(module, "_verified", lambda problem, u: u < 1.2)
    assert 1.19 < joint(counts, 0, alpha).radius < 1.2 < honest
    monkeypatch.setattr(module, "_verified", lambda problem, u: False)
    p = problem(counts, alpha)
    assert joint(counts, 0, alpha).radius == pytest.approx((p.z_lower - p.z_upper) / 2, rel=1e-11)


@pytest.mark.parametrize("n", [10, 4000, 4001, 100_000])
def test_statistic_is_increasing_and_exact_at_the_ends(n: int) -> None:
    h = module.statistic(n, 0.001)
    k = np.unique(
        np.concatenate([np.arange(1, min(n, 6)), np.linspace(1, n, 400).astype(int), [n]])
    )
    assert h.size == n + 1
    assert h[0] == -math.inf
    assert np.all(np.diff(h[1:]) > 0)
    np.testing.assert_allclose(
        h[k], special.ndtri(clopper_pearson_lower(k, n, 0.001)), atol=1e-6, rtol=0
    )


def test_the_candidate_uses_up_the_level_near_a_binary_vote() -> None:
    """Its worst level / alpha falls with t; the values at n = 100, alpha = .001 are exact."""
    p = problem([90, 5, 5], 0.001)
    h = p.h
    values = np.unique(
        np.round([h[a] + h[100 - b] for a in range(1, 101) for b in range(101 - a)], 12)
    )
    critical = values[values > 0][::7]
    for t, expected in [(0.0, 1.0), (0.5, 0.090)]:
        worst = max(module._exceedance(p._replace(g=float(g)), g / 2, t, t) for g in critical)
        assert worst <= 0.001 * expected * 1.01
        assert worst >= 0.001 * expected * 0.8


@pytest.mark.parametrize(
    ("counts", "expected"),
    [
        ([60_000, 30_000, 10_000], 0.3762),
        ([90_000, 5_000, 5_000], 1.4445),
        ([99_500, 400, 100], 2.5644),
        ([45_000, 40_000, 15_000], 0.0515),
    ],
)
def test_the_radius_at_the_usual_n_is_the_known_one(counts: list[int], expected: float) -> None:
    assert joint(counts, 0, 0.001).radius == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize("n", [1000, 100_000])
def test_it_is_fast_enough_near_a_binary_vote(n: int) -> None:
    counts = [round(0.6 * n), round(0.395 * n), round(0.005 * n)]
    module.statistic(n, 0.001)
    start = time.process_time()
    assert joint(counts, 0, 0.001).radius >= BOUNDS["cohen"](counts, 0, 0.001).radius
    assert time.process_time() - start < 2
