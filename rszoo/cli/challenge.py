"""`rszoo challenge`: attack the certificates in a log, within their radii and beyond."""

import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from typer import Argument, Option

from rszoo.cli.options import BatchSize, Device, Json, parse_numbers
from rszoo.cli.output import print_json, print_table, print_text, round_up
from rszoo.cli.running import AttackBatch, Start, Stop, grouped, plan_options

if TYPE_CHECKING:
    from rszoo.attacks import Plan
    from rszoo.evaluation import Challenge, Tightness

SHOWN = 5  # how many images a sentence names


@grouped(plan=plan_options)
def challenge(
    log: Annotated[Path, Argument(metavar="LOG", help="A log of 'rszoo evaluate'.")],
    *,
    name: Annotated[
        str | None,
        Option(metavar="NAME", help="The entry it is of, as for 'certify'.", show_default="log"),
    ] = None,
    factor: Annotated[
        str, Option(help="Distances of the attacks, as multiples of the radius.")
    ] = "0.9,1.0,1.5,2.0",
    plan: "Plan",
    n: Annotated[int, Option(help="Samples of PREDICT, which judges on noise of its own.")] = 1000,
    alpha: Annotated[
        float | None, Option(help="Failure probability, per prediction.", show_default="log")
    ] = None,
    start: Start = 0,
    stop: Stop = None,
    stride: Annotated[int, Option(help="Take each STRIDE-th image, of those in the log.")] = 1,
    seed: Annotated[int, Option(help="Seed of all noise and of random starts.")] = 0,
    device: Device = "cpu",
    batch_size: BatchSize = None,
    attack_batch: AttackBatch = None,
    json: Json = False,
) -> None:
    """Attack the certificates in a log, within their radii and beyond, judged by PREDICT.

    The exit code is 1 if attacks within the radii succeed more often than the failure
    probabilities allow.
    """
    from tqdm import tqdm

    from rszoo.evaluation import Challenge, ChallengeOptions

    options = ChallengeOptions(
        plan=plan,
        factors=parse_numbers(factor, "--factor"),
        n=n,
        alpha=alpha,
        start=start,
        stop=stop,
        stride=stride,
        seed=seed,
        attack_batch=attack_batch,
    )
    attacks = Challenge(log, options, name=name, device=device, batch_size=batch_size)
    rows = attacks.report(
        [
            [line.prediction.label for line in lines]
            for lines in tqdm(attacks, unit="certificate", disable=None)
        ]
    )
    if json:
        print_json([asdict(row) for row in rows])
    else:
        _print_report(attacks, rows)
    refuted = [row for row in rows if row.refutes]
    for row in refuted:
        print_text(_refutation(row, log), sys.stderr)
    sys.exit(1 if refuted else 0)


def _print_report(attacks: "Challenge", rows: "Sequence[Tightness]") -> None:
    columns = ("factor", "attacked", "changed", "abstained", "share changed", "P by chance")
    cells = [
        (
            f"{row.factor:g}",
            str(row.attacked),
            str(len(row.succeeded)),
            str(row.abstained),
            f"{len(row.succeeded) / row.attacked:.3f}",
            "-" if row.probability is None else round_up(row.probability, 3),
        )
        for row in rows
    ]
    print_table(columns, cells)
    print_text(
        f"{len(attacks)} certificates of {len(attacks.chosen)} images, attacked up to these "
        "factors of their radii.\n"
        "Within a radius (factor 1 or less) a change of class contradicts the certificate or the "
        "prediction: the last column bounds the probability of as many, if all hold at their "
        "levels. Beyond, changes show how tight it is.\n"
        f"PREDICT: n = {attacks.options.n}, alpha = {attacks.alpha:g}; certificates: alpha = "
        f"{attacks.protocol.alpha:g}."
    )


def _refutation(row: "Tightness", log: Path) -> str:
    shown = ", ".join(row.succeeded[:SHOWN]) + (", ..." if len(row.succeeded) > SHOWN else "")
    return (
        f"rszoo: Expected certificates in {log} that hold, got {len(row.succeeded)} of "
        f"{row.attacked} contradicted at {row.factor:g} times the radius (images {shown}), whose "
        f"probability would be {round_up(row.probability or 0.0, 3)}; do not rely on the log."
    )
