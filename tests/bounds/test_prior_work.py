"""Radii of Cohen, Li and Lecuyer: a table of values, limits, order."""

import math

import numpy as np
import pytest
from scipy import special

from rszoo.bounds import cohen_radius, lecuyer_radius, li_radius

TABLE = {  # (p_a, p_b): Cohen, Li, Lecuyer
    (0.55, 0.45): (0.12566, 0.10027, 0.02734),
    (0.6, 0.4): (0.25335, 0.20222, 0.05922),
    (0.7, 0.3): (0.52440, 0.41907, 0.13504),
    (0.75, 0.25): (0.67449, 0.53956, 0.18101),
    (0.8, 0.2): (0.84162, 0.67422, 0.23516),
    (0.9, 0.1): (1.28155, 1.03193, 0.39027),
    (0.95, 0.05): (1.64485, 1.33187, 0.49027),
    (0.99, 0.01): (2.32635, 1.90801, 0.55487),
    (0.999, 0.001): (3.09023, 2.57574, 0.56891),
    (0.9999, 0.0001): (3.71902, 3.14094, 0.57031),
    (0.5001, 0.4999): (0.00025, 0.00020, 0.00004),
    (0.6, 0.1): (0.76745, 0.68873, 0.29630),
    (0.4, 0.2): (0.29414, 0.26436, 0.10171),
    (0.99, 0.001): (2.70829, 2.42194, 0.56724),
}
RULES = (cohen_radius, li_radius, lecuyer_radius)


@pytest.mark.parametrize("pair", TABLE, ids=str)
def test_radii_are_those_of_the_table(pair: tuple[float, float]) -> None:
    assert [rule(*pair) for rule in RULES] == pytest.approx(TABLE[pair], abs=1.1e-5)


def test_cohens_radius_is_above_lis_and_lis_above_lecuyers() -> None:
    for p_a in np.linspace(0.15, 0.99, 15):
        for p_b in np.linspace(0.001, min(p_a, 1 - p_a) - 1e-3, 6):
            cohen, li, lecuyer = (rule(float(p_a), float(p_b)) for rule in RULES)
            assert cohen > li > lecuyer >= 0


def test_no_radius_is_above_the_tight_one_however_small_the_margin() -> None:
    for p, gap in ((0.5, 1e-8), (0.32959, 5e-7), (0.25, 1e-10)):
        assert li_radius(p + gap, p - gap) <= cohen_radius(p + gap, p - gap)


@pytest.mark.parametrize("rule", RULES)
def test_radii_grow_with_the_margin_from_zero(rule) -> None:  # type: ignore[no-untyped-def]
    values = [rule(float(p), 1 - float(p)) for p in np.linspace(0.51, 0.9999, 60)]
    assert np.all(np.diff(values) > 0)
    assert rule(0.4, 0.4) == rule(0.3, 0.5) == 0.0


def test_radii_have_the_known_limits() -> None:
    assert li_radius(0.5001, 0.4999) / cohen_radius(0.5001, 0.4999) == pytest.approx(
        math.sqrt(2 / math.pi), rel=1e-4
    )
    assert lecuyer_radius(1.0, 0.0) == pytest.approx(
        1 / math.sqrt(2 * math.log(1.25 * (1 + math.e))), rel=1e-9
    )
    assert cohen_radius(1.0, 0.0) == li_radius(1.0, 0.0) == math.inf


@pytest.mark.parametrize("pair", [(0.9, 0.1), (0.6, 0.1), (0.4, 0.2)])
def test_suprema_beat_a_fine_grid(pair: tuple[float, float]) -> None:
    p_a, p_b = pair
    b = np.linspace(1e-4, min(1, math.log(p_a / p_b) / 2) - 1e-6, 200_001)
    lecuyer = b / np.sqrt(2 * np.log(1.25 * (1 + np.exp(b)) / (p_a - np.exp(2 * b) * p_b)))
    assert lecuyer_radius(*pair) == pytest.approx(lecuyer.max(), rel=1e-8)
    a = np.linspace(0.01, 60, 200_001)
    mean = np.exp(
        (
            special.logsumexp([(1 - a) * math.log(p_a), (1 - a) * math.log(p_b)], axis=0)
            - math.log(2)
        )
        / (1 - a)
    )
    li = np.sqrt(-2 / a * np.log(1 - p_a - p_b + 2 * mean))
    assert li_radius(*pair) == pytest.approx(li.max(), rel=1e-7)


def test_bad_arguments_are_named() -> None:
    for rule in RULES:
        with pytest.raises(ValueError, match=r"p_a <= 1, got 1\.5"):
            rule(1.5, 0.1)
    with pytest.raises(ValueError, match=r"p_a \+ p_b <= 1, got 0\.7 \+ 0\.6; cap p_b"):
        li_radius(0.7, 0.6)
