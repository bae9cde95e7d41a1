"""`rszoo list`: the entries of the zoo."""

from fnmatch import fnmatchcase
from typing import Annotated

from typer import Argument, Option

from rszoo.cli.options import Json
from rszoo.cli.output import print_json, print_table
from rszoo.recipe import load_recipe, recipe_names
from rszoo.registry import bundled_folder, get_entry, list_models

COLUMNS = ("name", "dataset", "architecture", "method", "sigma", "weights")


def list_entries(
    pattern: Annotated[str, Argument(metavar="[PATTERN]", help="A shell pattern such as 'cifar10-*-s0.25'.")] = "*",
    *,
    everything: Annotated[bool, Option("--all", help="Also the recipes that have no weights yet.")] = False,
    json: Json = False,
) -> None:
    """List the entries that can be loaded, and where their weights are."""
    names = set(list_models(pattern))
    if everything:
        names |= {name for name in recipe_names() if fnmatchcase(name, pattern)}
    rows = [_row(name) for name in sorted(names)]
    if json:
        print_json(rows)
    elif rows:
        print_table(COLUMNS, [[str(cell) for cell in row.values()] for row in rows])
    else:
        print(f"No entry matches {pattern!r}; 'rszoo list --all' prints the recipes as well.")


def place(name: str) -> str:
    """Where the weights of an entry are: "bundled", "hub", "missing" from this installation, or "none" yet."""
    if name not in list_models():
        return "none"
    if bundled_folder(name).is_dir():
        return "bundled"
    return "missing" if get_entry(name).repo_id is None else "hub"


def _row(name: str) -> dict[str, str | float]:
    recipe = load_recipe(name)
    model = recipe.model
    cells = (name, model.dataset, model.architecture, recipe.method_name, model.sigma, place(name))
    return dict(zip(COLUMNS, cells, strict=True))
