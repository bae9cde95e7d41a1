"""`rszoo attack`: a data set through an attack into a log, or the certificates of a log under attack."""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from typer import Argument, Option

from rszoo.cli.options import BatchSize, Device, Download, Json, parse_numbers
from rszoo.cli.output import print_json, print_table, round_up
from rszoo.cli.running import Shard, run_logged

if TYPE_CHECKING:
    from rszoo.evaluation import CertificateAttack, Tightness

AttackName = Literal["smoothadv-pgd", "smoothadv-ddn", "stein", "naive", "pgd"]
SHOWN = 5  # how many images a sentence names
USUAL_NOISE, USUAL_EPS, USUAL_FACTORS = 16, "0.25,0.5,1.0", "0.9,1.0,1.5,2.0"


def attack(
    name: Annotated[
        str | None,
        Argument(metavar="NAME", help="As for 'rszoo certify'; with --against, absent: the log's."),
    ] = None,
    *,
    out: Annotated[
        Path | None, Option(metavar="LOG", help="The log; one of the same attack is continued.")
    ] = None,
    against: Annotated[
        Path | None,
        Option(
            metavar="LOG",
            help="Instead: attack the certificates in this log of 'evaluate', and report.",
        ),
    ] = None,
    attack: Annotated[
        AttackName, Option(help="What attacks; pgd is on the base classifier, without noise.")
    ] = "smoothadv-pgd",
    eps: Annotated[
        str | None, Option(help="l2 distances in pixel units.", show_default=USUAL_EPS)
    ] = None,
    factor: Annotated[
        str | None,
        Option(help="Distances over the radius, with --against.", show_default=USUAL_FACTORS),
    ] = None,
    steps: Annotated[int, Option(help="Steps, T.")] = 20,
    num_noise: Annotated[
        int | None,
        Option(help="Noise vectors of a step, m; none for pgd.", show_default=str(USUAL_NOISE)),
    ] = None,
    random_start: Annotated[
        bool, Option("--random-start", help="Start at random in the ball.")
    ] = False,
    restarts: Annotated[int, Option(help="Runs, of which the best is taken.")] = 1,
    targeted: Annotated[bool, Option("--targeted", help="Move to the runner-up class.")] = False,
    no_box: Annotated[bool, Option("--no-box", help="Let images leave [0, 1].")] = False,
    redraw: Annotated[bool, Option("--redraw", help="New noise at every step.")] = False,
    n: Annotated[int, Option(help="Samples of PREDICT, which judges on noise of its own.")] = 1000,
    alpha: Annotated[
        float | None, Option(help="Its failure probability, for each line.", show_default="recipe")
    ] = None,
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
    precision: Annotated[
        str | None, Option(help="float32 or bfloat16, of the votes.", show_default="entry")
    ] = None,
    seed: Annotated[
        int | None, Option(help="Of all noise and of random starts.", show_default="recipe")
    ] = None,
    shard: Shard = None,
    device: Device = "cpu",
    download: Download = False,
    batch_size: BatchSize = None,
    attack_batch: Annotated[
        int | None,
        Option(
            help="Noisy images attacked at once; part of the protocol.",
            show_default="by image shape",
        ),
    ] = None,
    save_images: Annotated[
        Path | None, Option(metavar="DIR", help="Also a picture an image and distance, here.")
    ] = None,
    json: Json = False,
) -> None:
    """Attack a data set into a log, judged by PREDICT; or, with --against, certificates within and beyond their radii.

    Accuracy under attack and abstentions together are an upper bound on robust accuracy, up to alpha a line. With --against the
    exit code is 1 if attacks within the radii succeed more often than the failure probabilities allow.
    """
    from rszoo.attacks import Plan
    from rszoo.evaluation import AttackEvaluation, CertificateAttack

    plan = Plan(
        attack=attack,
        steps=steps,
        num_noise=num_noise if num_noise is not None else 0 if attack == "pgd" else USUAL_NOISE,
        random_start=random_start,
        restarts=restarts,
        targeted=targeted,
        box=not no_box,
        redraw=redraw,
    )
    if against is not None:
        name = _named(against) if name is None else name
        own = {
            "--out": out,
            "--eps": eps,
            "--split": split,
            "--sigma": sigma,
            "--precision": precision,
            "--shard": shard,
        }
        _refuse(own | {"--save-images": save_images, "--download": download}, "with --against")
        certificates = CertificateAttack(
            name,
            against,
            plan=plan,
            factors=parse_numbers(factor or USUAL_FACTORS, "--factor"),
            n=n,
            alpha=alpha,
            start=start,
            stop=stop,
            stride=1 if stride is None else stride,
            seed=seed or 0,
            device=device,
            batch_size=batch_size,
            attack_batch=attack_batch,
        )
        _put_to_the_test(certificates, against, json=json)
        return
    _refuse({"--factor": factor, "--json": json}, "without --against")
    if name is None:
        raise ValueError("Expected the NAME of an entry, got none; 'rszoo list' prints them.")
    entry = name
    if out is None:
        raise ValueError(
            "Expected --out LOG or --against LOG, got none; say where to log, or what to attack."
        )
    distances = parse_numbers(eps or USUAL_EPS, "--eps")
    run_logged(
        out,
        lambda log, part, where: AttackEvaluation(
            entry,
            log,
            plan=plan,
            eps=distances,
            n=n,
            split=split,
            start=start,
            stop=stop,
            stride=stride,
            sigma=sigma,
            alpha=alpha,
            precision=precision,
            seed=seed,
            shard=part,
            device=where,
            download=download,
            batch_size=batch_size,
            attack_batch=attack_batch,
            save_images=save_images,
        ),
        shard=shard,
        device=device,
    )


