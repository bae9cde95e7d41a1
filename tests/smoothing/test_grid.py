"""The law of the integer noise: exact where it can be enumerated, and by statistics where not."""

from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import mpmath
import numpy as np
import pytest
import torch
from scipy import stats

from rszoo.smoothing.grid import (
    BITS,
    COLUMN,
    COLUMN_BITS,
    LARGEST_SIGMA,
    alias_table,
    check_sigma,
    draw,
    draw_on,
    draw_searched,
    grid_error,
    thresholds,
    weights,
)

CPU = torch.device("cpu")
SIGMAS = (0.001, 0.01, 0.12, 0.25, 0.5, 1.0, 5.0)
DRAWN = 400_000
KEY = 2**100 + 12345


@pytest.mark.parametrize("sigma", [*SIGMAS, LARGEST_SIGMA])
def test_the_columns_hold_the_law_exactly(sigma: float) -> None:
    """Every integer that the random bits can be is counted: 2^62 P(K = k) of them give k."""
    table = alias_table(sigma)
    assert len(table.first) == len(table.second) == len(table.split) == 2**COLUMN_BITS
    assert all(0 < split < COLUMN for split in table.split[: table.shared].tolist())
    assert set(table.split[table.shared :].tolist()) <= {COLUMN}
    mass: Counter[int] = Counter()
    parts = (table.first.tolist(), table.second.tolist(), table.split.tolist())
    for k, other, split in zip(*parts, strict=True):
        mass[k] += split
        mass[other] += COLUMN - split
    assert {k: weight for k, weight in mass.items() if weight} == weights(sigma)
    assert sum(mass.values()) == 2**BITS


@pytest.mark.parametrize("sigma", SIGMAS)
def test_the_weights_are_the_stated_law(sigma: float) -> None:
    """Symmetric, and within grid_error of the normal probabilities."""
    mass, steps = weights(sigma), 255 * sigma
    assert all(mass[k] == mass[-k] for k in mass)
    k = np.array(sorted(mass))
    exact = stats.norm.sf((np.abs(k) - 0.5) / steps) - stats.norm.sf((np.abs(k) + 0.5) / steps)
    found = np.array([mass[each] for each in k.tolist()]) / 2.0**BITS
    np.testing.assert_allclose(found, exact, rtol=1e-9, atol=2.0**-60)


@pytest.mark.parametrize(("sigma", "spread"), [(0.12, 0.120005), (0.25, 0.2500026)])
def test_thresholds_are_exact(sigma: float, spread: float) -> None:
    limits = thresholds(sigma).tolist()
    assert limits == sorted(limits)
    assert [2**BITS - value for value in reversed(limits)] == limits
    mass = weights(sigma)
    variance = sum(weight * k**2 for k, weight in mass.items()) / 2**BITS
    assert variance**0.5 / 255 == pytest.approx(spread, abs=1e-6)


@pytest.mark.parametrize("sigma", SIGMAS)
@pytest.mark.parametrize("how", ["cpu", "device", "searched"])
def test_what_is_drawn_has_the_law(sigma: float, how: str) -> None:
    if how == "cpu":
        drawn = draw(KEY, DRAWN, sigma)
    elif how == "device":
        drawn = draw_on(torch.Generator().manual_seed(3), (DRAWN,), sigma).numpy()
    else:
        drawn = draw_searched(KEY, (DRAWN,), sigma, CPU).numpy()
    assert drawn.dtype == np.int16
    mass = {k: weight / 2**BITS for k, weight in weights(sigma).items()}
    likely = [k for k in sorted(mass) if mass[k] * DRAWN > 10]
    expected = [mass[k] * DRAWN for k in likely]
    counts = Counter(drawn.tolist())
    seen = [counts[k] for k in likely]
    rest = DRAWN - sum(seen)
    if len(likely) > 1:
        expected.append(max(DRAWN - sum(expected), 1e-9))
        seen.append(rest)
        assert stats.chisquare(seen, np.array(expected) * DRAWN / sum(expected)).pvalue > 1e-5
    assert set(counts) <= set(mass)


@pytest.mark.parametrize("sigma", [0.12, 1.0])
def test_neighbours_are_independent(sigma: float) -> None:
    """Four values share a word of Philox, and all share the words for shared columns."""
    drawn = draw(KEY, DRAWN, sigma).astype(float)
    for lag in (1, 2, 3, 4, 5, 96, 3072):
        correlation = np.corrcoef(drawn[:-lag], drawn[lag:])[0, 1]
        assert abs(correlation) < 4.5 / DRAWN**0.5
    signs = (drawn > 0).astype(int)
    joint = np.bincount(2 * signs[0::2] + signs[1::2], minlength=4)
    share = signs.mean()
    expected = np.outer([1 - share, share], [1 - share, share]).ravel() * DRAWN / 2
    assert stats.chisquare(joint, expected, ddof=1).pvalue > 1e-5


def test_a_shorter_draw_of_a_key_has_the_same_columns() -> None:
    """All but the values in shared columns, whose further bits follow the first ones."""
    table, long, short = alias_table(0.25), draw(KEY, 4096, 0.25), draw(KEY, 1024, 0.25)
    assert (long[:1024] == short).mean() > 1 - 2 * table.shared / 2**COLUMN_BITS
    np.testing.assert_array_equal(draw(KEY, 4096, 0.25), long)


def test_the_error_of_the_noise_is_negligible_beside_alpha() -> None:
    assert 100_000 * grid_error(1.0, (3, 32, 32)) < 1e-3 * 1e-3


def test_sigmas_beyond_16_bits_are_refused() -> None:
    check_sigma(LARGEST_SIGMA)
    with pytest.raises(
        ValueError, match=r"Expected sigma of at most 12 with noise='grid', got 1e\+06"
    ):
        check_sigma(1e6)


def test_the_law_is_computed_beside_other_users_of_mpmath() -> None:
    """mpmath's precision belongs to the process: nobody else's counts, and none is changed."""
    known, seen = thresholds(1.0), set()
    with mpmath.workprec(20), ThreadPoolExecutor(1) as pool:
        computed = pool.submit(thresholds.__wrapped__, 1.0)
        while not computed.done():
            seen.add(mpmath.mp.prec)
    assert np.array_equal(computed.result(), known)
    assert seen == {20}
