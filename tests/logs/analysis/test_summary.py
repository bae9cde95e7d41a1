"""The numbers of a log against their definitions, by hand on a small log and on a drawn one."""

from pathlib import Path

import numpy as np
import pytest
from support.synthetic_logs import (
    adaptive_records,
    certify_protocol,
    certify_records,
    changed,
    predict_protocol,
    predict_records,
    published_log,
    write,
)

from rszoo.bounds import certified_accuracy_lower
from rszoo.logs.analysis import lower_bounds, proved, results, vote_share
from rszoo.logs.analysis.projection import top_share
from rszoo.logs.analysis.tabulation import bound_rows, log_row
from rszoo.logs.format import Given, Log, Record, read_log


def by_hand() -> Log:
    rows = [(0, 1, 1, 0.5), (1, 1, 1, 0.25), (2, 0, 1, 0.9), (3, 0, -1, 0.0), (4, 0, 0, 0.0)]
    return published_log(
        "x",
        [Record(i, label, guess, label == guess, 0.0, radius) for i, label, guess, radius in rows],
    )


def test_the_definitions() -> None:
    found = results(by_hand())
    assert [found.accuracy(radius) for radius in (0, 0.1, 0.25, 0.2500001, 0.5, 0.6)] == [
        0.6,
        0.4,
        0.4,
        0.2,
        0.2,
        0,
    ]
    assert found.average_radius == pytest.approx(0.75 / 5)
    assert found.abstention == 0.2
    parts = found.by_class()
    assert {label: (len(part), part.accuracy(0.25)) for label, part in parts.items()} == {
        0: (3, 0.0),
        1: (2, 1.0),
    }


def test_the_curve_is_the_accuracy_at_every_radius(tmp_path: Path) -> None:
    found = results(
        write(tmp_path / "log", certify_protocol(), certify_records(certify_protocol()))
    )
    radii, accuracies = found.curve()
    for radius in np.linspace(0, radii[-1], 300):
        assert accuracies[np.searchsorted(radii, radius)] == found.accuracy(radius)
    assert found.accuracy(np.nextafter(radii[-1], 9)) == 0 < accuracies[-1]


def test_lower_bounds(tmp_path: Path) -> None:
    found = results(
        write(tmp_path / "log", certify_protocol(), certify_records(certify_protocol()))
    )
    pointwise, everywhere = lower_bounds(found, [0, 0.1, 9], alpha=0.001, rho=0.01)
    expected = [
        certified_accuracy_lower(found.count(radius), len(found), alpha=0.001, rho=0.01)
        for radius in (0, 0.1, 9)
    ]
    assert pointwise == expected
    assert everywhere == [(found.count(radius) - 1) / len(found) for radius in (0, 0.1)] + [0]


def test_estimates_of_the_top_probability(tmp_path: Path) -> None:
    protocol = certify_protocol()
    records = certify_records(protocol)
    log = write(tmp_path / "log", protocol, records)
    shares = [record.counts(4)[record.selected] / 1000 for record in records]
    assert list(top_share(log)) == shares


def test_an_image_twice_a_predict_log_and_none_are_refused(tmp_path: Path) -> None:
    records = certify_records(certify_protocol())
    for name, protocol, lines, fault in (
        ("twice", certify_protocol(), [*records, records[3]], "some twice"),
        ("predict", predict_protocol(), predict_records(predict_protocol()), "one of PREDICT"),
        ("none", certify_protocol(), [], "no image"),
    ):
        with pytest.raises(ValueError, match=f"^Expected .*{fault}.*; "):
            results(write(tmp_path / name, protocol, lines))


def test_a_published_radius_is_held_to_what_is_known() -> None:
    records = [Record(0, 1, 1, True, 0.0, 9.9)]
    assert results(published_log("x", records)).radius.tolist() == [9.9]
    with pytest.raises(ValueError, match=r"^Expected radii up to .* in x, got 9\.9 for image 0; "):
        results(published_log("x", records, sigma=0.25, n=1000, alpha=0.001))


