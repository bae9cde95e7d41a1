"""`rszoo attack` and `challenge`; logs of attacks in `table`, `plot`, `audit` and `compare`."""

import json
from pathlib import Path

import numpy as np
import pytest
from conftest import Complaint, HalfSpace, without_times
from matplotlib.figure import Figure
from PIL import Image
from support.commands import run
from support.synthetic_logs import (
    COMMON,
    certify_protocol,
    certify_records,
    predict_protocol,
    predict_records,
    write,
)

import rszoo
from rszoo.logs.format import AttackProtocol, CertifyProtocol, Record, read_log
from rszoo.plots import draw_curves
from rszoo.zoo.loading import OpenEntry, open_entry

QUICK = ("--steps", 2, "--num-noise", 2, "--n", 20, "--stride", 4)


def attack_log(path: Path, *, m: int = 16, abstained: int = 3) -> Path:
    """The 40 images of the synthetic logs: right at 0, at 0.3 only 20, with some abstentions."""
    protocol = AttackProtocol(
        **COMMON,
        n=100,
        eps=(0.3,),
        attack="smoothadv-pgd",
        steps=20,
        num_noise=m,
        random_start=False,
        restarts=1,
        targeted=m == 8,
        box=True,
        redraw=False,
        attack_batch=64,
    )
    records = []
    for place, idx in enumerate(protocol.indices):
        label = idx // 10 % 4
        records.append(
            Record(idx, label, label, True, 0.1, None, label, {label: 100}, None, 0.0, 0.0)
        )
        wrong = -1 if place >= 40 - abstained else (label + 1) % 4
        found = label if place < 20 else wrong
        votes = {label: 100} if found == label else {(label + 1) % 4: 52 if found == -1 else 100}
        votes |= {label: 48} if found == -1 else {}
        selected = max(votes, key=votes.__getitem__)
        records.append(
            Record(
                idx, label, found, found == label, 0.1, None, selected, votes, None, 0.3, 0.2999999
            )
        )
    return write(path, protocol, records).path


@pytest.fixture
def logs(tmp_path: Path) -> tuple[Path, Path, Path]:
    """A log of CERTIFY and two of attacks, on the same images."""
    certified = write(
        tmp_path / "certified.tsv", certify_protocol(), certify_records(certify_protocol())
    ).path
    return (
        certified,
        attack_log(tmp_path / "one.tsv"),
        attack_log(tmp_path / "two.tsv", m=8, abstained=5),
    )


def test_the_verb_makes_a_log_that_it_continues_and_pictures(shades: str, tmp_path: Path) -> None:
    out, pictures = tmp_path / "log.tsv", tmp_path / "pictures"
    command = ("attack", shades, "--out", out, *QUICK, "--eps", "0.5,1", "--save-images", pictures)
    text = run(*command).output
    assert "6 images of shades test, 0 done, 60 samples each" in text
    assert "of them right at eps 1" in text
    whole = without_times(out)
    names = {f"idx-{idx:05}-eps-{eps}.png" for idx in range(0, 24, 4) for eps in ("0.5", "1")}
    assert {path.name for path in pictures.iterdir()} == names
    with Image.open(pictures / "idx-00004-eps-1.png") as picture:
        assert picture.size == (3 * 224, 224)
        left, middle, right = (picture.crop((224 * i, 0, 224 * (i + 1), 224)) for i in range(3))
        assert left.tobytes() != right.tobytes()
        assert {0, 255} & set(middle.tobytes())
    out.write_bytes(out.read_bytes()[:-100])
    assert "5 done" in run(*command).output
    assert without_times(out) == whole
    assert run("audit", out).output == f"{out}: nothing to report.\n"


def test_a_table_of_attacks_and_certificates(logs: tuple[Path, Path, Path]) -> None:
    rows = json.loads(run("table", *logs, "--json").output)
    assert [
        (row["kind"], row["attack"], row["num_noise"], row["steps"], row["n"]) for row in rows
    ] == [
        ("certified", None, None, None, 1000),
        ("attack", "smoothadv-pgd", 16, 20, 100),
        ("attack", "smoothadv-pgd, targeted", 8, 20, 100),
    ]
    assert [row["accuracies"] for row in rows[1:]] == [[1.0, 0.5]] * 2
    assert [row["abstentions"] for row in rows[1:]] == [[0.0, 3 / 40], [0.0, 5 / 40]]
    certified = sum(
        each.correct and (each.radius or 0) >= 0.3 for each in read_log(logs[0]).records
    )
    assert rows[0]["accuracies"][1] == certified / 40
    lines = [
        " ".join(line.split())
        for line in run("table", *logs[1:], "--radius", "0,0.3,0.4").output.splitlines()
    ]
    assert lines[0] == "log result m T n 0 0.3 0.4 images"
    assert lines[1] == "cifar10-resnet20-gaussian-s0.25 smoothadv-pgd 16 20 100 1.00 0.50 - 40"
    assert lines[2] == "abstains 0.00 0.07 -"
    assert all(run("audit", path).output.endswith("nothing to report.\n") for path in logs)


