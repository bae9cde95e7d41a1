"""`rszoo attack`: an attack over a data set into a log."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from typer import Option

from rszoo.cli.options import BatchSize, Device, Download, Name, parse_numbers
from rszoo.cli.running import AttackBatch, grouped, plan_options, run_logged, shared_options

if TYPE_CHECKING:
    from rszoo.attacks import Plan
    from rszoo.evaluation import Options


@grouped(plan=plan_options, shared=shared_options)
def attack(
    name: Name,
    *,
    out: Annotated[
        Path, Option(metavar="LOG", help="The log; one of the same attack is continued.")
    ],
    plan: "Plan",
    eps: Annotated[str, Option(help="l2 distances in pixel units.")] = "0.25,0.5,1.0",
    n: Annotated[int, Option(help="Samples of PREDICT, which judges on noise of its own.")] = 1000,
    shared: "Options",
    device: Device = "cpu",
    download: Download = False,
    batch_size: BatchSize = None,
    attack_batch: AttackBatch = None,
    save_images: Annotated[
        Path | None,
        Option(metavar="DIR", help="Also save a picture per image and distance, here."),
    ] = None,
) -> None:
    """Attack the images of a data set; PREDICT judges; the same command continues the log.

    Accuracy under attack and abstentions together bound robust accuracy from above, up to alpha
    per line. Under torchrun each process takes a shard, and the first merges them.
    """
    from rszoo.evaluation import AttackEvaluation, AttackOptions

    options = AttackOptions(
        **vars(shared),
        plan=plan,
        eps=parse_numbers(eps, "--eps"),
        n=n,
        attack_batch=attack_batch,
    )
    run_logged(
        out,
        options,
        lambda log, options, where, settle: AttackEvaluation(
            name,
            log,
            options,
            device=where,
            download=download,
            batch_size=batch_size,
            save_images=save_images,
            before_writing=settle,
        ),
        device=device,
    )
