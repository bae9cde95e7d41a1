"""Certifying with no more samples than needed: the level, and what the certificates say."""

from itertools import pairwise
from typing import Any

import pytest
import torch
from conftest import HalfSpace
from scipy.stats import binom
from torch import Tensor

import rszoo
from rszoo.bounds import RadiusTest, looks, predict_looks, two_stage_n
from rszoo.smoothing import ABSTAIN, Certificate, SmoothedClassifier

SHAPE = (1, 2, 2)
SIGMA = 0.25


@pytest.fixture(scope="module")
def clf(half_space: HalfSpace) -> SmoothedClassifier:
    return rszoo.smooth(half_space, sigma=SIGMA, num_classes=2, input_shape=SHAPE, noise="float")


def points(count: int) -> Tensor:
    return torch.rand(count, *SHAPE, generator=torch.Generator().manual_seed(6))


def at_distance(half_space: HalfSpace, radius: float, count: int) -> Tensor:
    """Points of class 1 at exactly that distance from the boundary."""
    w = half_space.w
    assert isinstance(w, Tensor)
    inner = torch.full(SHAPE, 0.4)
    assert half_space.radius(inner) < 1e-6
    spread = torch.linspace(-0.01, 0.01, count)
    along = torch.tensor(
        [[[1.0, 0.0], [1.0, -1.0]]]
    )  # parallel to the boundary, so that the points differ
    assert abs(float((along * w).sum())) < 1e-6
    return inner + radius * w / w.norm() + spread.view(-1, 1, 1, 1) * along


@pytest.mark.parametrize("radius", [0.2, [0.05, 0.1, 0.2, 0.3]])
@pytest.mark.slow
def test_certified_radii_exceed_the_true_one_no_more_often_than_alpha(
    clf: SmoothedClassifier, half_space: HalfSpace, radius: float | list[float]
) -> None:
    alpha, count = 0.05, 1500
    x = at_distance(half_space, 0.1999, count)  # just inside the claim: the hardest case
    found = clf.certify(x, n0=20, n=500, alpha=alpha, radius=radius, batch_size=4096)
    false = sum(c.radius > 0.1999 for c in found)
    assert false <= binom.ppf(0.999, count, alpha)
    assert false > 0  # the test is not idle: alpha is used


def test_a_radius_well_inside_is_certified_and_one_well_outside_is_not(
    clf: SmoothedClassifier, half_space: HalfSpace
) -> None:
    x = at_distance(half_space, 0.2, 50)
    assert all(c.label == 1 and c.stopped == "certified" for c in clf.certify(x, radius=0.1))
    outside = clf.certify(x, radius=0.3)
    assert all(c.label == ABSTAIN and c.stopped == "futile" and c.radius == 0.0 for c in outside)
    assert max(c.n for c in outside) < 5000


def test_the_largest_of_several_radii_is_reported_with_its_evidence(
    clf: SmoothedClassifier, half_space: HalfSpace
) -> None:
    radii = (0.0, 0.1, 0.15, 0.3)
    for c in clf.certify(at_distance(half_space, 0.2, 20), radius=radii, n=20_000):
        assert (c.label, c.radius, c.rule) == (1, 0.15, "sequential")
        assert c.n in looks(20_000)
        assert sum(c.counts) == c.n
        assert c.counts[1] == c.path[-1]
        test = RadiusTest(tuple(r / SIGMA for r in radii), n=20_000, alpha=0.001, counts=c.path)
        assert (test.certified, test.outcome) == (3, c.stopped)
        assert c.p_lower == test.bound.p_lower


def test_fewer_samples_than_fixed_n_and_the_same_answer(
    clf: SmoothedClassifier, half_space: HalfSpace
) -> None:
    x = points(60)
    fixed: Any = clf.certify(x, n=20_000, batch_size=4096)
    early: Any = clf.certify(x, n=20_000, radius=0.1, batch_size=4096)
    agreeing = sum(
        (a.radius >= 0.1) == (b.radius >= 0.1) for a, b in zip(fixed, early, strict=True)
    )
    assert agreeing >= 58
    assert sum(c.n for c in early) < 0.3 * 60 * 20_000


def test_the_result_does_not_depend_on_batching_or_company(clf: SmoothedClassifier) -> None:
    x = points(30)
    together: Any = clf.certify(x, n=5000, radius=[0.1, 0.2], batch_size=64)
    assert [clf.certify(each, n=5000, radius=[0.1, 0.2], batch_size=1000) for each in x] == together
    assert clf.certify(x.flip(0), n=5000, radius=[0.1, 0.2]) == together[::-1]
    assert len({c.n for c in together}) > 3


