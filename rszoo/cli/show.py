"""`rszoo show`: all that is known of one entry."""

import textwrap
from typing import Annotated

import msgspec
from typer import Argument

from rszoo.cli.list import place
from rszoo.cli.options import Json
from rszoo.cli.output import print_json, print_table
from rszoo.config import EntryConfig, read_config
from rszoo.recipe import Recipe, load_recipe, recipe_names
from rszoo.registry import Entry, bundled_folder, get_entry, list_models


def show(name: Annotated[str, Argument(metavar="NAME", help="A name of 'rszoo list --all'.")], *, json: Json = False) -> None:
    """Show what the recipe, the registry and the entry's config say of NAME."""
    planned = recipe_names()
    entry = None if name in planned and name not in list_models() else get_entry(name, recipes=planned)
    recipe, config = load_recipe(name), None
    if entry is not None and bundled_folder(name).is_dir():
        config = read_config(bundled_folder(name), expected_sha256=entry.config_sha256)
    if json:
        sources = {"registry": entry, "recipe": recipe, "config": config}
        print_json({"name": name, "weights": place(name), **{key: msgspec.to_builtins(sources[key]) for key in sources}})
        return
    facts = _recipe_facts(recipe) | _config_facts(config) | _weights_facts(name, entry)
    print_table(("", name), list(facts.items()))


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
    where = folder if folder.is_dir() else f"{entry.repo_id}@{entry.revision}" if found == "hub" else "a checkout has them"
    return {"config.json": f"sha256 {entry.config_sha256}", "weights": f"{found}: {where}"}
