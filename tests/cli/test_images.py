"""Folders, patterns and streams of images: what 'certify' and 'predict' read and print."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import Complaint
from PIL import Image
from support.commands import on_terminal, run

import rszoo
from rszoo.cli import reporting
from rszoo.cli.demo import PHOTOGRAPHS
from rszoo.cli.images import find_images, vote
from rszoo.cli.timing import duration, seconds_per_sample

VERBS = ("certify", "predict")


@pytest.fixture
def photographs(tmp_path: Path) -> Path:
    folder = tmp_path / "photographs"
    folder.mkdir()
    for name in ("horse.jpg", "bird.jpg", "cat.jpg"):
        shutil.copy(PHOTOGRAPHS / name, folder)
    return folder


def refuse(error: Exception) -> None:
    raise error


def test_folders_and_patterns_are_expanded_in_order(photographs: Path) -> None:
    for name in (".hidden.png", "labels.txt"):
        (photographs / name).touch()
    (photographs / "more").mkdir()
    shutil.copy(PHOTOGRAPHS / "dog.jpg", photographs / "more")
    names = ["bird.jpg", "cat.jpg", "horse.jpg"]
    expected = [photographs / name for name in names]
    assert find_images([str(photographs)], refuse) == expected
    assert find_images([f"{photographs}/*.jpg"], refuse) == expected
    assert find_images([f"{photographs}/**/d*.jpg"], refuse) == [photographs / "more" / "dog.jpg"]
    last = str(photographs / "horse.jpg")
    assert find_images([last, str(photographs)], refuse) == [Path(last), *expected]
    (photographs / "a[b].jpg").touch()
    odd = str(photographs / "a[b].jpg")
    assert find_images([odd], refuse) == [Path(odd)]


@pytest.mark.parametrize("verb", VERBS)
def test_what_is_no_image_has_a_sentence_and_the_rest_goes_on(
    entry: Path, photographs: Path, verb: str
) -> None:
    for name in ("a.png", "notes.JPG"):
        (photographs / name).write_text("hello")
    command = (verb, f"local-dir:{entry}", photographs, photographs / "no.png", "--n", 100)
    result = run(*command, code=2)
    rows = [line.split()[0] for line in result.stdout.splitlines()]
    files = [str(photographs / name) for name in ("bird.jpg", "cat.jpg", "horse.jpg")]
    assert rows == ["image", *files]
    sentences = [line for line in result.stderr.splitlines() if "Expected" in line]
    assert [
        str(photographs / name) in line
        for name, line in zip(("a.png", "notes.JPG", "no.png"), sentences, strict=True)
    ] == [True] * 3
    printed = json.loads(run(*command, "--json", code=2).stdout)
    assert [row["image"] for row in printed] == files


def test_json_lines_are_the_items_of_the_json(entry: Path, photographs: Path) -> None:
    for verb in VERBS:
        command = (verb, f"local-dir:{entry}", photographs, "--n", 100)
        items = json.loads(run(*command, "--json").stdout)
        lines = [json.loads(line) for line in run(*command, "--jsonl").stdout.splitlines()]
        for row in (*items, *lines):
            assert row.pop("seconds") > 0
        assert lines == items


def test_both_kinds_of_json_are_refused(
    complaint: Complaint, entry: Path, photographs: Path
) -> None:
    for verb in VERBS:
        command = (verb, f"local-dir:{entry}", photographs, "--json", "--jsonl")
        assert "Expected --json or --jsonl, got both" in complaint(*command)


def test_an_image_is_read_only_when_the_one_before_has_its_result(entry: Path) -> None:
    read: list[int] = []

    def images() -> Iterator[tuple[Path, Image.Image]]:
        for number in range(3):
            read.append(number)
            yield Path(str(number)), Image.new("RGB", (32, 32))

    classifier = rszoo.load(f"local-dir:{entry}")
    results = vote(classifier, images(), lambda x: classifier.predict(x, n=100))
    assert read == []
    assert next(results).path == Path("0")
    assert read == [0]


def test_a_row_is_printed_before_the_next_vote(
    entry: Path, photographs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was printed before a fault of the program stays."""
    real, calls = rszoo.SmoothedClassifier.predict, []

    def predict(self: rszoo.SmoothedClassifier, *args: object, **options: object) -> object:
        calls.append(args)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return real(self, *args, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(rszoo.SmoothedClassifier, "predict", predict)
    command = ("predict", f"local-dir:{entry}", photographs, "--n", 100, "--jsonl")
    assert len(run(*command, code=130).stdout.splitlines()) == 2


def test_the_summary_counts_what_was_certified(entry: Path, photographs: Path) -> None:
    command = ("certify", f"local-dir:{entry}", photographs, "--n", 200)
    rows = json.loads(run(*command, "--json").stdout)
    certified = sorted(row["radius"] for row in rows if row["class"] is not None)
    words = f"{len(certified)} of 3 images certified, {3 - len(certified)} abstained; "
    assert words in run(*command).stderr
    assert "abstained" not in run(*command).stdout, "a pipe gets rows alone"
    assert words in " ".join(on_terminal(*command, width=80).split())
    middle = certified[len(certified) // 2]
    if len(certified) % 2:
        assert f"median radius of the certified {int(1000 * middle) / 1000:.3f}; " in (
            run(*command).stderr
        )
    predicted = run("predict", *command[1:]).stderr
    assert "of 3 images predicted, " in predicted
    assert "per image; n = 200, alpha = 0.001." in predicted
    early = run("predict", *command[1:], "--early").stderr
    assert "n at most 200, alpha = 0.001." in early


def test_a_long_run_begins_with_an_estimate(
    entry: Path, photographs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    command = ("certify", f"local-dir:{entry}", photographs, "--n", 200, "--n0", 100)
    assert "about" not in run(*command).stderr
    monkeypatch.setattr(reporting, "FEW", 100)
    monkeypatch.setattr(reporting, "seconds_per_sample", lambda *args, **options: 0.5)
    first = run(*command).stderr.splitlines()[0]
    assert first == (
        "rszoo: 3 images, 300 samples each at most: about 2.5 minutes per image, "
        "7.5 minutes in all."
    )


def test_the_time_per_sample_is_that_of_votes(entry: Path) -> None:
    classifier = rszoo.load(f"local-dir:{entry}")
    measured = seconds_per_sample(classifier, budget=0.01, batch_size=64)
    assert 0 < measured < 1
    assert [duration(each) for each in (0.034, 3.21, 59.6, 150, 9000)] == [
        "0.034 s",
        "3.2 s",
        "60 s",
        "2.5 minutes",
        "2.5 hours",
    ]
