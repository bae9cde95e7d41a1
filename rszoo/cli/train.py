"""`rszoo train`: a recipe into a run folder."""

from pathlib import Path
from typing import Annotated

from typer import Argument, Option

from rszoo.cli.options import Device
from rszoo.config import read_config
from rszoo.recipe import load_recipe


def train(
    recipe: Annotated[str, Argument(metavar="NAME|FILE", help="A recipe's name ('rszoo list --all') or a TOML file.")],
    *,
    out: Annotated[Path, Option(metavar="DIR", help="The run folder; a run that is in it goes on.")],
    device: Device = "cpu",
    time_limit: Annotated[float | None, Option(metavar="MINUTES", help="Stop with a checkpoint after that long.")] = None,
    download: Annotated[bool, Option("--download", help="Fetch the data set if it is not there.")] = False,
    init: Annotated[
        Path | None, Option(metavar="FOLDER", help="The entry that the recipe starts from; sought by its name if absent.")
    ] = None,
    compiled: Annotated[bool, Option("--compile", help="Use torch.compile: another speed, other rounding.")] = False,
    dry_run: Annotated[bool, Option("--dry-run", help="Print what the run will cost, and leave.")] = False,
) -> None:
    """Train a recipe; the same command goes on with an interrupted run."""
    wanted = load_recipe(recipe)
    if time_limit is not None and not time_limit > 0:
        raise ValueError(f"Expected a time limit above 0 minutes, got {time_limit:g}; pass one or leave it out.")
    from rszoo.inference import find_device
    from rszoo.training import estimate
    from rszoo.training import train as run
    from rszoo.zoo import locate

    if dry_run:
        cost = estimate(wanted, find_device(device), download=download)
        print(
            f"{wanted.name}: {cost.steps} steps of {cost.batch_size} images, {cost.passes} forward and backward passes an "
            f"image, {cost.seconds / 60:.1f} minutes on {device}, from a measured step."
        )
        return
    start = wanted.training.init_from
    if start is not None and init is None:
        init, pinned = locate(start)
        read_config(init, expected_sha256=pinned)
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
