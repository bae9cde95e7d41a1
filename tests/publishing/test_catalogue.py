"""Entries in Python: names by conditions, the ranking behind the best, all about one."""

import json
import subprocess
import sys

import pytest

import rszoo
from rszoo.publishing.leaderboard import Filter, Standing, ordered, standings
from rszoo.recipe import load_recipe, recipe_names
from rszoo.zoo import registry
from rszoo.zoo.config import sha256
from rszoo.zoo.registry import bundled_folder

NAME = "cifar10-resnet20-gaussian-s0.25"
PLANNED = next(name for name in recipe_names() if name not in registry.list_models())
EVERY = [(name, load_recipe(name)) for name in registry.list_models()]


def test_names_are_those_that_meet_every_condition() -> None:
    assert rszoo.list_models() == [name for name, _ in EVERY]
    expected = [name for name, recipe in EVERY if recipe.model.sigma == 0.25]
    assert 0 < len(expected) < len(EVERY)
    assert rszoo.list_models(sigma=0.25) == expected
    assert rszoo.list_models("*gaussian*", sigma=0.25) == [NAME]
    assert rszoo.list_models(method="gaussian", sigma=0.25, dataset="cifar10") == [NAME]
    assert rszoo.list_models(architecture="resnet20", dataset="mnist") == []
    size = bundled_folder(NAME).joinpath("model.safetensors").stat().st_size
    assert NAME in rszoo.list_models(max_size=size / 10**6)
    assert NAME not in rszoo.list_models(max_size=(size - 1) / 10**6)


def test_with_a_radius_the_names_are_of_entries_that_certify_it_the_best_first() -> None:
    rows = {row.name: row.accuracy(1.0) for row in standings(registry.list_models(), (1.0,))}
    found = rszoo.list_models(radius=1.0)
    assert set(found) == {name for name, share in rows.items() if share}
    assert 0 < len(found) < len(rows)
    shares = [rows[name] or 0.0 for name in found]
    assert shares == sorted(shares, reverse=True)
    assert found[0] == rszoo.best(radius=1.0)
    assert rszoo.list_models(radius=30.0) == []


def test_the_leaderboard_is_what_best_compares() -> None:
    rows = rszoo.leaderboard("cifar10", 1.0)
    assert rows[0].name == rszoo.best("cifar10", 1.0)
    assert type(rszoo.best("cifar10", 1.0)) is str
    wanted = Filter(dataset="cifar10")
    assert rows == ordered(standings(registry.list_models(), (1.0,), wanted=wanted), 1.0)
    assert rows[-1].accuracy(1.0) is None  # of a small sigma: it says that nothing was measured
    assert {row.sigma for row in rszoo.leaderboard(sigma=0.5)} == {0.5}
    assert {row.method for row in rszoo.leaderboard(method="macer")} == {"macer"}
    assert rszoo.leaderboard("mnist") == []
    implied = rszoo.leaderboard(radius=2 / 255, norm="linf")
    assert implied[0].name == rszoo.best(radius=2 / 255, norm="linf")
    with pytest.raises(ValueError, match="Expected norm 'l2' or 'linf', got 'l1'"):
        rszoo.leaderboard(norm="l1")  # type: ignore[arg-type]


def test_the_leaderboard_is_a_table() -> None:
    pandas = pytest.importorskip("pandas")
    rows = rszoo.leaderboard(sigma=0.25)
    assert pandas.DataFrame(rows)["name"].tolist() == [row.name for row in rows]


@pytest.mark.parametrize("value", ["0.5", -1])
def test_a_radius_size_or_sigma_that_none_can_have_is_refused(value: object) -> None:
    for call in (
        lambda: rszoo.list_models(radius=value),  # type: ignore[arg-type]
        lambda: rszoo.list_models(sigma=value),  # type: ignore[arg-type]
        lambda: rszoo.list_models(max_size=value),  # type: ignore[arg-type]
        lambda: rszoo.leaderboard(radius=value),  # type: ignore[arg-type]
        lambda: rszoo.info(NAME, radii=[value]),  # type: ignore[list-item]
    ):
        with pytest.raises(ValueError, match=r"^Expected .*(radius|sigma|size).*, got"):
            call()


def test_all_that_is_known_of_an_entry() -> None:
    found, folder = rszoo.info(NAME), bundled_folder(NAME)
    assert (found.name, found.folder) == (NAME, folder)
    assert found.registry is not None
    assert found.registry.config_sha256 == sha256(folder / "config.json")
    assert found.config is not None
    assert found.config.sigma == found.standing.sigma == 0.25
    assert found.sizes["model.safetensors"] == (folder / "model.safetensors").stat().st_size
    assert {"config.json", "certify.tsv"} <= found.sizes.keys()
    radii = (0.0, 0.25, 0.5, 0.75)
    assert found.certified == dict(zip(radii, standings([NAME], radii)[0].accuracies, strict=True))
    assert list(rszoo.info(NAME, radii=[0.1, 30.0]).certified.values())[1] is None
    text = repr(found)
    assert text.startswith(f"Info {NAME}\n  dataset      cifar10\n")
    assert "76.4 % at 0, 61.8 % at 0.25, 43.6 % at 0.5, 27.4 % at 0.75" in text  # the README's
    assert found.registry.config_sha256 in text


def test_all_that_is_known_is_plain_values_for_json() -> None:
    for name in (NAME, PLANNED):
        values = rszoo.info(name).to_dict()
        assert json.loads(json.dumps(values)) == values
        assert values["name"] == name


def test_what_is_not_known_of_a_recipe_is_none_and_a_dash() -> None:
    found = rszoo.info(PLANNED)
    assert (found.registry, found.folder, found.config, found.sizes) == (None, None, None, {})
    assert found.certified == {}
    assert isinstance(found.standing, Standing)
    lines = dict(line.split(maxsplit=1) for line in repr(found).splitlines()[1:])
    assert {lines[key] for key in ("weights", "config", "certified", "ACR", "abstains")} == {"-"}
    assert lines["sigma"] == f"{load_recipe(PLANNED).model.sigma:g}"
    with pytest.raises(rszoo.UnknownModelError, match="Unknown model 'no-such-entry'"):
        rszoo.info("no-such-entry")


@pytest.mark.slow
def test_nothing_of_this_imports_torch() -> None:
    program = (
        f"import sys, rszoo\nrszoo.list_models(radius=0.5)\nrepr(rszoo.info({NAME!r}))\n"
        "rszoo.leaderboard()\nassert not {'torch', 'huggingface_hub'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
