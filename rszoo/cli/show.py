"""`rszoo show`: all that is known of one entry."""

import textwrap
from pathlib import Path
from typing import Annotated

import msgspec
from typer import Argument

from rszoo.cli.list import place
from rszoo.cli.options import Json
from rszoo.cli.output import print_json, print_table
from rszoo.recipe import Recipe, load_recipe, recipe_names
from rszoo.zoo.config import EntryConfig, read_config, sha256
from rszoo.zoo.registry import FOLDER_PREFIX, Entry, bundled_folder, get_entry, is_path, list_models


def show(
    name: Annotated[
        str, Argument(metavar="NAME", help="A name of 'rszoo list --all', or an entry's folder.")
    ],
    *,
    json: Json = False,
) -> None:
    """Show what the recipe, the registry and the entry's config say of NAME."""
    if (folder := _folder(name)) is not None:
        _show_folder(folder, json=json)
        return
    planned = recipe_names()
    entry = None if name in planned and name not in list_models() else get_entry(name)
    recipe, config = load_recipe(name), None
    if entry is not None and bundled_folder(name).is_dir():
        config = read_config(bundled_folder(name), expected_sha256=entry.config_sha256)
    if json:
        sources = {"registry": entry, "recipe": recipe, "config": config}
        print_json(
            {
                "name": name,
                "weights": place(name),
                **{key: msgspec.to_builtins(sources[key]) for key in sources},
            }
        )
        return
    facts = _recipe_facts(recipe) | _config_facts(config) | _weights_facts(name, entry)
    print_table(("", name), list(facts.items()))


def _folder(name: str) -> Path | None:
    """The folder that NAME is for `rszoo.load`; a recipe comes before a folder of its name that is no entry's."""
    if is_path(name):
        return Path(name.removeprefix(FOLDER_PREFIX))
    return (
        Path(name) if name not in list_models() and (Path(name) / "config.json").is_file() else None
    )


def _show_folder(folder: Path, *, json: bool) -> None:
    config, found = (
        read_config(folder),
        "folder" if (folder / "model.safetensors").is_file() else "missing",
    )
    if json:
        shown = {
            "weights": found,
            "registry": None,
            "recipe": None,
            "config": msgspec.to_builtins(config),
        }
        print_json({"name": config.name, **shown})
        return
    keys = ("license", "dataset", "architecture", "method", "sigma", "precision", "noise")
    facts = {key: str(getattr(config, key)) for key in keys} | _config_facts(config)
    facts |= {
        "config.json": f"sha256 {sha256(folder / 'config.json')}",
        "weights": f"{found}: {folder}",
    }
    print_table(("", config.name), list(facts.items()))


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
        "training": f"{training.epochs} epochs, batch size {training.batch_size}, {training.augmentation}",
        "protocol": f"{protocol.split}, every {protocol.stride}th image, n0={protocol.n0}, n={protocol.n}, "
        f"alpha={protocol.alpha:g}, {protocol.bound}",
        "recipe": f"sha256 {recipe.fingerprint}",
    }


def _config_facts(config: EntryConfig | None) -> dict[str, str]:
    if config is None:
        return {}
    return {
        "classes": f"{len(config.classes)}: {textwrap.shorten(', '.join(config.classes), 200, placeholder=' ...')}",
        "input": f"{' x '.join(map(str, config.input_shape))} (channels, height, width)",
        "model.safetensors": f"sha256 {config.weights_sha256}",
    }


def _weights_facts(name: str, entry: Entry | None) -> dict[str, str]:
    if entry is None:
        return {"weights": f"none yet; 'rszoo train {name} --out DIR' makes them"}
    found = place(name)
    folder = bundled_folder(name)
    where = (
        folder
        if folder.is_dir()
        else f"{entry.repo_id}@{entry.revision}"
        if found == "hub"
        else "a checkout has them"
    )
    return {"config.json": f"sha256 {entry.config_sha256}", "weights": f"{found}: {where}"}
