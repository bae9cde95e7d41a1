"""Hung & Fithian's test against SciPy; its level, at one look and at many, by enumeration."""

import itertools

import numpy as np
import pytest
from scipy import stats

from rszoo.bounds import hung_fithian, minimum_n_predict, predict_looks, sequential_hung_fithian


def test_p_value_agrees_with_scipy() -> None:
    for total in (1, 2, 7, 30, 101, 1000):
        for top in sorted({-(-total // 2), total * 3 // 4 + 1, total}):
            expected = stats.binomtest(top, total, 0.5).pvalue
            assert hung_fithian(top, total - top) == pytest.approx(expected, rel=1e-10, abs=1e-300)


def test_the_p_value_at_the_edges() -> None:
    assert hung_fithian(0, 0) == 1.0
    assert hung_fithian(50, 50) == 1.0
    assert hung_fithian(11, 0) == 2 / 2048
    assert hung_fithian(51, 50) == pytest.approx(1.0, rel=1e-12)


def test_the_smallest_n_that_can_decide() -> None:
    assert [minimum_n_predict(a) for a in (0.001, 0.05, 0.5)] == [11, 6, 2]
    assert hung_fithian(11, 0) <= 0.001 < hung_fithian(10, 0)


@pytest.mark.parametrize(("classes", "n"), [(2, 20), (3, 18), (4, 14)])
@pytest.mark.parametrize("alpha", [0.01, 0.2])
def test_the_level_holds_over_all_outcomes(classes: int, n: int, alpha: float) -> None:
    """P(returns a class other than 0, the most probable one), over p that include near ties."""
    rows = np.array([r for r in itertools.product(range(n + 1), repeat=classes) if sum(r) == n])
    ordered = np.sort(rows, axis=1)
    decided = np.array([hung_fithian(int(r[-1]), int(r[-2])) <= alpha for r in ordered])
    wrong = decided & (rows.argmax(axis=1) != 0)
    worst = 0.0
    for weights in itertools.product((1.0, 0.999, 0.7, 0.3, 1e-6), repeat=classes - 1):
        p = np.array([1.0, *weights]) / (1 + sum(weights))
        worst = max(worst, float(stats.multinomial.pmf(rows[wrong], n, p).sum()))
    assert 0 < worst <= alpha * (1 + 1e-9)


def wrong_answer(n: int, p: tuple[float, ...], alpha: float) -> tuple[float, float]:
    """P(returns a class other than 0) and P(returns one), over all counts at all looks."""
    alive, wrong, returned = {(0,) * len(p): 1.0}, 0.0, 0.0
    for m in np.diff((0, *predict_looks(n))):
        rows = np.array([r for r in itertools.product(range(m + 1), repeat=len(p)) if sum(r) == m])
        steps = list(zip(rows.tolist(), stats.multinomial.pmf(rows, int(m), p), strict=True))
        moved: dict[tuple[int, ...], float] = {}
        for counts, weight in alive.items():
            for row, step in steps:
                new = tuple(a + b for a, b in zip(counts, row, strict=True))
                moved[new] = moved.get(new, 0.0) + weight * step
        alive = {}
        for counts, weight in moved.items():
            second, first = sorted(counts)[-2:]
            if sequential_hung_fithian(first, second, n=n) <= alpha:
                returned += weight
                wrong += weight * (counts.index(first) != 0)
            else:
                alive[counts] = weight
    return wrong, returned


@pytest.mark.parametrize("n", [12, 24, 30])
@pytest.mark.parametrize("alpha", [0.02, 0.2])
def test_the_level_of_sequential_predict_holds_over_all_histories(n: int, alpha: float) -> None:
    two = [wrong_answer(n, (p, 1 - p), alpha)[0] for p in (0.5, 0.501, 0.55, 0.8)]
    three = [
        wrong_answer(n, p, alpha)[0]
        for p in ((0.34, 0.33, 0.33), (0.45, 0.45, 0.1), (0.5, 0.49, 0.01))
    ]
    assert max(two + three) <= alpha
    assert max(two) == two[0] > 0
    assert wrong_answer(n, (1.0, 0.0), alpha) == pytest.approx((0.0, 1.0), abs=1e-12)


def test_the_sequential_p_value_pays_for_each_look() -> None:
    unanimous = sequential_hung_fithian(16, 0, n=100_000)  # at the first look
    assert unanimous == 23 * hung_fithian(16, 0) <= 0.001
    assert sequential_hung_fithian(15, 1, n=100_000) > 0.001
    assert sequential_hung_fithian(9, 9, n=100) == 1.0
    assert sequential_hung_fithian(9, 1, n=10) == hung_fithian(9, 1)


@pytest.mark.parametrize(
    ("top", "second", "named"), [(3, 5, "n_top=3, n_runner_up=5"), (3, -1, "n_runner_up=-1")]
)
def test_bad_counts_are_named(top: int, second: int, named: str) -> None:
    with pytest.raises(ValueError, match=named):
        hung_fithian(top, second)
    with pytest.raises(ValueError, match=named):
        sequential_hung_fithian(top, second, n=100)


def test_bad_alpha_is_named() -> None:
    with pytest.raises(ValueError, match=r"got 1\.5; pass"):
        minimum_n_predict(1.5)
