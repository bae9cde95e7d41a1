"""`rszoo evaluate`: a data set through CERTIFY or PREDICT into a log."""

import time
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from typer import Option

from rszoo.cli.options import BatchSize, Device, Name, Radii, Tolerance, parse_radii
from rszoo.records import merge

if TYPE_CHECKING:
    from rszoo.evaluation import Evaluation

LONGEST = timedelta(days=30)  # a process waits that long for the others


def evaluate(
    name: Name,
    *,
    out: Annotated[Path, Option(metavar="LOG", help="The log; one of the same evaluation is continued.")],
    task: Annotated[Literal["certify", "predict"], Option(help="CERTIFY, or PREDICT at several n.")] = "certify",
    split: Annotated[Literal["train", "test"] | None, Option(help="Part of the data set.", show_default="recipe")] = None,
    start: Annotated[int, Option(help="Number of the first image.")] = 0,
    stop: Annotated[int | None, Option(help="Number of the first image that is left out.", show_default="all")] = None,
    stride: Annotated[int | None, Option(help="Every so many images.", show_default="recipe")] = None,
    sigma: Annotated[float | None, Option(help="Noise other than that of the training.", show_default="entry")] = None,
    n0: Annotated[int | None, Option(help="Samples that select the class.", show_default="recipe")] = None,
    n: Annotated[
        str | None,
        Option(help="Samples that bound its probability; for predict, one or more, as 100,1000.", show_default="recipe"),
    ] = None,
    alpha: Annotated[float | None, Option(help="Failure probability, for each image.", show_default="recipe")] = None,
    bound: Annotated[str | None, Option(help="The radius rule.", show_default="recipe")] = None,
    radii: Radii = None,
    tolerance: Tolerance = None,
    correct_only: Annotated[
        bool, Option("--correct-only", help="Do not estimate images whose true class was not selected.")
    ] = False,
    precision: Annotated[str | None, Option(help="float32 or bfloat16.", show_default="entry")] = None,
    seed: Annotated[int | None, Option(help="Of the noise; to choose it after looking voids the guarantee.")] = None,
    shard: Annotated[
        str | None, Option(metavar="I/K", help="Only the I-th of K parts, for batch systems; then 'merge'.")
    ] = None,
    device: Device = "cpu",
    batch_size: BatchSize = None,
) -> None:
    """Certify or predict a data set into a log, one line an image; the same command goes on with an interrupted log.

    Under torchrun each process takes a shard, and the first joins them.
    """
    from rszoo import processes
    from rszoo.evaluation import Evaluation
    from rszoo.inference import find_device

    where = processes.join(find_device(device), timeout=LONGEST)
    part = None if shard is None else _pair(shard)
    shards = _shards(out, processes.count()) if processes.count() > 1 else []
    if shards:
        part = _own_part(part, out)
    with Evaluation(
        name,
        shards[processes.rank()] if shards else out,
        task=task,
        split=split,
        start=start,
        stop=stop,
        stride=stride,
        sigma=sigma,
        n0=n0,
        n=None if n is None else _samples(n),
        alpha=alpha,
        bound=bound,
        radii=parse_radii(radii, "--radii"),
        tolerance=tolerance,
        correct_only=correct_only,
        precision=precision,
        seed=seed,
        shard=part,
        device=where,
        batch_size=batch_size,
    ) as evaluation:
        _run(evaluation)
    processes.wait()
    if shards and processes.rank() == 0:
        merge(shards, out)
        print(f"Joined {len(shards)} shards in {out}.")


def _run(evaluation: "Evaluation") -> None:
    from tqdm import tqdm

    protocol, log = evaluation.protocol, evaluation.log
    total, done = len(protocol.indices), len(protocol.indices) - len(log.remaining)
    trained = "" if protocol.sigma == protocol.trained_sigma else f" (trained at {protocol.trained_sigma:g})"
    minutes, most = evaluation.estimate() / 60, "at most " if protocol.adaptive else ""
    print(
        f"{protocol.name} at sigma {protocol.sigma:g}{trained}: {total} images of {protocol.dataset} {protocol.split}, "
        f"{done} done, {most}{protocol.samples_an_image} samples each; {most}about {minutes:.1f} minutes."
    )
    correct = sum(record.correct for record in log.records[protocol.lines_an_image - 1 :: protocol.lines_an_image])
    started = time.perf_counter()
    with tqdm(evaluation, total=total, initial=done, unit="image", disable=None, smoothing=0.1) as bar:
        for number, records in enumerate(bar, 1):
            correct += records[-1].correct
            rate = 60 * number / (time.perf_counter() - started)
            bar.set_postfix_str(f"{rate:.1f} images/min, accuracy {correct / (done + number):.3f}", refresh=False)
    print(f"{log.path} holds {total} images, {correct / total:.4f} of them right; 'rszoo table {log.path}' says more.")


def _shards(out: Path, count: int) -> list[Path]:
    return [out.with_name(f"{out.name}.shard-{number}-of-{count}") for number in range(1, count + 1)]


def _own_part(part: tuple[int, int] | None, out: Path) -> tuple[int, int]:
    from rszoo import processes

    if part is not None:
        raise ValueError(f"Expected no --shard under torchrun, got {part[0]}/{part[1]}; each process takes its own.")
    if out.exists():
        raise FileExistsError(f"Expected a new file under torchrun, got --out {str(out)!r}, which is there; choose another.")
    return processes.rank() + 1, processes.count()


def _pair(shard: str) -> tuple[int, int]:
    first, _, second = shard.partition("/")
    if not (first.isdecimal() and second.isdecimal()):
        raise ValueError(f"Expected --shard I/K, got {shard!r}; write for instance 1/4.")
    return int(first), int(second)


def _samples(n: str) -> int | list[int]:
    parts = n.split(",")
    if not all(part.isdecimal() for part in parts):
        raise ValueError(f"Expected --n to be a number or several, got {n!r}; write for instance 100000 or 100,1000.")
    return int(n) if len(parts) == 1 else [int(part) for part in parts]
