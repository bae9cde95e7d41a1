"""`rszoo evaluate`: CERTIFY or PREDICT over a data set into a log."""

import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from typer import Option

from rszoo.cli.names import complete_bound
from rszoo.cli.options import (
    BatchSize,
    Device,
    Download,
    Name,
    Tolerance,
    VotesOption,
    parse_numbers,
)
from rszoo.cli.running import grouped, run_logged, shared_options

if TYPE_CHECKING:
    from rszoo.evaluation import CertifyOptions, Options, PredictOptions, SoftOptions


@grouped(shared=shared_options)
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
    shared: "Options",
    n0: Annotated[
        int | None, Option(help="Samples that select the class.", show_default="recipe")
    ] = None,
    n: Annotated[
        str | None,
        Option(
            help="Samples that bound its probability; for predict, one or more, as 100,1000. "
            "Raising it until images are certified voids alpha.",
            show_default="recipe",
        ),
    ] = None,
    votes: VotesOption = "hard",
    bound: Annotated[
        str | None,
        Option(
            autocompletion=complete_bound,
            help="The radius rule; keeping the best of several voids alpha.",
            show_default="recipe; betting for soft votes",
        ),
    ] = None,
    radius: Annotated[
        str | None,
        Option(
            metavar="R,R,...",
            help="Test only these radii, in pixel units, as 0,0.25,0.5; n is then the most. "
            "Keeping the better of this and a fixed n voids alpha.",
        ),
    ] = None,
    radii: Annotated[str | None, Option(hidden=True, help="The old name of --radius.")] = None,
    tolerance: Tolerance = None,
    correct_only: Annotated[
        bool,
        Option("--correct-only", help="Do not estimate images whose true class was not selected."),
    ] = False,
    power: Annotated[
        float | None,
        Option(
            help="Give up a radius of --radius that n samples would certify with less than this "
            "probability.",
            show_default="0.01",
        ),
    ] = None,
    device: Device = "cpu",
    download: Download = False,
    batch_size: BatchSize = None,
) -> None:
    """Run CERTIFY or PREDICT over a data set into a log; the same command continues it.

    Under torchrun each process takes a shard, and the first merges them.
    """
    from rszoo.evaluation import Evaluation

    rule: dict[str, Any] = {
        "n0": n0,
        "bound": bound,
        "radii": _radii(radius, radii),
        "tolerance": tolerance,
        "correct_only": correct_only,
        "power": power,
    }
    run_logged(
        out or Path(f"{re.split('[/:]', name.rstrip('/'))[-1].partition('@')[0]}.tsv"),
        _options(task, votes, vars(shared), rule, None if n is None else _numbers(n)),
        lambda log, options, where, settle: Evaluation(
            name,
            log,
            options,
            device=where,
            download=download,
            batch_size=batch_size,
            before_writing=settle,
        ),
        device=device,
    )


def _radii(radius: str | None, old: str | None) -> list[float] | None:
    if radius is not None and old is not None:
        raise ValueError(
            f"Expected --radius or its old name --radii, got both, with {radius} and {old}; "
            "keep --radius."
        )
    text = radius if old is None else old
    return None if text is None else parse_numbers(text, "--radius")


def _options(
    task: str,
    votes: str,
    shared: dict[str, Any],
    rule: dict[str, Any],
    numbers: list[int] | None,
) -> "CertifyOptions | SoftOptions | PredictOptions":
    from rszoo.evaluation import CertifyOptions, PredictOptions, SoftOptions

    if task == "certify":
        if numbers is not None and len(numbers) > 1:
            raise ValueError(
                f"Expected one n for CERTIFY, got {numbers}; several are for --task predict."
            )
        n = numbers[0] if numbers else None
        if votes == "hard":
            return CertifyOptions(**shared, **rule, n=n)
        soft = {name: rule.pop(name) for name in ("n0", "bound")}
        if stated := _stated(rule):
            raise ValueError(
                f"Expected no {stated[0]} for soft votes, got one; leave it out, "
                "or take hard votes."
            )
        return SoftOptions(**shared, **soft, n=n)
    if votes != "hard":
        raise ValueError(
            "Expected hard votes for PREDICT, got soft; leave --votes out, or certify."
        )
    if stated := _stated(rule):
        raise ValueError(f"Expected no {stated[0]} for PREDICT, got one; leave it out, or certify.")
    return PredictOptions(**shared, n=numbers)


def _stated(rule: dict[str, Any]) -> list[str]:
    """The options of a rule that were given."""
    names = {"radii": "radius"}
    return [f"--{names.get(key, key)}".replace("_", "-") for key, value in rule.items() if value]


def _numbers(n: str) -> list[int]:
    parts = n.split(",")
    if not all(part.isdecimal() for part in parts):
        raise ValueError(
            f"Expected --n to be a number or several, got {n!r}; "
            "write for instance 100000 or 100,1000."
        )
    return [int(part) for part in parts]
