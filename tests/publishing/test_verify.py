"""`verify` finds nothing wrong with a sound entry, and each planted fault."""

import json
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import FOLDER
from PIL import Image
from safetensors.torch import load_file, save_file
from torch import nn
from typer.testing import CliRunner

import rszoo
from rszoo.architectures import ARCHITECTURES
from rszoo.cli import app
from rszoo.evaluation import CertifyOptions, Evaluation
from rszoo.publishing.verify import Check, Repetition, verify
from rszoo.recipe import load_recipe
from rszoo.smoothing.noise import Stream, normal_block
from rszoo.smoothing.requests import Stage
from rszoo.zoo.config import sha256


def outcomes(checks: list[Check]) -> dict[str, str]:
    return {check.name: check.outcome for check in checks}


def finding(folder: Path, name: str, *, images: int = 3) -> str:
    checks = verify(str(folder), Repetition(images))
    (text,) = [check.finding for check in checks if check.name == name]
    return text


def change_lines(path: Path, change: Callable[[list[str], list[str]], None]) -> None:
    """Change the cells of each line of a log, given the names of the columns."""
    protocol, columns, *lines = path.read_text().splitlines()
    rows = [line.split("\t") for line in lines]
    for row in rows:
        change(row, columns.split("\t"))
    path.write_text("\n".join([protocol, columns, *("\t".join(row) for row in rows)]) + "\n")


def change_protocol(path: Path, **changes: object) -> None:
    first, rest = path.read_text().split("\n", 1)
    path.write_text(f"# {json.dumps(json.loads(first[1:]) | changes)}\n{rest}")


def move_votes(row: list[str], columns: list[str], count: int) -> None:
    """Take votes from the selected class."""
    cells = dict(zip(columns, row, strict=True))
    top, runner_up = int(cells["top_count"]), int(cells["runner_up_count"])
    row[columns.index("top_count")], row[columns.index("runner_up_count")] = (
        str(top - count),
        str(runner_up + count),
    )


@pytest.mark.slow
def test_a_sound_entry_passes_every_check(evident: Path) -> None:
    checks = verify(str(evident), Repetition(6))
    assert outcomes(checks) == dict.fromkeys(
        (
            "files and self-test",
            "licence",
            "recipe",
            "certify.tsv",
            "certify.tsv, again",
            "certify-grid.tsv",
            "certify-grid.tsv, again",
        ),
        "ok",
    ) | {"training": "skipped"}
    assert "images 0, 4, 8, 12, 16, 20: the same votes" in finding(
        evident, "certify.tsv, again", images=6
    )


