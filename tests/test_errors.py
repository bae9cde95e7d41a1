from typing import Any

import msgspec
import pytest

from rszoo.bounds import BOUNDS
from rszoo.errors import ascending, explained, nearest
from rszoo.recipe import Certification, Recipe, load_recipe, parse_recipe, recipe_text
from rszoo.training.methods import build_method

TEXT = recipe_text(load_recipe("cifar10-resnet20-smoothadv-s0.25"))


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        (
            "epochs = ",
            "epoch = ",
            ["unknown field `epoch`", "`$.training`", "allowed: epochs, batch_size, augmentation"],
        ),
        ('"one-cycle"', '"linear"', ["'linear'", "allowed: one-cycle, step, cosine"]),
        ('"crop-flip"', '"crop"', ["'crop'", "allowed: crop-flip, flip, none, resized-crop-flip"]),
        ("batch_size = 256", "batch_size = 0", ["`$.training.batch_size`", "got 0"]),
        ("batch_size = 256", 'batch_size = "many"', ["`$.training.batch_size`", "got 'many'"]),
        ("rate = 0.", "rate = inf  # ", ["`$.training.schedule.rate`", "got inf"]),
        ('"cohen"', '"Cohen"', ["'Cohen'", "allowed: bonferroni, cohen, joint, tcertify"]),
    ],
)
def test_a_bad_recipe_names_place_value_and_what_is_allowed(
    old: str, new: str, words: list[str]
) -> None:
    assert old in TEXT
    with pytest.raises(ValueError, match=r"^Expected a valid recipe in here\.toml, got ") as error:
        parse_recipe(TEXT.replace(old, new, 1), "here.toml")
    assert all(word in str(error.value) for word in words), error.value


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("eps", -0.25, "got -0.25"),
        ("eps", float("inf"), "got inf"),
        ("steps", 0, "got 0"),
        ("attack", "fgsm", "allowed: ddn, pgd"),
        ("warmup", -1, "got -1"),
        ("m_train", 99, "1 <= m_train <= m"),
    ],
)
def test_an_impossible_hyper_parameter_is_refused(key: str, value: float, words: str) -> None:
    table = {**load_recipe("cifar10-resnet20-smoothadv-s0.25").method, key: value}
    with pytest.raises(ValueError, match="hyper-parameters of smoothadv") as error:
        build_method(table)
    assert words in str(error.value)


def test_errors_of_others_keep_their_words() -> None:
    assert explained(ValueError("no table"), Recipe) == "no table"


def test_the_bounds_of_a_recipe_are_all_bounds() -> None:
    table: Any = msgspec.inspect.type_info(Certification)
    (bound,) = (field.type for field in table.fields if field.name == "bound")
    assert sorted(bound.values) == sorted(BOUNDS)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("cifar10-resnet110-cohen-s0.25", ["cifar10-resnet110-gaussian-s0.25"]),
        ("gaussian", ["cifar10-resnet110-gaussian-s0.25", "cifar10-resnet20-gaussian-s0.25"]),
        ("nope", []),
        ("", []),
    ],
)
def test_the_nearest_names(name: str, expected: list[str]) -> None:
    known = {
        "cifar10-resnet110-gaussian-s0.25",
        "cifar10-resnet20-gaussian-s0.25",
        "cifar10-resnet110-macer-s0.25",
    }
    assert nearest(name, known) == expected


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([0.0, 0.5], True),
        ((0.25,), True),
        ([], False),
        ([0.5, 0.5], False),
        ([0.5, 0.25], False),
        ([-0.1, 0.25], False),
        ([0.25, float("inf")], False),
        ([float("inf")], False),
        ([float("nan")], False),
        ([0.25, float("nan")], False),
    ],
)
def test_radii_ascend_strictly_and_are_finite(values: list[float], expected: bool) -> None:
    assert ascending(values) == expected


def test_factors_start_above_zero() -> None:
    assert not ascending([0.0, 0.5], positive=True)
    assert ascending([0.1, 0.5], positive=True)
