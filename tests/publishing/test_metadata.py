"""The front matter as the Hub's client reads it."""

from pathlib import Path

import pytest
import yaml
from huggingface_hub import EvalResult, ModelCard, ModelCardData
from support.evidence_folder import RADII, write_fixed, write_grid

from rszoo.data.datasets import DATASETS
from rszoo.logs.analysis import project, results
from rszoo.publishing.cards import render_card
from rszoo.publishing.cards.metadata import HUB_DATASETS
from rszoo.recipe import Recipe


def read(entry: Path, recipe: Recipe) -> ModelCardData:
    data = ModelCard(render_card(entry, recipe)).data
    assert isinstance(data, ModelCardData)
    return data


def test_what_the_hub_is_told(entry: Path, recipe: Recipe) -> None:
    data = read(entry, recipe)
    assert (data.license, data.library_name, data.pipeline_tag) == (
        "mit",
        "rszoo",
        "image-classification",
    )
    assert data.tags == ["randomized-smoothing", "certified-robustness", "l2", "gaussian"]
    assert data.datasets == ["uoft-cs/cifar10"]
    assert data.eval_results is None


def test_every_result_is_read_again_with_its_value(entry: Path, recipe: Recipe) -> None:
    fixed, grid = write_fixed(entry), write_grid(entry)
    data = read(entry, recipe)
    assert data.model_name == recipe.name
    found = {
        (each.metric_type, args["bound"], args.get("radius")): each
        for each in evaluated(data)
        if (args := each.metric_args)
    }
    assert len(found) == len(evaluated(data)) == 3 + 2 + 3 + 2 + len(RADII)
    for bound, expected in (
        ("cohen", results(fixed)),
        ("joint", results(project(fixed, bound="joint"))),
    ):
        for radius in (0.0, 0.25, 0.5):
            assert found["certified_accuracy", bound, radius].metric_value == expected.accuracy(
                radius
            )
        acr = found["average_certified_radius", bound, None].metric_value
        assert acr == round(acr, 6)  # the same by all versions of numpy and scipy
        assert 0 <= expected.average_radius - acr < 1e-6
        assert found["abstention_rate", bound, None].metric_value == expected.abstention
    for radius in RADII:
        assert found["certified_accuracy", "sequential", radius].metric_value == results(
            grid
        ).accuracy(radius)
    assert found["certified_accuracy", "cohen", 0.25].metric_args == {
        "radius": 0.25,
        "norm": "l2",
        "sigma": 0.25,
        "n0": 100,
        "n": 10_000,
        "alpha": 0.001,
        "bound": "cohen",
        "examples": 40,
        "indices": "0:400:10",
        "seed": 0,
    }


def test_no_two_results_are_one_to_the_client(entry: Path, recipe: Recipe) -> None:
    write_fixed(entry), write_grid(entry)
    found = evaluated(read(entry, recipe))
    assert not any(a.is_equal_except_value(b) for i, a in enumerate(found) for b in found[:i])
    assert len({each.metric_name for each in found}) == len(found)


def test_the_front_matter_goes_round(entry: Path, recipe: Recipe) -> None:
    write_fixed(entry)
    text = render_card(entry, recipe)
    front = text.split("---\n")[1]
    assert yaml.safe_load(ModelCard(text).data.to_yaml()) == yaml.safe_load(front)


def test_every_data_set_of_the_package_is_named_on_the_hub() -> None:
    assert set(DATASETS) == set(HUB_DATASETS)


def evaluated(data: ModelCardData) -> list[EvalResult]:
    assert isinstance(data.eval_results, list)
    return data.eval_results


@pytest.fixture(autouse=True)
def _offline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
