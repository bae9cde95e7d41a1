"""The verbs that read logs: table, compare, audit and plot."""

import csv
import io
import json
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from conftest import Complaint, disk_of
from matplotlib.figure import Figure
from PIL import Image
from scipy.stats import norm
from support.commands import run
from support.synthetic_logs import (
    attack_log,
    certify_protocol,
    certify_records,
    changed,
    cifar10_log,
    predict_protocol,
    predict_records,
    write,
    write_published,
)
from typer.main import get_command

from rszoo import list_models
from rszoo.cli import app
from rszoo.logs.analysis import load_published, project, results
from rszoo.logs.format import read_log, round_down
from rszoo.plots import Curve, draw_curves


@pytest.fixture
def expected(complaint: Complaint) -> Complaint:
    """The sentence that the entry point ends in: what was expected, first."""

    def run(*args: object) -> str:
        err = complaint(*args)
        assert err.startswith("rszoo: Expected ")
        return err

    return run


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return write(tmp_path / "log.tsv", certify_protocol(), certify_records(certify_protocol())).path


@pytest.fixture
def other(tmp_path: Path) -> Path:
    protocol = certify_protocol(sigma=0.5, seed=1)
    return write(tmp_path / "other.tsv", protocol, certify_records(protocol, seed=1)).path


def test_an_unfinished_log_is_named_once(log: Path, tmp_path: Path) -> None:
    lines, cut = log.read_bytes().splitlines(keepends=True), tmp_path / "cut.tsv"
    cut.write_bytes(b"".join(lines[:13]))
    note = f"rszoo: {cut} holds 11 of its 40 images; go on with the same 'rszoo evaluate'.\n"
    for args in (
        ("table", cut),
        ("table", cut, "--json"),
        ("compare", cut, cut),
        ("plot", cut, "--n", 500, "--out", tmp_path / "x.png"),
    ):
        assert run(*args).stderr == note
    attacked = attack_log(tmp_path / "attack.tsv", read_log(log)).path
    assert run("table", log, attacked).stderr == ""
    attacked.write_bytes(b"".join(attacked.read_bytes().splitlines(keepends=True)[:-2]))
    assert (
        "39 of its 40 images; go on with the same 'rszoo attack'." in run("table", attacked).stderr
    )


@pytest.mark.parametrize("rho", [0, 1, 2, -0.5, "nan"])
@pytest.mark.parametrize("verb", ["table", "plot"])
def test_the_option_of_lower_bounds_is_named(
    expected: Complaint, log: Path, verb: str, rho: object
) -> None:
    words = f"Expected --lower-bound RHO with 0 < RHO < 1, got {rho}; pass a failure probability"
    assert words in expected(verb, log, "--lower-bound", rho)


@pytest.mark.parametrize("verb", ["table", "plot", "compare"])
def test_what_is_no_log_is_told_what_is_one(
    expected: Complaint, log: Path, tmp_path: Path, verb: str
) -> None:
    name = "cifar10-resnet20-gaussian-s0.25"
    sentence = expected(verb, name, log)
    if name in list_models():
        assert f"got '{name}', which is an entry; logs are files: pass " in sentence
        assert sentence.endswith("certify.tsv.\n")
    readme = tmp_path / "README.md"
    readme.write_text("# Title\n\nText.\n")
    sentence = expected(verb, readme, log)
    assert f"Expected a log of rszoo, got {readme}, whose first line is no protocol; " in sentence
    readme.write_text('# {"task": "certify"\n')
    assert "; restore the line." in expected(verb, readme, log)
    assert "which is no file; pass a file such as certify.tsv." in expected(verb, tmp_path, log)


