import tomllib
from pathlib import Path
from typing import Any

import msgspec
import pytest

from rszoo.architectures import build
from rszoo.bounds import BOUNDS
from rszoo.data.datasets import get_dataset
from rszoo.recipe import (
    Recipe,
    load_recipe,
    parse_recipe,
    recipe_folder,
    recipe_names,
    recipe_text,
    sigma_text,
)
from rszoo.smoothing.form import PRECISIONS
from rszoo.training.data import PADDING
from rszoo.training.methods import METHODS, build_method

TEXT = recipe_text(load_recipe("cifar10-resnet20-gaussian-s0.25"))
FAMILIES = sorted(recipe_folder().glob("*.toml"))
FAMILY = (recipe_folder() / "cifar10-resnet20-smoothadv.toml").read_text()
TABLES = ["about", "model", "method", "training", "inference", "certification", "sigma"]


@pytest.mark.parametrize("name", recipe_names())
def test_every_recipe_can_be_built(name: str) -> None:
    recipe = load_recipe(name)
    assert recipe.name == name
    dataset = get_dataset(recipe.model.dataset)
    build(
        recipe.model.architecture,
        num_classes=dataset.num_classes,
        mean=dataset.mean,
        std=dataset.std,
    )
    build_method(recipe.method)
    assert recipe.certification.bound in BOUNDS
    assert recipe.training.augmentation in (
        {*PADDING} if dataset.files is None else {"resized-crop-flip"}
    )
    assert recipe.inference.precision in PRECISIONS


def leaves(table: dict[str, Any], *path: str) -> dict[tuple[str, ...], object]:
    """The values of a table and of those in it, by their path."""
    found: dict[tuple[str, ...], object] = {}
    for key, value in table.items():
        is_table = isinstance(value, dict)
        found |= leaves(value, *path, key) if is_table else {(*path, key): value}
    return found


@pytest.mark.parametrize("path", FAMILIES, ids=lambda path: path.stem)
def test_every_family_is_written_once_and_in_order(path: Path) -> None:
    family = tomllib.loads(path.read_text(encoding="utf-8"))
    assert list(family) == TABLES
    shared = leaves({key: table for key, table in family.items() if key != "sigma"})
    assert ("model", "sigma") not in shared
    sigmas = [float(key) for key in family["sigma"]]
    assert sigmas == sorted(sigmas)
    for key, own in family["sigma"].items():
        assert key == sigma_text(float(key))
        assert load_recipe(f"{path}:{key}").name == f"{path.stem}-s{key}"
        assert leaves(own).items().isdisjoint(shared.items()), "repeats a value of the family"
        assert f"{path.stem}-s{key}" in recipe_names()


def test_every_name_is_in_one_family() -> None:
    sigmas = {path.stem: tomllib.loads(path.read_text())["sigma"] for path in FAMILIES}
    names = [f"{stem}-s{key}" for stem, keys in sigmas.items() for key in keys]
    assert sorted(names) == recipe_names()
    assert len(names) == len(set(names))


