"""`rszoo evaluate`: a data set through CERTIFY or PREDICT into a log."""

import re
from pathlib import Path
from typing import Annotated, Literal

from typer import Option

from rszoo.cli.options import BatchSize, Device, Download, Name, Tolerance, parse_numbers
from rszoo.cli.running import Shard, run_logged


def evaluate(
    name: Name,
    *,
    out: Annotated[
        Path | None,
        Option(
            metavar="LOG",
            help="The log; one of the same evaluation is continued.",
            show_default="NAME.tsv",
        ),
    ] = None,
    task: Annotated[
        Literal["certify", "predict"], Option(help="CERTIFY, or PREDICT at several n.")
    ] = "certify",
    split: Annotated[
        Literal["train", "test"] | None, Option(help="Part of the data set.", show_default="recipe")
    ] = None,
    start: Annotated[int, Option(help="Number of the first image.")] = 0,
    stop: Annotated[
        int | None, Option(help="Number of the first image that is left out.", show_default="all")
    ] = None,
    stride: Annotated[
        int | None, Option(help="Every so many images.", show_default="recipe")
    ] = None,
    sigma: Annotated[
        float | None, Option(help="Noise other than that of the training.", show_default="entry")
    ] = None,
    n0: Annotated[
        int | None, Option(help="Samples that select the class.", show_default="recipe")
    ] = None,
    n: Annotated[
        str | None,
        Option(
            help="Samples that bound its probability; for predict, one or more, as 100,1000.",
            show_default="recipe",
        ),
    ] = None,
    alpha: Annotated[
        float | None, Option(help="Failure probability, for each image.", show_default="recipe")
    ] = None,
    bound: Annotated[str | None, Option(help="The radius rule.", show_default="recipe")] = None,
    radii: Annotated[
        str | None,
        Option(
            "--radii",
            "--radius",
            help="Test only these radii, in pixel units, as 0,0.25,0.5; n is then the most samples.",
        ),
    ] = None,
    tolerance: Tolerance = None,
    correct_only: Annotated[
        bool,
        Option("--correct-only", help="Do not estimate images whose true class was not selected."),
    ] = False,
    power: Annotated[
        float | None,
        Option(
            help="Give up a radius of --radii that n samples would certify with less than this probability.",
            show_default="0.01",
        ),
    ] = None,
    precision: Annotated[
        str | None, Option(help="float32 or bfloat16.", show_default="entry")
    ] = None,
    seed: Annotated[
        int | None, Option(help="Of the noise; to choose it after looking voids the guarantee.")
    ] = None,
    shard: Shard = None,
    device: Device = "cpu",
    download: Download = False,
    batch_size: BatchSize = None,
) -> None:
    """Certify or predict a data set into a log, one line an image; the same command goes on with an interrupted log.

    Under torchrun each process takes a shard, and the first joins them.
    """
    from rszoo.evaluation import Evaluation

    samples = None if n is None else _samples(n)
    grid = None if radii is None else parse_numbers(radii, "--radii")
    run_logged(
        out or Path(f"{re.split('[/:]', name.rstrip('/'))[-1].partition('@')[0]}.tsv"),
        lambda log, part, where: Evaluation(
            name,
            log,
            task=task,
            split=split,
            start=start,
            stop=stop,
            stride=stride,
            sigma=sigma,
            n0=n0,
            n=samples,
            alpha=alpha,
            bound=bound,
            radii=grid,
            tolerance=tolerance,
            correct_only=correct_only,
            power=power,
            precision=precision,
            seed=seed,
            shard=part,
            device=where,
            download=download,
            batch_size=batch_size,
        ),
        shard=shard,
        device=device,
    )


def _samples(n: str) -> int | list[int]:
    parts = n.split(",")
    if not all(part.isdecimal() for part in parts):
        raise ValueError(
            f"Expected --n to be a number or several, got {n!r}; write for instance 100000 or 100,1000."
        )
    return int(n) if len(parts) == 1 else [int(part) for part in parts]