def test_the_cells_of_a_table(log: Path, other: Path) -> None:
    rows = list(
        csv.reader(
            io.StringIO(
                run(
                    "table", log, other, "--format", "csv", "--radius", "0.5,0", "--digits", 3
                ).output
            )
        )
    )
    assert rows[0] == ["log", "sigma", "0", "0.5", "ACR", "abstain", "images"]
    for path, row in zip((log, other), rows[1:], strict=True):
        found = results(read_log(path))
        expected = [
            f"{value:.3f}" for value in (found.accuracy(0), found.accuracy(0.5), found.abstention)
        ]
        assert [*row[2:4], row[5]] == expected
        assert row[4] == round_down(found.average_radius, 3)
        assert row[6] == "40"
    assert [row[0] for row in rows[1:]] == [
        "cifar10-resnet20-gaussian-s0.25",
        "cifar10-resnet20-gaussian-s0.25 at sigma 0.5",
    ]


def test_the_formats_hold_the_same_cells(log: Path) -> None:
    plain = run("table", log).output.split()
    markdown = run("table", log, "--format", "markdown").output
    latex = run("table", log, "--format", "latex").output
    assert [
        cell for cell in markdown.replace("|", " ").split() if not cell.startswith("-")
    ] == plain
    assert all(cell in latex for cell in plain)
    assert "\\toprule" in latex


def test_json_has_every_number(log: Path) -> None:
    (row,) = json.loads(run("table", log, "--json", "--radius", "0,0.25").output)
    found = results(read_log(log))
    assert row["accuracies"] == [found.accuracy(0), found.accuracy(0.25)]
    assert (row["n"], row["alpha"], row["bound"], row["images"]) == (1000, 0.001, "cohen", 40)
    assert list(row["quantiles"]) == ["0.05", "0.25", "0.5", "0.75", "0.95"]
    assert 0.25 < row["quantiles"]["0.05"] < row["quantiles"]["0.95"] <= 1


def test_lower_bounds_are_rounded_down(log: Path) -> None:
    rows = json.loads(run("table", log, "--lower-bound", 0.001, "--json", "--radius", "0").output)
    lines = run("table", log, "--lower-bound", 0.001, "--radius", "0").output.splitlines()
    assert [row["kind"] for row in rows] == ["log", "lower bound", "lower bound", "lower bound"]
    assert rows[3]["accuracies"][0] < rows[1]["accuracies"][0]
    assert "Theorem 6" in rows[3]["title"]
    for row, line in zip(rows[1:], lines[2:], strict=True):
        printed = float(line.split()[-4])
        assert (
            row["accuracies"][0] - 0.01 < printed <= row["accuracies"][0] < rows[0]["accuracies"][0]
        )


def test_projected_classes_and_envelope(log: Path, other: Path) -> None:
    rows = json.loads(
        run("table", log, "--bound", "li", "--json", "--radius", "0.2", "--per-class").output
    )
    assert rows[0]["accuracies"] == [results(project(read_log(log), bound="li")).accuracy(0.2)]
    assert [row["title"] for row in rows[1:]] == [f"class {label}" for label in range(4)]
    assert sum(row["images"] for row in rows[1:]) == 40
    best = json.loads(run("table", log, other, "--envelope", "--json", "--radius", "0,0.9").output)[
        -1
    ]
    assert best["best"][1] == 2
    assert best["names"][1] == read_log(other).title
    text = run("table", log, other, "--envelope", "--radius", "0,0.9").output
    assert f"(2) {read_log(other).title}" in text.splitlines()[-1]
    assert best["accuracies"] == [
        max(results(read_log(path)).accuracy(radius) for path in (log, other))
        for radius in (0, 0.9)
    ]