def test_an_entry_of_a_family_is_what_they_share_and_what_differs(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(
        FAMILY.replace(
            '[sigma."1.00"]',
            '[sigma."1.00".training]\nepochs = 7\n[sigma."1.00".training.schedule]\nrate = 0.05\n'
            '[sigma."1.00"]',
        )
    )
    first, last = load_recipe(f"{path}:0.12"), load_recipe(f"{path}:1.00")
    assert (first.model.sigma, last.model.sigma) == (0.12, 1.0)
    assert (first.method["eps"], last.method["eps"]) == (0.25, 2.0)
    assert (first.training.epochs, last.training.epochs) == (24, 7)
    assert (first.training.schedule.rate, last.training.schedule.rate) == (0.2, 0.05)
    assert first.training.schedule.warmup == last.training.schedule.warmup
    assert first.training.optimizer == last.training.optimizer


def test_a_table_of_another_name_replaces_the_shared_one(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    schedule = 'name = "step"\nrate = 0.1\nevery = 8\nfactor = 0.1\n'
    path.write_text(
        FAMILY.replace(
            '[sigma."1.00"]',
            f'[sigma."1.00".training.schedule]\n{schedule}[sigma."1.00"]',
        )
    )
    first, last = load_recipe(f"{path}:0.12"), load_recipe(f"{path}:1.00")
    assert first.training.schedule.warmup
    assert msgspec.to_builtins(last.training.schedule) == tomllib.loads(schedule)
    assert first.training.optimizer == last.training.optimizer


@pytest.mark.parametrize("sigma", ["", ":0.25"])
def test_a_family_without_a_sigma_is_told_to_have_one(tmp_path: Path, sigma: str) -> None:
    path = tmp_path / "empty.toml"
    path.write_text(FAMILY[: FAMILY.index("[sigma.")] + "[sigma]\n")
    with pytest.raises(
        ValueError,
        match=r"^Expected a table per sigma under \[sigma\] in .*empty\.toml, got none; "
        r'write \[sigma\."0\.25"\]\.$',
    ):
        load_recipe(f"{path}{sigma}")


def test_a_file_with_one_recipe_needs_no_sigma(tmp_path: Path) -> None:
    path = tmp_path / "one.toml"
    path.write_text(TEXT)
    assert load_recipe(str(path)) == load_recipe("cifar10-resnet20-gaussian-s0.25")
    with pytest.raises(
        ValueError, match=r"^Expected no sigma for .*one.toml, .* got 0\.25; leave it out\.$"
    ):
        load_recipe(f"{path}:0.25")
    path.write_text(FAMILY[: FAMILY.index('[sigma."0.25"]')])
    assert load_recipe(str(path)) == load_recipe("cifar10-resnet20-smoothadv-s0.12")


@pytest.mark.parametrize("sigma", ["", ":0.33", ":0.5"])
def test_a_file_with_several_recipes_says_which_sigmas_it_has(tmp_path: Path, sigma: str) -> None:
    path = tmp_path / "several.toml"
    path.write_text(FAMILY)
    with pytest.raises(
        ValueError,
        match=r"^Expected one of the sigmas of .*several\.toml: 0\.12, 0\.25, 0\.50, 1\.00, "
        rf"got {sigma[1:] or 'none'}; write for instance .*several\.toml:0\.12\.$",
    ):
        load_recipe(f"{path}{sigma}")


def test_a_sigma_that_a_family_lacks_is_answered_with_those_it_has() -> None:
    for name in ("cifar10-resnet20-gaussian-s0.33", "cifar10-resnet20-gaussian-s0.3"):
        with pytest.raises(FileNotFoundError) as caught:
            load_recipe(name)
        assert str(caught.value).startswith(
            f"Expected a recipe's name or a .toml file, got {name!r}; "
            "did you mean 'cifar10-resnet20-gaussian-s"
        )
    with pytest.raises(FileNotFoundError, match=r"did you mean 'cifar10-resnet20-gaussian-s"):
        load_recipe("cifar10-resnet20-gaussian")


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        ('[sigma."0.50"]', "[sigma.0.50]", r"the sigma table '0'; write sigma as names do"),
        ('[sigma."0.50"]', '[sigma."0.5"]', r"the sigma table '0\.5'; write sigma as names do"),
        ('[sigma."0.50"]', '[sigma."half"]', r"the sigma table 'half'; write sigma as names do"),
        ("[model]", "[model]\nsigma = 0.5", r"`sigma` in \[model\] beside tables by sigma; remove"),
        (
            "method.eps = 1.0",
            "method.eps = []",
            r"Expected `bool \| int \| float \| str`, got `array`",
        ),
        ("method.eps = 1.0", "epochs = 1", r"unknown field `epochs`"),
    ],
)
def test_a_bad_family_names_the_file_and_the_fault(
    tmp_path: Path, old: str, new: str, fault: str
) -> None:
    assert old in FAMILY
    path = tmp_path / "bad.toml"
    path.write_text(FAMILY.replace(old, new, 1))
    with pytest.raises(
        ValueError, match=rf"^Expected a valid recipe in .*bad\.toml, got .*{fault}"
    ):
        load_recipe(f"{path}:0.50")


