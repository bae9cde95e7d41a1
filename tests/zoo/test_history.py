"""The card tells the training history from its logs, and refuses those of another training."""

import json
from pathlib import Path
from typing import Any

import pytest

from rszoo.publishing.cards import render_card
from rszoo.recipe import Recipe, load_recipe

ACCURACY = {"step": 400, "noisy_test_accuracy": 0.74999}


def lines(path: Path, *found: dict[str, Any]) -> None:
    path.write_text("".join(json.dumps(line) + "\n" for line in found))


def start(recipe: Recipe, **changes: Any) -> dict[str, Any]:
    known = {
        "fingerprint": recipe.fingerprint,
        "versions": {"torch": "2.9"},
        "device": "H200",
        "processes": 4,
        "threads": 2,
    }
    return known | {"recipe": {}, "resumed_at_step": 0} | changes


def epoch(step: int, number: float, rate: float) -> dict[str, Any]:
    return {"step": step, "epoch": number, "loss": 1.0, "images_per_second": rate}


def write_logs(folder: Path, recipe: Recipe) -> None:
    lines(
        folder / "runs.jsonl", start(recipe), start(recipe), start(recipe, device="", processes=1)
    )
    last = recipe.training.epochs
    lines(folder / "log.jsonl", epoch(100, last - 1, 64.0), epoch(400, last, 128.0), ACCURACY)


def test_the_time_and_the_machines_are_those_of_the_logs(entry: Path) -> None:
    recipe = load_recipe("cifar10-resnet20-gaussian-s0.25")
    assert "How long that took is not recorded here." in render_card(entry, recipe)
    write_logs(entry, recipe)
    card = " ".join(render_card(entry, recipe).split())
    minutes = (100 / 64 + 300 / 128) * recipe.training.batch_size / 60
    assert f"The steps took {minutes:.1f} minutes according to `log.jsonl`" in card
    assert (
        "H200 (processes: 4, threads: 2, torch 2.9), "
        "then a CPU (processes: 1, threads: 2, torch 2.9)." in card
    )
    assert "the trained network gets 74.99 % of the whole test split right" in card


@pytest.mark.parametrize(
    ("file", "text", "words"),
    [
        (
            "runs.jsonl",
            None,
            r"^Expected a log of 'rszoo train' in .*runs\.jsonl, got a file with this fault: ",
        ),
        (
            "log.jsonl",
            "",
            r"^Expected a log of 'rszoo train' in .*log\.jsonl, "
            r"got an empty file; copy it again\.$",
        ),
        (
            "log.jsonl",
            '{"step": 100\n',
            r"^Expected a log of 'rszoo train' in .*log\.jsonl, got a file with this fault: ",
        ),
        (
            "log.jsonl",
            json.dumps(epoch(100, 1, 64.0)),
            r"^Expected \d+ epochs in .*, got others; copy the log of the finished",
        ),
        (
            "runs.jsonl",
            '{"fingerprint":"0","versions":{},"device":"","processes":1,"threads":1}',
            r"that of another recipe; take",
        ),
    ],
)
def test_logs_of_another_training_are_refused(
    entry: Path, file: str, text: str | None, words: str
) -> None:
    recipe = load_recipe("cifar10-resnet20-gaussian-s0.25")
    write_logs(entry, recipe)
    (entry / file).unlink() if text is None else (entry / file).write_text(text)
    with pytest.raises(ValueError, match=words):
        render_card(entry, recipe)