def test_logs_of_one_entry_are_told_apart_by_their_files(
    log: Path, other: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    twin = write(
        tmp_path / "twin.tsv", certify_protocol(seed=1), certify_records(certify_protocol(), seed=1)
    ).path
    title, unlike = read_log(log).title, read_log(other).title
    names = [f"{title} ({log})", f"{title} ({twin})", unlike]
    lines = run("table", log, twin, other, "--envelope", "--radius", "0").output.splitlines()
    for name, line in zip(names, lines[1:], strict=False):
        assert line.startswith(f"{name} ")
    assert lines[-1].partition(") ")[2] in names
    rows = json.loads(run("table", log, twin, "--alpha", 0.01, "--json").output)
    assert [row["title"] for row in rows] == [
        f"{name} [projected to alpha=0.01]" for name in names[:2]
    ]
    assert run("compare", log, twin).output.startswith(f"A: {names[0]}\nB: {names[1]}\n")
    assert run("compare", log, other).output.startswith(f"A: {title}\nB: {unlike}\n")
    curves: list[Curve] = []
    monkeypatch.setattr(
        "rszoo.plots.draw_curves",
        lambda given, **kw: curves.extend(given) or draw_curves(given, **kw),
    )
    attack = attack_log(tmp_path / "attack.tsv", read_log(log)).path
    run("plot", log, twin, attack, "--bound", "joint", "--out", tmp_path / "x.png")
    assert [curve.title for curve in curves] == [
        *(f"{name}: certified" for name in names[:2]),
        *(f"{name} [projected to bound=joint]: certified" for name in names[:2]),
        f"{title}: pgd, m=0, T=1, n=100",
    ]
    ax = draw_curves(curves, images=40).axes[0]
    assert (
        ax.get_lines()[0].get_color()
        == ax.get_lines()[-1].get_color()
        != ax.get_lines()[1].get_color()
    )


def test_a_table_of_predict(tmp_path: Path) -> None:
    path = write(tmp_path / "log", predict_protocol(), predict_records(predict_protocol())).path
    rows = json.loads(run("table", path, "--json").output)
    assert [(row["n"], row["reference"]) for row in rows] == [(50, False), (400, True)]
    lines = {(each.idx, each.n): each for each in read_log(path).records}
    both = [(lines[idx, 50], lines[idx, 400]) for idx in predict_protocol().indices]
    accurate = [few.predict == many.predict for few, many in both]
    expected = sum(few.correct and good for (few, _), good in zip(both, accurate, strict=True)) / 40
    assert rows[0]["correct_accurate"] == expected
    assert rows[0]["abstain"] == sum(few.predict == -1 for few, _ in both) / 40
    assert "400 (taken for g)" in run("table", path).output


def write_published_predictions(path: Path, predictions: Sequence[tuple[int, int]]) -> Path:
    """A published log of PREDICT with the base network's predictions; every label is 1."""
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = ["idx\tlabel\tpredict\tbasePredict\tcorrect\ttime"]
    for place, (predict, base) in enumerate(predictions):
        cells = (10 * place, 1, predict, base, int(predict == 1), "0:00:01.5")
        lines.append("\t".join(map(str, cells)))
    path.write_text("\n".join(lines) + "\n")
    return path


def test_published_logs_with_predictions_of_the_base_network(tmp_path: Path) -> None:
    few = write_published_predictions(tmp_path / "N_100", [(1, 1), (-1, 1), (2, 2), (1, 0)])
    many = write_published_predictions(tmp_path / "N_1000", [(1, 1), (1, 1), (2, 2), (1, 0)])
    rows = json.loads(run("table", few, many, "--json").output)
    assert [(row["n"], row["reference"], row["abstain"]) for row in rows] == [
        (100, False, 0.25),
        (1000, True, 0.0),
    ]
    assert [row["base_accuracy"] for row in rows] == [0.5, 0.5]
    header, first, _ = run("table", few, many).output.splitlines()
    assert header.split()[-3:] == ["base", "network", "images"]
    assert first.split()[-2:] == ["0.50", "4"]
    audited = run("audit", few, many).output.splitlines()
    assert [line.partition(": ")[2] for line in audited] == [
        "note: There are 4 images, from 0 to 30 at a stride of 10."
    ] * 2


def test_a_published_log_of_predict_that_does_not_name_its_n(tmp_path: Path) -> None:
    one = write_published_predictions(tmp_path / "one.tsv", [(1, 1), (-1, 1)])
    other = write_published_predictions(tmp_path / "other.tsv", [(1, 1), (1, 0)])
    with pytest.raises(ValueError, match=r"rename it, as N_100, or pass --given n=100"):
        run("table", one)
    rows = json.loads(run("table", one, other, "--given", "n=100", "--json").output)
    assert [(row["n"], row["reference"]) for row in rows] == [(100, True)] * 2
    assert [row["base_accuracy"] for row in rows] == [1.0, 0.5]


def test_the_audit_of_a_published_log_of_predict(tmp_path: Path) -> None:
    path = write_published_predictions(tmp_path / "N_100", [(1, 1), (2, -1), (0, 1)])
    path.write_text(path.read_text().replace("\t0\t1\t0\t0:", "\t0\t1\t1\t0:"))
    output = run("audit", path, code=1).output
    assert "1 images (20) are called correct although label and predict differ" in output
    assert "1 images (10) have a base prediction below 0." in output


def test_a_table_in_l_infinity_says_that_l2_implies_it(log: Path, tmp_path: Path) -> None:
    text = run("table", log, "--norm", "linf", "--radius", "0,2/255,0.5/255").output
    head, line, *_, legend = text.splitlines()
    assert head.split()[2:8] == ["0", "0.5/255", "2/255", "ACR", "in", "l2"]
    found = results(read_log(log))
    assert float(line.split()[4]) == pytest.approx(found.accuracy(0.43472), abs=0.005)
    assert "implied by l2" in legend
    (row,) = json.loads(run("table", log, "--norm", "linf", "--json").output)
    assert (row["norm"], row["radii"]) == ("linf", [k / 255 for k in (0, 1, 2, 4, 8)])


def test_compare_in_l_infinity_is_that_at_the_implied_l2_radii(log: Path, other: Path) -> None:
    asked, needed = "0,0.5/255,2/255", [0.0, 0.5 / 255 * 3072**0.5, 2 / 255 * 3072**0.5]
    both = ("compare", log, other)
    implied = json.loads(run(*both, "--norm", "linf", "--radius", asked, "--json").output)
    l2 = json.loads(
        run(*both, "--radius", ",".join(f"{radius:.9f}" for radius in needed), "--json").output
    )
    assert implied["norm"] == "linf"
    assert [pair["radius"] for pair in implied["pairs"]] == [0, 0.5 / 255, 2 / 255]
    keys = ("only_first", "only_second", "p_value")
    for ours, theirs in zip(implied["pairs"], l2["pairs"], strict=True):
        assert [ours[key] for key in keys] == [theirs[key] for key in keys]
    assert "norm" not in l2
    text = run(*both, "--norm", "linf").output
    assert [line.split()[0] for line in text.splitlines()[6:10]] == [
        f"{level}/255" for level in (1, 2, 4, 8)
    ]
    assert "implied by l2" in text
    assert "(in l2)" in text


def test_plot_in_l_infinity_scales_the_radii(
    log: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, expected: Complaint
) -> None:
    drawn: list[Figure] = []
    monkeypatch.setattr(
        "rszoo.plots.draw_curves",
        lambda *args, **kwargs: drawn.append(draw_curves(*args, **kwargs)) or drawn[-1],
    )
    for options in ((), ("--norm", "linf")):
        run("plot", log, "--out", tmp_path / "x.png", *options)
    l2, linf = (np.asarray(figure.axes[0].get_lines()[0].get_xydata()) for figure in drawn)
    assert linf[:, 1].tolist() == l2[:, 1].tolist()
    assert linf[:, 0] == pytest.approx(l2[:, 0] * 255 / 3072**0.5)
    assert "1/255" in drawn[1].axes[0].get_xlabel()
    assert "infty" not in drawn[0].axes[0].get_xlabel()
    attacked = attack_log(tmp_path / "attack.tsv", read_log(log)).path
    refused = expected("plot", log, attacked, "--norm", "linf", "--out", tmp_path / "x.png")
    assert "l2 radii alone imply" in refused


def test_published_rows() -> None:
    lines = run("table", "--published", "*").output.splitlines()
    assert len(lines) == 1 + len(load_published())
    row = next(line for line in lines if line.startswith("cohen-cifar10-s0.25 "))
    assert "0.77 0.61 0.42 0.25 - " in " ".join(row.split())


def test_windows_line_ends_are_read(log: Path, tmp_path: Path) -> None:
    copy = tmp_path / "windows.tsv"
    copy.write_bytes(log.read_bytes().replace(b"\n", b"\r\n"))
    assert run("table", copy).output == run("table", log).output
    assert "nothing to report" in run("audit", copy).output


def test_compare(log: Path, other: Path) -> None:
    text = run("compare", log, other, "--radius", "0,0.3").output
    found = json.loads(run("compare", log, other, "--radius", "0,0.3", "--json").output)
    assert "40 images in both.\n" in text
    assert f"ACR of A minus ACR of B: {found['difference']:+.4f}" in text
    ours, theirs = (results(read_log(path)).certified(0.3) for path in (log, other))
    assert (found["pairs"][1]["only_first"], found["pairs"][1]["only_second"]) == (
        (ours & ~theirs).sum(),
        (theirs & ~ours).sum(),
    )


def test_the_exit_code_of_audit(log: Path, tmp_path: Path) -> None:
    assert run("audit", log).output == f"{log}: nothing to report.\n"
    published = write_published(tmp_path / "sigma_0.25", read_log(log).records).path
    assert ": note: " in run("audit", published, "--n", 1000).output
    records = certify_records(certify_protocol())
    bad = write(
        tmp_path / "bad", certify_protocol(), changed(records, 0, correct=not records[0].correct)
    ).path
    assert f"{bad}: error: 1 images (0)" in run("audit", log, bad, code=1).output
    assert json.loads(run("audit", bad, "--json", code=1).output)[0]["severity"] == "error"


@pytest.mark.parametrize("suffix", ["png", "pdf", "svg"])
def test_plot_writes_each_format(log: Path, other: Path, tmp_path: Path, suffix: str) -> None:
    out = tmp_path / f"x.{suffix}"
    run(
        "plot",
        log,
        other,
        "--out",
        out,
        "--envelope",
        "--published",
        "cohen-cifar10-s0.25",
        "--lower-bound",
        0.01,
        "--n",
        300,
    )
    assert out.read_bytes()[:5] in (b"\x89PNG\r", b"%PDF-", b"<?xml")
    if suffix == "png":
        assert Image.open(out).size[0] == 900


def test_plot_draws_a_panel_for_each_sigma(
    log: Path, other: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn: list[Figure] = []
    monkeypatch.setattr(
        "rszoo.plots.draw_curves",
        lambda *args, **kwargs: drawn.append(draw_curves(*args, **kwargs)) or drawn[-1],
    )
    published = ("--published", "cohen-cifar10-s0.25", "--envelope")
    run("plot", log, other, *published, "--panels", "sigma", "--out", tmp_path / "x.png")
    run("plot", log, other, *published, "--out", tmp_path / "y.png")
    quarter, half = drawn[0].axes
    assert (quarter.get_title(), half.get_title()) == (r"$\sigma$ = 0.25", r"$\sigma$ = 0.5")
    shown = [[line.get_label() for line in ax.get_lines()] for ax in (quarter, half)]
    assert [len(labels) for labels in shown] == [3, 2]
    assert shown[0][0] == shown[1][0] == "best of the logs"
    assert len(drawn[1].axes) == 1


def test_plot_of_many_logs_adds_the_best_of_them_and_stays_small(log: Path, tmp_path: Path) -> None:
    text = log.read_text()
    copies = [tmp_path / f"{place}.tsv" for place in range(31)]
    for place, copy in enumerate(copies):
        copy.write_text(text.replace("cifar10-resnet20-gaussian", f"cifar10-resnet20-g{place}"))
    run("plot", *copies[:30], "--out", tmp_path / "few.svg")
    run("plot", *copies, "--out", tmp_path / "many.svg")
    run("plot", *copies, "--out", tmp_path / "many.png")
    few, many = ((tmp_path / f"{name}.svg").read_text() for name in ("few", "many"))
    assert "best of the logs" not in few
    assert "g29-s0.25" in few
    assert "best of the logs" in many
    assert "each thin line: one of 31 curves" in many
    assert "g29-s0.25" not in many
    assert Image.open(tmp_path / "many.png").size == (900, 600)


@pytest.mark.parametrize("suffix", ["png", "pdf", "SVG"])
def test_a_picture_that_cannot_be_written_leaves_the_one_before(
    log: Path,
    tmp_path: Path,
    suffix: str,
    expected: Complaint,
) -> None:
    out = tmp_path / f"x.{suffix}"
    run("plot", log, "--out", out)
    before = out.read_bytes()
    with disk_of(1000):
        assert f"'{out}', got 'File too large'" in expected("plot", log, "--out", out)
    assert out.read_bytes() == before
    assert {path.name for path in tmp_path.iterdir()} == {log.name, out.name}
    run("plot", log, "--out", out)
    assert {path.name for path in tmp_path.iterdir()} == {log.name, out.name}


def test_the_drawn_steps_are_the_accuracies(
    log: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn: list[Figure] = []
    monkeypatch.setattr(
        "rszoo.plots.draw_curves",
        lambda *args, **kwargs: drawn.append(draw_curves(*args, **kwargs)) or drawn[0],
    )
    run("plot", log, "--out", tmp_path / "x.png")
    (ax,) = drawn[0].axes
    (line,) = ax.get_lines()
    found = results(read_log(log))
    x, y = np.asarray(line.get_data()).tolist()
    assert line.get_drawstyle() == "steps-pre"
    assert y == [*(found.accuracy(radius) for radius in x[:-1]), 0.0]
    assert x[-1] == float(found.radius[found.correct].max())
    assert ax.get_ylabel() == "certified accuracy on 40 images"
    assert "pixels in [0, 1]" in ax.get_xlabel()


def test_the_published_files_at_the_command_line() -> None:
    paths = [cifar10_log(sigma) for sigma in ("0.12", "0.25", "0.50", "1.00")]
    text = run("table", *paths, "--envelope", "--radius", "0,0.25,0.5,0.75,1").output
    assert "resnet110/noise_0.25/test/sigma_0.25 0.25 0.75 0.60 0.43 0.27 -" in " ".join(
        text.split()
    )
    assert "sigma of the published files was read from their names" in text
    rows = json.loads(
        run("table", paths[2], "--alpha", 0.001, "--given", "n=100000,alpha=0.01", "--json").stdout
    )
    assert rows[0]["alpha"] == 0.001


def test_what_no_vote_can_certify_was_not_measured(
    log: Path, other: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """1000 votes certify up to 0.61 at sigma 0.25 and up to 1.23 at 0.5."""
    radii = ("--radius", "0,0.6,0.7")
    rows = json.loads(
        run("table", log, *radii, "--per-class", "--lower-bound", 0.01, "--json").output
    )
    assert all(row["accuracies"][2] is None for row in rows)
    assert all(row["accuracies"][1] is not None for row in rows)
    text = run("table", log, *radii).output
    assert text.splitlines()[1].split()[-4] == "-"
    assert "not measured: the radius is above the largest that n votes can certify" in text
    assert "not measured" in run("table", log, *radii, "--format", "markdown").output
    assert "not measured" not in run("table", log, *radii, "--format", "csv").output
    assert "not measured" not in run("table", log, "--radius", "0,0.6").output
    attack = attack_log(tmp_path / "attack.tsv", read_log(log)).path
    assert "not measured" in run("table", log, attack, *radii).output
    (more,) = json.loads(run("table", log, *radii, "--n", 100_000, "--json").output)
    assert more["accuracies"][2] is not None
    pairs = json.loads(run("compare", log, other, *radii, "--json").output)["pairs"]
    assert [pair["p_value"] is None for pair in pairs] == [False, False, True]
    lines = run("compare", log, other, *radii).output.splitlines()
    assert ["0.7", "-", "-", "-"] in [line.split() for line in lines]
    assert any(line.startswith("-: not measured") for line in lines)
    curves: list[Curve] = []
    monkeypatch.setattr(
        "rszoo.plots.draw_curves",
        lambda given, **kw: curves.extend(given) or draw_curves(given, **kw),
    )
    run("plot", log, "--bound", "bonferroni", "--envelope", "--out", tmp_path / "x.png")
    assert [curve.end for curve in curves] == pytest.approx(
        [0.25 * norm.ppf(level**1e-3) for level in (0.001, 0.001, 0.0005)], abs=2e-6
    )


@pytest.mark.parametrize(("largest", "last"), [(0.5, 0.0), (1.0, 0.75)])
def test_a_curve_ends_where_the_votes_certify_no_more(largest: float, last: float) -> None:
    curve = Curve("x", [0.0, largest], [1.0, 0.75], end=1.0)
    (line,) = draw_curves([curve], images=4).axes[0].get_lines()
    assert np.asarray(line.get_xydata())[-1].tolist() == [largest, last]


def test_headings_have_all_digits_of_a_radius(log: Path, other: Path) -> None:
    radii = ("--radius", "0,0.16666666,0.16666667")
    expected = ["0", "0.16666666", "0.16666667"]
    for format in ("terminal", "csv", "markdown"):
        head = run("table", log, *radii, "--format", format).output.splitlines()[0]
        assert head.replace("|", " ").replace(",", " ").split()[2:5] == expected
    lines = run("compare", log, other, *radii).output.splitlines()
    assert [line.split()[0] for line in lines[5:8]] == expected


def test_each_published_file_may_have_values_of_its_own(
    log: Path, tmp_path: Path, expected: Complaint
) -> None:
    records = read_log(log).records
    one, two = (write_published(tmp_path / name, records).path for name in ("one", "two"))
    both = ("table", one, two, "--anyway", "--json")
    given = ("--given", "n=1000,alpha=0.001,sigma=0.25")
    rows = json.loads(run(*both, *given, "--given", f"{two}:sigma=0.5,alpha=0.01").output)
    assert [(row["n"], row["alpha"], row["sigma"]) for row in rows] == [
        (1000, 0.001, 0.25),
        (1000, 0.01, 0.5),
    ]
    (same, other) = json.loads(run(*both, *given).output)
    assert same["sigma"] == other["sigma"] == 0.25
    assert "name one of the logs" in expected(*both, "--given", "three:n=10")
    assert "name one of the logs" in expected(*both, *given, *given)
    assert "which states its own" in expected("table", log, "--given", f"{log}:n=10")


def test_a_projection_says_when_it_is_guaranteed(log: Path) -> None:
    for option in (("--alpha", 0.01), ("--bound", "joint"), ("--n", 500)):
        for format in ("terminal", "markdown"):
            text = run("table", log, *option, "--format", format).output
            assert "guaranteed only if n is the log's" in text.splitlines()[-1]
        for plain in ("csv", "latex"):
            assert "guaranteed" not in run("table", log, *option, "--format", plain).output
        json.loads(run("table", log, *option, "--json").output)
    assert "guaranteed" not in run("table", log, "--lower-bound", 0.01).output


@pytest.mark.parametrize(
    ("verb", "options"),
    [
        ("table", ("--alpha", "--bound", "--n", "--lower-bound")),
        ("plot", ("--alpha", "--bound", "--n", "--lower-bound")),
        ("certify", ("--alpha", "--bound", "--n", "--radius", "--seed")),
        ("evaluate", ("--alpha", "--bound", "--n", "--radius", "--seed")),
        ("predict", ("--alpha", "--n", "--seed")),
    ],
)
def test_an_option_says_what_voids_the_guarantee(verb: str, options: tuple[str, ...]) -> None:
    parameters = {
        name: parameter.help
        for parameter in get_command(app).commands[verb].params  # type: ignore[attr-defined]
        for name in parameter.opts
        if name in options
    }
    assert parameters.keys() == set(options)
    for text in parameters.values():
        assert re.search("void|no guarantee|chosen before the votes were drawn", text)


def damaged(log: Path, content: bytes) -> Path:
    path = log.with_name("damaged.tsv")
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("verb", ["table", "audit"])
def test_files_that_are_no_log(log: Path, verb: str, expected: Complaint) -> None:
    lines = log.read_bytes().splitlines(keepends=True)
    middle = b"".join([*lines[:9], b"garbage\n", *lines[9:]])
    for content, words in (
        (middle, "line 10 of"),
        (b"".join([*lines[:9], b"\xff\xfe\n", *lines[9:]]), "bytes that are no text"),
        (b"", "got none"),
        (b"\x89PNG\r\n", "bytes that are no text"),
        (b"hello\n", "got hello"),
        (b"# {}\n" + lines[1], "a protocol in line 1"),
    ):
        assert words in expected(verb, damaged(log, content))
    assert "which is no file" in expected(verb, log.with_name("none"))


def test_a_log_without_images(log: Path, expected: Complaint) -> None:
    empty = damaged(log, b"".join(log.read_bytes().splitlines(keepends=True)[:2]))
    for args in (
        ("table", empty),
        ("compare", log, empty, "--anyway"),
        ("plot", empty, "--out", empty.with_name("x.png")),
    ):
        assert "got no image" in expected(*args)
    assert (
        "40 images (0, 10, 20, 30, 40, ...) of 40 have too few lines"
        in run("audit", empty, code=1).output
    )


def test_arguments_that_are_refused(log: Path, tmp_path: Path, expected: Complaint) -> None:
    half = certify_protocol(stop=200)
    short = write(tmp_path / "short", half, certify_records(half)).path
    published = write_published(tmp_path / "published", certify_records(certify_protocol())).path
    attacked = attack_log(tmp_path / "attack.tsv", read_log(log)).path
    folder = tmp_path / "x.pdf"
    folder.mkdir()
    for words, args in {
        "images (40 and 20, of which 20 in both)": ("table", log, short),
        "pass --anyway": ("compare", log, short),
        "--published KEY": ("table",),
        "lists them": ("table", "--published", "nothing-*"),
        "Expected --radius to be numbers": ("table", log, "--radius", "0;1"),
        "radii >= 0": ("table", log, "--radius", "-1"),
        "--given such as": ("table", log, "--given", "n=many"),
        "got alpha=2.0": ("table", log, "--given", "alpha=2"),
        "--bound joint": (
            "table",
            published,
            "--bound",
            "joint",
            "--given",
            "n=1000,alpha=0.001,sigma=0.25",
        ),
        "Expected to know sigma, n, alpha": ("table", published, "--lower-bound", 0.01),
        "l2 radii alone imply": ("table", attacked, "--norm", "linf", "--anyway"),
        "Expected --radius to be numbers, got '1/0'": ("table", log, "--radius", "1/0"),
        "an estimate; take the log as it is": ("table", log, "--n", 300, "--lower-bound", 0.01),
        "0 < RHO < 1": ("table", log, "--lower-bound", 2),
        "to end in .png, .pdf, .svg": ("plot", log, "--out", tmp_path / "x.gif"),
        "make the folder first": ("plot", log, "--out", tmp_path / "no" / "x.png"),
        "x.pdf', which is a folder": ("plot", log, "--out", folder),
        "leave them out": ("audit", log, "--alpha", 0.01),
        "got sigma=-1.0": ("audit", log, "--sigma", -1),
    }.items():
        found = expected(*args)
        assert words.replace("--bound joint", "for the bound joint") in found
    run("compare", log, short, "--anyway")


def test_no_torch(log: Path, tmp_path: Path) -> None:
    code = (
        "import sys, rszoo.cli\n"
        "for args in sys.argv[1].split(';'):\n"
        "    sys.argv = ['rszoo', *args.split(',')]\n"
        "    try: rszoo.cli.main()\n"
        "    except SystemExit as left: assert not left.code, left.code\n"
        "assert 'torch' not in sys.modules"
    )
    verbs = f"table,{log};table,{log},--norm,linf;audit,{log};compare,{log},{log}"
    verbs += f";plot,{log},--out,{tmp_path / 'x.png'}"
    done = subprocess.run(
        [sys.executable, "-c", code, verbs], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
