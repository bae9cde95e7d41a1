"""`rszoo card`: the model card of an entry."""

import sys
from collections.abc import Sequence
from itertools import zip_longest
from pathlib import Path
from typing import Annotated

from typer import Argument, Option

from rszoo.files import replace_content
from rszoo.recipe import Recipe, load_recipe, recipe_folder, recipe_names
from rszoo.zoo.config import read_config
from rszoo.zoo.registry import FOLDER_PREFIX, bundled_folder, get_entry, list_models, staged_folder


def card(
    entry: Annotated[
        str | None,
        Argument(
            metavar="[NAME|FOLDER]", help="A name of 'rszoo list', or the folder of an entry."
        ),
    ] = None,
    *,
    out: Annotated[
        Path | None, Option(metavar="FILE", help="Write it there, and its picture beside it.")
    ] = None,
    recipe: Annotated[
        Path | None, Option(metavar="TOML", help="The recipe of a FOLDER without one.")
    ] = None,
    everything: Annotated[
        bool, Option("--all", help="Write model_cards/NAME.md and .png of all bundled entries.")
    ] = False,
    check: Annotated[
        bool, Option("--check", help="Compare model_cards/ with what --all would write.")
    ] = False,
) -> None:
    """Render the model card of an entry: the README.md of its Hub repository, from its config, recipe and logs."""
    _check_options(entry, out, everything=everything, check=check)
    if everything or check:
        names = _bundled() if entry is None else [entry]
        differing = [line for name in names for line in _kept(name, write=not check)]
        print(
            "\n".join(
                differing
                or [
                    f"Cards {'compared, without a difference' if check else 'written'}: {len(names)}."
                ]
            )
        )
        sys.exit(1 if differing else 0)
    assert entry is not None
    folder = _folder(entry)
    made_by = _recipe(folder, recipe)
    from rszoo.publishing.cards import read_evidence, render, save_picture

    evidence = read_evidence(folder, made_by)
    text = render(evidence)
    if out is None:
        sys.stdout.write(text)
        return
    replace_content(out, text)
    save_picture(evidence, out.parent)
    print(f"The card is in {out}.")


def _check_options(entry: str | None, out: Path | None, *, everything: bool, check: bool) -> None:
    if everything and (entry is not None or check):
        raise ValueError("Expected --all alone, got it with another argument; leave that out.")
    if out is not None and out.is_dir():
        raise ValueError(
            f"Expected a file for the card, got the folder {str(out)!r}; pass --out {out / 'README.md'}."
        )
    if out is not None and (everything or check):
        raise ValueError(
            "Expected --out with one card, got it with --all or --check; leave it out."
        )
    if entry is None and not (everything or check):
        raise ValueError(
            "Expected the name or the folder of an entry, got none; 'rszoo list' prints the names."
        )


def _bundled() -> Sequence[str]:
    return [name for name in list_models() if bundled_folder(name).is_dir()]


def _folder(entry: str) -> Path:
    """Of a name, or of a path with or without `local-dir:`."""
    if entry not in list_models():
        folder = Path(entry.removeprefix(FOLDER_PREFIX))
        if folder.is_dir():
            return folder
        get_entry(entry)  # raises: the nearest names
    if not bundled_folder(entry).is_dir():
        raise ValueError(
            f"Expected {entry} in the package, got one that is only on the Hub; download its repository and pass the folder."
        )
    return bundled_folder(entry)


def _recipe(folder: Path, path: Path | None) -> Recipe | None:
    """The recipe that was named, or is in the folder, or the package's of that name; None for imported weights."""
    config, beside = read_config(folder), folder / "recipe.toml"
    if path is not None or beside.is_file():
        return load_recipe(str(path or beside))
    return None if config.recipe_fingerprint is None else load_recipe(config.name)


def _kept(name: str, *, write: bool) -> list[str]:
    """Write the card of an entry into the checkout, or say where the one that is there differs."""
    from rszoo.publishing.cards import read_evidence, render, save_picture

    paths = [
        _cards() / f"{name}.md",
        *([staged_folder(name) / "README.md"] if staged_folder(name).is_dir() else []),
    ]
    evidence = read_evidence(_folder(name), load_recipe(name))
    text = render(evidence)
    if not write:
        return [fault for path in paths for fault in _difference(path, text)]
    for path in paths:
        replace_content(path, text)
        save_picture(evidence, path.parent)
    return []


def _difference(path: Path, text: str) -> list[str]:
    """Where the file first differs from the text, in one sentence."""
    found = path.read_bytes().decode("utf-8", "replace").split("\n") if path.is_file() else []
    pairs = zip_longest(found, text.split("\n"))
    faults = [(number, new, old) for number, (old, new) in enumerate(pairs, 1) if old != new]
    return [
        f"{path}, line {number}: expected {new!r}, got {old!r}; run 'rszoo card --all'."
        for number, new, old in faults[:1]
    ]


def _cards() -> Path:
    folder = recipe_folder().parent / "model_cards"
    if not folder.is_dir():
        raise FileNotFoundError(
            f"Expected a checkout with {folder}, got none; render one card with 'rszoo card NAME'."
        )
    return folder
