"""`rszoo train --new`: recipes to start from."""

import dataclasses
import re
import tomllib
from pathlib import Path

import pytest
import torch
from conftest import Complaint
from support.commands import run

import rszoo.training.data
from rszoo.recipe import load_recipe, parse_recipe, recipe_names
from rszoo.training.methods import METHODS
from rszoo.training.template import recipe_template

KEY = re.compile(r"^(# )?\w+ = .*?( +# (?P<comment>.+))?$")


@pytest.fixture
def few_images(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Eight made-up images in place of CIFAR-10, and `tmp_path` as the current folder."""

    def few(name: str, split: str, **options: bool) -> tuple[torch.Tensor, torch.Tensor]:
        return torch.zeros(8, 3, 32, 32, dtype=torch.uint8), torch.arange(8)

    monkeypatch.setattr(rszoo.training.data, "load_images", few)
    monkeypatch.setattr(rszoo.training.data, "image_chunks", lambda *args, **options: [])
    monkeypatch.chdir(tmp_path)


@pytest.mark.usefixtures("few_images")
@pytest.mark.parametrize("method", METHODS)
def test_a_new_recipe_of_every_method_can_be_trained(method: str) -> None:
    name = f"cifar10-resnet20-{method}-mine-s0.30"
    assert f"{name}.toml --dry-run" in run("train", "--new", name).output
    path = Path(f"{name}.toml")
    path.write_text(re.sub("batch_size = [0-9]+", "batch_size = 8", path.read_text()))
    measured = run("train", path, "--dry-run")
    assert measured.stdout.startswith(f"{name}: ")
    assert measured.stderr.startswith(f"rszoo: measuring steps of {name} on cpu ...\n")


@pytest.mark.parametrize("method", METHODS)
def test_every_key_of_a_new_recipe_has_a_comment(method: str) -> None:
    text = recipe_template(f"cifar10-resnet20-{method}-s0.25")
    lines = [line for line in text.splitlines() if line and not line.startswith("[")]
    for line in lines:
        key = KEY.match(line)
        assert line.startswith("# ") or (key and key["comment"])
    keys = {field.name for field in dataclasses.fields(METHODS[method])}
    assert tomllib.loads(text)["method"].keys() == keys | {"name"}
    assert "# ema_decay = ...  # " in text


def test_every_method_has_a_recipe() -> None:
    assert {load_recipe(name).method_name for name in recipe_names()} == METHODS.keys()


@pytest.mark.parametrize("method", ["catrs", "gaussian"])
def test_a_new_recipe_has_a_teacher_where_its_method_needs_one(method: str) -> None:
    recipe = parse_recipe(recipe_template(f"imagenet-resnet50-{method}-s0.25"), "new")
    assert (recipe.training.teacher is None) == (method == "gaussian")
    assert (recipe.training.teacher_votes is None) == (method == "gaussian")


@pytest.mark.parametrize("name", recipe_names()[::7])
def test_a_new_recipe_has_the_values_of_the_nearest_one(name: str) -> None:
    recipe, known = parse_recipe(recipe_template(name), "new"), load_recipe(name)
    assert recipe.name == name
    assert recipe.fingerprint == known.fingerprint
    assert recipe.certification == known.certification


def test_a_recipe_for_images_in_files_is_one_that_streams() -> None:
    recipe = parse_recipe(recipe_template("imagenet-resnet50-macer-s0.50"), "new")
    assert recipe.training.augmentation == "resized-crop-flip"
    assert recipe.method == load_recipe("cifar10-resnet110-macer-s0.50").method


def test_a_family_and_a_variant_are_told_apart() -> None:
    family = parse_recipe(recipe_template("cifar10-resnet20-adre-lam0.3"), "new")
    assert family.name == "cifar10-resnet20-adre-lam0.3-s0.25"
    assert parse_recipe(recipe_template("mnist-resnet20-adreadv"), "new").model.variant is None


def test_a_new_recipe_replaces_no_file_and_refuses_what_it_cannot_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, complaint: Complaint
) -> None:
    monkeypatch.chdir(tmp_path)
    name = "cifar10-resnet20-macer-s0.25"
    run("train", "--new", name, "--out", "mine.toml")
    text = Path("mine.toml").read_text()
    assert "got mine.toml, which exists; name another with --out" in complaint(
        "train", "--new", name, "--out", "mine.toml"
    )
    assert Path("mine.toml").read_text() == text
    for wrong, words in {
        "cifar10-resnet20-mace-s0.25": "the methods are gaussian, stability",
        "cifar10-resnet20-macer-s0.3": "sigma has two decimals",
        "cifar11-resnet20-macer-s0.25": "Unknown data set 'cifar11'",
        "cifar10-resnet21-macer-s0.25": "Unknown architecture 'resnet21'",
    }.items():
        assert words in complaint("train", "--new", wrong)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.toml"]
