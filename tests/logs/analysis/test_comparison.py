"""Which logs are compared, and with what result."""

import math
from collections.abc import Sequence
from dataclasses import replace
from itertools import permutations
from pathlib import Path

import numpy as np
import pytest
from support.commands import run
from support.synthetic_logs import (
    GRID_NOISE,
    adaptive_records,
    attack_log,
    certify_protocol,
    certify_records,
    predict_protocol,
    predict_records,
    published_log,
    write,
    write_published,
)

from rszoo.logs.analysis import (
    check_comparable,
    compare,
    empirical_rows,
    project,
    results,
    with_marks,
)
from rszoo.logs.analysis.tabulation import best_row
from rszoo.logs.format import Log, Record


def log_of(name: str, radii: Sequence[float | None], start: int = 0) -> Log:
    """A log with the true class and these radii; None: another class, with a large radius."""
    records = [
        Record(
            start + i,
            0,
            int(radius is None),
            radius is not None,
            0.0,
            5.0 if radius is None else radius,
        )
        for i, radius in enumerate(radii)
    ]
    return published_log(name, records)


def test_envelope_takes_the_first_of_equals() -> None:
    logs = [log_of("a", [0.9, 0.1, None, None]), log_of("b", [0.4, 0.4, 0.4, None])]
    row = best_row(logs, [0.0, 0.4, 0.5, 2.0])
    assert (row.accuracies, row.best) == ([0.75, 0.75, 0.25, 0.0], [2, 2, 1, 1])
    assert row.names == ["b", "b", "a", "a"]


def test_only_logs_that_are_called_the_same_are_marked_with_their_files(tmp_path: Path) -> None:
    one = write(tmp_path / "one", certify_protocol(), certify_records(certify_protocol()))
    two, other = replace(one, path=tmp_path / "two"), log_of("other", [0.1])
    weak, strong = (attack_log(tmp_path / f"T{steps}", one, steps=steps) for steps in (1, 9))
    again = replace(weak, path=tmp_path / "again")
    alone = [one, other, weak, strong, project(one, alpha=0.01)]
    assert with_marks(alone) == alone
    name, mine, twin = one.title, tmp_path / "one", tmp_path / "two"
    assert [log.title for log in with_marks([one, other, two])] == [
        f"{name} ({mine})",
        "other",
        f"{name} ({twin})",
    ]
    projected = [project(one, alpha=0.01), project(two, alpha=0.01), project(one, n=300)]
    assert [log.title for log in with_marks(projected)] == [
        f"{name} ({mine}) [projected to alpha=0.01]",
        f"{name} ({twin}) [projected to alpha=0.01]",
        f"{name} [projected to n=300]",
    ]
    attacks = [log.title for log in with_marks([weak, strong, again])]
    assert attacks == [f"{name} ({weak.path})", name, f"{name} ({again.path})"]


def test_mcnemar_and_the_difference_by_hand() -> None:
    """One image only A certifies, six only B: 2 P(Bin(7, 1/2) <= 1) = 2 (1 + 7) / 128."""
    a = log_of("a", [0.5, *[0.1] * 6, 0.5, None])
    b = log_of("b", [None, *[0.5] * 6, 0.5, None])
    found = compare(a, b, [0.5, 2.0])
    assert [(pair.only_first, pair.only_second) for pair in found.pairs] == [(1, 6), (0, 0)]
    assert found.pairs[0].p_value == pytest.approx(0.125, rel=1e-12)
    assert found.pairs[1].p_value == 1.0
    assert found.difference == pytest.approx((0.5 - 6 * 0.4) / 9)
    differences = [0.5] + [-0.4] * 6 + [0.0, 0.0]
    mean = sum(differences) / 9
    variance = sum((each - mean) ** 2 for each in differences) / 8
    assert found.standard_error == pytest.approx(math.sqrt(variance / 9))


def test_only_images_in_both_are_compared() -> None:
    found = compare(log_of("a", [0.1] * 5), log_of("b", [0.2] * 6, start=3), [0.0])
    assert (found.images, found.first_alone, found.second_alone) == (2, 3, 4)
    assert found.difference == pytest.approx(-0.1)
    with pytest.raises(ValueError, match="Expected images that a and b share, got none"):
        compare(log_of("a", [0.1]), log_of("b", [0.1], start=9), [0.0])
    other = published_log("c", [Record(0, 3, 3, True, 0.0, 0.1)])
    with pytest.raises(ValueError, match="Expected one label for image 0, got two"):
        compare(log_of("a", [0.1]), other, [0.0])


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"n": 500}, "n (1000 and 500)"),
        ({"n0": 10}, "n0 (100 and 10)"),
        ({"alpha": 0.01}, "alpha (0.001 and 0.01)"),
        ({"bound": "joint"}, "bound (cohen and joint)"),
        ({"split": "train"}, "split (test and train)"),
        ({"dataset": "svhn"}, "dataset (cifar10 and svhn)"),
        ({"stop": 200}, "images (40 and 20, of which 20 in both)"),
        ({"start": 5}, "images (40 and 40, of which 0 in both)"),
        ({"stride": 20}, "images (40 and 20, of which 20 in both)"),
    ],
)
def test_the_guard_names_what_differs(
    tmp_path: Path, change: dict[str, object], words: str
) -> None:
    other = certify_protocol(**change)
    logs = [
        write(tmp_path / "a", certify_protocol(), certify_records(certify_protocol())),
        write(tmp_path / "b", other, certify_records(other)),
    ]
    with pytest.raises(ValueError, match="which differ in") as caught:
        check_comparable(logs)
    assert words in str(caught.value)
    check_comparable(logs, anyway=True)


