"""`rszoo choose`: what the logs say, and what fits the time."""

import importlib
import json

import pytest
from conftest import Complaint
from support.commands import on_terminal, run

from rszoo.logs.analysis import project, results
from rszoo.logs.format import read_log
from rszoo.zoo.registry import bundled_folder

PER_SAMPLE = 1e-3
verb = importlib.import_module("rszoo.cli.choose")  # the package has the function of this name


@pytest.fixture(autouse=True)
def speed(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine of known speed."""
    monkeypatch.setattr(verb, "seconds_per_sample", lambda classifier, budget: PER_SAMPLE)


@pytest.mark.parametrize("radius", [0.25, 0.5, 1.0])
def test_each_accuracy_is_that_of_its_log(radius: float) -> None:
    rows = json.loads(run("choose", "--radius", radius, "--json").stdout)
    assert 1 <= len(rows) <= verb.SHOWN
    for row in rows:
        log = read_log(bundled_folder(row["name"]) / row["log"])
        if row["source"] == "projected":
            log = project(log, n=row["n"])
        assert row["accuracy"] == results(log).accuracy(radius) > 0
        assert row["n"] == log.setting.n
        used = [record.n + log.protocol.n0 for record in log.records]
        expected = row["n"] + 100 if row["rule"] == "n" else sum(used) / len(used)
        assert row["samples"] == pytest.approx(expected)
        assert row["seconds"] == pytest.approx(PER_SAMPLE * row["samples"])
    assert [row["accuracy"] for row in rows] == sorted(
        (row["accuracy"] for row in rows), reverse=True
    )


def test_the_best_is_the_best_of_the_leaderboard() -> None:
    best = json.loads(run("choose", "--radius", 0.25, "--json").stdout)[0]
    listed = json.loads(run("list", "--radius", 0.25, "--sort", "--json").stdout)[0]
    assert best["accuracy"] >= listed["accuracies"][0]


@pytest.mark.parametrize("budget", [1.2, 11.0, 100.0])
def test_no_choice_takes_more_than_the_time(budget: float) -> None:
    rows = json.loads(run("choose", "--radius", 0.5, "--seconds", budget, "--json").stdout)
    assert rows
    assert all(row["seconds"] <= budget for row in rows)


def test_a_radius_that_n_votes_cannot_certify_has_no_accuracy() -> None:
    rows = json.loads(run("choose", "--radius", 0.75, "--seconds", 2, "--json").stdout)
    assert rows
    assert all(row["name"].endswith(("s0.50", "s1.00")) for row in rows), "1,000 votes reach 0.61"


def test_it_says_how_each_number_came_about() -> None:
    text = " ".join(on_terminal("choose", "--radius", 0.5, width=80).split())
    assert "an estimate, no measurement" in text
    assert "1000 samples per second with resnet20 on cifar10" in text
    assert "1 s at n = 1,000, 10 s at n = 10,000, 100 s at n = 100,000." in text
    assert "standard error" in text
    rows = json.loads(run("choose", "--radius", 0.5, "--json").stdout)
    best = rows[0]["accuracy"]
    error = (best * (1 - best) / 500) ** 0.5
    fastest = min(
        (row for row in rows if row["accuracy"] >= best - error), key=lambda row: row["seconds"]
    )
    assert fastest["n"] < rows[0]["n"]
    assert text.endswith(f"rszoo certify {fastest['name']} IMAGE... --n {fastest['n']}")


@pytest.mark.parametrize("width", [60, 80, 120])
def test_it_fits(width: int) -> None:
    for line in on_terminal("choose", "--radius", 0.5, width=width).splitlines():
        assert len(line) <= width


def test_what_cannot_be_chosen_is_said(complaint: Complaint) -> None:
    for words, args in {
        "Expected --seconds above 0, got 0": ("--seconds", 0),
        "got 0.5; the fastest takes 1.1 s here.": ("--seconds", 0.5),
        "with certificates for radius 9, got none": ("--radius", 9),
        "Expected --dataset of a recipe, got 'cifar11'": ("--dataset", "cifar11"),
        "Expected a bundled entry of dataset 'imagenet'": ("--dataset", "imagenet"),
        "max size 0.001 with certificates": ("--max-size", 0.001),
    }.items():
        assert words in complaint("choose", *args)
