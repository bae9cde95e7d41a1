"""Accuracies in l-infinity, implied by the l2 radii of logs."""

from pathlib import Path

import pytest
from support.synthetic_logs import (
    adaptive_records,
    certify_protocol,
    certify_records,
    published_log,
    write,
)

from rszoo.bounds import implying_l2
from rszoo.data.datasets import DATASETS
from rszoo.data.shapes import SHAPES, pixel_values
from rszoo.logs.analysis import load_published, results
from rszoo.logs.analysis.norms import required, values_of
from rszoo.logs.analysis.tabulation import (
    best_row,
    bound_rows,
    class_rows,
    log_row,
    published_row,
)
from rszoo.logs.format import Log

EPS = (0.0, 1 / 255, 2 / 255, 4 / 255)


@pytest.fixture
def fixed(tmp_path: Path) -> Log:
    return write(tmp_path / "log.tsv", certify_protocol(), certify_records(certify_protocol()))


def test_every_data_set_has_a_shape() -> None:
    assert {name: dataset.shape for name, dataset in DATASETS.items()} == SHAPES


def test_an_image_counts_if_its_l2_radius_implies_the_radius(fixed: Log) -> None:
    row, summary = log_row(fixed, EPS, "linf"), results(fixed)
    expected = [float((summary.correct & (summary.radius / 3072**0.5 >= r)).mean()) for r in EPS]
    assert row.accuracies == [*expected[:3], None]  # so few samples do not reach the last
    assert (row.norm, row.radii) == ("linf", EPS)
    assert row.average_radius == log_row(fixed, EPS).average_radius
    assert 0 < expected[2] < expected[0]  # the test is not idle
    classes = class_rows(fixed, EPS, "linf")
    assert sum((row.accuracies[2] or 0) * (row.images or 0) for row in classes) == pytest.approx(
        expected[2] * 40
    )
    pointwise, *_ = bound_rows(fixed, EPS, "linf", rho=0.001)
    assert 0 < (pointwise.accuracies[2] or 0) < expected[2]


def test_a_sequential_log_answers_where_a_tested_radius_covers(tmp_path: Path) -> None:
    protocol = certify_protocol(radii=(0.0, 0.25, 0.5))
    log = write(tmp_path / "grid.tsv", protocol, adaptive_records(protocol))
    assert required(log, results(log), EPS, "linf") == [0.0, 0.25, 0.5, None]
    at_tested = log_row(log, (0.0, 0.25, 0.5)).accuracies
    assert log_row(log, EPS, "linf").accuracies == [*at_tested, None]
    without_zero = certify_protocol(radii=(0.25, 0.5))
    other = write(tmp_path / "other.tsv", without_zero, adaptive_records(without_zero))
    assert required(other, results(other), EPS, "linf") == [None, 0.25, 0.5, None]
    assert required(other, results(other), EPS) == [None, None, None, None]
    best = best_row([other, log], EPS, "linf")
    assert (best.best or ())[0] == 2
    assert (best.best or ())[3] is None


def test_a_paper_answers_where_one_of_its_radii_covers() -> None:
    row = load_published()["cohen-cifar10-s0.25"]
    by_radius = dict(zip(row.radii, row.accuracies, strict=True))
    assert published_row(row, EPS, "linf").accuracies == [by_radius[0], by_radius[0.25], 0.42, None]


def test_the_size_of_an_image_is_that_of_the_data_set(
    fixed: Log, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert values_of(fixed) == 3072
    assert values_of(published_log("logs/imagenet/resnet50/sigma_0.5", [])) == 150_528
    with pytest.raises(ValueError, match=r"name its data set \(cifar10, .*\), got logs/sigma_0\.5"):
        values_of(published_log("logs/sigma_0.5", []))
    monkeypatch.setenv("RSZOO_DATA", str(tmp_path))
    with pytest.raises(ValueError, match=r"image shape is known, got 'shades'; use one of cifar10"):
        pixel_values("shades")
    (tmp_path / "shades.toml").write_text("shape = [3, 8, 8]\nresize = 8\n")
    assert pixel_values("shades") == 192
    assert implying_l2(1.0, 192) == pytest.approx(192**0.5)
