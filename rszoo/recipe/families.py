"""Recipe files: families by sigma, and how to read and write them.

A family is a TOML file in `training_recipes/`. It holds the tables of a recipe that all its entries
share, without `sigma` in [model], and one table per sigma with what differs:

    [sigma."0.25"]
    method.eps = 0.5
    training.init_from = "cifar10-resnet20-gaussian-s0.25"

The key is sigma as the entry's name carries it: `FAMILY.toml` makes `FAMILY-s0.25`. A value in a
sigma table replaces the shared one; a table whose `name` is another than the shared one's, such as
another schedule, replaces it whole. No file inherits from another file. A file without sigma tables
is one complete recipe.
"""

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec

from rszoo.errors import decoded, explained, guess
from rszoo.recipe.tables import Recipe, sigma_text

FILE = re.compile(r"(?P<path>.+\.toml)(:(?P<sigma>[^:/\\]*))?", re.DOTALL)
"""FILE.toml or FILE.toml:SIGMA."""
SIGMA = re.compile(r"\d+\.\d\d+")

Tables = dict[str, Any]


def recipe_folder() -> Path:
    """The folder of the families: inside an installed package, or beside it in a checkout."""
    package = Path(__file__).parents[1]
    inside = package / "training_recipes"
    return inside if inside.is_dir() else package.parent / "training_recipes"


def recipe_names() -> list[str]:
    """The names of all recipes, sorted."""
    families = {path: _recipes_of(path) for path in recipe_folder().glob("*.toml")}
    return sorted(f"{path.stem}-s{sigma}" for path, sigmas in families.items() for sigma in sigmas)


def load_recipe(name_or_path: str) -> Recipe:
    """The recipe of a zoo entry, by its name or from a TOML file.

    Args:
        name_or_path: a name of `recipe_names`, FILE.toml, or FILE.toml:SIGMA where the file is a
            family with several sigmas.

    Raises:
        FileNotFoundError: there is no such recipe.
        ValueError: the file is not a valid recipe, or holds none for that sigma.
    """
    if place := FILE.fullmatch(name_or_path):
        path, sigma = Path(place["path"]), place["sigma"]
    else:
        family, _, sigma = name_or_path.rpartition("-s")
        path = recipe_folder() / f"{family}.toml"
    recipes = _recipes_of(path) if path.is_file() else {}
    if not recipes or (place is None and sigma not in recipes):
        meant = guess(name_or_path, recipe_names())
        raise FileNotFoundError(
            f"Expected a recipe's name or a .toml file, got {name_or_path!r}; "
            f"{meant}'rszoo list --all' prints the names."
        )
    return _only(recipes, str(path), sigma)


def parse_recipe(text: str | bytes, source: str) -> Recipe:
    """Read one recipe from TOML text; `source` names it in errors.

    Raises:
        ValueError: not TOML, an unknown or missing key, a wrong type, a value out of range, or a
            family with several sigmas.
    """
    return _only(_resolved(text, source), source, None)


def recipe_text(recipe: Recipe, *, about: bool = True) -> str:
    """The recipe as TOML; read again, it is the same. Without `about`, its prose is left out."""
    tables: Tables = msgspec.to_builtins(recipe)
    wanted = {name: table for name, table in tables.items() if about or name != "about"}
    return "\n\n".join(text for name, table in wanted.items() for text in _tables(name, table))


def toml_value(value: object) -> str:
    """A string, number or truth value in TOML; lines of text stay lines."""
    if isinstance(value, str) and "\n" in value:
        lines = [json.dumps(line, ensure_ascii=False)[1:-1] for line in value.split("\n")]
        return '"""\n' + "\n".join(lines) + '"""'
    return json.dumps(value, ensure_ascii=False)


def _tables(name: str, table: Mapping[str, object]) -> Iterator[str]:
    """The table under its header, then the tables in it."""
    below = {key: value for key, value in table.items() if isinstance(value, Mapping)}
    lines = [f"{key} = {toml_value(table[key])}" for key in table if key not in below]
    yield "\n".join([f"[{name}]", *lines])
    for key, value in below.items():
        yield from _tables(f"{name}.{key}", value)


def _recipes_of(path: Path) -> dict[str, Tables]:
    return _resolved(path.read_bytes(), str(path))


def _resolved(text: str | bytes, source: str) -> dict[str, Tables]:
    """The tables of each recipe in a file, by sigma; the key is "" where the file is one recipe."""
    try:
        shared = decoded(text, Tables)
        entries = msgspec.convert(shared.pop("sigma", None), dict[str, Tables] | None)
        if entries is None:
            return {"": shared}
        recipes = {sigma: _entry(shared, own, sigma) for sigma, own in entries.items()}
    except (ValueError, msgspec.ValidationError) as error:
        raise _invalid(source, str(error)) from error
    if not recipes:
        raise ValueError(
            f'Expected a table per sigma under [sigma] in {source}, got none; write [sigma."0.25"].'
        )
    return recipes


def _entry(shared: Tables, own: Tables, sigma: str) -> Tables:
    if not SIGMA.fullmatch(sigma) or sigma_text(float(sigma)) != sigma:
        raise ValueError(f'the sigma table {sigma!r}; write sigma as names do: [sigma."0.25"]')
    entry = _merged(shared, own)
    if isinstance(entry.get("model"), dict) and "sigma" in entry["model"]:
        raise ValueError("`sigma` in [model] beside tables by sigma; remove it")
    return _merged(entry, {"model": {"sigma": float(sigma)}})


def _merged(shared: Tables, own: Tables) -> Tables:
    """The shared tables, where `own` replaces and adds keys at any depth.

    A table of another `name` takes the place of the shared one, whose keys it may not know.
    """
    both = {
        key: _merged(shared[key], value)
        for key, value in own.items()
        if isinstance(value, dict) and isinstance(shared.get(key), dict)
        if value.get("name", shared[key].get("name")) == shared[key].get("name")
    }
    return shared | own | both


def _only(recipes: Mapping[str, Tables], source: str, sigma: str | None) -> Recipe:
    """The recipe for that sigma, or the one that there is."""
    wanted = next(iter(recipes)) if sigma is None and len(recipes) == 1 else sigma or ""
    if wanted not in recipes:
        known = ", ".join(filter(None, recipes))
        raise ValueError(
            f"Expected one of the sigmas of {source}: {known}, got {sigma or 'none'}; "
            f"write for instance {source}:{next(iter(recipes))}."
            if known
            else f"Expected no sigma for {source}, which is one recipe, got {sigma}; leave it out."
        )
    try:
        return msgspec.convert(recipes[wanted], Recipe)
    except (ValueError, msgspec.ValidationError) as error:
        fault = explained(error, Recipe, recipes[wanted]).removesuffix(".")
        raise _invalid(source, fault) from error


def _invalid(source: str, fault: str) -> ValueError:
    return ValueError(f"Expected a valid recipe in {source}, got a file with this fault: {fault}.")