def test_a_picture_has_attacks_in_the_colour_of_their_classifier(
    logs: tuple[Path, Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn: list[Figure] = []
    monkeypatch.setattr(
        "rszoo.plots.draw_curves",
        lambda *args, **kwargs: drawn.append(draw_curves(*args, **kwargs)) or drawn[-1],
    )
    run("plot", *logs, "--out", tmp_path / "x.png")
    steps, one, two = drawn[0].axes[0].get_lines()
    assert steps.get_color() == one.get_color() == two.get_color()
    assert one.get_marker() != two.get_marker()
    assert np.asarray(one.get_data()).tolist() == [[0.0, 0.3], [1.0, 0.5]]
    words = [line.get_label() for line in (steps, one, two)]
    assert words[0] == "cifar10-resnet20-gaussian-s0.25: certified"
    assert words[2] == "cifar10-resnet20-gaussian-s0.25: smoothadv-pgd, targeted, m=8, T=20, n=100"
    assert drawn[0].axes[0].get_ylabel() == "accuracy (certified, under attack) on 40 images"
    run("plot", logs[1], "--out", tmp_path / "x.pdf")
    assert drawn[1].axes[0].get_ylabel() == "accuracy under attack on 40 images"


def planted(log: Path, factor: float) -> Path:
    """The log with every radius so many times as large."""
    read = read_log(log)
    assert isinstance(read.protocol, CertifyProtocol)
    grown = [
        Record(**{**vars(each), "radius": factor * (each.radius or 0.0)}) for each in read.records
    ]
    return write(log.with_name("planted.tsv"), read.protocol, grown).path


def test_planted_certificates_end_with_exit_code_1(
    shades: str, tmp_path: Path, half_space: HalfSpace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The entry's network is replaced by a half-space, whose distances are known."""
    entry = open_entry(shades)
    middle = HalfSpace(
        half_space.w.new_full((3, 8, 8), 0.05), 4.8
    )  # the mean pixel above 1/2 or not
    classifier = rszoo.smooth(middle, sigma=0.25, num_classes=2, input_shape=(3, 8, 8))
    swapped = OpenEntry(entry.folder, entry.config, classifier)  # type: ignore[arg-type]
    for place in ("protocols", "tightness"):
        monkeypatch.setattr(f"rszoo.evaluation.{place}.open_entry", lambda *args, **kwargs: swapped)
    log = tmp_path / "log.tsv"
    run("evaluate", shades, "--out", log, "--stride", 1, "--n", 100)
    assert all(each.radius for each in read_log(log).records)
    command = ("--steps", 4, "--num-noise", 2, "--n", 100, "--factor", "0.9,1")
    text = run("challenge", log, "--name", shades, *command).output
    assert "24 certificates of 24 images" in text
    assert run("challenge", log, *command).output == text, "a log names its entry"
    assert " ".join(text.splitlines()[1].split()) == "0.9 24 0 0 0.000 1"
    false = planted(log, 40.0)  # beyond what its votes can certify, which is refused elsewhere
    monkeypatch.setattr("rszoo.logs.analysis.summary.check_lines", lambda log: None)
    left = run("challenge", false, *command, code=1)
    assert (
        "got 24 of 24 contradicted at 1 times the radius (images 0, 1, 2, 3, 4, ...)" in left.output
    )
    rows = json.loads(run("challenge", false, *command, "--json", code=1).stdout)
    assert [len(row["succeeded"]) for row in rows] == [24, 24]


def test_what_is_refused(
    shades: str, logs: tuple[Path, Path, Path], tmp_path: Path, complaint: Complaint
) -> None:
    out = tmp_path / "log.tsv"
    predicted = write(
        tmp_path / "predict.tsv", predict_protocol(), predict_records(predict_protocol())
    ).path
    for words, args in {
        "--eps to be numbers": ("attack", shades, "--out", out, "--eps", "much"),
        "ascending factors": ("challenge", logs[0], "--name", shades, "--factor", "2,1"),
        "a log of CERTIFY with its protocol": ("challenge", logs[1]),
        "one of other weights": ("challenge", logs[0], "--name", shades),
        "ascending eps > 0": ("attack", shades, "--out", out, "--eps", "1,0.5"),
        "--shard I/K or array": ("attack", shades, "--out", out, "--shard", "half"),
        "no --published": ("table", logs[1], "--published", "*"),
        "one of PREDICT or an attack": ("compare", logs[0], logs[1]),
        "one of PREDICT or an attack; pass": ("table", logs[1], predicted, "--anyway"),
    }.items():
        assert words in complaint(*args)
    assert not out.exists()
