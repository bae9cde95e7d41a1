"""`rszoo bundle`: a finished run into the package, or, where it is too large, beside it. For maintainers."""

import shutil
from pathlib import Path
from typing import Annotated

from typer import Argument

from rszoo.recipe import Recipe, load_recipe, recipe_folder
from rszoo.zoo.config import EntryConfig, read_config, sha256
from rszoo.zoo.layout import BESIDE, FILES
from rszoo.zoo.registry import (
    Entry,
    get_entry,
    in_checkout,
    list_models,
    packaged_folder,
    pin,
    staged_folder,
)

PACKAGED_BYTES = 1_500_000


def bundle(
    run: Annotated[Path, Argument(metavar="RUN", help="The folder of a finished run.")],
) -> None:
    """For maintainers: copy a finished run and its evidence into the package, check them, and pin them in the registry.

    The evidence is certify.tsv and certify-grid.tsv of 'rszoo evaluate', and certify-float32.tsv of the other precision; the
    training's own logs go with it. Weights above 1.5 MB would weigh on every installation: a checkout keeps them as a Hub
    repository in hub/NAME, which 'rszoo card --all' completes and 'rszoo publish NAME' uploads.
    """
    if not (run / "config.json").is_file():
        raise FileNotFoundError(
            f"Expected a finished run with a config.json, got {str(run)!r}; finish it with 'rszoo train NAME --out {run}'."
        )
    config = read_config(run)
    recipe = _checked_recipe(config)
    folder = _home(config.name, run / "model.safetensors")
    _copy(run, folder, recipe)
    pinned = sha256(folder / "config.json")
    if config.name not in list_models() or get_entry(config.name).config_sha256 != pinned:
        pin(
            config.name, Entry(config_sha256=pinned)
        )  # a Hub revision pinned before holds other weights
    if in_checkout():  # where weights of another size were before
        staged, packaged = staged_folder(config.name), packaged_folder(config.name)
        shutil.rmtree(packaged if folder == staged else staged, ignore_errors=True)
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


def _home(name: str, weights: Path) -> Path:
    if not weights.is_file() or weights.stat().st_size <= PACKAGED_BYTES:
        return packaged_folder(name)
    if not in_checkout():
        raise ValueError(
            f"Expected weights of at most {PACKAGED_BYTES} bytes, got {weights.stat().st_size} of {name}; "
            "run 'rszoo bundle' in a checkout, which has a place for them."
        )
    return staged_folder(name)


def _copy(run: Path, folder: Path, recipe: Recipe) -> None:
    """The files reach `folder` only after their copies have passed every check of an entry and of its evidence."""
    from rszoo.publishing.cards import read_evidence
    from rszoo.zoo.entry import read_entry
    from rszoo.zoo.layout import RECIPE

    staging = folder.with_name(f"{folder.name}.partial")
    shutil.rmtree(staging, ignore_errors=True)
    staging.mkdir(parents=True)
    try:
        found = [name for name in (*FILES, *BESIDE) if (run / name).is_file()]
        for name in found:
            shutil.copyfile(run / name, staging / name)
        if folder == staged_folder(recipe.name):
            shutil.copyfile(recipe_folder() / f"{recipe.name}.toml", staging / RECIPE)
            found.append(RECIPE)
        read_entry(staging)
        read_evidence(staging, recipe)
        folder.mkdir(exist_ok=True)
        for name in found:
            (staging / name).replace(folder / name)
        for name in set(BESIDE).difference(found):  # of weights that were here before
            (folder / name).unlink(missing_ok=True)
    finally:
        shutil.rmtree(staging, ignore_errors=True)
