"""`rszoo card`: the model card of an entry."""

import sys
from collections.abc import Sequence
from itertools import zip_longest
from pathlib import Path
from typing import Annotated

from typer import Argument, Option

from rszoo.cli.names import complete_entry, full_name
from rszoo.files import replace_content
from rszoo.recipe import Recipe, load_recipe, recipe_folder
from rszoo.zoo.config import CARD, RECIPE, read_config
from rszoo.zoo.registry import FOLDER_PREFIX, bundled_folder, get_entry, list_models, staged_folder


def card(
    entry: Annotated[
        str | None,
        Argument(
            metavar="[NAME|FOLDER]",
            autocompletion=complete_entry,
            help="A name from 'rszoo list', or the folder of an entry.",
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
    """Render the model card of an entry: the README of its Hub repository."""
    entry = entry and full_name(entry)
    _check_options(entry, out, everything=everything, check=check)
    if everything or check:
        names = _bundled() if entry is None else [entry]
        faults = [fault for name in names for fault in _kept(name, write=not check)]
        done = "compared, without a difference" if check else "written"
        print("\n".join(faults or [f"Cards {done}: {len(names)}."]))
        sys.exit(1 if faults else 0)
    if entry is None:
        raise ValueError(
            "Expected the name or the folder of an entry, got none; 'rszoo list' prints the names."
        )
    from rszoo.publishing.cards import read_evidence, render, save_picture

    folder = _folder(entry)
    evidence = read_evidence(folder, _recipe(folder, recipe))
    if out is None:
        sys.stdout.write(render(evidence))
        return
    replace_content(out, render(evidence))
    save_picture(evidence, out.parent)
    print(f"The card is in {out}.")


def _check_options(entry: str | None, out: Path | None, *, everything: bool, check: bool) -> None:
    if everything and (entry is not None or check):
        raise ValueError("Expected --all alone, got it with another argument; leave that out.")
    if out is not None and (everything or check):
        raise ValueError(
            "Expected --out with one card, got it with --all or --check; leave it out."
        )
    if out is not None and out.is_dir():
        raise ValueError(
            f"Expected a file for the card, got the folder {str(out)!r}; pass --out {out / CARD}."
        )


def _bundled() -> Sequence[str]:
    return [name for name in list_models() if bundled_folder(name).is_dir()]


def _folder(entry: str) -> Path:
    """The folder of an entry, from its name, or from a path with or without `local-dir:`."""
    folder = Path(entry.removeprefix(FOLDER_PREFIX))
    if entry not in list_models() and folder.is_dir():
        return folder
    get_entry(entry)  # raises for an unknown name
    if not bundled_folder(entry).is_dir():
        raise ValueError(
            f"Expected {entry} in the package, got one that is only on the Hub; "
            "download its repository and pass the folder."
        )
    return bundled_folder(entry)


def _recipe(folder: Path, path: Path | None) -> Recipe | None:
    """The recipe that was named, or the folder's, or the package's; None for imported weights."""
    config = read_config(folder)
    if path is not None or (folder / RECIPE).is_file():
        return load_recipe(str(path or folder / RECIPE))
    return None if config.recipe_fingerprint is None else load_recipe(config.name)


def _kept(name: str, *, write: bool) -> list[str]:
    """Write the cards that a checkout keeps of an entry, or say where they differ."""
    from rszoo.publishing.cards import read_evidence, render, save_picture

    paths = [_cards() / f"{name}.md"]
    if staged_folder(name).is_dir():
        paths.append(staged_folder(name) / CARD)
    evidence = read_evidence(_folder(name), load_recipe(name))
    text = render(evidence)
    if not write:
        return [fault for path in paths for fault in _difference(path, text)]
    for path in paths:
        replace_content(path, text)
        save_picture(evidence, path.parent)
    return []


def _difference(path: Path, text: str) -> list[str]:
    """Where the file first differs from the text, in one sentence; empty if nowhere."""
    lines = path.read_bytes().decode("utf-8", "replace").split("\n") if path.is_file() else []
    pairs = enumerate(zip_longest(lines, text.split("\n")), 1)
    faults = [
        f"{path}, line {number}: expected {new!r}, got {old!r}; run 'rszoo card --all'."
        for number, (old, new) in pairs
        if old != new
    ]
    return faults[:1]


def _cards() -> Path:
    folder = recipe_folder().parent / "model_cards"
    if not folder.is_dir():
        raise FileNotFoundError(
            f"Expected a checkout with {folder}, got none; render one card with 'rszoo card NAME'."
        )
    return folder