def test_the_samples_are_those_of_a_fixed_n(clf: SmoothedClassifier) -> None:
    certificates: Any = clf.certify(points(5), n=5000, radius=0.1)
    for c, x in zip(certificates, points(5), strict=True):
        assert clf.certify(x, n=c.n).counts == c.counts


def test_a_tolerance_chooses_n_from_the_selection(clf: SmoothedClassifier) -> None:
    x = points(20)
    best: Any = clf.certify(x, n0=1000, n=50_000, batch_size=4096)
    found: Any = clf.certify(x, n0=1000, n=50_000, tolerance=0.02, batch_size=4096)
    for full, c in zip(best, found, strict=True):
        assert c.rule == "two-stage"
        assert sum(c.counts) == c.n <= 50_000
        if not full.abstained:
            assert c.radius > full.radius - 0.06
    assert sum(c.n for c in found) < 0.5 * sum(c.n for c in best)
    assert len({c.n for c in found}) > 5
    unanimous = clf.certify(torch.ones(SHAPE), n0=1000, n=50_000, tolerance=0.02)
    assert isinstance(unanimous, Certificate)
    selected = clf.certify(torch.ones(SHAPE), n0=1000, n=1000)
    assert isinstance(selected, Certificate)
    chosen = {
        two_stage_n(votes, 1000, n_max=50_000, tolerance_in_sigma=0.08, alpha=0.001)
        for votes in range(500, 1001)
    }
    assert unanimous.n in chosen


@pytest.mark.slow
def test_early_predictions_are_wrong_no_more_often_than_alpha(
    clf: SmoothedClassifier, half_space: HalfSpace
) -> None:
    alpha = 0.05
    x = at_distance(half_space, 0.01, 2000)
    found = clf.predict(x, n=2000, alpha=alpha, early=True, batch_size=4096)
    assert sum(p.label == 0 for p in found) <= binom.ppf(0.999, 2000, alpha)
    assert {p.n for p in found} <= set(predict_looks(2000))
    assert all(p.rule == "sequential" for p in found)
    assert all(p.n == 2000 for p in found if p.abstained)


def test_early_prediction_takes_few_samples_where_the_vote_is_clear(
    clf: SmoothedClassifier,
) -> None:
    x = points(100)
    early: Any = clf.predict(x, n=10_000, early=True)
    fixed: Any = clf.predict(x, n=10_000, batch_size=4096)
    assert sum(p.n for p in early) < 0.1 * sum(p.n for p in fixed)
    for a, b in zip(early, fixed, strict=True):
        assert a.label == b.label or ABSTAIN in (a.label, b.label)
    assert sum(p.abstained for p in early) <= sum(p.abstained for p in fixed) + 2


def test_grid_noise_pays_for_its_error_at_every_rule(half_space: HalfSpace) -> None:
    clf = rszoo.smooth(half_space, sigma=SIGMA, num_classes=2, input_shape=SHAPE, noise="grid")
    x = points(10).mul(255).round() / 255
    assert all(c.radius in (0.0, 0.05, 0.1) for c in clf.certify(x, n=2000, radius=[0.05, 0.1]))
    with pytest.raises(ValueError, match="Expected alpha above the error of the grid noise"):
        clf.certify(x, n=100_000, alpha=1e-13, radius=0.1)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"radius": -0.1}, "Expected ascending radii >= 0 in pixel units, got -0.1"),
        ({"radius": []}, "Expected ascending radii"),
        ({"radius": [0.1, 0.1]}, "Expected ascending radii"),
        ({"radius": [0.1, float("inf")]}, "Expected ascending radii"),
        ({"radius": 0.1, "bound": "joint"}, "Expected radius without a tolerance or a bound"),
        ({"radius": 0.1, "tolerance": 0.1}, "Expected radius without a tolerance or a bound"),
        ({"tolerance": float("nan")}, "Expected tolerance >= 0 in pixel units, got nan"),
        ({"radius": 0.1, "n": 9}, "use n >= 10"),
    ],
)
def test_bad_arguments_are_named(
    clf: SmoothedClassifier, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        clf.certify(points(1)[0], **options)


def test_looks_are_the_same_for_all_images(clf: SmoothedClassifier) -> None:
    for c in clf.certify(points(10), n=3000, radius=0.2):
        assert len(c.path) == looks(3000).index(c.n) + 1
        assert all(a <= b for a, b in pairwise(c.path))