def test_the_text_of_every_recipe_reads_as_that_recipe() -> None:
    for name in recipe_names():
        recipe = load_recipe(name)
        assert parse_recipe(recipe_text(recipe), "the text") == recipe
    prose = msgspec.structs.replace(recipe.about, notes='a "b"\n\n\\n c\\\n"""\u00e9\t')
    recipe = msgspec.structs.replace(recipe, about=prose)
    assert parse_recipe(recipe_text(recipe), "the text") == recipe


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("epochs = 40", "epochs = 0", r"x.toml.*Expected `int` >= 1 - at `\$.training.epochs`"),
        ("epochs = 40", "epochs = 'many'", r"Expected `int`, got `str` - at `\$.training.epochs`"),
        ("epochs = 40", "epoch = 40", r"unknown field `epoch` - at `\$.training`"),
        ("epochs = 40", "", r"missing required field `epochs` - at `\$.training`"),
        ("sigma = 0.25", "sigma = -1.0", r"Expected `float` > 0.0 - at `\$.model.sigma`"),
        (
            'augmentation = "crop-flip"',
            'augmentation = "mix"',
            r"Invalid enum value 'mix' - at `\$.training.augmentation`",
        ),
        ('name = "gaussian"', "x = 1", r"Expected a method name"),
        ("[model]", "[model", r"x.toml"),
    ],
)
def test_a_bad_recipe_names_the_file_and_the_key(old: str, new: str, message: str) -> None:
    assert old in TEXT
    with pytest.raises(ValueError, match=message):
        parse_recipe(TEXT.replace(old, new, 1), "x.toml")


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"name": "gauss"}, "Unknown method 'gauss' in .method.; use one of gaussian"),
        ({"name": "gaussian", "lam": 1}, "Unknown key 'lam' in .method. of gaussian"),
    ],
)
def test_a_bad_method_is_named(table: dict[str, str], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        build_method(table)


def test_the_fingerprint_is_of_what_decides_the_weights() -> None:
    recipe = parse_recipe(TEXT, "x")
    for old, new in (
        ("One-cycle SGD", "Some SGD"),
        ("stride = 20", "stride = 1"),
        ("n = 100000", "n = 10"),
    ):
        assert old in TEXT
        assert parse_recipe(TEXT.replace(old, new, 1), "x").fingerprint == recipe.fingerprint
    for old, new in (
        ("epochs = 40", "epochs = 41"),
        ("seed = 0", "seed = 1"),
        ("sigma = 0.25", "sigma = 0.26"),
    ):
        assert old in TEXT
        assert parse_recipe(TEXT.replace(old, new, 1), "x").fingerprint != recipe.fingerprint


def test_the_fingerprint_survives_a_round_trip() -> None:
    recipe = parse_recipe(TEXT, "x")
    again = msgspec.json.decode(msgspec.json.encode(recipe), type=Recipe)
    assert again == recipe
    assert again.fingerprint == recipe.fingerprint


@pytest.mark.parametrize(
    ("sigma", "text"), [(0.25, "0.25"), (0.5, "0.50"), (1, "1.00"), (0.125, "0.125")]
)
def test_sigma_in_names(sigma: float, text: str) -> None:
    assert sigma_text(sigma) == text


def test_a_recipe_that_is_no_text_is_named(tmp_path: Path) -> None:
    path = tmp_path / "latin.toml"
    path.write_bytes('[about]\nsummary = "é"'.encode("latin-1"))
    with pytest.raises(
        ValueError,
        match=r"^Expected a valid recipe in .*latin\.toml, got .* this fault: 'utf-8' codec",
    ):
        load_recipe(str(path))


def test_a_missing_recipe_is_named(tmp_path: Path) -> None:
    with pytest.raises(
        FileNotFoundError, match=r"Expected a recipe's name or a .toml file, got 'nothing'"
    ):
        load_recipe("nothing")


def test_every_module_of_a_family_is_in_its_dict() -> None:
    import rszoo.training.methods

    folder = Path(rszoo.training.methods.__file__).parent
    modules = {path.stem for path in folder.glob("*.py")} - {"__init__", "base"}
    assert {method.__module__.rpartition(".")[2] for method in METHODS.values()} == modules