@pytest.mark.parametrize("radius", [-0.1, float("nan"), float("inf")])
def test_a_radius_that_is_none_is_refused(radius: float) -> None:
    with pytest.raises(ValueError, match=r"^Expected radii >= 0 in x, got "):
        results(published_log("x", [Record(0, 1, 1, True, 0.0, radius)]))


@pytest.mark.parametrize(
    ("written", "least"),
    [
        (["0.250", "0.249", "0.251", "0.0123", "1.0"], [0.2495, 0.2485, 0.2505, 0.01225, 0.95]),
        (["0.2510", "1.0345", "0.0002"], [0.25095, 1.03445, 0.00015]),  # Salman et al.
        (["0.25", "0.123456", "2e-05"], [0.245, 0.1234555, 1.5e-05]),
    ],
)
def test_the_radii_of_a_published_file_prove_half_a_unit_less(
    tmp_path: Path, written: list[str], least: list[float]
) -> None:
    """Of the last digit of each as it is written: 0.2510 may have been 0.25095."""
    lines = [f"{idx}\t1\t1\t{radius}\t1\t0:00:01.5" for idx, radius in enumerate(written)]
    lines.append(f"{len(written)}\t1\t-1\t0.0\t0\t0:00:01.5")
    path = tmp_path / "log"
    path.write_text("\n".join(["idx\tlabel\tpredict\tradius\tcorrect\ttime", *lines, ""]))
    published = read_log(path, Given(sigma=0.5, n=1000, alpha=0.001))
    found = proved(published).radius
    assert found == pytest.approx([*least, 0.0], rel=1e-8)
    assert (found[:-1] < least).all()
    bound, everywhere, _ = bound_rows(published, [64 / 255], rho=0.01)
    certified = sum(radius > 64 / 255 for radius in least)
    assert max(bound.accuracies[0] or 0, everywhere.accuracies[0] or 0) <= certified / len(lines)


def test_the_radii_of_a_test_count_as_tested_and_no_others(tmp_path: Path) -> None:
    """64/255 has more digits than a line holds."""
    protocol = certify_protocol(radii=(0.1, 64 / 255))
    lines = adaptive_records(protocol)
    log = write(tmp_path / "log", protocol, lines)
    expected = sum(record.correct and record.radius == 64 / 255 for record in lines) / 40
    radii = [0.0, 0.1, 64 / 255]
    row, (bound, _, _) = log_row(log, radii), bound_rows(log, radii, rho=0.01)
    assert 0.1 < expected == row.accuracies[2]
    assert (row.accuracies[0], bound.accuracies[0]) == (None, None)
    assert 0 < (bound.accuracies[2] or 0) <= expected
    assert (row.average_radius, row.abstention, row.quantiles) == (None, None, None)


def test_images_left_out_are_no_abstentions(tmp_path: Path) -> None:
    protocol = certify_protocol(correct_only=True)
    skipped = {"selected": 3, "votes": {}, "predict": -1, "correct": False, "radius": 0.0}
    log = write(tmp_path / "log", protocol, changed(certify_records(protocol), 0, **skipped))
    row = log_row(log, [0.0])
    assert (row.abstention, row.quantiles) == (None, None)
    assert row.average_radius == results(log).average_radius


def test_the_share_of_the_votes_for_the_true_class(tmp_path: Path) -> None:
    lines = certify_records(certify_protocol())
    log = write(tmp_path / "log", certify_protocol(), lines)
    assert vote_share(log) == pytest.approx(
        sum(record.counts(4)[record.label] for record in lines) / 40_000
    )
    protocol = certify_protocol(radii=(0.1,))
    with pytest.raises(ValueError, match="a log with n votes per image"):
        vote_share(write(tmp_path / "adaptive", protocol, adaptive_records(protocol)))
