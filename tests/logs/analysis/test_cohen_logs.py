"""The logs that Cohen et al. published: their tables, digit for digit, and their known flaws."""

import pytest
from support.synthetic_logs import cifar10_log, cohen_log, imagenet_log

from rszoo.logs.analysis import audit, load_published, predict_rows, results
from rszoo.logs.format import read_log

TABLE_2 = {  # ImageNet, radii 0, 0.5, ..., 3.0
    "0.25": [0.67, 0.49, 0.00, 0.00, 0.00, 0.00, 0.00],
    "0.50": [0.57, 0.46, 0.37, 0.29, 0.00, 0.00, 0.00],
    "1.00": [0.44, 0.38, 0.33, 0.26, 0.19, 0.15, 0.12],
}
TABLE_3 = {  # CIFAR-10, radii 0, 0.25, ..., 1.5; of all 10,000 images
    "0.12": [0.83, 0.60, 0.00, 0.00, 0.00, 0.00, 0.00],
    "0.25": [0.77, 0.61, 0.42, 0.25, 0.00, 0.00, 0.00],
    "0.50": [0.66, 0.55, 0.43, 0.32, 0.22, 0.14, 0.08],
    "1.00": [0.47, 0.41, 0.34, 0.28, 0.22, 0.17, 0.14],
}
TABLE_3_ON_500 = {  # what the published logs, of every 20th image, give instead
    "0.12": [0.81, 0.59, 0.00, 0.00, 0.00, 0.00, 0.00],
    "0.25": [0.75, 0.60, 0.43, 0.27, 0.00, 0.00, 0.00],
    "0.50": [0.65, 0.55, 0.41, 0.32, 0.23, 0.15, 0.09],
    "1.00": [0.47, 0.39, 0.34, 0.28, 0.22, 0.17, 0.14],
}
TABLE_4 = {
    100: [0.65, 0.00, 0.23, 0.00, 0.12],
    1000: [0.68, 0.00, 0.28, 0.00, 0.04],
    10_000: [0.69, 0.00, 0.30, 0.00, 0.01],
}
TABLE_4_BY_LOGS = {
    100: [0.66, 0.00, 0.25, 0.00, 0.09],
    1000: [0.68, 0.00, 0.29, 0.00, 0.03],
    10_000: TABLE_4[10_000],
}


@pytest.mark.parametrize("sigma", TABLE_2)
def test_table_2_is_that_of_the_logs(sigma: str) -> None:
    found = results(read_log(imagenet_log(sigma)))
    assert [round(found.accuracy(0.5 * i), 2) for i in range(7)] == TABLE_2[sigma]


@pytest.mark.parametrize("sigma", TABLE_3)
def test_table_3_differs_from_the_logs_by_sampling(sigma: str) -> None:
    """The paper has 10,000 images, the logs 500: within 2.1 points, less than 2 standard errors."""
    found = results(read_log(cifar10_log(sigma)))
    assert len(found) == 500
    accuracies = [round(found.accuracy(0.25 * i), 2) for i in range(7)]
    assert accuracies == TABLE_3_ON_500[sigma]
    assert accuracies == pytest.approx(TABLE_3[sigma], abs=0.021)


def test_table_4_and_where_the_logs_abstain_less() -> None:
    """At n = 100 and 1000 the logs abstain on 9 and 3 % of the images, the table on 12 and 4 %.

    n = 10,000 agrees.
    """
    logs = [
        read_log(cohen_log(f"predict/imagenet/resnet50/noise_0.25/test/N_{n}"))
        for n in (100, 1000, 10_000, 100_000)
    ]
    rows = {row.n: row for row in predict_rows(logs)}
    for n, expected in TABLE_4_BY_LOGS.items():
        row = rows[n]
        shares = [
            row.correct_accurate, row.correct_inaccurate,
            row.incorrect_accurate, row.incorrect_inaccurate, row.abstain,
        ]  # fmt: skip
        assert [round(share, 2) for share in shares] == expected
        assert shares == pytest.approx(TABLE_4[n], abs=0.031)
        assert row.images == 500
        assert sum(shares) == pytest.approx(1)
    assert [n for n, row in rows.items() if row.reference] == [100_000]


@pytest.mark.parametrize(
    ("path", "largest"),
    [
        ("cifar10/resnet110/noise_0.12/test/sigma_0.12", None),
        ("cifar10/resnet110/noise_0.25/test/sigma_0.25", "0.978"),
        ("cifar10/resnet110/noise_0.50/test/sigma_0.50", "1.96"),
        ("cifar10/resnet110/noise_1.00/test/sigma_1.00", None),
        ("imagenet/resnet50/noise_0.25/test/sigma_0.25", "0.978"),
        ("imagenet/resnet50/noise_0.50/test/sigma_0.50", "1.96"),
        ("imagenet/resnet50/noise_0.50/train/sigma_0.50", "1.96"),
        ("imagenet/resnet50/noise_1.00/test/sigma_1.00", "3.91"),
    ],
)
def test_the_audit_reports_the_known_flaws(path: str, largest: str | None) -> None:
    found = audit(read_log(cohen_log("certify") / path))
    errors = [finding.sentence for finding in found if finding.severity == "error"]
    assert any("3 significant digits" in finding.sentence for finding in found)
    assert [error for error in errors if "alpha" in error] == [
        error for error in errors if f"alpha = 0.01 explains the largest, {largest}." in error
    ]
    assert (largest is not None) == any("alpha" in error for error in errors)
    truncated = "imagenet/resnet50/noise_0.25/test/sigma_0.25"
    expected = (
        ["There are 427 of the 500 images at a stride of 100, from 0 to 42600 of 50000."]
        if path == truncated
        else []
    )
    assert [error for error in errors if "of the" in error] == expected


def test_the_package_states_the_papers_tables() -> None:
    rows = load_published()
    for dataset, table in (("imagenet", TABLE_2), ("cifar10", TABLE_3)):
        for sigma, accuracies in table.items():
            row = rows[f"cohen-{dataset}-s{sigma}"]
            assert list(row.accuracies) == [value for value in accuracies if value]
            assert (row.sigma, row.source) == (float(sigma), "table")


@pytest.mark.parametrize("sigma", TABLE_3)
def test_the_package_states_what_the_logs_of_cifar10_hold(sigma: str) -> None:
    log, row = read_log(cifar10_log(sigma)), load_published()[f"cohen-log-cifar10-s{sigma}"]
    found = results(log)
    assert [round(found.accuracy(radius), 3) for radius in row.radii] == list(row.accuracies)
    assert (round(found.average_radius, 3), len(found), row.source) == (row.acr, row.images, "log")
    assert (row.alpha == 0.01) == any(
        "alpha = 0.01 explains" in finding.sentence for finding in audit(log)
    )