def _named(log: Path) -> str:
    """The entry that a log is of."""
    from rszoo.logs.format import PublishedProtocol, read_log

    protocol = read_log(log).protocol
    if isinstance(protocol, PublishedProtocol):
        raise ValueError(
            f"Expected the NAME of the entry that {log} is of, got none, and the log names none; pass it."
        )
    return protocol.name


def _refuse(options: Mapping[str, object], when: str) -> None:
    if given := [option for option, value in options.items() if value]:
        raise ValueError(f"Expected no {given[0]} {when}, got one; leave it out.")


def _put_to_the_test(certificates: "CertificateAttack", log: Path, *, json: bool) -> None:
    from tqdm import tqdm

    for _ in tqdm(certificates, unit="certificate", disable=None):
        pass
    rows = certificates.report()
    if json:
        print_json([asdict(row) for row in rows])
    else:
        _print_report(certificates, rows)
    for row in rows:
        if row.refutes:
            _refuted(row, log)
    if any(row.refutes for row in rows):
        sys.exit(1)


def _print_report(certificates: "CertificateAttack", rows: "Sequence[Tightness]") -> None:
    columns = ("factor", "attacked", "changed", "abstained", "share changed", "P by chance")
    cells = []
    for row in rows:
        share = f"{len(row.succeeded) / row.attacked:.3f}"
        chance = "-" if row.probability is None else round_up(row.probability, 3)
        cells.append(
            [
                f"{row.factor:g}",
                str(row.attacked),
                str(len(row.succeeded)),
                str(row.abstained),
                share,
                chance,
            ]
        )
    print_table(columns, cells)
    print(
        f"{len(certificates)} certificates of {certificates.images} images, attacked up to these factors of their radii.\n"
        "Within a radius (factor 1 or less) a change of the class contradicts the certificate or the prediction: the last\n"
        "column is the probability of as many, at most, if all hold at their levels. Beyond, changes show how tight it is."
    )


def _refuted(row: "Tightness", log: Path) -> None:
    shown = ", ".join(row.succeeded[:SHOWN]) + (", ..." if len(row.succeeded) > SHOWN else "")
    chance = "0" if row.probability is None else round_up(row.probability, 3)
    print(
        f"rszoo: Expected certificates in {log} that hold, got {len(row.succeeded)} of {row.attacked} contradicted at "
        f"{row.factor:g} times the radius (images {shown}), whose probability would be {chance}; do not rely on the log.",
        file=sys.stderr,
    )