def test_every_pair_of_logs_is_held_against_each_other_whatever_their_order(tmp_path: Path) -> None:
    protocols = certify_protocol(), certify_protocol(n=300, alpha=0.2, bound="joint")
    one, other = (
        write(tmp_path / str(i), each, certify_records(each)) for i, each in enumerate(protocols)
    )
    attack, of_other_alpha = (
        attack_log(tmp_path / "a", one),
        attack_log(tmp_path / "b", one, alpha=0.2),
    )
    check_comparable([attack, one])
    for logs in permutations([attack, one, other]):
        with pytest.raises(ValueError, match=r"differ in .*n \("):
            check_comparable(logs)
    for logs in permutations([attack, one, of_other_alpha]):
        with pytest.raises(ValueError, match="alpha of the attacks' PREDICT"):
            check_comparable(logs)


def test_an_attack_without_the_lines_of_the_images_themselves_is_no_row(tmp_path: Path) -> None:
    log = attack_log(
        tmp_path / "a",
        write(tmp_path / "c", certify_protocol(), certify_records(certify_protocol())),
    )
    assert empirical_rows([log], [0.0])[0].accuracies == [1.0]
    cut = Log(log.path, log.protocol, [record for record in log.records if record.eps])
    with pytest.raises(ValueError, match="Expected each image once per distance"):
        empirical_rows([cut], [0.0])


def test_sigma_name_and_seed_may_differ(tmp_path: Path) -> None:
    logs = []
    for name, change in (
        ("a", {}),
        ("b", {"sigma": 0.5}),
        ("c", {"name": "other", "seed": 3, **GRID_NOISE}),
    ):
        protocol = certify_protocol(**change)
        logs.append(write(tmp_path / name, protocol, certify_records(protocol)))
    check_comparable(logs)


def test_a_test_of_further_radii_decides_the_first_ones_alike(tmp_path: Path) -> None:
    logs = []
    for name, radii in (("a", (0.0, 0.1)), ("b", (0.0, 0.1, 0.2, 0.4)), ("c", (0.0, 0.15, 0.2))):
        protocol = certify_protocol(radii=radii)
        logs.append(write(tmp_path / name, protocol, adaptive_records(protocol)))
    short, long, other = logs
    check_comparable([short, long])
    check_comparable([long, short])
    for radius in (0.0, 0.1):
        assert np.array_equal(results(short).certified(radius), results(long).certified(radius))
        assert 0 < results(short).accuracy(radius) < 1
    with pytest.raises(ValueError, match=r"differ in radii"):
        check_comparable([short, long, other])
    assert [
        (pair.only_first, pair.only_second) for pair in compare(short, long, [0.0, 0.1]).pairs
    ] == [(0, 0), (0, 0)]
    with pytest.raises(
        ValueError, match=r"Expected radii that .* was tested at, got 0\.2; choose from 0, 0\.1\."
    ):
        compare(short, long, [0.1, 0.2])
    best = best_row([short, long], [0.1, 0.2, 0.3])
    assert best.best == [1, 2, None]
    assert (best.accuracies[2], best.names) == (None, [short.title, long.title, None])
    lines = run(
        "table", short.path, long.path, "--envelope", "--radius", "0.2,0.3"
    ).output.splitlines()
    assert lines[-1] == f"Best: (2) {long.title} ({long.path})"
    cells = next(line for line in lines if line.startswith("best ")).split()
    assert cells[-6:-3] == [f"{best.accuracies[1]:.2f}", "(2)", "-"]
    common = ["0", "0.1"]
    shown = [
        line.split()[0]
        for line in run("compare", long.path, short.path).output.splitlines()
        if line[:1] == "0"
    ]
    assert shown == common


def test_published_files_are_compared_among_themselves_if_their_images_agree(
    tmp_path: Path,
) -> None:
    records = certify_records(certify_protocol())
    whole, half = (
        write_published(tmp_path / "a", records),
        write_published(tmp_path / "b", records[:20]),
    )
    own = write(tmp_path / "own", certify_protocol(), records)
    check_comparable([whole, whole])
    with pytest.raises(ValueError, match="images"):
        check_comparable([whole, half])
    with pytest.raises(ValueError, match="dataset \\(cifar10 and unknown\\)"):
        check_comparable([own, whole])
    check_comparable([own, whole], anyway=True)


def test_labels_tasks_and_projections_are_with_marks(tmp_path: Path) -> None:
    records = certify_records(certify_protocol())
    log = write(tmp_path / "a", certify_protocol(), records)
    other = Log(
        log.path, log.protocol, [Record(**{**vars(each), "label": 3}) for each in log.records]
    )
    with pytest.raises(ValueError, match=r"labels \(of 30 images\)"):
        check_comparable([log, other])
    with pytest.raises(ValueError, match="task"):
        check_comparable(
            [log, write(tmp_path / "p", predict_protocol(), predict_records(predict_protocol()))]
        )
    with pytest.raises(ValueError, match=r"n \(1000 and 300\)"):
        check_comparable([log, project(log, n=300)])
    assert len(results(log)) == 40


def test_beside_attacks_a_radius_that_was_not_tested_is_unknown(tmp_path: Path) -> None:
    protocol = certify_protocol(radii=(0.0, 0.1))
    log = write(tmp_path / "log", protocol, adaptive_records(protocol))
    (row,) = empirical_rows([log], [0.0, 0.1, 0.2])
    assert row.accuracies == [results(log).accuracy(0.0), results(log).accuracy(0.1), None]
