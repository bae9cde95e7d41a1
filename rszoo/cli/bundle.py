"""`rszoo bundle`: a finished run into the package. For maintainers."""

import shutil
from pathlib import Path
from typing import Annotated

from typer import Argument

from rszoo.config import EntryConfig, read_config, sha256
from rszoo.hub import BESIDE, FILES
from rszoo.recipe import Recipe, load_recipe
from rszoo.registry import Entry, bundled_folder, get_entry, list_models, pin


def bundle(run: Annotated[Path, Argument(metavar="RUN", help="The folder of a finished run.")]) -> None:
    """For maintainers: copy a finished run and its evidence into the package, check them, and pin them in the registry.

    The evidence is certify.tsv and certify-grid.tsv of 'rszoo evaluate', and certify-float32.tsv of the other precision; the
    training's own logs go with it.
    """
    if not (run / "config.json").is_file():
        raise FileNotFoundError(
            f"Expected a finished run with a config.json, got {str(run)!r}; finish it with 'rszoo train NAME --out {run}'."
        )
    config = read_config(run)
    recipe = _checked_recipe(config)
    folder = bundled_folder(config.name)
    _copy(run, folder, recipe)
    pinned = sha256(folder / "config.json")
    if config.name not in list_models() or get_entry(config.name).config_sha256 != pinned:
        pin(config.name, Entry(config_sha256=pinned))  # a Hub revision pinned before holds other weights
    print(f"Bundled {config.name} in {folder}, pinned at sha256 {pinned}.")


def _checked_recipe(config: EntryConfig) -> Recipe:
    if config.recipe_fingerprint is None:
        raise ValueError(
            f"Expected weights that 'rszoo train' made from a recipe, got {config.name}, which was imported; "
            "keep it outside the package, as 'local-dir:FOLDER'."
        )
    recipe = load_recipe(config.name)
    fingerprint = recipe.fingerprint
    if (config.precision, config.noise) != (recipe.inference.precision, recipe.inference.noise):
        raise ValueError(
            f"Expected {config.name} to vote in {recipe.inference.precision} with {recipe.inference.noise} noise as its recipe "
            f"says, got {config.precision} and {config.noise}; finish the run again with 'rszoo train'."
        )
    if config.recipe_fingerprint != fingerprint:
        raise ValueError(
            f"Expected weights of the recipe {config.name} with fingerprint {fingerprint}, got {config.recipe_fingerprint}; "
            "the recipe has changed: train it again into a new folder."
        )
    return recipe


def _copy(run: Path, folder: Path, recipe: Recipe) -> None:
    """The files reach `folder` only after their copies have passed every check of an entry and of its evidence."""
    from rszoo.cards import read_evidence
    from rszoo.entry import read_entry

    staging = folder.with_name(f"{folder.name}.partial")
    shutil.rmtree(staging, ignore_errors=True)
    staging.mkdir(parents=True)
    try:
        found = [name for name in (*FILES, *BESIDE) if (run / name).is_file()]
        for name in found:
            shutil.copyfile(run / name, staging / name)
        read_entry(staging)
        read_evidence(staging, recipe)
        folder.mkdir(exist_ok=True)
        for name in found:
            (staging / name).replace(folder / name)
        for name in set(BESIDE).difference(found):  # of weights that were here before
            (folder / name).unlink(missing_ok=True)
    finally:
        shutil.rmtree(staging, ignore_errors=True)
