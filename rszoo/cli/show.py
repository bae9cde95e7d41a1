"""`rszoo show`: what is known about one entry."""

import textwrap
from pathlib import Path
from typing import Annotated

import msgspec
from typer import Argument, Option

from rszoo.cli.list import place
from rszoo.cli.options import Json
from rszoo.cli.output import print_json, print_table
from rszoo.recipe import Recipe, load_recipe, recipe_names, recipe_text
from rszoo.zoo.config import CONFIG, RECIPE, WEIGHTS, EntryConfig, read_config, sha256
from rszoo.zoo.registry import FOLDER_PREFIX, Entry, bundled_folder, get_entry, is_path, list_models


def show(
    name: Annotated[
        str, Argument(metavar="NAME", help="A name of 'rszoo list --all', or an entry's folder.")
    ],
    *,
    recipe: Annotated[
        bool, Option("--recipe", help="Print the complete recipe, as TOML, and nothing else.")
    ] = False,
    json: Json = False,
) -> None:
    """Show what the recipe, the registry and the entry's config say about NAME."""
    folder = _folder(name)
    if recipe:
        print(recipe_text(load_recipe(name if folder is None else str(folder / RECIPE))))
        return
    sources, facts = _of_name(name) if folder is None else _of_folder(folder)
    if json:
        print_json(msgspec.to_builtins(sources))
    else:
        print_table(("", str(sources["name"])), list(facts.items()))


def _folder(name: str) -> Path | None:
    """The folder that `rszoo.load` takes NAME for; an entry's name goes before a folder's."""
    if is_path(name):
        return Path(name.removeprefix(FOLDER_PREFIX))
    is_entry = name not in list_models() and (Path(name) / CONFIG).is_file()
    return Path(name) if is_entry else None


def _of_name(name: str) -> tuple[dict[str, object], dict[str, str]]:
    """What is known about an entry: by source, and as lines of the table."""
    planned = recipe_names()
    is_planned = name in planned and name not in list_models()
    entry = None if is_planned else get_entry(name)
    recipe, config = load_recipe(name), None
    if entry is not None and bundled_folder(name).is_dir():
        config = read_config(bundled_folder(name), expected_sha256=entry.config_sha256)
    sources = {"registry": entry, "recipe": recipe, "config": config}
    facts = _recipe_facts(recipe) | _config_facts(config) | _weights_facts(name, entry)
    return {"name": name, "weights": place(name), **sources}, facts


def _of_folder(folder: Path) -> tuple[dict[str, object], dict[str, str]]:
    """As `_of_name`, about an entry that is not in the registry."""
    config = read_config(folder)
    weights = "folder" if (folder / WEIGHTS).is_file() else "missing"
    sources = {"registry": None, "recipe": None, "config": config}
    keys = ("license", "dataset", "architecture", "method", "sigma", "precision", "noise")
    facts = {key: str(getattr(config, key)) for key in keys} | _config_facts(config)
    facts |= {CONFIG: f"sha256 {sha256(folder / CONFIG)}", "weights": f"{weights}: {folder}"}
    return {"name": config.name, "weights": weights, **sources}, facts


def _recipe_facts(recipe: Recipe) -> dict[str, str]:
    about, model, training = recipe.about, recipe.model, recipe.training
    protocol = recipe.certification
    options = [f"{key}={value}" for key, value in recipe.method.items() if key != "name"]
    return {
        "summary": about.summary,
        "notes": " ".join(about.notes.split()),
        "paper": about.paper,
        "license": about.license,
        "dataset": model.dataset,
        "architecture": model.architecture,
        "method": " ".join([recipe.method_name, *options]),
        "sigma": f"{model.sigma:g} (standard deviation of the noise, pixels in [0, 1])",
        "precision": recipe.inference.precision,
        "noise": recipe.inference.noise,
        "training": f"{training.epochs} epochs, batch size {training.batch_size}, "
        f"{training.augmentation}",
        "protocol": f"{protocol.split}, every {protocol.stride}th image, n0={protocol.n0}, "
        f"n={protocol.n}, alpha={protocol.alpha:g}, {protocol.bound}",
        "recipe": f"sha256 {recipe.fingerprint}",
    }


def _config_facts(config: EntryConfig | None) -> dict[str, str]:
    if config is None:
        return {}
    classes = textwrap.shorten(", ".join(config.classes), 200, placeholder=" ...")
    shape = " x ".join(map(str, config.input_shape))
    return {
        "classes": f"{len(config.classes)}: {classes}",
        "input": f"{shape} (channels, height, width)",
        WEIGHTS: f"sha256 {config.weights_sha256}",
    }


def _weights_facts(name: str, entry: Entry | None) -> dict[str, str]:
    if entry is None:
        return {"weights": f"none yet; 'rszoo train {name} --out DIR' makes them"}
    weights, folder = place(name), bundled_folder(name)
    if folder.is_dir():
        where = str(folder)
    else:
        on_hub = f"{entry.repo_id}@{entry.revision}"
        where = on_hub if weights == "hub" else "a checkout has them"
    return {CONFIG: f"sha256 {entry.config_sha256}", "weights": f"{weights}: {where}"}
