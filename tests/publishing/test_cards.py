"""A card is complete, its numbers are the analysis's, and contradictory sources are refused."""

import dataclasses
import re
from pathlib import Path
from typing import Any

import msgspec
import pytest
from matplotlib.figure import Figure
from PIL import Image
from support.commands import run
from support.evidence_folder import RADII, write_fixed, write_grid
from support.synthetic_logs import (
    changed,
    write,
)

from rszoo.architectures import NormalizedNetwork
from rszoo.bounds import BOUNDS, l2_radius
from rszoo.logs.analysis import load_published, lower_bounds, project, results, vote_share
from rszoo.logs.format import CertifyProtocol, Log, Record, round_down
from rszoo.publishing.cards import draw_card, read_evidence, render, render_card, save_picture
from rszoo.publishing.cards.numbers import RHO, share
from rszoo.recipe import Recipe
from rszoo.zoo.config import CONFIG, recipe_source, sha256
from rszoo.zoo.entry import write_entry
from rszoo.zoo.registry import Entry


def cells(card: str, heading: str) -> list[list[str]]:
    """The lines of the first table after some words."""
    table = re.search(r"(?:^\|.*\n)+", card[card.index(heading) :], flags=re.MULTILINE)
    assert table is not None
    lines = table[0].splitlines()
    return [
        [cell.strip() for cell in line.strip("|").split("|")] for line in [lines[0], *lines[2:]]
    ]


def test_every_number_of_the_table_is_that_of_the_analysis(entry: Path, recipe: Recipe) -> None:
    log = write_fixed(entry)
    head, *lines = cells(render_card(entry, recipe), "## Certified accuracy")
    assert head == ["l2 radius", "`cohen`", "at least", "`joint`", "at least"]
    assert [line[0] for line in lines] == [
        "0 (right class)",
        "0.25",
        "0.5",
        "average certified radius (ACR)",
        "abstains",
    ]
    for column, found in ((1, results(log)), (3, results(project(log, bound="joint")))):
        radii = [0, 0.25, 0.5]
        assert found.count(0.75) == 0 < found.count(0.25)
        below = lower_bounds(found, radii, alpha=0.001, rho=RHO)[1]
        assert [line[column] for line in lines[:3]] == [
            f"{100 * found.accuracy(radius):.1f} %" for radius in radii
        ]
        assert [line[column + 1] for line in lines[:3]] == [
            f"{100 * value:.1f} %" for value in below
        ]
        assert 0 <= found.average_radius - float(lines[3][column]) < 0.001
        assert lines[4][column] == f"{100 * found.abstention:.1f} %"


def test_the_three_accuracies_are_told_apart(entry: Path, recipe: Recipe) -> None:
    log = write_fixed(entry)
    lines = cells(render_card(entry, recipe), "Three accuracies")
    assert lines[1][2] == f"{100 * vote_share(log):.1f} %"
    assert lines[1][2] not in [
        cell for line in cells(render_card(entry, recipe), "## Certified accuracy") for cell in line
    ]


def test_published_rows_are_those_of_the_same_data_set_sigma_and_family(
    entry: Path, recipe: Recipe
) -> None:
    log = write_fixed(entry)
    head, own, *others = cells(render_card(entry, recipe), "### Published results")
    assert head == [
        "",
        "method",
        "network",
        "images",
        "n",
        "alpha",
        "0",
        "0.25",
        "0.5",
        "0.75",
        "ACR",
    ]
    assert own[:7] == [
        "**this entry**",
        "gaussian",
        "resnet20",
        "40",
        "10,000",
        "0.001",
        f"{100 * results(log).accuracy(0):.1f} %",
    ]
    rows = load_published()
    keys = ("cohen-cifar10-s0.25", "cohen-log-cifar10-s0.25", "salman-gaussian-cifar10-s0.25")
    for key, line in zip(keys, others, strict=True):
        row = rows[key]
        assert line[0] == f"[{key}](https://arxiv.org/abs/{row.paper})"
        assert line[1:6] == [
            row.method,
            row.architecture,
            f"{row.images:,}",
            "100,000",
            f"{row.alpha:g}",
        ]
        assert [float(cell.removesuffix(" %")) for cell in line[6:10]] == pytest.approx(
            [100 * each for each in row.accuracies]
        )
        assert line[10] == ("" if row.acr is None else f"{row.acr:.3f}")


