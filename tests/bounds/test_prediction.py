"""Hung & Fithian's test against SciPy, and its level by enumeration."""

import itertools

import numpy as np
import pytest
from scipy import stats

from rszoo.bounds import hung_fithian, minimum_n_predict


def test_p_value_agrees_with_scipy() -> None:
    for total in (1, 2, 7, 30, 101, 1000):
        for top in sorted({-(-total // 2), total * 3 // 4 + 1, total}):
            expected = stats.binomtest(top, total, 0.5).pvalue
            assert hung_fithian(top, total - top) == pytest.approx(expected, rel=1e-10, abs=1e-300)


def test_edges() -> None:
    assert hung_fithian(0, 0) == 1.0
    assert hung_fithian(50, 50) == 1.0
    assert hung_fithian(11, 0) == 2 / 2048
    assert hung_fithian(51, 50) == pytest.approx(1.0, rel=1e-12)


def test_minimum_n_predict() -> None:
    assert [minimum_n_predict(a) for a in (0.001, 0.05, 0.5)] == [11, 6, 2]
    assert hung_fithian(11, 0) <= 0.001 < hung_fithian(10, 0)


@pytest.mark.parametrize(("classes", "n"), [(2, 20), (3, 18), (4, 14)])
@pytest.mark.parametrize("alpha", [0.01, 0.2])
def test_level_by_enumeration(classes: int, n: int, alpha: float) -> None:
    """P(returns a class other than the most probable one) over a grid of p that has near ties; class 0 is the best."""
    rows = np.array([r for r in itertools.product(range(n + 1), repeat=classes) if sum(r) == n])
    ordered = np.sort(rows, axis=1)
    decided = np.array([hung_fithian(int(r[-1]), int(r[-2])) <= alpha for r in ordered])
    wrong = decided & (rows.argmax(axis=1) != 0)
    worst = 0.0
    for weights in itertools.product((1.0, 0.999, 0.7, 0.3, 1e-6), repeat=classes - 1):
        p = np.array([1.0, *weights]) / (1 + sum(weights))
        worst = max(worst, float(stats.multinomial.pmf(rows[wrong], n, p).sum()))
    assert 0 < worst <= alpha * (1 + 1e-9)


@pytest.mark.parametrize(("top", "second", "named"), [(3, 5, "n_top=3, n_runner_up=5"), (3, -1, "n_runner_up=-1")])
def test_bad_counts_are_named(top: int, second: int, named: str) -> None:
    with pytest.raises(ValueError, match=named):
        hung_fithian(top, second)


def test_bad_alpha_is_named() -> None:
    with pytest.raises(ValueError, match=r"got 1\.5; pass"):
        minimum_n_predict(1.5)
