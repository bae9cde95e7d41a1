"""Lines that no evaluation writes are refused by whatever reads numbers from a log."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from support.synthetic_logs import (
    attack_log,
    certify_protocol,
    certify_records,
    changed,
    predict_protocol,
    predict_records,
    write,
)

from rszoo.logs.analysis import audit, empirical_rows, predict_rows, results
from rszoo.logs.format import Log, PublishedProtocol

CERTIFY: list[tuple[dict[str, Any], str]] = [
    ({"radius": 9.9}, "radii up to 0.615\\d* in .*, got 9.9 for image 30"),
    ({"label": 4}, "a true class from 0 to 3 in .*, got 4 for image 30"),
    ({"label": -1}, "a true class from 0 to 3 in .*, got -1 for image 30"),
    ({"predict": 7}, "a predicted class from 0 to 3 in .*, got 7 for image 30"),
    ({"idx": 31}, "an image of the protocol in .*, got image 31"),
    ({"label": 2, "predict": 1, "correct": True}, "correct to say .*, got 1 for image 30"),
]
JUDGED: list[tuple[dict[str, Any], str]] = [
    *((change, words) for change, words in CERTIFY if "radius" not in change),
    ({"votes": {0: 7}}, "n = .*, got 7 for image"),
]
ATTACK: list[tuple[dict[str, Any], str]] = [
    ({"eps": 0.07}, "eps among 0, 0.1 in .*, got 0.07 for image"),
    ({"l2": 0.3}, "an l2 distance up to 0.1 in .*, got 0.3 for image"),
]


def certify_log(path: Path) -> Log:
    return write(path, certify_protocol(), certify_records(certify_protocol()))


def predict_log(path: Path) -> Log:
    return write(path, predict_protocol(), predict_records(predict_protocol()))


def attacked_log(path: Path) -> Log:
    return attack_log(path, certify_log(path.with_name("certified.tsv")))


@pytest.mark.parametrize(
    ("make", "read", "change", "words"),
    [
        *((certify_log, results, *case) for case in CERTIFY),
        *((predict_log, lambda log: predict_rows([log]), *case) for case in JUDGED),
        *((attacked_log, lambda log: empirical_rows([log], [0.1]), *c) for c in JUDGED + ATTACK),
    ],
)
def test_a_line_that_no_evaluation_writes_is_refused(
    tmp_path: Path,
    make: Callable[[Path], Log],
    read: Callable[[Log], object],
    change: dict[str, Any],
    words: str,
) -> None:
    log = make(tmp_path / "log.tsv")
    read(log)
    number = next(i for i, each in enumerate(log.records) if each.idx >= 30 and each.eps != 0)
    assert not isinstance(log.protocol, PublishedProtocol)
    bad = write(tmp_path / "bad.tsv", log.protocol, changed(list(log.records), number, **change))
    with pytest.raises(ValueError, match=rf"^Expected {words}.*; 'rszoo audit' lists such lines"):
        read(bad)
    assert any(finding.severity == "error" for finding in audit(bad))
