"""`rszoo show`: what is known about one entry."""

import os
import re
import sys
import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import msgspec
from typer import Argument, Option

from rszoo.cli.evidence import Evidence, read_evidence
from rszoo.cli.list import place
from rszoo.cli.names import complete_recipe, full_name
from rszoo.cli.options import Json, parse_radii
from rszoo.cli.output import print_json, print_table, print_text, terminal_width
from rszoo.cli.timing import duration
from rszoo.logs.format import in_full, round_down
from rszoo.recipe import Recipe, load_recipe, recipe_names, recipe_text
from rszoo.zoo.config import CONFIG, RECIPE, WEIGHTS, EntryConfig, read_config, sha256
from rszoo.zoo.registry import FOLDER_PREFIX, Entry, bundled_folder, get_entry, is_path, list_models

DIGEST = re.compile(r"\b([0-9a-f]{12})[0-9a-f]{52}\b")
INDENT = 4  # of the lines of Python


def show(
    name: Annotated[
        str,
        Argument(
            metavar="NAME",
            callback=full_name,
            autocompletion=complete_recipe,
            help="A name of 'rszoo list --all', or an entry's folder.",
        ),
    ],
    *,
    recipe: Annotated[
        bool, Option("--recipe", help="Print the complete recipe, as TOML, and nothing else.")
    ] = False,
    json: Json = False,
) -> None:
    """Show what is known about NAME: facts, certified accuracies, time per image, how to use it."""
    folder = _folder(name)
    if recipe:
        print(recipe_text(load_recipe(name if folder is None else str(folder / RECIPE))))
        return
    sources, facts = _of_name(name) if folder is None else _of_folder(folder)
    if json:
        print_json(msgspec.to_builtins(sources))
        return
    _print_facts(str(sources["name"]), facts)
    config = sources["config"]
    if isinstance(config, EntryConfig):
        place = bundled_folder(name) if folder is None else folder
        _print_evidence(read_evidence(place, config))
        _print_use(name if folder is None else f"{FOLDER_PREFIX}{folder}")


def _print_facts(name: str, facts: dict[str, str]) -> None:
    """Print facts; a terminal gets the first digits of hashes, and the folder on its own line."""
    if not sys.stdout.isatty():
        print_table(("", name), list(facts.items()))
        return
    kind, _, where = facts["weights"].partition(": ")
    inside = bool(where) and os.sep in where
    print_text(name)
    shown = facts | ({"weights": kind} if inside else {})
    print_table(("", name), [(key, DIGEST.sub(r"\1...", value)) for key, value in shown.items()])
    if inside:
        print(f"Its files are in\n{where}\n")


def _print_evidence(evidence: Sequence[Evidence]) -> None:
    """Print certified accuracies, of a test of given radii if there is one, and times."""
    if not evidence:
        print("No log of certificates is beside it.")
        return
    main = evidence[-1]
    accuracies = main.accuracies() or _of_fixed_n(main)
    if not sys.stdout.isatty():
        print()
    print_table(
        ("radius", "certified accuracy"),
        [(in_full(radius), round_down(share, 3)) for radius, share in accuracies.items()],
    )
    for each in evidence:
        protocol = each.protocol
        samples = (
            f"at most {protocol.n} samples per image, {each.samples:.0f} on average"
            if protocol.adaptive
            else f"n = {protocol.n}"
        )
        of = "; the accuracies above" if each is main else ""
        print_text(
            f"{each.log.path.name}: {len(each.log.records)} images, {samples}, alpha = "
            f"{protocol.alpha:g}{of}. Logged time: {duration(each.seconds)} per image "
            f"({protocol.software})."
        )


def _of_fixed_n(evidence: Evidence) -> dict[float, float]:
    """Certified accuracies of a log with a fixed n, at the radii of a table."""
    from rszoo.logs.analysis import results  # scipy is slow to import

    summary = results(evidence.log)
    radii = parse_radii(None, largest=float(summary.radius.max()))
    return {radius: summary.accuracy(radius) for radius in radii}


def _print_use(name: str) -> None:
    load = f'clf = rszoo.load("{name}")'
    if sys.stdout.isatty() and len(load) + INDENT > terminal_width():
        load = f'clf = rszoo.load(\n    "{name}"\n)'
    lines = f"""import PIL.Image, rszoo
{load}
x = clf.transform(PIL.Image.open("cat.png"))
print(clf.certify(x, n=10_000))"""
    print("\nHow to use it:\n\n" + textwrap.indent(lines, " " * INDENT))


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
    about, model = recipe.about, recipe.model
    options = [f"{key}={value}" for key, value in recipe.method.items() if key != "name"]
    return {
        "summary": about.summary,
        "paper": about.paper,
        "license": about.license,
        "dataset": model.dataset,
        "architecture": model.architecture,
        "method": " ".join([recipe.method_name, *options]),
        "sigma": f"{model.sigma:g} (standard deviation of the noise, pixels in [0, 1])",
        "precision": recipe.inference.precision,
        "noise": recipe.inference.noise,
        "recipe": f"sha256 {recipe.fingerprint}; --recipe prints it",
    }


def _config_facts(config: EntryConfig | None) -> dict[str, str]:
    if config is None:
        return {}
    classes = textwrap.shorten(", ".join(config.classes), 200, placeholder=" ...")
    shape = " x ".join(map(str, config.input_shape))
    members = {
        f"member {place}": f"{member.name}, {CONFIG} sha256 {member.config_sha256}"
        for place, member in enumerate(config.members or [], 1)
    }
    return {
        **members,
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
