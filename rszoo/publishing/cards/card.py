"""The card of an entry: its facts, in the words of `card.md.j2`."""

from pathlib import Path

import msgspec
from jinja2 import Environment, PackageLoader, StrictUndefined

from rszoo.logs.analysis import vote_share
from rszoo.logs.format import round_down
from rszoo.publishing.cards.evidence import Evidence, FixedLog, GridLog, TwinLog, read_evidence
from rszoo.publishing.cards.metadata import HUB_DATASETS, front_matter, hub_split
from rszoo.publishing.cards.numbers import (
    RHO,
    advised,
    fixed_table,
    grid_table,
    implied_facts,
    published_radii,
    published_rows,
    published_table,
    twin_table,
)
from rszoo.publishing.cards.works import ENSEMBLES, arxiv_number, bibtex
from rszoo.recipe import Recipe, recipe_text
from rszoo.zoo.config import CONFIG, EPOCHS, FIXED_LOG, GRID_LOG, RUNS, picture
from rszoo.zoo.history import History
from rszoo.zoo.registry import FOLDER_PREFIX


def render_card(folder: Path, recipe: Recipe | None) -> str:
    """The card of the entry in `folder`; the same files always give the same bytes.

    Args:
        folder: holds the config, and the logs that exist; without logs of certificates the card
            says that nothing was measured.
        recipe: the one that made the weights; None for imported weights.

    Raises:
        FileNotFoundError: there is no config.
        ValueError: the files contradict each other, or a log is of other weights, incomplete or
            faulty.
    """
    return render(read_evidence(folder, recipe))


def render(evidence: Evidence) -> str:
    """The card of an entry whose files have been read."""
    environment = Environment(
        loader=PackageLoader("rszoo.publishing.cards", ""),
        undefined=StrictUndefined,
        autoescape=False,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    text = environment.get_template("card.md.j2").render(**_facts(evidence))
    return front_matter(evidence) + "\n" + text


def _facts(evidence: Evidence) -> dict[str, object]:
    """The variables of the template."""
    config, recipe = evidence.config, evidence.recipe
    hub = HUB_DATASETS.get(config.dataset)
    paper = recipe.about.paper if recipe else ENSEMBLES if config.members else None
    return {
        "config": config,
        "recipe": recipe,
        "members": [msgspec.to_builtins(member) for member in config.members or []],
        "named": evidence.named,
        **_use_facts(evidence),
        "dataset": hub.link if hub else f"`{config.dataset}`",
        "input_shape": " x ".join(map(str, config.input_shape)),
        "paper": paper,
        "arxiv": paper and arxiv_number(paper),
        "bibtex": paper and bibtex(paper),
        "recipe_text": None if recipe is None else recipe_text(recipe, about=False),
        "confidence": f"{100 * (1 - RHO):g} %",
        "rho": f"{RHO:g}",
        "files": {
            "config": CONFIG,
            "fixed": FIXED_LOG,
            "grid": GRID_LOG,
            "picture": picture(config.name),
        },
        "fixed": evidence.fixed and _fixed_facts(evidence, evidence.fixed),
        "grid": evidence.grid and _grid_facts(evidence.grid),
        "twin": evidence.fixed and evidence.twin and _twin_facts(evidence.fixed, evidence.twin),
        "history": evidence.history and _history_facts(evidence.history),
    }


def _use_facts(evidence: Evidence) -> dict[str, object]:
    """How to load and call the entry: where it is, and the bound and n that its log speaks for."""
    repository, revision, recipe = evidence.repository, evidence.revision, evidence.recipe
    address = f"hf-hub:{repository}" + (f"@{revision}" if revision else "")
    elsewhere = address if repository else f"{FOLDER_PREFIX}."
    advice = advised(evidence.fixed) if evidence.fixed else None
    setting = advice or (recipe.certification if recipe else None)
    call = options = ""
    if setting:
        n, bound = setting.n, setting.bound
        call, options = f', n={n:_}, bound="{bound}"', f" --n {n} --bound {bound}"
    return {
        "load_name": evidence.config.name if evidence.named else elsewhere,
        "address": address,
        "repository": repository,
        "revision": revision,
        "advice": advice,
        "call": call,
        "options": options,
    }


def _fixed_facts(evidence: Evidence, fixed: FixedLog) -> dict[str, object]:
    rows = published_rows(evidence)
    return {
        "protocol": fixed.protocol,
        "split": hub_split(fixed.protocol),
        "images": len(fixed.results),
        "other_bound": fixed.other_bound,
        "table": fixed_table(fixed),
        "implied": implied_facts(fixed, evidence.config.input_shape),
        "base_accuracy": f"{100 * vote_share(fixed.log):.1f} %",
        "published": published_table(evidence, rows) if rows else None,
        "beyond_reach": not all(map(fixed.results.answers, published_radii(rows))),
        "time": _duration(sum(record.seconds for record in fixed.log.records)),
    }


def _grid_facts(grid: GridLog) -> dict[str, object]:
    samples = sum(record.n for record in grid.log.records) / len(grid.results)
    return {
        "protocol": grid.protocol,
        "split": hub_split(grid.protocol),
        "images": len(grid.results),
        "table": grid_table(grid),
        "mean_n": f"{samples:,.0f}",
    }


def _twin_facts(fixed: FixedLog, twin: TwinLog) -> dict[str, object]:
    return {
        "file": twin.log.path.name,
        "precision": twin.precision,
        "images": len(twin.log.records),
        "table": twin_table(fixed, twin),
        "differing": f"{100 * twin.differing:.2f} %",
    }


def _history_facts(history: History) -> dict[str, object]:
    accuracy = history.noisy_test_accuracy
    return {
        "runs": RUNS,
        "epochs": EPOCHS,
        "time": _duration(history.seconds),
        "machines": ", then ".join(history.machines),
        "accuracy": None if accuracy is None else f"{round_down(round(100 * accuracy, 9), 2)} %",
    }


def _duration(seconds: float) -> str:
    return f"{seconds / 3600:.1f} hours" if seconds >= 3600 else f"{seconds / 60:.1f} minutes"
