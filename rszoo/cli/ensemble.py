"""`rszoo ensemble`: make one entry of several."""

from pathlib import Path
from typing import Annotated

from typer import Argument, Option

from rszoo.cli.names import complete_entry, full_name


def ensemble(
    names: Annotated[
        list[str],
        Argument(
            metavar="NAME NAME...",
            autocompletion=complete_entry,
            help="Entries of one sigma, data set and classes.",
        ),
    ],
    *,
    out: Annotated[Path, Option(metavar="DIR", help="A new or empty folder.")],
    precision: Annotated[
        str | None, Option(help="float32 or bfloat16.", show_default="that of the entries")
    ] = None,
    noise: Annotated[
        str | None, Option(help="float or grid.", show_default="that of the entries")
    ] = None,
    license: Annotated[
        str | None,
        Option(help="SPDX identifier of the licence.", show_default="that of the entries"),
    ] = None,
    variant: Annotated[
        str | None, Option(metavar="WORD", help="A word for the name of the entry.")
    ] = None,
) -> None:
    """Make one entry of several: its network is the mean of the logits of theirs."""
    from rszoo.zoo.ensemble import ensemble as make_ensemble

    config = make_ensemble(
        [full_name(name) for name in names],
        out,
        precision=precision,
        noise=noise,
        license=license,
        variant=variant,
    )
    if config.license == "unknown":
        print("The licence of the weights is recorded as 'unknown'; set it with --license.")
    print(f"Complete: {out} holds the entry {config.name}; load it as 'local-dir:{out}'.")
