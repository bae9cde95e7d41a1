"""`rszoo bundle`: a finished run into the package, or beside it if it is large. For maintainers."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

from typer import Argument

from rszoo.files import exchange, replace_content, unused_path
from rszoo.recipe import Recipe, load_recipe, recipe_text
from rszoo.zoo.config import (
    BESIDE,
    CONFIG,
    FILES,
    RECIPE,
    WEIGHTS,
    EntryConfig,
    read_config,
    sha256,
)
from rszoo.zoo.registry import (
    Entry,
    get_entry,
    in_checkout,
    list_models,
    packaged_folder,
    pin,
    staged_folder,
)

PACKAGED_BYTES = 2_500_000


def bundle(
    run: Annotated[Path, Argument(metavar="RUN", help="The folder of a finished run.")],
) -> None:
    """For maintainers: copy a finished run and its evidence into the package, and pin them.

    The evidence is certify.tsv and certify-grid.tsv of 'rszoo evaluate', and the certify log of the
    other precision; the training's logs go with it. All are checked before they replace what is
    there. Weights above 2.5 MB would weigh on every installation: a checkout keeps them as a Hub
    repository in hub/NAME, which 'rszoo card --all' completes and 'rszoo publish NAME' uploads.
    """
    if not (run / CONFIG).is_file():
        raise FileNotFoundError(
            f"Expected a finished run with a {CONFIG}, got {str(run)!r}; "
            f"finish it with 'rszoo train NAME --out {run}'."
        )
    config = read_config(run)
    recipe = _checked_recipe(config)
    folder, other = packaged_folder(config.name), staged_folder(config.name)
    weights = run / WEIGHTS
    if weights.is_file() and weights.stat().st_size > PACKAGED_BYTES:
        folder, other = other, folder
        if not in_checkout():
            raise ValueError(
                f"Expected weights of at most {PACKAGED_BYTES} bytes, got {weights.stat().st_size} "
                f"of {config.name}; run 'rszoo bundle' in a checkout, which has a place for them."
            )
    pinned = _copy(run, folder, recipe)
    if in_checkout() and other.exists():  # where weights of another size were before
        stale = unused_path(other)
        other.rename(stale)
        shutil.rmtree(stale, ignore_errors=True)
    print(f"Bundled {config.name} in {folder}, pinned at sha256 {pinned}.")


def _checked_recipe(config: EntryConfig) -> Recipe:
    """The zoo's recipe of the run, after a check that it has not changed since."""
    if config.recipe_fingerprint is None:
        raise ValueError(
            f"Expected weights that 'rszoo train' made from a recipe, got {config.name}, which was "
            "imported; keep it outside the package, as 'local-dir:FOLDER'."
        )
    recipe = load_recipe(config.name)
    form = recipe.inference
    if (config.precision, config.noise) != (form.precision, form.noise):
        raise ValueError(
            f"Expected {config.name} to vote in {form.precision} with {form.noise} noise as its "
            f"recipe says, got {config.precision} and {config.noise}; "
            "finish the run again with 'rszoo train'."
        )
    if config.recipe_fingerprint != recipe.fingerprint:
        raise ValueError(
            f"Expected weights of the recipe {config.name} with fingerprint {recipe.fingerprint}, "
            f"got {config.recipe_fingerprint}; the recipe has changed: train it again into a new "
            "folder."
        )
    return recipe


def _copy(run: Path, folder: Path, recipe: Recipe) -> str:
    """Let a folder with the files take the place of `folder` after every check; pin its config.

    A folder outside the package gets the recipe too. Files that are no entry's are kept. After an
    error folder and pin are as they were.
    """
    from rszoo.publishing.cards import read_evidence
    from rszoo.zoo.entry import read_entry

    staging = unused_path(folder)
    staging.mkdir(parents=True)
    try:
        if folder.exists():
            shutil.copytree(folder, staging, symlinks=True, dirs_exist_ok=True)
        for name in (*FILES, *BESIDE):
            (staging / name).unlink(missing_ok=True)
            if (run / name).is_file():
                shutil.copyfile(run / name, staging / name)
        if folder == staged_folder(recipe.name):
            replace_content(staging / RECIPE, recipe_text(recipe) + "\n")
        read_entry(staging)
        read_evidence(staging, recipe)
        pinned = sha256(staging / CONFIG)
        with _in_place(staging, folder):
            _pin(recipe.name, pinned)
        return pinned
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def _pin(name: str, pinned: str) -> None:
    if name not in list_models() or get_entry(name).config_sha256 != pinned:
        pin(name, Entry(config_sha256=pinned))  # a revision on the Hub holds other weights


@contextmanager
def _in_place(staging: Path, folder: Path) -> Iterator[None]:
    """Put one folder in the place of another, which is then where the first was, if there was one.

    After an error in the block both are where they were.
    """
    move = exchange if folder.exists() else Path.rename
    move(staging, folder)
    try:
        yield
    except BaseException:
        move(folder, staging)
        raise
