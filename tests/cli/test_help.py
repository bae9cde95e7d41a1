"""Help, examples, completion, and options that have one name in every verb."""

import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from conftest import Complaint
from support.commands import run
from typer.main import get_command

from rszoo.cli import VERBS, app
from rszoo.cli.demo import PHOTOGRAPHS
from rszoo.cli.examples import EXAMPLES
from rszoo.zoo.registry import bundled_folder

COMMANDS: dict[str, Any] = get_command(app).commands  # type: ignore[attr-defined]
RUN = ("list", "show", "predict", "table", "plot", "compare", "audit", "card")
"""Verbs whose examples take seconds and need no data set."""


def test_every_help_ends_with_its_examples() -> None:
    assert EXAMPLES.keys() == VERBS.keys()
    for verb, examples in EXAMPLES.items():
        assert 1 <= len(examples) <= 2
        lines = run(verb, "--help").output.rstrip().splitlines()
        assert [line.strip() for line in lines[-len(examples) :]] == list(examples)


@pytest.mark.parametrize("verb", VERBS)
def test_examples_are_understood(verb: str) -> None:
    for example in EXAMPLES[verb]:
        program, named, *args = shlex.split(example)
        assert (program, named) == ("rszoo", verb)
        COMMANDS[verb].make_context(verb, args)  # raises for an unknown option or a wrong value


@pytest.mark.parametrize("verb", RUN)
def test_examples_run(verb: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("photos").mkdir()
    shutil.copy(PHOTOGRAPHS / "cat.jpg", "photos")
    for name, entry in (("log.tsv", "gaussian"), ("other.tsv", "macer-finetuned")):
        shutil.copy(bundled_folder(f"cifar10-resnet20-{entry}-s0.25") / "certify.tsv", name)
    for example in EXAMPLES[verb]:
        assert run(*shlex.split(example)[1:]).output


def completed(*words: str) -> list[str]:
    """What the shell is told."""
    done = subprocess.run(
        [sys.executable, "-c", "import sys; sys.argv = ['rszoo']; import rszoo.cli as c; c.main()"],
        env={
            **os.environ,
            "_RSZOO_COMPLETE": "complete_bash",
            "COMP_WORDS": " ".join(["rszoo", *words]),
            "COMP_CWORD": str(len(words)),
        },
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout.split()


def test_a_shell_completes_names_data_sets_and_bounds() -> None:
    gaussian = [f"cifar10-resnet20-gaussian-s{sigma}" for sigma in ("0.12", "0.25", "0.50", "1.00")]
    assert completed("certify", "cifar10-resnet20-gaus") == gaussian
    assert completed("show", "imagenet-resnet50-gaussian-s0.2") == [
        "imagenet-resnet50-gaussian-s0.25"
    ]
    assert completed("predict", "macer") == ["macer-finetuned-s0.25"]
    assert completed("list", "--dataset", "cifar1") == ["cifar10", "cifar100"]
    bounds = completed("certify", gaussian[0], "x.png", "--bound", "b")
    assert sorted(bounds) == ["bernstein", "betting", "bonferroni"]


def parameters(verb: str) -> dict[str, Any]:
    return {option: each for each in COMMANDS[verb].params for option in each.opts}


def test_an_option_has_one_name_in_every_verb() -> None:
    for verb in VERBS:
        shown = {name for name, each in parameters(verb).items() if not getattr(each, "hidden", 0)}
        assert "--radii" not in shown
    for verb in ("list", "certify", "evaluate", "table", "compare", "choose"):
        assert "--radius" in parameters(verb)
    for verb in ("list", "table", "compare", "plot"):
        assert "--norm" in parameters(verb)


def test_the_old_spelling_of_radius_still_works(
    complaint: Complaint, monkeypatch: pytest.MonkeyPatch, evident: Path, tmp_path: Path
) -> None:
    assert parameters("evaluate")["--radii"].hidden
    new, old = tmp_path / "new.tsv", tmp_path / "old.tsv"
    for out, option in ((new, "--radius"), (old, "--radii")):
        run(
            *("evaluate", evident, "--out", out, option, "0.05,0.3"),
            *("--stride", 8, "--n0", 10, "--n", 200),
        )
    protocols = [path.read_text().splitlines()[0] for path in (new, old)]
    assert protocols[0] == protocols[1]
    assert '"radii":[0.05,0.3]' in protocols[0]
    both = ("evaluate", evident, "--radius", "0.1", "--radii", "0.2")
    assert "Expected --radius or its old name --radii, got both" in complaint(*both)


def test_progress_in_a_file_has_no_carriage_returns(
    evident: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rszoo.cli.running.SECONDS_BETWEEN_LINES", -1.0)
    command = ("evaluate", evident, "--stride", 8, "--n0", 10, "--n", 100)
    err = run(*command, "--out", tmp_path / "log.tsv").stderr
    assert "\r" not in err
    assert [line.split(",")[0] for line in err.splitlines()] == [
        f"rszoo: {number} of 3 images" for number in (1, 2, 3)
    ]