def test_what_is_not_at_hand_is_skipped_and_said(
    evident: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RSZOO_DATA", str(evident))  # no shades.toml there
    (evident / "recipe.toml").unlink()
    (evident / "certify-grid.tsv").unlink()
    found = outcomes(verify(str(evident)))
    assert (found["recipe"], found["certify-grid.tsv"], found["certify.tsv, again"]) == (
        "skipped",
        "skipped",
        "skipped",
    )
    assert found["certify.tsv"] == "ok"


@pytest.mark.parametrize("software", [None, "rszoo 0.0, another machine"])
@pytest.mark.slow
def test_other_votes_are_told_and_judged_by_their_radius(
    evident: Path, software: str | None
) -> None:
    """A processor of another kind may vote otherwise with the same software."""
    log = evident / "certify.tsv"
    change_lines(log, lambda row, columns: move_votes(row, columns, -1))  # the radius allows for it
    if software is not None:
        change_protocol(log, software=software)
    found = {check.name: check for check in verify(str(evident), Repetition(6))}
    assert found["certify.tsv, again"].outcome == "ok"
    assert "other votes for 0, 4, 8, 12, 16, 20, made by" in found["certify.tsv, again"].finding
    assert software is None or software in found["certify.tsv, again"].finding


@pytest.mark.slow
def test_the_log_in_the_other_precision_is_checked_too(evident: Path) -> None:
    precision = json.loads((evident / "config.json").read_text())["precision"]
    (other,) = {"float32", "bfloat16"} - {precision}
    twin = evident / f"certify-{other}.tsv"
    options = CertifyOptions(stop=9, stride=4, n0=10, n=200, alpha=0.001, precision=other)
    with Evaluation(f"local-dir:{evident}", twin, options) as evaluation:
        assert len(list(evaluation)) == 3
    found = outcomes(verify(str(evident)))
    assert (found[twin.name], found[f"{twin.name}, again"]) == ("ok", "ok")
    change_lines(twin, lambda row, columns: row.__setitem__(columns.index("radius"), "0.9"))
    assert "larger than the votes allow" in finding(evident, twin.name, images=0)
    change_protocol(twin, precision=precision)
    assert "Expected precision" in finding(evident, twin.name, images=0)


def test_what_a_sample_of_grid_noise_takes_off_alpha_is_not_the_log_s_to_say(evident: Path) -> None:
    """A log with a smaller loss than the noise has would certify more."""
    config = json.loads((evident / "config.json").read_text()) | {"noise": "grid"}
    (evident / "config.json").write_text(json.dumps(config))
    log = evident / "certify.tsv"
    log.unlink()
    (evident / "certify-grid.tsv").unlink()
    options = CertifyOptions(stride=4, n0=10, n=200, alpha=0.001)
    with Evaluation(f"local-dir:{evident}", log, options) as evaluation:
        assert len(list(evaluation)) == 6
    assert outcomes(verify(str(evident)))["certify.tsv, again"] == "ok"
    loss = json.loads(log.read_text().split("\n")[0][1:])["loss"]
    assert 0 < loss < 1e-9
    change_protocol(log, loss=loss / 2)
    assert f"takes {loss:g} off alpha, not {loss / 2:g}" in finding(evident, "certify.tsv, again")


def test_certificates_of_other_images_are_not_made_again(evident: Path) -> None:
    name = "certify.tsv, again"
    change_protocol(evident / "certify.tsv", data_sha256="0" * 64)
    assert "Expected the images of shades test that the log is of" in finding(evident, name)
    assert outcomes(verify(str(evident)))["certify-grid.tsv, again"] == "ok"
    change_protocol(evident / "certify.tsv", data_sha256=None)
    assert outcomes(verify(str(evident)))[name] == "ok"


@pytest.mark.parametrize("name", ["certify.tsv", "certify-grid.tsv"])
@pytest.mark.slow
def test_invented_certificates_are_refuted(evident: Path, name: str) -> None:
    """Votes and radii of a better classifier: they agree, so that the audit finds nothing."""
    log = evident / name
    change_protocol(log, software="rszoo 0.0, another machine")
    best = max(
        (line.split("\t") for line in log.read_text().splitlines()[2:]),
        key=lambda row: float(row[3]),
    )
    assert float(best[3]) > 0.2

    def invent(row: list[str], columns: list[str]) -> None:
        for column in (
            "top_count",
            "runner_up_count",
            "n",
            "others",
            "radius",
            *(["path"] if "path" in columns else []),
        ):
            row[columns.index(column)] = best[columns.index(column)]
        wrong = 1 - int(row[columns.index("label")])
        row[columns.index("selected")] = row[columns.index("predict")] = str(wrong)
        row[columns.index("runner_up")], row[columns.index("correct")] = str(1 - wrong), "0"

    change_lines(log, invent)
    found = {check.name: check for check in verify(str(evident), Repetition(6))}
    assert found[name].outcome == "ok"
    assert found[f"{name}, again"].outcome == "failed"
    assert re.search(r"fresh votes \(seed \d+\) refute the radius", found[f"{name}, again"].finding)


def test_a_network_made_for_the_noise_of_the_log_is_refuted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A plane through the image, its normal the sum of the noise: the true radius is 0."""
    monkeypatch.setenv("RSZOO_DATA", str(tmp_path))
    monkeypatch.setitem(
        ARCHITECTURES,
        "plane",
        lambda classes, channels: nn.Sequential(nn.Flatten(), nn.Linear(192, classes)),
    )
    monkeypatch.setattr("rszoo.publishing.verify.secrets.randbelow", lambda below: 5)
    text = FOLDER.replace("0.5, 0.5, 0.5", "0.0, 0.0, 0.0").replace(
        "0.25, 0.25, 0.25", "1.0, 1.0, 1.0"
    )
    (tmp_path / "shades.toml").write_text(text)
    for label in ("dark", "light"):
        (tmp_path / "shades" / "test" / label).mkdir(parents=True)
        Image.fromarray(np.full((8, 8, 3), 128, np.uint8)).save(
            tmp_path / "shades" / "test" / label / "0.png"
        )
    normal = torch.zeros(192)
    for stage, n in ((Stage.SELECT, 10), (Stage.ESTIMATE, 200)):
        blocks = [
            normal_block(Stream(0, "0", stage), block, (3, 8, 8), torch.device("cpu"))
            for block in range(2)
        ]
        normal += torch.cat(blocks)[:n].sum(0).flatten()
    network = ARCHITECTURES["plane"](2, 3)
    assert isinstance(network, nn.Sequential)
    plane = network[1]
    assert isinstance(plane, nn.Linear)
    with torch.no_grad():
        plane.weight.copy_(torch.stack([normal, -normal]))
        plane.bias.copy_(plane.weight @ torch.full((192,), -128 / 255))
    shape = (3, 8, 8)
    own = rszoo.smooth(network, sigma=0.25, num_classes=2, input_shape=shape, noise="float")
    own.save(
        tmp_path / "entry", architecture="plane", dataset="shades", method="none", license="MIT"
    )
    log = tmp_path / "entry" / "certify.tsv"
    options = CertifyOptions(stop=1, stride=1, n0=10, n=200, alpha=0.001)
    with Evaluation(f"local-dir:{log.parent}", log, options) as evaluation:
        ((record,),) = evaluation
    assert record.radius is not None
    assert record.radius > 0.1, "the distance from x to the plane is 0"
    (again,) = (check for check in verify(str(log.parent)) if check.name == "certify.tsv, again")
    assert again.outcome == "failed"
    assert f"fresh votes (seed 5) refute the radius {record.radius:.4f}" in again.finding


@pytest.mark.slow
def test_a_sequential_log_is_done_again_from_its_path(evident: Path) -> None:
    log = evident / "certify-grid.tsv"
    before = log.read_text()
    faults: dict[str, Callable[[list[str], list[str]], None]] = {
        "the radius not one that was tested": lambda row, columns: row.__setitem__(
            columns.index("radius"), "0.900000"
        ),
        "The number of votes is not that of the last look in path": lambda row, columns: (
            row.__setitem__(columns.index("path"), "99999999")
        ),
        "The path does not end in the votes for the class under test": lambda row, columns: (
            move_votes(row, columns, 1)
        ),
    }
    for sentence, fault in faults.items():
        change_lines(log, fault)
        assert sentence in finding(evident, "certify-grid.tsv")
        log.write_text(before)
    assert "finds no error" in finding(evident, "certify-grid.tsv")


@pytest.mark.slow
def test_each_fault_of_the_folder_has_its_check(evident: Path) -> None:
    config, log, recipe = (evident / each for each in ("config.json", "certify.tsv", "recipe.toml"))
    kept = {path: path.read_bytes() for path in (config, log, recipe)}
    faults: dict[str, tuple[Path, str, str]] = {
        "licence": (config, '"license": "MIT"', '"license": "unknown"'),
        "recipe": (recipe, "epochs = ", "epochs = 1"),
        "certify.tsv": (log, '"weights_sha256":"', '"weights_sha256":"0'),
    }
    for name, (path, old, new) in faults.items():
        text = path.read_text()
        assert old in text
        path.write_text(text.replace(old, new, 1))
        found = outcomes(verify(str(evident), Repetition(0)))
        assert found[name] == "failed", name
        path.write_bytes(kept[path])
    config.write_text(config.read_text().replace('"license": "MIT"', '"license": "MIT License"'))
    assert "Expected an SPDX identifier" in finding(evident, "licence")
    config.write_bytes(kept[config])
    log.write_bytes(kept[log][:-20])
    assert "the evaluation is not finished" in finding(evident, "certify.tsv")
    weights = load_file(evident / "model.safetensors")
    save_file({**weights, "network.fc.bias": torch.zeros(2)}, evident / "model.safetensors")
    assert outcomes(verify(str(evident))) == {"files and self-test": "failed"}
    config.write_text(
        json.dumps(
            json.loads(config.read_text())
            | {"weights_sha256": sha256(evident / "model.safetensors")}
        )
    )
    assert "Expected the self-test" in finding(evident, "files and self-test")


def test_the_logs_of_the_training_are_those_of_the_recipe(evident: Path) -> None:
    recipe = load_recipe(str(evident / "recipe.toml"))
    started = {
        "fingerprint": recipe.fingerprint,
        "versions": {},
        "device": "",
        "processes": 1,
        "threads": 1,
    }
    (evident / "runs.jsonl").write_text(json.dumps(started) + "\n")
    assert "Expected a log of 'rszoo train' in" in finding(evident, "training", images=0)
    for epochs, outcome in {recipe.training.epochs: "ok", 1: "failed"}.items():
        (evident / "log.jsonl").write_text(json.dumps({"step": 9, "epoch": epochs}) + "\n")
        assert outcomes(verify(str(evident), Repetition(0)))["training"] == outcome
    (evident / "recipe.toml").unlink()
    assert finding(evident, "training", images=0) == f"the recipe {recipe.name} is not at hand"


def test_the_verb_prints_a_table_and_fails_with_a_check(evident: Path) -> None:
    sound = CliRunner().invoke(app, ["verify", str(evident), "--images", "1"])
    assert sound.exit_code == 0, sound.output
    assert "certify-grid.tsv, again" in sound.output
    note = f"rszoo: checking {evident}, 1 certificates of each log again on cpu ...\n"
    assert sound.stderr.startswith(note)
    (evident / "certify.tsv").write_text("nothing\n")
    damaged = CliRunner().invoke(app, ["verify", str(evident), "--images", "1", "--json"])
    assert damaged.exit_code == 1
    assert {check["name"]: check["outcome"] for check in json.loads(damaged.stdout)}[
        "certify.tsv"
    ] == "failed"
