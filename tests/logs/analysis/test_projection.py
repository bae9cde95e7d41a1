"""Projections against computing again from the votes; reconstructed votes against the votes."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.synthetic_logs import (
    adaptive_records,
    certify_protocol,
    certify_records,
    changed,
    cifar10_log,
    write,
    write_published,
)

from rszoo.bounds import BOUNDS, clopper_pearson_lower, l2_radius, lecuyer_radius, li_radius
from rszoo.logs.analysis import Projection, project, results
from rszoo.logs.analysis.projection import reconstructed_votes, scaled
from rszoo.logs.format import Given, Setting, read_log

GIVEN = Given(sigma=0.25, n=1000, alpha=0.001)


@pytest.mark.parametrize("bound", BOUNDS)
@pytest.mark.parametrize("alpha", [0.05, 0.001, 1e-5])
def test_alpha_and_bound_are_what_certify_would_have_returned(
    tmp_path: Path, bound: str, alpha: float
) -> None:
    log = write(tmp_path / "log", certify_protocol(), certify_records(certify_protocol()))
    expected = certify_records(certify_protocol(bound=bound, alpha=alpha))
    projected = project(log, alpha=alpha, bound=bound)
    assert projected.records == [
        record.__class__(**{**vars(record), "seconds": 0.1}) for record in expected
    ]
    assert isinstance(projected, Projection)
    assert (projected.setting, projected.estimated) == (Setting(0.25, 1000, alpha, bound), False)
    assert projected.title.endswith(f" [projected to alpha={alpha}, bound={bound}]")


@pytest.mark.parametrize(("bound", "rule"), [("lecuyer", lecuyer_radius), ("li", li_radius)])
def test_earlier_bounds(tmp_path: Path, bound: str, rule: Callable[..., float]) -> None:
    log = write(tmp_path / "log", certify_protocol(), certify_records(certify_protocol()))
    for before, after in zip(log.records, project(log, bound=bound).records, strict=True):
        p = clopper_pearson_lower(before.counts(4)[before.selected], 1000, 0.001)
        assert after.radius is not None
        assert after.radius == pytest.approx(0.25 * rule(p, 1 - p) if p > 0.5 else 0.0, rel=1e-9)
        assert after.radius <= (before.radius or 0) + 1e-6
        assert after.predict == (before.selected if after.radius > 0 else -1)


def test_fewer_samples_keep_the_proportions(tmp_path: Path) -> None:
    log = write(tmp_path / "log", certify_protocol(), certify_records(certify_protocol()))
    projected = project(log, n=130)
    assert projected.estimated
    for before, after in zip(log.records, projected.records, strict=True):
        assert after.n == 130
        top = before.counts(4)[before.selected] * 130 // 1000
        assert after.counts(4)[before.selected] == top
        p = clopper_pearson_lower(top, 130, 0.001)
        assert after.radius == l2_radius(BOUNDS["cohen"]([top, 130 - top], 0, 0.001).radius, 0.25)
        assert (after.radius > 0) == (p > 0.5)


def test_scaling_rounds_to_the_safe_side() -> None:
    generator = np.random.default_rng(0)
    for _ in range(500):
        counts = generator.multinomial(
            int(generator.integers(1, 60)), generator.dirichlet(np.full(5, 0.4))
        ).tolist()
        total, n, selected = sum(counts), int(generator.integers(1, 90)), int(generator.integers(5))
        found = scaled({label: count for label, count in enumerate(counts) if count}, selected, n)
        rest = [counts[label] for label in range(5) if label != selected]
        assert sum(found.values()) == n
        assert found.get(selected, 0) == counts[selected] * n // total
        assert max([found.get(label, 0) for label in range(5) if label != selected]) == -(
            -max(rest) * n // total
        )
        assert all(abs(found.get(label, 0) - counts[label] * n / total) < 1 for label in range(5))


def test_votes_are_reconstructed_from_radii_up_to_their_digits(tmp_path: Path) -> None:
    records = certify_records(certify_protocol())
    votes = np.array([record.counts(4)[record.selected] for record in records])
    certified = np.array([record.predict != -1 for record in records])
    found = reconstructed_votes(write_published(tmp_path / "sigma_0.25", records, GIVEN))
    assert np.all(found[~certified] == 0)
    assert (
        np.abs(found - votes)[certified].max() <= 1
    )  # three digits of a radius are about one vote of 1000
    assert certified.sum() > 10


def test_a_published_file_projects_like_its_votes(tmp_path: Path) -> None:
    records = certify_records(certify_protocol())
    published = write_published(tmp_path / "sigma_0.25", records, GIVEN)
    own = write(tmp_path / "own", certify_protocol(), records)
    for changes in ({"alpha": 1e-4}, {"n": 300}, {"bound": "li"}):
        ours, theirs = (
            results(project(own, **changes)),
            results(project(published, **changes)),
        )
        assert theirs.radius == pytest.approx(ours.radius, abs=0.003)
    raised = results(project(published, alpha=0.1))
    assert np.array_equal(raised.abstained, results(published).abstained)


def test_a_published_projection_to_its_own_setting_changes_no_radius_by_more_than_rounding() -> (
    None
):
    log = read_log(cifar10_log("0.50"), Given(n=100_000, alpha=0.01))
    same = results(project(log))
    half_unit = 0.51 * 10.0 ** (np.floor(np.log10(np.maximum(same.radius, 1e-9))) - 2)
    assert np.all(np.abs(same.radius - results(log).radius) <= np.maximum(half_unit, 3e-5))


def test_what_a_published_file_cannot_tell_is_refused(tmp_path: Path) -> None:
    path, records = tmp_path / "log", certify_records(certify_protocol())
    with pytest.raises(ValueError, match="votes of the runner-up for the bound joint"):
        project(write_published(path, records, GIVEN), bound="joint")
    with pytest.raises(ValueError, match="Expected to know sigma, n, alpha of"):
        project(write_published(path, records), alpha=0.01)
    strict = write_published(path, records, Given(sigma=0.25, n=1000, alpha=1e-9))
    with pytest.raises(ValueError, match="'rszoo audit' says which alpha fits"):
        project(strict, n=100)
    predictions = tmp_path / "N_100"
    predictions.write_text("idx\tlabel\tpredict\tcorrect\ttime\n0\t1\t1\t1\t0:00:01.5\n")
    with pytest.raises(ValueError, match=r"Expected a log of CERTIFY, got .*N_100, one of PREDICT"):
        project(read_log(predictions, GIVEN), alpha=0.01)


def test_settings_out_of_range_and_projections_of_projections(tmp_path: Path) -> None:
    log = write(tmp_path / "log", certify_protocol(), certify_records(certify_protocol()))
    for changes, fault in (
        ({"alpha": 1.5}, "0 < alpha < 1"),
        ({"n": 5}, "n large enough"),
        ({"n": 0}, "n >= 1, got n=0"),
        ({"n": 9}, "n large enough"),
        ({"bound": "x"}, "bound among"),
    ):
        with pytest.raises(ValueError, match=fault):
            project(log, **changes)
    with pytest.raises(ValueError, match="in one step"):
        project(project(log, n=500), alpha=0.01)
    assert project(log, n=500).setting.n == 500


@pytest.mark.parametrize("rule", [{"radii": (0.0, 0.25)}, {"tolerance": 0.05}])
@pytest.mark.parametrize("change", [{"n": 500}, {"alpha": 0.01}, {"bound": "joint"}, {}])
def test_votes_whose_number_depends_on_them_are_not_projected(
    tmp_path: Path, rule: dict[str, Any], change: dict[str, Any]
) -> None:
    protocol = certify_protocol(**rule)
    log = write(tmp_path / "log", protocol, adaptive_records(protocol))
    with pytest.raises(
        ValueError,
        match=r"^Expected a log with n votes per image, got .*; evaluate without --radius",
    ):
        project(log, **change)


def test_an_image_that_was_not_estimated_stays_so(tmp_path: Path) -> None:
    protocol = certify_protocol(correct_only=True)
    skipped = {"selected": 3, "votes": {}, "predict": -1, "correct": False, "radius": 0.0}
    log = write(tmp_path / "log", protocol, changed(certify_records(protocol), 0, **skipped))
    for change in ({"n": 500}, {"bound": "joint"}):
        projected = project(log, **change)
        assert projected.records[0] == log.records[0]
        assert results(projected).accuracy(0.1) > 0.2
