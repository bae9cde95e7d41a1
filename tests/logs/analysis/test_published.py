"""The published rows: read, found by pattern, and held to what a curve is."""

import msgspec
import pytest

from rszoo.logs.analysis import Published, find_published, load_published

ROW = {
    "key": "x", "paper": "1902.02918",
    "dataset": "cifar10", "architecture": "resnet110", "method": "gaussian",
    "radii": [0.0, 0.5], "accuracies": [0.5, 0.2], "source": "table",
}  # fmt: skip


def test_every_row_is_complete() -> None:
    rows = load_published()
    assert all(key == row.key for key, row in rows.items())
    assert {row.dataset for row in rows.values()} == {"cifar10", "imagenet"}
    assert {row.paper for row in rows.values()} >= {
        "1902.02918",
        "1906.04584",
        "2002.07246",
        "2001.02378",
        "2006.04062",
        "2111.09277",
    }
    assert all((row.sigma is None) == row.key.endswith("-best") for row in rows.values())
    assert all(row.key.endswith(f"-s{row.sigma:.2f}") for row in rows.values() if row.sigma)


def test_no_accuracy_is_stated_above_the_ceiling_of_its_sigma() -> None:
    assert all(row.radii[-1] <= 4 * row.sigma for row in load_published().values() if row.sigma)


def test_rows_are_found_by_pattern_in_order_and_once() -> None:
    keys = [
        row.key
        for row in find_published(
            ["macer-cifar10-s*", "macer-cifar10-s0.25", "cohen-imagenet-s0.25"]
        )
    ]
    assert keys == [
        "macer-cifar10-s0.25",
        "macer-cifar10-s0.50",
        "macer-cifar10-s1.00",
        "cohen-imagenet-s0.25",
    ]
    with pytest.raises(ValueError, match=r"^Expected the key of a published row, got 'nothing'; "):
        find_published(["nothing"])


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"accuracies": [0.5]}, "as many accuracies as radii"),
        ({"radii": [0.5, 0.0]}, "increasing radii"),
        ({"accuracies": [0.2, 0.5]}, "cannot increase"),
        ({"accuracies": [50.0, 20.0]}, "<= 1"),
        ({"source": "memory"}, "Invalid enum"),
        ({"colour": "red"}, "unknown field"),
    ],
)
def test_a_row_that_is_no_curve_is_refused(change: dict[str, object], fault: str) -> None:
    assert msgspec.convert(ROW, Published).title == "x (arXiv 1902.02918)"
    with pytest.raises(msgspec.ValidationError, match=fault):
        msgspec.convert({**ROW, **change}, Published)


def test_the_rows_of_adre_are_those_of_its_table() -> None:
    rows = [
        row for key, row in load_published().items() if key.startswith("adre-") and "-lam" in key
    ]
    assert len(rows) == 18
    assert {(row.dataset, row.sigma) for row in rows} == {
        ("cifar10", sigma) for sigma in (0.12, 0.25, 0.5, 1.0)
    } | {("imagenet", sigma) for sigma in (0.25, 0.5, 1.0)}
    assert load_published()["adre-cifar10-lam0.3-s0.25"].accuracies == (0.73, 0.62, 0.49, 0.37)
    assert load_published()["adre-imagenet-lam0.1-s0.50"].accuracies[-1] == 0.24
