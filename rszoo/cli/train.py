"""`rszoo train`: a recipe into a run folder."""

from pathlib import Path
from typing import Annotated

from typer import Argument, Option

from rszoo.cli.options import Device, Download
from rszoo.errors import MissingWeightsError, UnknownModelError
from rszoo.recipe import load_recipe
from rszoo.zoo.config import read_config


def train(
    recipe: Annotated[
        str,
        Argument(metavar="NAME|FILE", help="A recipe's name ('rszoo list --all') or a TOML file."),
    ],
    *,
    out: Annotated[
        Path | None,
        Option(
            metavar="DIR",
            help="The run folder; a run that is in it goes on.",
            show_default="required",
        ),
    ] = None,
    device: Device = "cpu",
    time_limit: Annotated[
        float | None, Option(metavar="MINUTES", help="Stop with a checkpoint after that long.")
    ] = None,
    download: Download = False,
    init: Annotated[
        Path | None,
        Option(
            metavar="FOLDER",
            help="The entry that the recipe starts from; sought by its name if absent.",
        ),
    ] = None,
    compiled: Annotated[
        bool, Option("--compile", help="Use torch.compile: another speed, other rounding.")
    ] = False,
    dry_run: Annotated[
        bool, Option("--dry-run", help="Print what the run will cost, and leave.")
    ] = False,
) -> None:
    """Train a recipe; the same command goes on with an interrupted run."""
    wanted = load_recipe(recipe)
    if time_limit is not None and not time_limit > 0:
        raise ValueError(
            f"Expected a time limit above 0 minutes, got {time_limit:g}; pass one or leave it out."
        )
    from rszoo.smoothing.runtime import find_device
    from rszoo.training import estimate
    from rszoo.training import train as run

    if dry_run:
        cost = estimate(wanted, find_device(device), download=download)
        print(
            f"{wanted.name}: {cost.steps} steps of {cost.batch_size} images, {cost.passes} forward and backward passes an "
            f"image, {cost.seconds / 60:.1f} minutes on {device}, from a measured step."
        )
        return
    if out is None:
        raise ValueError(
            f"Expected --out DIR, got none; name the run folder, for instance --out runs/{wanted.name}."
        )
    if wanted.training.init_from is not None and init is None:
        init = _start(wanted.training.init_from)
    if wanted.training.init_from is None and init is not None:
        raise ValueError(
            f"Expected no --init for {wanted.name}, which starts from random weights, got {init}; leave it out."
        )
    complete = run(
        wanted,
        out,
        device=find_device(device),
        time_limit=None if time_limit is None else 60 * time_limit,
        download=download,
        initial=init,
        compiled=compiled,
    )
    if complete:
        print(f"Complete: {out} holds the entry {wanted.name}; load it as 'local-dir:{out}'.")
    else:
        print(f"Stopped: {out} holds a checkpoint; the same command goes on from there.")


def _start(name: str) -> Path:
    """The folder of the entry that a recipe starts from, after the check of its pin."""
    from rszoo.zoo.loading import locate

    try:
        folder, pinned = locate(name)
    except (UnknownModelError, MissingWeightsError) as error:
        raise FileNotFoundError(
            f"Expected weights of {name!r}, from which this recipe starts, got none; pass their folder with --init "
            "('rszoo import' makes one of a checkpoint file)."
        ) from error
    read_config(folder, expected_sha256=pinned)
    return folder
