"""Soft votes over a data set: the log, its audit, and tables that do not mix it with hard votes."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import pytest
from conftest import Complaint, without_times
from support.commands import run
from support.synthetic_logs import attack_log, write

import rszoo
from rszoo.bounds import SOFT_BOUNDS, hoeffding_lower
from rszoo.data.datasets import open_images
from rszoo.evaluation import CertifyOptions, Challenge, Evaluation, SoftOptions
from rszoo.logs.analysis import audit, check_comparable, project, results
from rszoo.logs.format import Log, Means, SoftProtocol, logged_radius, merge, read_log
from rszoo.logs.format.writer import header

COLUMNS = [
    "idx",
    "label",
    "predict",
    "radius",
    "correct",
    "time",
    "selected",
    "mean",
    "lower",
    "upper",
    "n",
]


def evaluate(
    name: str, out: Path, options: SoftOptions | CertifyOptions, size: int | None = None
) -> Log:
    with Evaluation(name, out, options, batch_size=size) as evaluation:
        list(evaluation)
    return read_log(out)


@pytest.fixture
def soft(shades: str, tmp_path: Path) -> Log:
    return evaluate(shades, tmp_path / "soft.tsv", SoftOptions(stride=4, n0=20, n=300))


def test_a_line_is_what_the_classifier_certifies(shades: str, soft: Log) -> None:
    assert isinstance(soft.protocol, SoftProtocol)
    text = soft.path.read_text().splitlines()
    protocol = json.loads(text[0].removeprefix("# "))
    assert (protocol["task"], protocol["votes"], protocol["bound"]) == (
        "certify-soft",
        "soft",
        "betting",
    )
    assert text[1].split("\t") == COLUMNS
    assert soft.title.endswith(" (soft)")
    clf, images = rszoo.load(shades), open_images("shades", "test")
    assert len(soft.records) == 6
    for record in soft.records:
        x = images.pixels(record.idx).float().div(255)
        c = clf.certify(x, votes="soft", n0=20, n=300, keys=[str(record.idx)])
        assert isinstance(c, rszoo.SoftCertificate)
        assert (record.predict, record.selected) == (c.label, c.selected)
        assert record.radius == logged_radius(c.radius)
        assert record.means == Means(c.means[c.selected], c.lower, c.upper, 300)
        assert (record.n, record.votes) == (300, {})
    assert audit(soft) == []
    assert results(soft).accuracy(0.0) > 0.5


@pytest.mark.parametrize("bound", SOFT_BOUNDS)
def test_each_bound_passes_its_audit_and_interruptions_and_shards_change_nothing(
    shades: str, tmp_path: Path, bound: str
) -> None:
    options = SoftOptions(stride=4, n0=20, n=100, bound=bound)
    whole = evaluate(shades, tmp_path / "whole.tsv", options)
    assert audit(whole) == []
    cut = tmp_path / "cut.tsv"
    cut.write_bytes(whole.path.read_bytes()[:-70])
    assert without_times(evaluate(shades, cut, options, 17).path) == without_times(whole.path)
    shards = [tmp_path / f"{number}.tsv" for number in (1, 2)]
    for number, path in enumerate(shards, 1):
        evaluate(shades, path, replace(options, shard=(number, 2)))
    joined = merge(shards, tmp_path / "joined.tsv")
    assert without_times(joined.path) == without_times(whole.path)


def test_soft_and_hard_logs_are_mixed_only_anyway(
    shades: str, soft: Log, tmp_path: Path, complaint: Complaint
) -> None:
    hard = evaluate(shades, tmp_path / "hard.tsv", CertifyOptions(stride=4, n0=20, n=300))
    for pair in ([soft, hard], [hard, soft]):
        with pytest.raises(ValueError, match=r"differ in votes \((soft and hard|hard and soft)\)"):
            check_comparable(pair)
    images = [record.idx for record in hard.records]
    attack = attack_log(
        tmp_path / "attack.tsv", hard, dataset="shades", start=0, stop=max(images) + 1, stride=4
    )
    check_comparable([hard, attack])
    with pytest.raises(ValueError, match=r"differ in votes"):
        check_comparable([soft, attack])
    for verb in (("table",), ("plot", "--out", tmp_path / "x.png")):
        assert "differ in votes" in complaint(verb[0], soft.path, hard.path, *verb[1:])
    assert "differ in votes" in complaint("compare", soft.path, hard.path)
    assert "one of soft votes" in complaint("table", soft.path, "--alpha", 0.01)
    with pytest.raises(ValueError, match="one of soft votes, which holds their means alone"):
        project(soft, bound="hoeffding")
    with pytest.raises(ValueError, match="Expected a log of CERTIFY with its protocol, got"):
        Challenge(soft.path)


def test_a_table_of_soft_hard_and_l_infinity_columns(
    shades: str, soft: Log, tmp_path: Path
) -> None:
    hard = evaluate(shades, tmp_path / "hard.tsv", CertifyOptions(stride=4, n0=20, n=300))
    lines = run("table", soft.path, hard.path, "--anyway", "--radius", "0,0.1").output.splitlines()
    assert [line.split()[1] for line in lines[1:]] == ["(soft)", "0.25"]
    rows = json.loads(
        run(
            *("table", soft.path, hard.path, "--anyway", "--norm", "linf"),
            *("--radius", "0,1/255,2/255", "--json"),
        ).output
    )
    for row, log in zip(rows, (soft, hard), strict=True):
        found = results(log)
        assert row["norm"] == "linf"
        assert row["accuracies"] == [
            float((found.correct & (found.radius >= r * 192**0.5)).mean())
            for r in (0, 1 / 255, 2 / 255)
        ]
        assert row["title"].endswith("(soft)") == (log is soft)
    assert (rows[0]["bound"], rows[0]["quantiles"], rows[0]["n"]) == ("betting", None, 300)
    assert "lower bound" in run("table", soft.path, "--lower-bound", 0.01).output


def test_the_audit_holds_radius_and_bounds_against_each_other(
    shades: str, soft: Log, tmp_path: Path
) -> None:
    def sentences(log: Log, *, of: dict[str, Any] | None = None, **means: Any) -> str:
        """What the audit says once the first certificate is changed so."""
        assert isinstance(log.protocol, SoftProtocol)
        first = next(record for record in log.records if record.predict != -1)
        assert first.means is not None
        changed = replace(first, means=replace(first.means, **means), **(of or {}))
        lines = [changed if record is first else record for record in log.records]
        findings = audit(write(tmp_path / "x.tsv", log.protocol, lines))
        return " ".join(finding.sentence for finding in findings)

    assert isinstance(soft.protocol, SoftProtocol)
    assert "radius is larger than the bounds allow: 1 images" in sentences(soft, of={"radius": 0.9})
    assert "radius is smaller than the bounds" in sentences(soft, of={"radius": 0.001})
    assert "lower bound is larger than the mean" in sentences(soft, mean=0.6, lower=0.7)
    assert "upper bound is smaller" in sentences(soft, mean=0.6, lower=0.5, upper=0.1)
    assert "number of scores is not n = 300" in sentences(soft, n=299)
    assert "abstains although" in sentences(soft, of={"predict": -1, "correct": False})
    other = msgspec.structs.replace(soft.protocol, bound="none")
    unknown = audit(write(tmp_path / "y.tsv", other, list(soft.records)))
    assert "bound, none, is not known" in unknown[0].sentence
    options = SoftOptions(stride=4, n0=20, n=100, bound="hoeffding")
    log = evaluate(shades, tmp_path / "hoeffding.tsv", options)
    record = log.records[0]
    assert record.means is not None
    expected = hoeffding_lower(record.means.mean, 100, log.setting.level / 2)
    assert record.means.lower == expected
    assert "lower bound is larger" in sentences(log, lower=expected + 1e-6)
    damaged = tmp_path / "damaged.tsv"
    cells = "0\t0\t0\t0.1\t1\t0.1\t0\t1.5\t0.9\t0.1\t300\n"
    damaged.write_bytes(header(soft.protocol) + cells.encode())
    with pytest.raises(ValueError, match=r"a mean score outside \[0, 1\]"):
        read_log(damaged)


def test_the_command_line(shades: str, tmp_path: Path, complaint: Complaint) -> None:
    out = tmp_path / "soft.tsv"
    arguments = ("evaluate", shades, "--out", out, "--stride", 8, "--n0", 10, "--n", 100)
    run(*arguments, "--votes", "soft", "--bound", "bernstein")
    log = read_log(out)
    assert isinstance(log.protocol, SoftProtocol)
    assert (log.protocol.bound, log.protocol.n, log.protocol.n0) == ("bernstein", 100, 10)
    assert "nothing to report" in run("audit", out).output
    for words, extra in {
        "Expected no --radius for soft votes": ("--votes", "soft", "--radii", "0.1"),
        "Expected hard votes for PREDICT": ("--votes", "soft", "--task", "predict"),
        "Unknown bound 'cohen' for soft votes": ("--votes", "soft", "--bound", "cohen"),
    }.items():
        assert words in complaint("evaluate", shades, "--out", tmp_path / "new.tsv", *extra)
    assert not (tmp_path / "new.tsv").exists()
    image = next((tmp_path / "shades" / "test" / "dark").iterdir())
    verb = ("certify", shades, image, "--votes", "soft", "--n", 200)
    (row,) = json.loads(run(*verb, "--json").output)
    assert "counts" not in row
    assert (row["bound"], row["n"], len(row["means"])) == ("betting", 200, 2)
    assert row["implied_linf"] * 192**0.5 <= row["radius"]
    head, line = run(*verb).stdout.splitlines()
    assert head.split() == ["image", "label", "radius", "lower", "upper", "n", "time"]
    assert float(line.split()[-5]) <= row["lower"]
    assert float(line.split()[-4]) >= row["upper"]