def test_what_the_votes_cannot_certify_is_a_dash_on_the_card(entry: Path, recipe: Recipe) -> None:
    """At sigma 0.25, 1000 votes certify up to 0.61, and 10,000 up to 0.80."""
    dash = "samples can certify: nothing was measured there."
    write_fixed(entry)
    card = render_card(entry, recipe)
    assert cells(card, "### Published results")[1][9] == "0.0 %"
    assert dash not in " ".join(card.split())
    write_fixed(entry, n=1000)
    card = render_card(entry, recipe)
    assert cells(card, "### Published results")[1][9] == "-"
    assert f"the largest that 1,000 {dash}" in " ".join(card.split())
    certified = [line[0] for line in cells(card, "## Certified accuracy")]
    assert "0.75" not in certified
    assert "L2 radius 0.75" not in card


def test_without_published_rows_the_card_says_so(entry: Path, recipe: Recipe) -> None:
    write_fixed(entry)
    evidence = read_evidence(entry, recipe)
    assert "for both bounds and for published results]" in render(evidence)
    card = render(
        dataclasses.replace(
            evidence, config=msgspec.structs.replace(evidence.config, method="stability")
        )
    )
    assert "The package knows no published result" in card
    assert "for both bounds](" in card


def test_a_test_of_given_radii_states_these_and_no_average(entry: Path, recipe: Recipe) -> None:
    log = write_grid(entry)
    card = render_card(entry, recipe)
    head, *lines = cells(card, "### At given radii")
    found = results(log)
    assert head == ["l2 radius", "certified accuracy", "at least"]
    assert [line[1] for line in lines] == [
        f"{100 * found.accuracy(radius):.1f} %" for radius in RADII
    ]
    mean = sum(record.n for record in log.records) / 40
    assert f"{mean:,.0f} per image on average and 10,000 at most" in card
    assert "Images whose true class was not" in card
    assert "(ACR)" not in card
    assert "png" not in re.sub("image.png", "", card)
    assert draw_card(read_evidence(entry, recipe)) is None


def test_the_other_precision_is_shown_beside(entry: Path, recipe: Recipe) -> None:
    fixed = write_fixed(entry)
    assert isinstance(fixed.protocol, CertifyProtocol)
    other = msgspec.structs.replace(
        fixed.protocol, precision="float32", stop=fixed.protocol.stride * 10
    )
    first = [record for record in fixed.records if record.idx in other.indices]
    moved = changed(first, 0, **moved_votes(first[0], 30))
    write(entry / "certify-float32.tsv", other, moved)
    card = render_card(entry, recipe)
    words = " ".join(card.split())
    assert "The first 10 of these images" in words
    assert (
        f"at least {100 * 30 / sum(record.n for record in first):.2f} % of the votes differ"
        in words
    )
    row = next(
        line
        for line in card.split("### Precision")[1].splitlines()
        if line.startswith("| 0 (right class)")
    )
    assert row.count(f"{100 * sum(record.correct for record in first) / 10:.1f} %") == 2
    write(entry / "certify-float32.tsv", msgspec.structs.replace(other, seed=7), moved)
    with pytest.raises(ValueError, match=r"to differ from .* in precision and --stop alone"):
        render_card(entry, recipe)


def moved_votes(record: Record, count: int) -> dict[str, Any]:
    """What changes in a record when some votes go from the selected class to another."""
    counts, selected = record.counts(10), record.selected
    assert selected is not None
    counts[selected] -= count
    counts[(selected + 1) % 10] += count
    radius = l2_radius(BOUNDS["cohen"](counts, selected, 0.001).radius, 0.25)
    return {
        "votes": {label: votes for label, votes in enumerate(counts) if votes},
        "radius": radius,
    }


