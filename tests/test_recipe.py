from pathlib import Path

import msgspec
import pytest

from rszoo.architectures import build
from rszoo.bounds import BOUNDS
from rszoo.data.datasets import get_dataset
from rszoo.recipe import Recipe, load_recipe, parse_recipe, recipe_folder, recipe_names, sigma_text
from rszoo.smoothing.form import PRECISIONS
from rszoo.training.augmentation import AUGMENTATIONS
from rszoo.training.methods import METHODS, build_method

TEXT = (recipe_folder() / "cifar10-resnet20-gaussian-s0.25.toml").read_text()


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
        {*AUGMENTATIONS} if dataset.files is None else {"resized-crop-flip"}
    )
    assert recipe.inference.precision in PRECISIONS


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
        match=r"^Expected a valid recipe in .*latin\.toml, got a file with this fault: 'utf-8' codec",
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
