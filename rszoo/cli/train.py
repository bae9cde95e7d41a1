"""`rszoo train`: a recipe into a run folder, or a new recipe to start from."""

import sys
from pathlib import Path
from typing import Annotated, NamedTuple

from typer import Argument, Option

from rszoo.cli.names import complete_recipe
from rszoo.cli.options import Device, Download
from rszoo.cli.together import telling_others
from rszoo.errors import MissingWeightsError, UnknownModelError
from rszoo.recipe import Recipe, load_recipe
from rszoo.zoo.config import read_config


class Role(NamedTuple):
    """What an entry is for a recipe, in words."""

    option: str
    verb: str
    without: str


START = Role("--init", "starts", "starts from random weights")
TEACHER = Role("--teacher", "learns", "has no teacher")


def train(
    recipe: Annotated[
        str,
        Argument(
            metavar="NAME|FILE",
            autocompletion=complete_recipe,
            help="A recipe's name ('rszoo list --all') or a TOML file; FILE.toml:0.25 where the "
            "file has several sigmas.",
        ),
    ],
    *,
    out: Annotated[
        Path | None,
        Option(
            metavar="DIR",
            help="The run folder; a run in it goes on. With --new, the file: NAME.toml if absent.",
            show_default="required",
        ),
    ] = None,
    device: Device = "cpu",
    time_limit: Annotated[
        float | None, Option(metavar="MINUTES", help="Stop with a checkpoint after so long.")
    ] = None,
    download: Download = False,
    init: Annotated[
        Path | None,
        Option(
            metavar="FOLDER",
            help="The entry that the recipe starts from; found by its name if absent.",
        ),
    ] = None,
    teacher: Annotated[
        Path | None,
        Option(
            metavar="FOLDER",
            help="The entry that the recipe learns from; found by its name if absent.",
        ),
    ] = None,
    compiled: Annotated[
        bool,
        Option("--compile", help="Use torch.compile: often faster; results differ by rounding."),
    ] = False,
    dry_run: Annotated[
        bool, Option("--dry-run", help="Print the steps and an estimate of the time, then exit.")
    ] = False,
    new: Annotated[
        bool,
        Option(
            "--new",
            help="Write a commented recipe for a new NAME, such as "
            "cifar10-resnet20-smoothadv-mine-s0.25, and leave.",
        ),
    ] = False,
) -> None:
    """Train a recipe; the same command goes on with an interrupted run."""
    if new:
        _write_template(recipe, Path(f"{recipe}.toml") if out is None else out)
        return
    with telling_others():
        wanted = load_recipe(recipe)
        if time_limit is not None and not time_limit > 0:
            raise ValueError(
                f"Expected a time limit above 0 minutes, got {time_limit:g}; "
                "pass one or leave it out."
            )
        if out is None and not dry_run:
            raise ValueError(
                f"Expected --out DIR, got none; name the run folder, for instance "
                f"--out runs/{wanted.name}."
            )
        start = tutor = None
        if not dry_run:
            start = _entry(wanted, wanted.training.init_from, init, START)
            tutor = _entry(wanted, wanted.training.teacher, teacher, TEACHER)
    from rszoo.smoothing.runtime import find_device
    from rszoo.training import estimate
    from rszoo.training import train as run
    from rszoo.training.distributed import join, rank

    where = join(find_device(device))
    if dry_run:
        if rank():
            return
        print(f"rszoo: measuring steps of {wanted.name} on {device} ...", file=sys.stderr)
        cost = estimate(wanted, where, download=download)
        print(
            f"{wanted.name}: {cost.steps} steps of {cost.batch_size} images, {cost.passes} forward "
            f"and backward passes per image, {cost.seconds / 60:.1f} minutes on {device}, from a "
            "measured step."
        )
        return
    assert out is not None
    complete = run(
        wanted,
        out,
        device=where,
        time_limit=None if time_limit is None else 60 * time_limit,
        download=download,
        initial=start,
        teacher=tutor,
        compiled=compiled,
    )
    if rank():
        return
    if complete:
        print(f"Complete: {out} holds the entry {wanted.name}; load it as 'local-dir:{out}'.")
    else:
        print(f"Stopped: {out} holds a checkpoint; the same command goes on from there.")


def _write_template(name: str, path: Path) -> None:
    if path.exists():
        raise ValueError(f"Expected a new file, got {path}, which exists; name another with --out.")
    from rszoo.training.template import recipe_template

    path.write_text(recipe_template(name), encoding="utf-8")
    print(f"Wrote {path}; 'rszoo train {path} --dry-run' prints what it will cost.")


def _entry(recipe: Recipe, name: str | None, folder: Path | None, role: Role) -> Path | None:
    """The folder of an entry that the recipe names, found by that name if none is given."""
    if name is None and folder is not None:
        raise ValueError(
            f"Expected no {role.option} for {recipe.name}, which {role.without}, got {folder}; "
            "leave it out."
        )
    if name is None or folder is not None:
        return folder
    from rszoo.zoo.loading import locate

    try:
        located, pinned = locate(name)
    except (UnknownModelError, MissingWeightsError) as error:
        raise FileNotFoundError(
            f"Expected weights of {name!r}, from which this recipe {role.verb}, got none; pass "
            f"their folder with {role.option} ('rszoo import' makes one of a checkpoint file)."
        ) from error
    read_config(located, expected_sha256=pinned)
    return located