def test_without_a_log_the_card_says_so(entry: Path, recipe: Recipe) -> None:
    card = render_card(entry, recipe)
    assert "No certified accuracy has been measured" in card
    assert not re.search(r"\d+(\.\d+)? %", card)
    for words in (
        "model-index",
        "Published results",
        "rszoo audit",
        "## Evidence",
        "certified_accuracy",
    ):
        assert words not in card


def test_grid_noise_is_charged_to_the_other_rule(
    tmp_path: Path, network: NormalizedNetwork, recipe: Recipe
) -> None:
    gridded = msgspec.structs.replace(
        recipe, inference=msgspec.structs.replace(recipe.inference, noise="grid")
    )
    write_entry(tmp_path, network, recipe_source(gridded))
    log = write_fixed(tmp_path)
    card = render_card(tmp_path, gridded)
    assert "8-bit grid" in card
    assert "up to the effects of that" not in card
    assert log.protocol is not None
    exact = Log(
        log.path, msgspec.structs.replace(log.protocol, noise="float", loss=0.0), log.records
    )
    acr = results(project(log, bound="joint")).average_radius
    assert acr == pytest.approx(
        results(project(exact, bound="joint", alpha=0.0009)).average_radius, rel=1e-9
    )
    assert acr < results(project(exact, bound="joint")).average_radius
    assert cells(card, "## Certified accuracy")[-2][3] == round_down(acr, 3)


@pytest.mark.parametrize(
    "logs", [(), (write_fixed,), (write_grid,), (write_fixed, write_grid)], ids=len
)
def test_the_text_is_whole_and_the_same_each_time(
    entry: Path, recipe: Recipe, logs: tuple[Any, ...]
) -> None:
    for make in logs:
        make(entry)
    card = render_card(entry, recipe)
    assert card == render_card(entry, recipe)
    assert str(entry) not in card
    assert "None" not in card
    assert "{" not in re.sub(r"```bibtex.*?```|rszoo audit.*", "", card, flags=re.DOTALL)
    assert not re.search(r"\n\n\n", card)
    links = re.findall(r"\]\((.*?)\)", card)
    assert all(link.startswith("https://") or link == f"{recipe.name}.png" for link in links)
    assert len(links) >= 3


