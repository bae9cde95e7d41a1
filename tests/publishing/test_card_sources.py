"""The sources of a card: contradictory or faulty ones are refused, recipes and papers are cited."""

import dataclasses
from pathlib import Path
from typing import Any

import msgspec
import pytest
from support.evidence_folder import RADII, entry_protocol, write_fixed, write_grid
from support.synthetic_logs import (
    adaptive_records,
    certify_records,
    changed,
    predict_protocol,
    predict_records,
    write,
)

from rszoo.architectures import NormalizedNetwork
from rszoo.publishing.cards import read_evidence, render_card
from rszoo.publishing.cards.metadata import front_matter
from rszoo.publishing.cards.works import arxiv_number, bibtex, works
from rszoo.recipe import Recipe, load_recipe, parse_recipe, recipe_names, recipe_text
from rszoo.zoo.config import recipe_source
from rszoo.zoo.entry import write_entry


def test_an_imported_entry_of_unknown_licence(
    tmp_path: Path, network: NormalizedNetwork, recipe: Recipe
) -> None:
    source = recipe_source(recipe)
    write_entry(
        tmp_path,
        network,
        type(source)(**{**vars(source), "license": "unknown", "recipe_fingerprint": None}),
    )
    card = render_card(tmp_path, None)
    assert "This card grants no right to use them." in card
    assert "not made from a recipe of this package" in card
    assert "license: unknown\n" in card
    assert "bibtex" not in card


def test_a_licence_that_the_hub_has_no_word_for(entry: Path, recipe: Recipe) -> None:
    evidence = read_evidence(entry, recipe)
    for stated, said in {
        "MIT": "license: mit\n",
        "MIT OR ISC": "license: other\nlicense_name: mit or isc\n",
    }.items():
        config = msgspec.structs.replace(evidence.config, license=stated)
        assert said in front_matter(dataclasses.replace(evidence, config=config))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"weights_sha256": "0" * 64}, "Expected weights_sha256"),
        ({"sigma": 0.5}, "Expected sigma 0.25"),
        ({"shard": (1, 2)}, "Expected shard None"),
        ({"correct_only": True}, "Expected correct_only False"),
    ],
)
def test_a_log_of_something_else_is_refused(
    entry: Path, recipe: Recipe, changes: dict[str, Any], words: str
) -> None:
    write_fixed(entry, **changes)
    with pytest.raises(
        ValueError, match=rf"^{words} .*certify.tsv.*; put an evaluation of this entry there\.$"
    ):
        render_card(entry, recipe)


def test_a_log_of_the_other_kind_is_refused(entry: Path, recipe: Recipe) -> None:
    write_fixed(entry).path.rename(entry / "certify-grid.tsv")
    with pytest.raises(
        ValueError, match=r"^Expected a log of given radii in .*; that belongs in certify.tsv\.$"
    ):
        render_card(entry, recipe)
    write_grid(entry).path.rename(entry / "certify.tsv")
    with pytest.raises(ValueError, match="Expected radii None"):
        render_card(entry, recipe)
    write(entry / "certify.tsv", predict_protocol(), predict_records(predict_protocol()))
    with pytest.raises(ValueError, match="Expected a log of CERTIFY"):
        render_card(entry, recipe)


def test_an_unfinished_altered_or_torn_log_is_refused(entry: Path, recipe: Recipe) -> None:
    protocol = entry_protocol(entry)
    records = certify_records(protocol)
    path = entry / "certify.tsv"
    write(path, protocol, records[:-1])
    with pytest.raises(
        ValueError,
        match=r"^Expected a log without faults in .*the evaluation is not finished\. Finish it",
    ):
        render_card(entry, recipe)
    write(path, protocol, changed(records, 0, radius=0.9, predict=records[0].label, correct=True))
    with pytest.raises(ValueError, match=r"^Expected a log without faults in "):
        render_card(entry, recipe)
    path.write_bytes(path.read_bytes()[:700] + b"x\n")
    with pytest.raises(ValueError, match=r"^Expected line \d+ of "):
        render_card(entry, recipe)
    path.unlink()
    protocol = entry_protocol(entry, radii=RADII)
    lines = adaptive_records(protocol)
    certified = next(place for place, record in enumerate(lines) if record.radius == RADII[1])
    write(entry / "certify-grid.tsv", protocol, changed(lines, certified, radius=RADII[3]))
    with pytest.raises(ValueError, match="larger than the path allows"):
        render_card(entry, recipe)


def test_a_recipe_that_did_not_make_the_weights_is_refused(entry: Path, recipe: Recipe) -> None:
    for other in (None, load_recipe("cifar10-resnet20-gaussian-s0.50")):
        with pytest.raises(
            ValueError, match=r"^Expected the recipe with fingerprint .*; pass the recipe that made"
        ):
            render_card(entry, other)
    about = msgspec.structs.replace(recipe.about, license="Apache-2.0")
    with pytest.raises(
        ValueError,
        match=r"^Expected license 'Apache-2.0' as in the recipe of .*, got 'MIT'; make them agree",
    ):
        render_card(entry, msgspec.structs.replace(recipe, about=about))


def test_no_licence_and_no_config_are_refused(entry: Path, recipe: Recipe, tmp_path: Path) -> None:
    config = entry / "config.json"
    config.write_text(config.read_text().replace('"license": "MIT"', '"license": " "'))
    with pytest.raises(ValueError, match=r"^Expected a licence in .*, got none; "):
        render_card(entry, recipe)
    with pytest.raises(FileNotFoundError, match=r"config\.json"):
        render_card(tmp_path / "none", recipe)


@pytest.mark.parametrize("name", recipe_names())
def test_a_recipe_is_written_as_it_was_read(name: str) -> None:
    recipe = load_recipe(name)
    assert parse_recipe(recipe_text(recipe) + "\n", "the text") == recipe


def test_every_recipe_follows_a_paper_that_can_be_cited() -> None:
    papers = {load_recipe(name).about.paper for name in recipe_names()}
    assert {arxiv_number(paper) for paper in papers} == set(works())
    for paper in papers:
        entry = bibtex(paper) or ""
        assert entry.startswith("@inproceedings{")
        assert f"eprint = {{{arxiv_number(paper)}}}" in entry
    assert bibtex("https://arxiv.org/abs/2999.99999") is None
    assert arxiv_number("https://example.org/1902.02918") is None
