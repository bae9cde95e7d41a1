"""`rszoo merge`: the shards of an evaluation into one log."""

from pathlib import Path
from typing import Annotated

from typer import Argument, Option

from rszoo.logs.format import merge as joined


def merge(
    shards: Annotated[list[Path], Argument(metavar="LOG...", help="All shards of one evaluation.")],
    *,
    out: Annotated[Path, Option(metavar="LOG", help="The log to make.")],
) -> None:
    """Join the shards of 'evaluate --shard' or 'attack --shard' into the log of one evaluation."""
    log = joined(shards, out)
    print(f"{out} holds the {len(log.records)} lines of {len(shards)} shards.")