def test_the_python_block_runs(
    entry: Path, recipe: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    write_fixed(entry)
    card = render_card(entry, recipe)
    (block,) = re.findall(r"```python\n(.*?)```", card, flags=re.DOTALL)
    (command,) = re.findall(r"^    rszoo (certify .*)$", card, flags=re.MULTILINE)
    assert 'load("local-dir:.")' in block
    Image.linear_gradient("L").convert("RGB").save(entry / "image.png")
    monkeypatch.chdir(entry)
    assert "n=10_000" in block
    exec(block.replace("n=10_000", "n=500"), {})
    label, radius = capsys.readouterr().out.split()
    assert "--n 10000" in command
    lines = run(*command.replace("--n 10000", "--n 500").split()).output.splitlines()
    (row,) = (line.split() for line in lines if line.startswith("image.png"))
    assert row[:3] == ["image.png", label, round_down(float(radius), 3)]


def test_the_advised_bound_is_that_of_the_larger_average_radius(
    entry: Path, recipe: Recipe
) -> None:
    log = write_fixed(entry)
    cohen, joint = results(log), results(project(log, bound="joint"))
    assert cohen.average_radius < joint.average_radius
    card = render_card(entry, recipe)
    assert 'clf.certify(x, n=10_000, bound="joint")' in card
    assert "image.png --n 10000 --bound joint\n" in card
    words = " ".join(card.split())
    gives = "gives an average certified radius of {acr} and abstains on {abstains}".format
    for bound, found in (("joint", joint), ("cohen", cohen)):
        facts = {
            "acr": round_down(found.average_radius, 3),
            "abstains": share(found.abstention, 40, up=True),
        }
        said = gives(**facts) if bound == "joint" else "gives {acr} and abstains on {abstains}"
        assert f"`{bound}` {said.format(**facts)}" in words
    assert f"10,000 samples can certify radii up to {round_down(joint.reach, 3)};" in words


def test_without_a_log_the_setting_of_the_recipe_is_advised_or_none(
    entry: Path, recipe: Recipe
) -> None:
    evidence = read_evidence(entry, recipe)
    asked = recipe.certification
    assert f'certify(x, n={asked.n:_}, bound="{asked.bound}")' in render(evidence)
    card = render(dataclasses.replace(evidence, recipe=None))
    assert "clf.certify(x)\n" in card
    assert "Nothing was measured that could recommend" in card


def test_a_card_names_its_repository_and_the_pinned_commit(entry: Path, recipe: Recipe) -> None:
    evidence = read_evidence(entry, recipe)
    assert (evidence.repository, evidence.revision) == (None, None)
    there = dataclasses.replace(evidence, repository="org/repo", revision="next")
    card = render(there)
    assert "    pip install rszoo\n" in card
    assert 'rszoo.load("hf-hub:org/repo@next")' in card
    assert "    rszoo certify hf-hub:org/repo@next image.png" in card
    assert "in the folder of this file" not in card
    pinned = render(dataclasses.replace(there, named=True, revision="0" * 40))
    assert f'clf = rszoo.load("{recipe.name}")' in pinned
    assert f'`rszoo.load("hf-hub:org/repo@{"0" * 40}")` loads' in pinned


def test_the_repository_of_a_named_entry_is_that_of_the_registry(
    entry: Path, recipe: Recipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    pinned = Entry(config_sha256=sha256(entry / CONFIG), repo_id="org/repo", revision="a" * 40)
    monkeypatch.setattr("rszoo.publishing.cards.evidence.get_entry", lambda name: pinned)
    evidence = read_evidence(entry, recipe)
    assert (evidence.named, evidence.repository, evidence.revision) == (True, "org/repo", "a" * 40)
    other = msgspec.structs.replace(pinned, config_sha256="0" * 64)
    monkeypatch.setattr("rszoo.publishing.cards.evidence.get_entry", lambda name: other)
    evidence = read_evidence(entry, recipe)
    assert (evidence.named, evidence.repository, evidence.revision) == (False, None, None)


def test_the_picture_shows_both_rules_and_the_published_rows(entry: Path, recipe: Recipe) -> None:
    write_fixed(entry)
    figure = draw_card(read_evidence(entry, recipe))
    assert isinstance(figure, Figure)
    labels = [line.get_label() for line in figure.axes[0].lines]
    assert labels[0] == "this entry, cohen"
    assert "this entry, joint" in labels
    assert sum("resnet110, 10,000 images" in str(label) for label in labels) == 2
    save_picture(read_evidence(entry, recipe), entry)
    first = (entry / f"{recipe.name}.png").read_bytes()
    save_picture(read_evidence(entry, recipe), entry)
    assert first == (entry / f"{recipe.name}.png").read_bytes()


def test_shares_are_rounded_to_the_safe_side() -> None:
    assert [share(count / 500, 500) for count in (0, 1, 326, 500)] == [
        "0.0 %",
        "0.2 %",
        "65.2 %",
        "100.0 %",
    ]
    assert (share(1 / 3, 3), share(1 / 3, 3, up=True)) == ("33.3 %", "33.4 %")
    assert (share(0.6123, 10_000), share(2999 / 3000, 3000), share(2999 / 3000, 3000, up=True)) == (
        "61.23 %",
        "99.96 %",
        "99.97 %",
    )
    assert round_down(0.5319999, 3) == "0.531"
